"""The old name of `zoo.measure.microcontroller`, for recipes/run.py alone."""

from zoo.measure.microcontroller import report

__all__ = ["report"]
