"""Every picture that a card or a report shows. Each function writes a PNG of its data and gives its path back.

Figures are made without pyplot, so a notebook's own settings and open figures are left alone.
"""

import csv
from collections import Counter
from itertools import count

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, PercentFormatter
from matplotlib.transforms import ScaledTranslation

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
PAPER = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2}  # under a text that may lie over bars
ROUND_STEPS = (1, 2, 5, 10)
POINT_WIDTH = 7.0


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
def accuracy_against_size(rows, path, title):
    """Accuracy, with its 95 % interval, against size: of the files of one export, or of many runs. Those of about one
    size stand side by side.

    rows: (name, size_bytes, accuracy, (low, high)) for each.
    """
    rows = sorted(rows, key=lambda row: (row[2], row[1]))
    figure = _figure(title, 8, max(3.2, 1.2 + 0.45 * len(rows)))
    axes = figure.subplots()
    axes.set_xscale("log")
    sizes = np.array([row[1] for row in rows], float)
    for place, (row, aside) in enumerate(zip(rows, _side_by_side(np.log(sizes)))):
        name, size_bytes, accuracy, (low, high) = row
        beside = axes.transData + ScaledTranslation(aside * POINT_WIDTH / 72, 0, figure.dpi_scale_trans)
        axes.plot([size_bytes] * 2, [low, high], color=SKY, linewidth=2, transform=beside)
        axes.plot(size_bytes, accuracy, "o", color=BLUE, transform=beside)
        # A column of labels in the order of accuracy: beside their points, files of one size would cover each other.
        interval = "" if np.isnan(low) else f" ({low:.1%} to {high:.1%})"
        axes.annotate(
            f"{_short(name)}\n{accuracy:.1%}{interval}, {_size(size_bytes)}",
            xy=(size_bytes, accuracy),
            xycoords=beside,
            xytext=(1.05, (place + 0.5) / len(rows)),
            textcoords="axes fraction",
            va="center",
            fontsize=8,
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.6, "relpos": (0, 0.5), "shrinkB": 4},
        )
    # By hand: points that were moved aside do not count when matplotlib chooses.
    axes.set_xlim(sizes.min() / 1.5, sizes.max() * 1.5)
    ends = [end for _, _, accuracy, interval in rows for end in (accuracy, *interval)]
    axes.set_ylim(np.nanmin(ends) - 0.02, np.nanmax(ends) + 0.02)
    many_decades = sizes.max() > 100 * sizes.min()
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3) if many_decades else (1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size_bytes, _: _size(size_bytes)))
    axes.xaxis.set_minor_formatter("")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.yaxis.set_major_locator(MaxNLocator(steps=ROUND_STEPS))
    axes.set(xlabel="file size", ylabel="accuracy, 95% interval")
    axes.grid()
    return _write(figure, path)


def _side_by_side(x):
    """How many widths of a point each is moved aside: those within a fiftieth of the range share their middle."""
    asides, order = np.zeros(len(x)), np.argsort(x, kind="stable")
    gaps = np.flatnonzero(np.diff(x[order]) > max(np.ptp(x) + 0.8, 1) / 50) + 1
    for cluster in np.split(order, gaps):
        asides[cluster] = np.arange(len(cluster)) - (len(cluster) - 1) / 2
    return asides


@rc_context(STYLE)
def widths_and_saliency(before, after, saliency, path, title, removed=None):
    """Each layer's filters before and after a pruning, and beside them the saliency of its channels, sorted.

    before, after: {layer: filters}. saliency: {layer: (channels,)}, normalised by layer: one scale for all, so that one
    sees where the cut fell; layers that were not scored are left out. removed: {layer: (channels,) bool}; without it
    the lowest of a layer are taken for those that went.
    """
    figure = _figure(title, 11, 1.6 + 0.32 * len(before))
    widths, channels = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1.4))
    places = np.arange(len(before))
    kept = np.array([after.get(layer, 0) for layer in before])
    widths.barh(places, list(before.values()), height=0.62, color=ORANGE, alpha=0.3, label="removed")
    widths.barh(places, kept, height=0.62, color=BLUE, label="kept")
    for place, filters in enumerate(before.values()):
        told = f"{kept[place]:,}" + f" of {filters:,}" * bool(filters != kept[place])
        widths.text(max(filters, kept[place]), place, f" {told}", va="center", fontsize=8)
    widths.set_yticks(places, [_short(layer) for layer in before])
    widths.set_ylim(len(before) - 0.4, -0.6)
    widths.set_xlim(0, 1.2 * max([*before.values(), *kept]))
    widths.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=ROUND_STEPS))
    widths.set_xlabel("filters")

    floor = min((score for scores in saliency.values() for score in scores if score > 0), default=0.1) / 2
    for place, layer in enumerate(before):
        if layer in saliency:
            order = np.argsort(saliency[layer])
            gone = np.arange(len(order)) < len(order) - kept[place] if removed is None else removed[layer][order]
            heights = place + np.linspace(0.36, -0.36, len(order)) if len(order) > 1 else np.array([place])
            scores = np.maximum(np.asarray(saliency[layer])[order], floor)
            for which, colour in ((gone, ORANGE), (~gone, BLUE)):
                channels.plot(scores[which], heights[which], "o", color=colour, markersize=3, markeredgewidth=0)
    channels.hlines(
        places[1:] - 0.5, 0, 1, transform=channels.get_yaxis_transform(), color=PALE, linewidth=0.8, zorder=0
    )
    channels.set_xscale("log")
    channels.set_xlim(floor / 1.6, 1.6)
    decades = 10.0 ** np.arange(np.ceil(np.log10(1.5 * floor)), 1)
    channels.set_xticks([floor, *decades], ["0", *(f"{decade:g}" for decade in decades)])
    channels.set_xticks([], minor=True)
    channels.set_xlabel("saliency of each channel, normalised by layer")
    channels.tick_params(labelleft=False)
    for axes in (widths, channels):
        axes.grid(axis="x")
    figure.legend(*widths.get_legend_handles_labels(), loc="outside upper right", ncols=2, reverse=True)
    return _write(figure, path)


