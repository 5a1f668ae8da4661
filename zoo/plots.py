"""Every picture that a card or a report shows. Each function writes a PNG of its data and gives its path back.

Figures are made without pyplot, so a notebook's own settings and open figures are left alone.
"""

import csv
from collections import Counter
from itertools import count

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, PercentFormatter

from zoo.errors import ZooError

# Okabe and Ito's colours, which stay apart for colour-blind eyes.
BLUE, ORANGE, GREEN, SKY = "#0072B2", "#D55E00", "#009E73", "#56B4E9"
INK, GREY, PALE = "#222222", "#8A8A8A", "#EDEDED"

STYLE = {
    "figure.dpi": 150,
    "savefig.bbox": "tight",
    "figure.constrained_layout.h_pad": 0.08,
    "font.size": 9,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": PALE,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
}
LONGEST_LABEL = 32
ROUND_STEPS = (1, 2, 5, 10)


@rc_context(STYLE)
def training_curves(history, path, title):
    """Loss, accuracy and learning rate against the epoch.

    history: one dict for each epoch with epoch, loss, accuracy and learning_rate, and val_loss and val_accuracy where
    there was a validation; or the path of a csv file with those columns.
    """
    if not isinstance(history, list):
        with open(history, newline="") as file:
            history = list(csv.DictReader(file))
    columns = {name: np.array([float(row[name]) for row in history]) for name in history[0]}
    marker = ".-" if len(history) < 30 else "-"  # a single epoch has no line
    figure = _figure(title, 7, 6)
    loss, accuracy, rate = figure.subplots(3, sharex=True, height_ratios=(4, 4, 1.6))
    for axes, name in ((loss, "loss"), (accuracy, "accuracy")):
        for column, label, colour in ((name, "training", BLUE), (f"val_{name}", "validation", ORANGE)):
            if column in columns:
                axes.plot(columns["epoch"], columns[column], marker, color=colour, label=label, linewidth=1.2)
        axes.set_ylabel(name)
        axes.grid(axis="y")
    loss.legend(ncols=2, loc="upper right")
    loss.set_ylim(bottom=0)
    accuracy.set_ylim(0, 1.02)
    accuracy.yaxis.set_major_formatter(PercentFormatter(1))
    rate.plot(columns["epoch"], columns["learning_rate"], marker, drawstyle="steps-mid", color=GREY)
    rate.set_yscale("log")
    rate.set(xlabel="epoch", ylabel="learning rate")
    rate.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=ROUND_STEPS))
    figure.align_ylabels()
    return _write(figure, path)


