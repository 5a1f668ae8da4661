"""A net as a graph: boxes and arrows from input to scores, beside them what each layer costs, before a step and after.

Drawn in inches. Layers stand one under the other, whatever the branches: an edge to the next layer is an arrow down,
any other runs in a lane on the left.
"""

from collections import Counter
from itertools import count

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from zoo.errors import ZooError
from zoo.plots.style import BLUE, GREEN, GREY, INK, ORANGE, SKY, save, short, styled

ROW, BOX_WIDTH, BOX_HEIGHT, LANE = 0.36, 3.9, 0.26, 0.12
FOLDED = {"BatchNormalization": "BN", "ReLU": "ReLU", "Activation": "activation"}  # into the box of the layer before
KIND_COLOURS = (
    ("Depthwise", SKY), ("Separable", SKY), ("Conv", BLUE), ("Dense", ORANGE), ("Pooling", GREEN), ("Input", INK),
)  # fmt: skip


@styled
def layer_graph(rows, edges, path, title, seam=None):
    """Boxes from input to scores with kind, output shape, parameters and multiplies; a dashed line under the seam.

    rows, edges: as `measure.counts.graph_of` gives them. seam: the name of the layer that ends the front.

    Raises: ZooError if no layer is called `seam`.
    """
    boxes, edges, seam_box = _fold(rows, edges, seam)
    order = _branch_by_branch(len(boxes), edges)
    sheet = _Sheet(title, order, edges, figures_width=5.3)
    sheet.write(sheet.shape_x, sheet.heads, "output", color=GREY)
    for y, box in zip(sheet.y, (boxes[number] for number in order)):
        sheet.draw_box(box, y)
        sheet.write(sheet.shape_x, y, _told_shape(box))
    # Right ends; the bars begin there.
    for column, head, x in (("parameters", "parameters", 2.1), ("macs", "multiplies", 4.2)):
        x, values = sheet.shape_x + x, [getattr(boxes[number], column) for number in order]
        sheet.write(x, sheet.heads, head, ha="right", color=GREY)
        sheet.write(x, sheet.sums, f"{sum(values):,}", ha="right", fontweight="bold")
        for y, value in zip(sheet.y, values):
            if value:
                sheet.write(x, y, f"{value:,}", ha="right")
                sheet.draw_bar(x, y, 0.9 * value / max(values), facecolor=GREY)
    sheet.draw_edges()
    if seam:
        y, ends = sheet.y[order.index(seam_box)] + ROW / 2, (0.1, sheet.width - 0.1)
        sheet.axes.plot(ends, [y, y], color=ORANGE, linewidth=1.2, dashes=(5, 3))
        sheet.write(ends[1], y - 0.03, "seam", color=ORANGE, ha="right", va="bottom")
    return save(sheet.figure, path)


@styled
def graphs_before_and_after(before, after, path, title):
    """The layers with output shape, parameters and multiplies before a compression step and after it.

    before, after: (rows, edges) as `measure.counts.graph_of` gives them. Layers are matched by name: one that is gone
    stands in grey and struck through, one that is new has no figures before. The arrows are those of the graph after.
    """
    (old, *_), (new, edges, _) = (_fold(rows, edges, None) for rows, edges in (before, after))
    old, new = _by_call(old), _by_call(new)
    calls = list(new)
    order = [calls[box] for box in _branch_by_branch(len(calls), edges)]
    for earlier, gone in zip([None, *old], old):
        if gone not in new:  # behind what it stood behind
            order.insert(order.index(earlier) + 1 if earlier in order else 0, gone)
    sheet = _Sheet(title, order, [(calls[a], calls[b]) for a, b in edges], figures_width=8.7)
    sheet.write(sheet.shape_x, sheet.heads, "output before", color=GREY)
    sheet.write(sheet.shape_x + 1.35, sheet.heads, "after", color=GREY)
    for y, call in zip(sheet.y, order):
        sheet.draw_box(new.get(call) or old[call], y, is_gone=call not in new)
        for x, boxes, colour in ((0, old, GREY), (1.35, new, INK)):
            if call in boxes:
                sheet.write(sheet.shape_x + x, y, _told_shape(boxes[call]), color=colour)
    # Right ends of the numbers before; those after stand a step further, and then the bars.
    for column, head, x, step in (("parameters", "parameters", 3.5, 0.95), ("macs", "multiplies", 6.6, 1.15)):
        x += sheet.shape_x
        values = [{call: getattr(box, column) for call, box in boxes.items()} for boxes in (old, new)]
        largest = max(max(each.values()) for each in values) or 1
        for each, right, told, colour in zip(values, (x, x + step), (f"{head} before", "after"), (GREY, INK)):
            sheet.write(right, sheet.heads, told, ha="right", color=GREY)
            sheet.write(right, sheet.sums, f"{sum(each.values()):,}", ha="right", color=colour, fontweight="bold")
            for y, call in zip(sheet.y, order):
                if each.get(call):
                    bar = {"facecolor": ORANGE, "alpha": 0.3} if colour == GREY else {"facecolor": BLUE}
                    sheet.draw_bar(x + step, y, 0.7 * each[call] / largest, linewidth=0, **bar)
                    sheet.write(right, y, f"{each[call]:,}", ha="right", color=colour)
        removed = 1 - sum(values[1].values()) / max(sum(values[0].values()), 1)
        sheet.write(x + step + 0.08, sheet.sums, f"{-removed:+.1%}", color=BLUE, fontweight="bold")
    sheet.draw_edges()
    return save(sheet.figure, path)