@rc_context(STYLE)
def quantisation_sensitivity(rows, path, title, float_accuracy):
    """Signal to noise and accuracy when one tensor alone is held in 8 bits; the worst of each stand out.

    rows: (tensor, snr_db, accuracy, changed) in the order of the layers; changed is the share of decisions.
    float_accuracy: the line that accuracy is drawn from.
    """
    names, snr_db, accuracy, changed = zip(*rows)
    snr_db, accuracy = np.array(snr_db), np.array(accuracy)
    figure = _figure(title, 9, 1.5 + 0.26 * len(rows))
    noise, right = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1.2))
    places = np.arange(len(rows))
    exact = np.isinf(snr_db)
    worst = ~exact & (snr_db == snr_db.min())
    noise.barh(places, np.where(exact, 0, snr_db), height=0.62, color=np.where(worst, ORANGE, BLUE))
    for place, value in enumerate(snr_db):
        told, colour = (" no noise", GREY) if exact[place] else (f" {value:.1f}", INK)
        noise.text(0 if exact[place] else max(value, 0), place, told, va="center", fontsize=8, color=colour)
    noise.set_xlim(min(0, 1.1 * snr_db.min()), 1.15 * max([1, *snr_db[~exact]]))
    noise.set_yticks(places, [_short(name) for name in names])
    noise.set_ylim(len(rows) - 0.4, -0.6)
    noise.set_xlabel("signal to noise of the scores, dB")

    worst = (accuracy == accuracy.min()) & (accuracy < float_accuracy)
    right.axvline(float_accuracy, color=INK, linewidth=1, label=f"float {float_accuracy:.1%}")
    for place in places:
        colour = ORANGE if worst[place] else BLUE
        right.plot([float_accuracy, accuracy[place]], [place] * 2, color=colour, linewidth=2)
        right.plot(accuracy[place], place, "o", color=colour, markersize=5)
        right.annotate(
            f"{accuracy[place]:.1%}, {changed[place]:.1%} changed",
            (1.02, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8,
        )
    right.xaxis.set_major_locator(MaxNLocator(4, steps=ROUND_STEPS))
    right.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
    right.set_xlabel("accuracy")
    right.tick_params(labelleft=False)
    for axes in (noise, right):
        axes.grid(axis="x")
    figure.legend(loc="outside upper right")
    return _write(figure, path)


@rc_context(STYLE)
def pruning_sensitivity(rows, path, title):
    """Loss against the share of a layer's weights that are removed, that layer alone: one line for each.

    rows: (layer, share, loss), layers in their order. Labels stand in the order of the last losses.
    """
    curves = {}
    for layer, share, loss in rows:
        curves.setdefault(layer, []).append((share, loss))
    curves = {layer: np.array(sorted(points)).T for layer, points in curves.items()}
    figure = _figure(title, 9, max(4, 1.2 + 0.19 * len(curves)))
    axes = figure.subplots()
    colours = dict(zip(curves, colormaps["viridis"](np.linspace(0, 0.8, len(curves)))))
    ends = sorted(curves, key=lambda layer: curves[layer][1][-1])
    for place, layer in enumerate(ends):
        shares, losses = curves[layer]
        axes.plot(shares, losses, ".-", color=colours[layer], linewidth=1.2, markersize=4)
        axes.annotate(
            _short(layer),
            xy=(shares[-1], losses[-1]),
            xytext=(1.06, (place + 0.5) / len(curves)),
            textcoords="axes fraction",
            va="center",
            fontsize=8,
            color=colours[layer],
            arrowprops={"arrowstyle": "-", "color": colours[layer], "linewidth": 0.6, "relpos": (0, 0.5), "shrinkB": 3},
        )
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda loss, _: f"{loss:g}"))
    axes.yaxis.set_minor_formatter("")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set(xlabel="share removed of one layer's weights", ylabel="loss")
    axes.grid()
    return _write(figure, path)


