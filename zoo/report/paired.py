"""Two nets on the same clips: what a page tells of the difference."""

from zoo import evaluation

SEED = 0  # of the bootstrap


def difference(gained, sources):
    """(points with their 95 % interval as text, 1 where that lies above 0, -1 below, else 0).

    gained: what one net decides right more often than the other, of each clip. sources: its source recording; of one
    alone there is no interval.
    """
    low, high = evaluation.interval(gained, sources, SEED)
    points = f"{100 * gained.mean():+.2f}"
    if low is None:
        return points, 0
    return f"{points} ({100 * low:+.2f} to {100 * high:+.2f})", int(low > 0) - int(high < 0)