class _Sheet:
    """Axes in inches from the upper left corner: a row of heads, one for each layer, one of sums; boxes on the left.

    order: the layers from above. edges: between them. figures_width: what is free on the right of the boxes.
    """

    def __init__(self, title, order, edges, figures_width):
        self.spans = sorted((order.index(a), order.index(b)) for a, b in edges)
        self.lanes = _lanes([(first, last) for first, last in self.spans if last - first > 1])
        self.left = 0.3 + LANE * len(set(self.lanes.values()))
        self.shape_x = self.left + BOX_WIDTH + 0.15
        self.width, height = self.shape_x + figures_width, 1.15 + ROW * (len(order) + 1)
        self.heads, *self.y, self.sums = 1.05 + ROW * np.arange(-1, len(order) + 1)
        self.figure = Figure(figsize=(self.width, height))
        self.axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, self.width), ylim=(height, 0))
        self.axes.set_axis_off()
        self.write(0.15, 0.3, title, fontsize=11)
        self.write(self.left, self.heads, "layer", color=GREY)
        self.write(self.left, self.sums, "in all", fontweight="bold")

    def write(self, x, y, text, **style):
        self.axes.text(x, y, text, **{"va": "center", "fontsize": 8.5, **style})

    def draw_bar(self, right_of, y, length, **style):
        self.axes.add_patch(Rectangle((right_of + 0.08, y - 0.06), length, 0.12, **style))

    def draw_box(self, box, y, is_gone=False):
        left, corner = self.left, (self.left, y - BOX_HEIGHT / 2)
        if is_gone:
            self.axes.plot([left + 0.1, left + BOX_WIDTH - 0.05], [y, y], color=GREY, linewidth=0.8)
        else:
            colour = next((colour for part, colour in KIND_COLOURS if part in box.kind), GREY)
            self.axes.add_patch(Rectangle(corner, BOX_WIDTH, BOX_HEIGHT, facecolor=colour, alpha=0.15))
            self.axes.add_patch(Rectangle(corner, 0.06, BOX_HEIGHT, facecolor=colour))
        colour = GREY if is_gone else INK
        self.write(left + 0.14, y, short(box.name), color=colour)
        self.write(left + BOX_WIDTH - 0.08, y, box.kind, ha="right", fontsize=7.5, color=colour)

    def draw_edges(self):
        for first, last in self.spans:
            left, above, below = self.left, self.y[first], self.y[last]
            if (first, last) in self.lanes:
                reach = (0.12 + LANE * self.lanes[first, last]) * 72  # points
                bend = f"arc,angleA=180,angleB=180,armA={reach},armB={reach},rad=4"
                ends = (left, above + 0.06), (left, below - 0.06)  # apart, where one lane ends and the next begins
            else:
                bend = "arc3"
                ends = (left + 0.3, above + BOX_HEIGHT / 2), (left + 0.3, below - BOX_HEIGHT / 2)
            self.axes.add_patch(
                FancyArrowPatch(*ends, connectionstyle=bend, arrowstyle="-|>", mutation_scale=6, shrinkA=0, shrinkB=0,
                                color=GREY, linewidth=0.9)
            )  # fmt: skip


def _told_shape(box):
    return " × ".join(map(str, box.output_shape))


def _by_call(boxes):
    """{(name, how many-th of that name): box}: a layer that is called twice has two."""
    calls, seen = {}, Counter()
    for box in boxes:
        calls[box.name, seen[box.name]] = box
        seen[box.name] += 1
    return calls


def _fold(rows, edges, seam):
    """(boxes, edges between them, box of the seam): normalisation and activation go into the layer before them."""
    boxes, box_of = [], []
    for i, row in enumerate(rows):
        before = [a for a, b in edges if b == i]
        if row.kind in FOLDED and len(before) == 1 and sum(a == before[0] for a, _ in edges) == 1:
            box = box_of[before[0]]
            boxes[box] = boxes[box]._replace(
                kind=f"{boxes[box].kind} + {FOLDED[row.kind]}",
                output_shape=row.output_shape,
                parameters=boxes[box].parameters + row.parameters,
                macs=boxes[box].macs + row.macs,
            )
        else:
            box = len(boxes)
            boxes.append(row)
        box_of.append(box)
    names = [row.name for row in rows]
    if seam and seam not in names:
        raise ZooError(f"{seam}: no layer of this name to draw the seam under; the layers are {', '.join(names)}")
    between = {(box_of[a], box_of[b]) for a, b in edges if box_of[a] != box_of[b]}
    return boxes, between, box_of[names.index(seam)] if seam else None


def _branch_by_branch(num_boxes, edges):
    """Boxes in an order in which every edge leads down, and a branch is finished before the next is begun."""
    waiting_for = Counter(b for _, b in edges)
    ready = [box for box in reversed(range(num_boxes)) if not waiting_for[box]]
    order = []
    while ready:
        order.append(ready.pop())
        for after in sorted((b for a, b in edges if a == order[-1]), reverse=True):
            waiting_for[after] -= 1
            if not waiting_for[after]:
                ready.append(after)
    return order


def _lanes(spans):
    """{(first, last): lane}, the shortest nearest to the boxes; spans that overlap have lanes of their own."""
    lanes = {}
    for first, last in sorted(spans, key=lambda span: span[1] - span[0]):
        taken = {lane for (a, b), lane in lanes.items() if a < last and first < b}
        lanes[first, last] = next(lane for lane in count() if lane not in taken)
    return lanes
