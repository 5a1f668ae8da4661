"""Pictures of a search under a budget."""

from matplotlib.ticker import FuncFormatter, LogLocator, PercentFormatter

from zoo.plots.style import BLUE, GREY, ORANGE, new_figure, save, styled

COSTS = ("flash, bytes", "RAM, bytes", "multiplies a window")


@styled
def pareto(points, budget, path, title):
    """Accuracy against each of the three costs, and where the budget ends.

    points: (accuracy, (flash bytes, RAM bytes, multiplies), whether no other beats it) of each trial. budget: what each
    cost may be at most; 0 where there is no limit.
    """
    figure = new_figure(title, 10, 3.8)
    panels = figure.subplots(1, len(COSTS), sharey=True)
    for panel, (axes, name, limit) in enumerate(zip(panels, COSTS, budget)):
        for accuracy, costs, is_unbeaten in sorted(points, key=lambda point: point[2]):
            face = {"markerfacecolor": BLUE if is_unbeaten else "white", "color": BLUE if is_unbeaten else GREY}
            axes.plot(costs[panel], accuracy, "o", **face)
        if limit:
            axes.axvline(limit, color=ORANGE, linestyle="--", label="budget")
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(_told))
        axes.xaxis.set_minor_formatter("")
        axes.tick_params(axis="x", labelrotation=45, labelsize=8)
        axes.set_xlabel(name)
        axes.grid()
    panels[0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    panels[0].set_ylabel("accuracy of the clips chosen by")
    if any(budget):
        figure.legend(*panels[next(i for i, limit in enumerate(budget) if limit)].get_legend_handles_labels(),
                      loc="outside upper right")  # fmt: skip
    return save(figure, path)


def _told(amount, _):
    return f"{amount / 1e6:g} M" if amount >= 1e6 else f"{amount / 1e3:g} k"
