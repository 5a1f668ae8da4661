"""What a model makes of what it was not trained for: sounds of no class, noise, other levels and rates."""

import numpy as np
from matplotlib.ticker import PercentFormatter

from zoo.plots.style import BLUE, GREEN, GREY, ORANGE, SKY, new_figure, save, styled

COLOURS = BLUE, ORANGE, GREEN, GREY
BINS = 25


@styled
def open_set(confidences, path, title):
    """How sure the first file is of known and of unknown sounds, and the ROC curve of each.

    confidences: {file: (of known clips, of unknown ones)}, the highest score of each clip.
    """
    figure = new_figure(title, 9, 3.6)
    histogram, roc = figure.subplots(1, 2)
    first, (known, unknown) = next(iter(confidences.items()))
    bins = np.linspace(0, 1, BINS + 1)
    for values, colour, name in ((unknown, GREY, "unknown"), (known, BLUE, "known")):
        weights = np.full(len(values), 1 / len(values))
        histogram.hist(values, bins, weights=weights, color=colour, alpha=0.6, label=f"{name}, {len(values)} clips")
    histogram.set(xlabel=f"highest score ({first})", ylabel="share of the clips", xlim=(0, 1))
    histogram.yaxis.set_major_formatter(PercentFormatter(1))
    histogram.legend(loc="upper left")
    for (file, (known, unknown)), colour in zip(confidences.items(), COLOURS):
        thresholds = np.append(np.inf, np.unique(np.concatenate([known, unknown]))[::-1])
        rates = [[np.mean(values >= threshold) for threshold in thresholds] for values in (unknown, known)]
        roc.plot(*rates, drawstyle="steps-post", color=colour, linewidth=1.2, label=file)
    roc.plot([0, 1], [0, 1], color=SKY, linewidth=0.6)
    roc.set(xlabel="unknown clips accepted", ylabel="known clips accepted", xlim=(0, 1), ylim=(0, 1.01))
    for axis in (roc.xaxis, roc.yaxis):
        axis.set_major_formatter(PercentFormatter(1))
    roc.grid()
    roc.legend(loc="lower right")
    return save(figure, path)


@styled
def robustness(found, path, title):
    """Accuracy after each change, a panel for each kind of change, the unchanged clips' beside it as a line.

    found: {kind: {value: {file: {"accuracy", "low", "high"}}}}; "unchanged" is the kind of no change.
    """
    kinds = [kind for kind in found if kind != "unchanged"]
    figure = new_figure(title, 11, 3.6)
    panels = figure.subplots(1, len(kinds), sharey=True, width_ratios=[1 + len(found[kind]) for kind in kinds])
    for axes, kind in zip(np.atleast_1d(panels), kinds):
        for (file, unchanged), colour in zip(found["unchanged"][""].items(), COLOURS):
            rows = [row[file] for row in found[kind].values()]
            accuracies = np.array([row["accuracy"] for row in rows])
            ends = np.array([[row["low"], row["high"]] for row in rows], float).T  # nan where there is no interval
            errors = np.nan_to_num(np.abs(ends - accuracies))
            axes.errorbar(range(len(rows)), accuracies, errors, fmt="o-", color=colour, linewidth=1, label=file)
            axes.axhline(unchanged["accuracy"], color=colour, linewidth=0.6, linestyle=":")
        axes.set_xticks(range(len(rows)), found[kind], rotation=90)
        axes.set_xlim(-0.7, len(rows) - 0.3)
        axes.set_xlabel(kind)
        axes.grid(axis="y")
    first = np.atleast_1d(panels)[0]
    first.set_ylabel("accuracy, 95% interval")
    first.yaxis.set_major_formatter(PercentFormatter(1))
    first.set_ylim(0, 1.02)
    figure.legend(*first.get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return save(figure, path)