@rc_context(STYLE)
def confusion_matrix(counts, labels, path, title):
    """Truth against decision. Colour: share of the class's clips; up to 20 classes the counts stand in the cells.

    counts: (classes, classes), the row is the truth.
    """
    num_classes = len(labels)
    clips = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(clips, 1)
    few = num_classes <= 20
    size = 3.5 + num_classes * (0.42 if few else 0.15)
    figure = _figure(title, size + 0.6, size, layout="compressed")  # its axes are square
    axes = figure.subplots()
    image = axes.imshow(np.where(clips > 0, shares, np.nan), cmap="Blues", vmin=0, vmax=1)
    axes.set_facecolor(PALE)  # rows without clips
    font_size = 8 if few else 6.5
    names = _class_names(labels)
    axes.set_xticks(range(num_classes), names, rotation=90, fontsize=font_size)
    axes.set_yticks(range(num_classes), names, fontsize=font_size)
    axes.set(xlabel="decision", ylabel="truth")
    axes.set_xticks(np.arange(num_classes + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(num_classes + 1) - 0.5, minor=True)
    axes.grid(which="minor", linewidth=0.5)
    if few:
        for (row, column), cell in np.ndenumerate(counts):
            if cell:
                colour = "white" if shares[row, column] > 0.55 else INK
                axes.text(column, row, cell, ha="center", va="center", fontsize=8, color=colour)
    bar = figure.colorbar(image, shrink=0.6, format=PercentFormatter(1), label="share of the class's clips")
    bar.outline.set_visible(False)
    return _write(figure, path)


@rc_context(STYLE)
def per_class_scores(table, labels, path, title):
    """Recall and F1 of each class, best recall on top; classes without a clip come last.

    table: as `evaluation.per_class` gives it, nan for a class without a clip.
    """
    recall, f1 = np.asarray(table["recall"]), np.asarray(table["f1"])
    order = np.lexsort((-f1, -recall))  # nan sorts last
    figure = _figure(title, 7, 1.3 + 0.26 * len(labels))
    axes = figure.subplots()
    rows, names = np.arange(len(labels)), _class_names(labels)
    axes.barh(rows - 0.2, recall[order], height=0.38, color=BLUE, label="recall")
    axes.barh(rows + 0.2, f1[order], height=0.38, color=SKY, label="F1")
    for row in rows[np.isnan(recall[order])]:
        axes.text(0.005, row, "no clip in this fold", va="center", color=GREY, fontstyle="italic", fontsize=8)
    axes.set_yticks(rows, [names[i] for i in order])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(axis="x")
    figure.legend(loc="outside upper right", ncols=2)
    return _write(figure, path)


@rc_context(STYLE)
def files_compared(rows, path, title):
    """Accuracy, with its 95 % interval, against size for each exported file.

    rows: (name, size_bytes, accuracy, (low, high)) for each file.
    """
    rows = sorted(rows, key=lambda row: row[2])
    figure = _figure(title, 8, max(3.2, 1.2 + 0.45 * len(rows)))
    axes = figure.subplots()
    for place, (name, size_bytes, accuracy, (low, high)) in enumerate(rows):
        axes.plot([size_bytes] * 2, [low, high], color=SKY, linewidth=2)
        axes.plot(size_bytes, accuracy, "o", color=BLUE)
        # A column of labels in the order of accuracy: beside their points, files of one size would cover each other.
        axes.annotate(
            f"{_short(name)}\n{accuracy:.1%} ({low:.1%} to {high:.1%}), {_size(size_bytes)}",
            xy=(size_bytes, accuracy),
            xytext=(1.05, (place + 0.5) / len(rows)),
            textcoords="axes fraction",
            va="center",
            fontsize=8,
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.6, "relpos": (0, 0.5), "shrinkB": 4},
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size_bytes, _: _size(size_bytes)))
    axes.xaxis.set_minor_formatter("")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.yaxis.set_major_locator(MaxNLocator(steps=ROUND_STEPS))
    axes.set(xlabel="file size", ylabel="accuracy, 95% interval")
    axes.margins(x=0.1)
    axes.grid()
    return _write(figure, path)


# The layer graph is drawn in inches. Layers stand one under the other, whatever the branches: an edge to the next
# layer is an arrow down, any other runs in a lane on the left.
ROW, BOX_WIDTH, BOX_HEIGHT, LANE = 0.36, 3.9, 0.26, 0.12
FOLDED = {"BatchNormalization": "BN", "ReLU": "ReLU", "Activation": "activation"}  # into the box of the layer before
KIND_COLOURS = (
    ("Depthwise", SKY), ("Separable", SKY), ("Conv", BLUE), ("Dense", ORANGE), ("Pooling", GREEN), ("Input", INK),
)  # fmt: skip


