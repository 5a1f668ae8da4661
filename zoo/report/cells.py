"""Cells of the tables: figures as they are told, and "" for what there is not."""

from decimal import Decimal


def line(cells):
    """A row of a Markdown table."""
    return f"| {' | '.join(map(str, cells))} |"


def percent(share):
    """A share, 0 to 1, in percent: 88.75."""
    return f"{100 * float(share):.2f}" if share != "" else ""


def interval(share, low, high):
    """A share with the ends of its interval: 88.75 (82.22 to 96.39)."""
    return f"{percent(share)} ({percent(low)} to {percent(high)})" if low != "" else percent(share)


def judged(run, name):
    """What a run's file, by its name in runs.csv, is judged by: a share as text, "" where there is none."""
    return run[f"{name}_{run['metric'] or 'accuracy'}"]


def named(run, told):
    """A figure under a head that says accuracy, with its name where it is another one: mAP 45.60."""
    return f"{run['metric']} {told}" if told and run["metric"] not in ("", "accuracy") else told


def count(number):
    """A count: 1,234."""
    return f"{int(number):,}" if number != "" else ""


def change(before, after):
    """A count before and after."""
    return f"{count(before)} -> {count(after)}" if before != "" else ""


def printed(value):
    """A number as its source prints it, its thousands apart: 1806.57 is 1,806.57."""
    return f"{Decimal(value):,}" if value else ""
