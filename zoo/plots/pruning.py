"""Pictures of the pruning study."""

import numpy as np
from matplotlib.ticker import PercentFormatter

from zoo.plots.style import BLUE, GREEN, GREY, ORANGE, SKY, new_figure, save, styled

COLOURS = {"fine_tuned": GREY, "retrained": ORANGE, "from_scratch": BLUE, "distilled": GREEN}


@styled
def pruning_study(points, path, title):
    """Accuracy of each seed, and their mean, by method and ending.

    points: (what was pruned how, ending, accuracies of the seeds) for each cell.
    """
    rows = list(dict.fromkeys(row for row, _, _ in points))[::-1]
    endings = list(dict.fromkeys(ending for _, ending, _ in points))
    figure = new_figure(title, 8, 1.4 + 0.45 * len(rows))
    axes = figure.subplots()
    for number, ending in enumerate(endings):
        colour = COLOURS.get(ending, SKY)
        aside = 0.5 * ((number + 0.5) / len(endings) - 0.5)
        of_ending = [(rows.index(row) - aside, accuracies) for row, other, accuracies in points if other == ending]
        for y, accuracies in of_ending:
            axes.plot(accuracies, [y] * len(accuracies), ".", color=colour, alpha=0.5)
        means = [np.mean(accuracies) for _, accuracies in of_ending]
        axes.plot(means, [y for y, _ in of_ending], "|", color=colour, markersize=11, markeredgewidth=2.5, label=ending)
    axes.set_yticks(range(len(rows)), rows)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlabel("accuracy: a point each seed, a bar their mean")
    axes.grid(axis="x")
    figure.legend(loc="outside upper right", ncols=len(endings))
    return save(figure, path)
