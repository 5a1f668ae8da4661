"""Scores over time become events: where a label begins, where it ends, how sure it was."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from zoo.errors import ZooError


class Event(NamedTuple):
    """A label that was heard for a while. Times are seconds from the signal's start."""

    onset_s: float
    offset_s: float
    label: str
    score: float  # the highest smoothed one


@dataclass(frozen=True)
class Detection:
    """When scores make an event. Both scores may be tuples, one for each label.

    Raises: ZooError for values that make none.
    """

    on: float | tuple = 0.5  # an event begins where a smoothed score reaches this
    off: float | tuple = 0.3  # and ends where it falls below this
    min_s: float = 0.5  # what is shorter is none
    smoothing_s: float = 0.25  # time constant of the scores' exponential average; 0: as they come
    quiet_dbfs: float = -60.0  # a window whose level (RMS) lies below has no label: a softmax always finds one

    def __post_init__(self):
        for on, off in np.broadcast(self.on, self.off):
            if not 0 < off <= on <= 1:
                raise ZooError(f"on {on:g}, off {off:g}: events need 0 < off <= on <= 1")
        if self.min_s < 0 or self.smoothing_s < 0:
            raise ZooError(f"minimum length {self.min_s:g} s, smoothing {self.smoothing_s:g} s: both are 0 or more")


class Hysteresis:
    """Follows every label's score, and tells each event once it has ended."""

    def __init__(self, labels, detection):
        self._labels, self._detection = labels, detection
        self._on, self._off = (np.broadcast_to(np.float32(ends), len(labels)) for ends in (detection.on, detection.off))
        self._begun = {}  # number of a label -> (onset in seconds, highest score)

    def feed(self, time_s, scores):
        """The events that end at `time_s`. Shape: scores (labels,)"""
        ended = []
        for number in np.flatnonzero(scores >= self._on):
            onset_s, highest = self._begun.get(number, (time_s, 0.0))
            self._begun[number] = onset_s, max(highest, float(scores[number]))
        for number in [number for number in self._begun if scores[number] < self._off[number]]:
            ended += self._end(number, time_s)
        return ended

    def close(self, time_s):
        """The events that had not ended yet: the signal's end is theirs."""
        return [event for number in list(self._begun) for event in self._end(number, time_s)]

    def _end(self, number, offset_s):
        onset_s, score = self._begun.pop(number)
        is_long = offset_s - onset_s >= self._detection.min_s
        return [Event(onset_s, offset_s, self._labels[number], score)] if is_long else []