@rc_context(STYLE)
def memory_over_time(files, path, title):
    """What the arena's head holds while each operator runs, its tensors stacked; those of the peak in orange, by name.
    The dashed line is the head as measured: what lies over the stack is scratch, and gaps between tensors.

    files: those of a `zoo.measure.bench.report`; files without operators are left out.
    """
    files = [file for file in files if file["operators"]]
    longest = max(len(file["operators"]) for file in files)
    figure = _figure(title, min(5 + 0.28 * longest, 24), 4.4 * len(files))
    for axes, file in zip(figure.subplots(len(files), squeeze=False)[:, 0], files):
        operators, head_bytes = file["operators"], file["arena"]["head_bytes"]
        peak = operators[file["peak_operator"]]
        holders = [held["tensor"] for held in peak["held"]]
        seen = list(
            dict.fromkeys(held["tensor"] for row in operators for held in row["held"])
        )  # the oldest at the bottom
        for place, row in enumerate(operators):
            bottom = 0
            for held in sorted(row["held"], key=lambda held: seen.index(held["tensor"])):
                colour = ORANGE if held["tensor"] in holders else SKY
                alpha = 1 if place == file["peak_operator"] else 0.55
                style = {"color": colour, "alpha": alpha, "edgecolor": "white", "linewidth": 0.6}
                axes.bar(place, held["bytes"], 0.94, bottom, **style)
                bottom += held["bytes"]
        axes.axhline(head_bytes, color=INK, linewidth=1, dashes=(5, 3))
        axes.set_xlim(-0.6, len(operators) - 0.4)
        axes.set_ylim(0, 1.12 * max(head_bytes, peak["held_bytes"]))
        axes.text(len(operators) - 0.45, head_bytes, f"head {head_bytes:,} B", ha="right", va="bottom", fontsize=8)
        names = "\n".join(f"{_layer_name(held['tensor'])}  {held['bytes']:,} B" for held in peak["held"][:6])
        axes.set_title(
            f"{file['file']}: {peak['held_bytes']:,} B at the peak, {peak['operator']}", loc="left", fontsize=9
        )
        axes.text(
            0.995, 0.86, names, transform=axes.transAxes, ha="right", va="top", fontsize=8, color=ORANGE, bbox=PAPER
        )
        axes.set_xticks(range(len(operators)), [row["operator"] for row in operators], rotation=90, fontsize=7)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda size_bytes, _: _size(size_bytes)))
        axes.grid(axis="y")
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

    left = _left_of_boxes(lanes)
    shape_x = left + BOX_WIDTH + 0.15
    numbers = {"parameters": shape_x + 2.1, "macs": shape_x + 4.2}  # right ends; the bars begin there
    width, height = shape_x + 5.3, 1.15 + ROW * (len(boxes) + 1)
    y = 1.05 + ROW * np.arange(-1, len(boxes) + 1)  # the heads, the boxes, the sums
    heads, y, sums = y[0], y[1:-1], y[-1]
    figure, axes, write = _sheet(title, width, height)
    write(left, heads, "layer", color=GREY)
    write(shape_x, heads, "output", color=GREY)
    write(left, sums, "in all", fontweight="bold")
    for i, box in enumerate(boxes[number] for number in order):
        _draw_box(axes, write, box, left, y[i])
        write(shape_x, y[i], " × ".join(map(str, box.output_shape)))
    for (column, x), head in zip(numbers.items(), ("parameters", "multiplies")):
        values = [getattr(boxes[number], column) for number in order]
        write(x, heads, head, ha="right", color=GREY)
        write(x, sums, f"{sum(values):,}", ha="right", fontweight="bold")
        for i, value in enumerate(values):
            if value:
                write(x, y[i], f"{value:,}", ha="right")
                axes.add_patch(Rectangle((x + 0.08, y[i] - 0.06), 0.9 * value / max(values), 0.12, facecolor=GREY))
    _draw_edges(axes, spans, lanes, left, y)
    if seam:
        seam_y = y[place[seam_box]] + ROW / 2
        axes.plot([0.1, width - 0.1], [seam_y, seam_y], color=ORANGE, linewidth=1.2, dashes=(5, 3))
        write(width - 0.1, seam_y - 0.03, "seam", color=ORANGE, ha="right", va="bottom")
    return _write(figure, path)


