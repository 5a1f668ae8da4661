"""An endless signal, heard window by window: what each scores, and the events that the scores make."""

import math
from typing import NamedTuple

import numpy as np

from zoo.runtime.events import Event, Hysteresis
from zoo.runtime.windows import level_dbfs


class Decision(NamedTuple):
    """What one window gave."""

    time_s: float  # of the window's end, from the signal's start
    scores: np.ndarray  # (labels,) of this window alone
    smoothed: np.ndarray  # (labels,); in quiet they fall
    level_dbfs: float
    is_quiet: bool
    ended: list[Event]  # the events that end here


class Stream:
    """Feed it blocks of any length; it gives a `Decision` for each window that they complete."""

    def __init__(self, run, windows, hop_s, labels, detection):
        """run: function (1, samples) -> (1, labels). windows: `Windows`, hop_s apart. detection: `Detection`."""
        self._run, self._windows, self._detection = run, windows, detection
        self._hysteresis = Hysteresis(labels, detection)
        self._keep = math.exp(-hop_s / detection.smoothing_s) if detection.smoothing_s else 0.0
        self._smoothed = None

    def feed(self, samples):
        """Yields the decisions that these samples complete. Shape and errors: as `Windows.feed`."""
        yield from map(self._decide, self._windows.feed(samples))

    def close(self):
        """Yields the last decisions, none where the last window was heard before. `ended` tells what ends then."""
        yield from map(self._decide, self._windows.close())

    def ended(self):
        """The events that had not ended: the signal's end is theirs. To be asked for after `close`."""
        return self._hysteresis.close(self._windows.seconds)

    def _decide(self, window):
        time_s, level = self._windows.seconds, level_dbfs(window)
        scores = self._run(window[None])[0]
        is_quiet = level < self._detection.quiet_dbfs
        counted = np.zeros_like(scores) if is_quiet else scores
        # What the first window holds was there from the start; any other one's score tells of its middle.
        told_s = 0.0
        if self._smoothed is None:
            self._smoothed = counted
        else:
            self._smoothed = self._keep * self._smoothed + (1 - self._keep) * counted
            told_s = time_s - self._windows.window_s / 2
        ended = self._hysteresis.feed(told_s, self._smoothed)
        return Decision(time_s, scores, self._smoothed, level, is_quiet, ended)
