"""How good a model is: its training, its decisions class by class, its accuracy against its size."""

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, PercentFormatter
from matplotlib.transforms import ScaledTranslation

from zoo.plots.style import BLUE, GREY, INK, PALE, ROUND_STEPS, SKY, new_figure, save, short, styled, told_size

POINT_WIDTH = 7.0
MOST_CLASSES = 100  # of a picture: AudioSet's 527 would make it four metres high


@styled
def training_curves(history, path, title):
    """Loss, accuracy and learning rate against the epoch.

    history: one dict for each epoch with epoch, loss, accuracy and learning_rate.
    """
    columns = {name: np.array([row[name] for row in history]) for name in history[0]}
    marker = ".-" if len(history) < 30 else "-"  # a single epoch has no line
    figure = new_figure(title, 7, 6)
    loss, accuracy, rate = figure.subplots(3, sharex=True, height_ratios=(4, 4, 1.6))
    for axes, name in ((loss, "loss"), (accuracy, "accuracy")):
        axes.plot(columns["epoch"], columns[name], marker, color=BLUE, label="training", linewidth=1.2)
        axes.set_ylabel(name)
        axes.grid(axis="y")
    loss.legend(loc="upper right")
    loss.set_ylim(bottom=0)
    accuracy.set_ylim(0, 1.02)
    accuracy.yaxis.set_major_formatter(PercentFormatter(1))
    rate.plot(columns["epoch"], columns["learning_rate"], marker, drawstyle="steps-mid", color=GREY)
    rate.set_yscale("log")
    rate.set(xlabel="epoch", ylabel="learning rate")
    rate.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=ROUND_STEPS))
    figure.align_ylabels()
    return save(figure, path)


@styled
def confusion_matrix(counts, labels, path, title):
    """Truth against decision. Colour: share of the class's clips; up to 20 classes the counts stand in the cells.

    counts: (classes, classes), the row is the truth.
    """
    num_classes = len(labels)
    clips = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(clips, 1)
    few = num_classes <= 20
    size = 3.5 + num_classes * (0.42 if few else 0.15)
    figure = new_figure(title, size + 0.6, size, layout="compressed")  # its axes are square
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
    return save(figure, path)


@styled
def per_class_scores(table, labels, path, title):
    """Recall, or what else the table begins with, and F1 of each class, the best on top; classes without a clip come
    last. Of very many classes the best and the worst are drawn.

    table: as `evaluation.per_class` gives it, nan for a class without a clip.
    """
    measure = next(iter(table))
    best, f1 = np.asarray(table[measure]), np.asarray(table["f1"])
    order = np.lexsort((-f1, -best))  # nan sorts last
    if len(order) > MOST_CLASSES:
        order = np.concatenate([order[: MOST_CLASSES // 2], order[-MOST_CLASSES // 2 :]])
    figure = new_figure(title, 7, 1.3 + 0.26 * len(order))
    axes = figure.subplots()
    rows, names = np.arange(len(order)), _class_names(labels)
    axes.barh(rows - 0.2, best[order], height=0.38, color=BLUE, label=measure)
    axes.barh(rows + 0.2, f1[order], height=0.38, color=SKY, label="F1")
    for row in rows[np.isnan(best[order])]:
        axes.text(0.005, row, "no clip in this fold", va="center", color=GREY, fontstyle="italic", fontsize=8)
    axes.set_yticks(rows, [names[i] for i in order])
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(axis="x")
    figure.legend(loc="outside upper right", ncols=2)
    return save(figure, path)


@styled
def accuracy_against_size(rows, path, title, hollow=(), metric="accuracy", size="file size"):
    """Accuracy, with its 95 % interval, against size: of the files of one export, or of many runs. Those of about one
    size stand side by side.

    rows: (name, size_bytes, accuracy, (low, high)) for each; ends that are nan are not drawn. hollow: more of them,
    which others have measured. metric, size: what the two are called, where they are others.
    """
    hollow = list(hollow)
    rows = sorted([*rows, *hollow], key=lambda row: (row[2], row[1]))
    figure = new_figure(title, 8, max(3.2, 1.2 + 0.45 * len(rows)))
    axes = figure.subplots()
    axes.set_xscale("log")
    sizes = np.array([row[1] for row in rows], float)
    for place, (row, aside) in enumerate(zip(rows, _side_by_side(np.log(sizes)))):
        name, size_bytes, accuracy, (low, high) = row
        beside = axes.transData + ScaledTranslation(aside * POINT_WIDTH / 72, 0, figure.dpi_scale_trans)
        axes.plot([size_bytes] * 2, [low, high], color=SKY, linewidth=2, transform=beside)
        face = "white" if row in hollow else BLUE
        axes.plot(size_bytes, accuracy, "o", color=BLUE, markerfacecolor=face, transform=beside)
        # A column of labels in the order of accuracy: beside their points, files of one size would cover each other.
        interval = "" if np.isnan(low) else f" ({low:.1%} to {high:.1%})"
        axes.annotate(
            f"{short(name)}\n{accuracy:.1%}{interval}, {told_size(size_bytes)}",
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
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size_bytes, _: told_size(size_bytes)))
    axes.xaxis.set_minor_formatter("")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.yaxis.set_major_locator(MaxNLocator(steps=ROUND_STEPS))
    axes.set(xlabel=size, ylabel=f"{metric}, 95% interval")
    axes.grid()
    return save(figure, path)


def _side_by_side(x):
    """How many widths of a point each is moved aside: those within a fiftieth of the range share their middle."""
    asides, order = np.zeros(len(x)), np.argsort(x, kind="stable")
    gaps = np.flatnonzero(np.diff(x[order]) > max(np.ptp(x) + 0.8, 1) / 50) + 1
    for cluster in np.split(order, gaps):
        asides[cluster] = np.arange(len(cluster)) - (len(cluster) - 1) / 2
    return asides


def _class_names(labels):
    return [short(label.replace("_", " ")) for label in labels]
