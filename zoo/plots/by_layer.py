"""A net layer by layer: what pruning left of each, what sparsity and rounding cost there, what memory TFLM needs."""

import numpy as np
from matplotlib import colormaps
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, PercentFormatter

from zoo.plots.style import (
    BLUE,
    INK,
    LONGEST_LABEL,
    ORANGE,
    PALE,
    ROUND_STEPS,
    SKY,
    new_figure,
    save,
    short,
    styled,
    told_size,
)

PAPER = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2}  # under a text that may lie over bars


@styled
def widths_and_saliency(before, after, saliency, path, title):
    """Each layer's filters before and after a pruning, and beside them the saliency of its channels, sorted.

    before, after: {layer: filters}. saliency: {layer: (channels,)}, normalised by layer: one scale for all, so that one
    sees where the cut fell; layers that were not scored are left out. The lowest of a layer are taken for those that
    went.
    """
    figure = new_figure(title, 11, 1.6 + 0.32 * len(before))
    widths, channels = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1.4))
    places = np.arange(len(before))
    kept = np.array([after.get(layer, 0) for layer in before])
    widths.barh(places, list(before.values()), height=0.62, color=ORANGE, alpha=0.3, label="removed")
    widths.barh(places, kept, height=0.62, color=BLUE, label="kept")
    for place, filters in enumerate(before.values()):
        told = f"{kept[place]:,}" + f" of {filters:,}" * bool(filters != kept[place])
        widths.text(max(filters, kept[place]), place, f" {told}", va="center", fontsize=8)
    widths.set_yticks(places, [short(layer) for layer in before])
    widths.set_ylim(len(before) - 0.4, -0.6)
    widths.set_xlim(0, 1.2 * max([*before.values(), *kept]))
    widths.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=ROUND_STEPS))
    widths.set_xlabel("filters")

    floor = min((score for scores in saliency.values() for score in scores if score > 0), default=0.1) / 2
    for place, layer in enumerate(before):
        if layer in saliency:
            order = np.argsort(saliency[layer])
            gone = np.arange(len(order)) < len(order) - kept[place]
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
    return save(figure, path)


@styled
def quantisation_sensitivity(rows, path, title, float_accuracy, metric="accuracy"):
    """Signal to noise and accuracy when one tensor alone is held in 8 bits; the worst of each stand out.

    rows: (tensor, snr_db, accuracy, changed) in the order of the layers; changed is the share of decisions.
    float_accuracy: the line that accuracy is drawn from. metric: what it is called, if it is another share.
    """
    names, snr_db, accuracy, changed = zip(*rows)
    snr_db, accuracy = np.array(snr_db), np.array(accuracy)
    figure = new_figure(title, 9, 1.5 + 0.26 * len(rows))
    noise, right = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1.2))
    places = np.arange(len(rows))
    noise.barh(places, snr_db, height=0.62, color=np.where(snr_db == snr_db.min(), ORANGE, BLUE))
    for place, value in enumerate(snr_db):
        noise.text(max(value, 0), place, f" {value:.1f}", va="center", fontsize=8)
    noise.set_xlim(min(0, 1.1 * snr_db.min()), 1.15 * max(1, snr_db.max()))
    noise.set_yticks(places, [short(name) for name in names])
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
    right.set_xlabel(metric)
    right.tick_params(labelleft=False)
    for axes in (noise, right):
        axes.grid(axis="x")
    figure.legend(loc="outside upper right")
    return save(figure, path)


@styled
def pruning_sensitivity(rows, path, title):
    """Loss against the share of a layer's weights that are removed, that layer alone: one line for each.

    rows: (layer, share, loss), layers in their order. Labels stand in the order of the last losses.
    """
    curves = {}
    for layer, share, loss in rows:
        curves.setdefault(layer, []).append((share, loss))
    curves = {layer: np.array(sorted(points)).T for layer, points in curves.items()}
    figure = new_figure(title, 9, max(4, 1.2 + 0.19 * len(curves)))
    axes = figure.subplots()
    colours = dict(zip(curves, colormaps["viridis"](np.linspace(0, 0.8, len(curves)))))
    ends = sorted(curves, key=lambda layer: curves[layer][1][-1])
    for place, layer in enumerate(ends):
        shares, losses = curves[layer]
        axes.plot(shares, losses, ".-", color=colours[layer], linewidth=1.2, markersize=4)
        axes.annotate(
            short(layer),
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
    return save(figure, path)


@styled
def memory_over_time(files, path, title):
    """What the arena's head holds while each operator runs, its tensors stacked; those of the peak in orange, by name.
    The dashed line is the head as measured: what lies over the stack is scratch, and gaps between tensors.

    files: those of a `zoo.measure.microcontroller.report`; files without operators are left out.
    """
    files = [file for file in files if file["operators"]]
    longest = max(len(file["operators"]) for file in files)
    figure = new_figure(title, min(5 + 0.28 * longest, 24), 4.4 * len(files))
    for axes, file in zip(figure.subplots(len(files), squeeze=False)[:, 0], files):
        operators, head_bytes = file["operators"], file["arena"]["head_bytes"]
        peak = operators[file["peak_operator"]]
        holders = [held["tensor"] for held in peak["held"]]
        oldest_first = list(dict.fromkeys(held["tensor"] for row in operators for held in row["held"]))
        for place, row in enumerate(operators):
            bottom = 0
            for held in sorted(row["held"], key=lambda held: oldest_first.index(held["tensor"])):
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
        corner = {"transform": axes.transAxes, "ha": "right", "va": "top"}
        axes.text(0.995, 0.86, names, **corner, fontsize=8, color=ORANGE, bbox=PAPER)
        axes.set_xticks(range(len(operators)), [row["operator"] for row in operators], rotation=90, fontsize=7)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda size_bytes, _: told_size(size_bytes)))
        axes.grid(axis="y")
    return save(figure, path)


def _layer_name(tensor):
    """The first of the names that a fused operator has, its end: there the layer stands."""
    name = tensor.split(";")[0]
    return name if len(name) <= LONGEST_LABEL else "…" + name[1 - LONGEST_LABEL :]
