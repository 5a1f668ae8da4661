"""The picture of XNOR-Net beside what it was made of."""

from matplotlib.ticker import PercentFormatter

from zoo.plots.style import BLUE, GREEN, ORANGE, new_figure, save, styled

ASIDE = 0.12  # by which kinds of net stand apart at the same number of classes


@styled
def by_classes(points, path, title):
    """Accuracy of each kind of net, with its interval, over the number of classes.

    points: (kind of net, number of classes, accuracy, (low, high)).
    """
    kinds = list(dict.fromkeys(kind for kind, *_ in points))
    classes = sorted({number for _, number, *_ in points})
    figure = new_figure(title, 6, 3.6)
    axes = figure.subplots()
    for order, (kind, colour) in enumerate(zip(kinds, (BLUE, GREEN, ORANGE), strict=False)):
        aside = ASIDE * (order - (len(kinds) - 1) / 2)
        some = sorted((number, accuracy, *ends) for one, number, accuracy, ends in points if one == kind)
        numbers, accuracies, lows, highs = zip(*some, strict=True)
        at = [classes.index(number) + aside for number in numbers]
        reach = [[a - low for a, low in zip(accuracies, lows)], [high - a for a, high in zip(accuracies, highs)]]
        axes.errorbar(at, accuracies, reach, color=colour, marker="o", markersize=4, capsize=2, label=kind)
    axes.set_xticks(range(len(classes)), classes)
    axes.set_xlabel("classes")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_ylabel("accuracy, 95 % interval")
    axes.grid(axis="y")
    axes.legend(loc="lower left")
    return save(figure, path)
