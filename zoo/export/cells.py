"""Figures as cells of a card's tables. What is not there is blank."""


def percent(share):
    """A share as 0 to 100."""
    return "" if share is None else f"{100 * share:.2f}"


def interval(row, name=""):
    """The interval of a figure: both ends, as "low" and "high", or "name_low" and "name_high", stand in `row`."""
    low, high = (row[f"{name}_{end}" if name else end] for end in ("low", "high"))
    return "" if low is None else f"{percent(low)} to {percent(high)}"


def number(count):
    """A count, or another whole number."""
    return "" if count is None else f"{count:,}"