@rc_context(STYLE)
def layer_graph(rows, edges, path, title, seam=None):
    """Boxes from input to scores with kind, output shape, parameters and multiplies; a dashed line under the seam.

    rows, edges: as `measure.counts.graph_of` gives them. seam: the name of the layer that ends the front.

    Raises: ZooError if no layer is called `seam`.
    """
    boxes, edges, seam_box = _fold(rows, edges, seam)
    order = _branch_by_branch(len(boxes), edges)
    place = {box: i for i, box in enumerate(order)}
    spans = sorted((place[a], place[b]) for a, b in edges)
    lanes = _lanes([(first, last) for first, last in spans if last - first > 1])

    left = 0.3 + LANE * len(set(lanes.values()))
    shape_x = left + BOX_WIDTH + 0.15
    numbers = {"parameters": shape_x + 2.1, "macs": shape_x + 4.2}  # right ends; the bars begin there
    width, height = shape_x + 5.3, 1.15 + ROW * (len(boxes) + 1)
    y = 1.05 + ROW * np.arange(-1, len(boxes) + 1)  # the heads, the boxes, the sums
    heads, y, sums = y[0], y[1:-1], y[-1]
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()

    def write(x, y, text, **style):
        axes.text(x, y, text, **{"va": "center", "fontsize": 8.5, **style})

    write(0.15, 0.3, title, fontsize=11)
    write(left, heads, "layer", color=GREY)
    write(shape_x, heads, "output", color=GREY)
    write(left, sums, "in all", fontweight="bold")
    for i, box in enumerate(boxes[number] for number in order):
        colour = next((colour for part, colour in KIND_COLOURS if part in box.kind), GREY)
        corner = (left, y[i] - BOX_HEIGHT / 2)
        axes.add_patch(Rectangle(corner, BOX_WIDTH, BOX_HEIGHT, facecolor=colour, alpha=0.15))
        axes.add_patch(Rectangle(corner, 0.06, BOX_HEIGHT, facecolor=colour))
        write(left + 0.14, y[i], _short(box.name))
        write(left + BOX_WIDTH - 0.08, y[i], box.kind, ha="right", fontsize=7.5)
        write(shape_x, y[i], " × ".join(map(str, box.output_shape)))
    for (column, x), head in zip(numbers.items(), ("parameters", "multiplies")):
        values = [getattr(boxes[number], column) for number in order]
        write(x, heads, head, ha="right", color=GREY)
        write(x, sums, f"{sum(values):,}", ha="right", fontweight="bold")
        for i, value in enumerate(values):
            if value:
                write(x, y[i], f"{value:,}", ha="right")
                axes.add_patch(Rectangle((x + 0.08, y[i] - 0.06), 0.9 * value / max(values), 0.12, facecolor=GREY))
    for first, last in spans:
        if (first, last) in lanes:
            reach = (0.12 + LANE * lanes[first, last]) * 72  # points
            bend = f"arc,angleA=180,angleB=180,armA={reach},armB={reach},rad=4"
            ends = (left, y[first] + 0.06), (left, y[last] - 0.06)  # apart, where one lane ends and the next begins
        else:
            bend = "arc3"
            ends = (left + 0.3, y[first] + BOX_HEIGHT / 2), (left + 0.3, y[last] - BOX_HEIGHT / 2)
        arrow = FancyArrowPatch(*ends, connectionstyle=bend, arrowstyle="-|>", mutation_scale=6, shrinkA=0, shrinkB=0)
        arrow.set(color=GREY, linewidth=0.9)
        axes.add_patch(arrow)
    if seam:
        seam_y = y[place[seam_box]] + ROW / 2
        axes.plot([0.1, width - 0.1], [seam_y, seam_y], color=ORANGE, linewidth=1.2, dashes=(5, 3))
        write(width - 0.1, seam_y - 0.03, "seam", color=ORANGE, ha="right", va="bottom")
    return _write(figure, path)


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


def _size(size_bytes):
    return f"{size_bytes / 1e6:.3g} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:.3g} kB"


def _figure(title, width, height, layout="constrained"):
    figure = Figure(figsize=(width, height), layout=layout)
    figure.suptitle(title, x=0.01, ha="left")
    return figure


def _write(figure, path):
    figure.savefig(path)
    return path


def _class_names(labels):
    return [_short(label.replace("_", " ")) for label in labels]


def _short(name):
    return name if len(name) <= LONGEST_LABEL else name[: LONGEST_LABEL - 1] + "…"