@rc_context(STYLE)
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
    spans = sorted((order.index(calls[a]), order.index(calls[b])) for a, b in edges)
    lanes = _lanes([(first, last) for first, last in spans if last - first > 1])

    left = _left_of_boxes(lanes)
    shape_x = left + BOX_WIDTH + 0.15
    # Right ends of the numbers before; those after stand a step further, and then the bars.
    columns = {"parameters": (shape_x + 3.5, 0.95), "macs": (shape_x + 6.6, 1.15)}
    width, height = shape_x + 8.7, 1.15 + ROW * (len(order) + 1)
    y = 1.05 + ROW * np.arange(-1, len(order) + 1)  # the heads, the layers, the sums
    heads, y, sums = y[0], y[1:-1], y[-1]
    figure, axes, write = _sheet(title, width, height)
    for x, head in ((left, "layer"), (shape_x, "output before"), (shape_x + 1.35, "after")):
        write(x, heads, head, color=GREY)
    write(left, sums, "in all", fontweight="bold")
    for place, call in zip(y, order):
        _draw_box(axes, write, new.get(call) or old[call], left, place, is_gone=call not in new)
        for x, boxes, colour in ((shape_x, old, GREY), (shape_x + 1.35, new, INK)):
            if call in boxes:
                write(x, place, " × ".join(map(str, boxes[call].output_shape)), color=colour)
    for (column, (x, step)), head in zip(columns.items(), ("parameters", "multiplies")):
        values = [{call: getattr(box, column) for call, box in boxes.items()} for boxes in (old, new)]
        largest = max(max(each.values()) for each in values) or 1
        for each, right, told, colour in zip(values, (x, x + step), (f"{head} before", "after"), (GREY, INK)):
            write(right, heads, told, ha="right", color=GREY)
            write(right, sums, f"{sum(each.values()):,}", ha="right", color=colour, fontweight="bold")
            for place, call in zip(y, order):
                if each.get(call):
                    corner = (x + step + 0.08, place - 0.06)
                    bar = {"facecolor": ORANGE, "alpha": 0.3} if colour == GREY else {"facecolor": BLUE}
                    axes.add_patch(Rectangle(corner, 0.7 * each[call] / largest, 0.12, linewidth=0, **bar))
                    write(right, place, f"{each[call]:,}", ha="right", color=colour)
        removed = 1 - sum(values[1].values()) / max(sum(values[0].values()), 1)
        write(x + step + 0.08, sums, f"{-removed:+.1%}", color=BLUE, fontweight="bold")
    _draw_edges(axes, spans, lanes, left, y)
    return _write(figure, path)


def _by_call(boxes):
    """{(name, how many-th of that name): box}: a layer that is called twice has two."""
    calls, seen = {}, Counter()
    for box in boxes:
        calls[box.name, seen[box.name]] = box
        seen[box.name] += 1
    return calls


def _left_of_boxes(lanes):
    return 0.3 + LANE * len(set(lanes.values()))


def _sheet(title, width, height):
    """(figure, axes in inches from the upper left corner, function that writes a text there)."""
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()

    def write(x, y, text, **style):
        axes.text(x, y, text, **{"va": "center", "fontsize": 8.5, **style})

    write(0.15, 0.3, title, fontsize=11)
    return figure, axes, write


def _draw_box(axes, write, box, left, y, is_gone=False):
    colour = next((colour for part, colour in KIND_COLOURS if part in box.kind), GREY)
    text_colour = GREY if is_gone else INK
    corner = (left, y - BOX_HEIGHT / 2)
    if not is_gone:
        axes.add_patch(Rectangle(corner, BOX_WIDTH, BOX_HEIGHT, facecolor=colour, alpha=0.15))
        axes.add_patch(Rectangle(corner, 0.06, BOX_HEIGHT, facecolor=colour))
    else:
        axes.plot([left + 0.1, left + BOX_WIDTH - 0.05], [y, y], color=GREY, linewidth=0.8)
    write(left + 0.14, y, _short(box.name), color=text_colour)
    write(left + BOX_WIDTH - 0.08, y, box.kind, ha="right", fontsize=7.5, color=text_colour)


def _draw_edges(axes, spans, lanes, left, y):
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


def _layer_name(tensor):
    """The first of the names that a fused operator has, its end: there the layer stands."""
    name = tensor.split(";")[0]
    return name if len(name) <= LONGEST_LABEL else "…" + name[1 - LONGEST_LABEL :]


def _short(name):
    return name if len(name) <= LONGEST_LABEL else name[: LONGEST_LABEL - 1] + "…"
