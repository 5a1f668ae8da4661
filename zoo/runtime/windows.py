"""An endless signal, cut into windows that overlap. Nothing older than one window is held."""

import math

import numpy as np

from zoo.errors import ZooError
from zoo.runtime.waveform import Resampler, mono

LOWEST_DBFS = -120.0  # the level of silence: below 16 bits and a good room


class Windows:
    """Feed it blocks of any length; it gives the windows that they complete, `hop_s` seconds apart.

    Each is float32 (num_samples,) at `rate_hz`, and is good until the next one is asked for.
    """

    def __init__(self, num_samples, rate_hz, sample_rate_hz, hop_s):
        """sample_rate_hz: of the blocks.

        Raises: ZooError for a hop or a rate that cannot be.
        """
        if not 0 < hop_s < math.inf:
            raise ZooError(f"a hop of {hop_s:g} s: pass more than 0")
        self._resampler = Resampler(sample_rate_hz, rate_hz)
        self._rate_hz = rate_hz
        self._window = np.zeros(num_samples, np.float32)
        self._hop_samples = max(1, round(hop_s * rate_hz))
        self._due = num_samples  # samples until the next window is complete
        self._heard = 0
        self._is_pending, self._is_closed = False, False  # samples came that no window ended with

    @property
    def window_s(self):
        """How long a window is."""
        return len(self._window) / self._rate_hz

    @property
    def seconds(self):
        """How much was heard: when a window comes, where it ends."""
        return self._heard / self._rate_hz

    def feed(self, samples):
        """Yields the windows that these samples complete.

        Shape: (n,) or (n, channels), of a type that `zoo.runtime.waveform.mono` takes
        Raises: ZooError for what is no waveform.
        """
        yield from self._take(self._resampler.feed(mono(samples)))

    def close(self):
        """Yields the rest: the last window ends with the signal, whose length is seldom whole hops.

        A signal shorter than the window lies in the middle of silence.
        """
        if self._is_closed:
            return
        self._is_closed = True
        yield from self._take(self._resampler.close())
        missing = len(self._window) - self._heard
        if missing > 0:
            self._window = np.roll(self._window, -(missing // 2))
        if self._is_pending:
            yield self._window

    def _take(self, waveform):
        while len(waveform):
            taken, waveform = waveform[: self._due], waveform[self._due :]
            kept = taken[-len(self._window) :]
            self._window[: -len(kept)] = self._window[len(kept) :]
            self._window[-len(kept) :] = kept
            self._heard += len(taken)
            self._due -= len(taken)
            self._is_pending = True
            if not self._due:
                self._due, self._is_pending = self._hop_samples, False
                yield self._window


def level_dbfs(window):
    """The level of a window (RMS) in dB under full scale."""
    return dbfs(math.sqrt(np.mean(np.square(window, dtype=np.float64))))


def dbfs(amplitude):
    """An amplitude in dB under full scale, which is 1; silence has the lowest level."""
    return max(LOWEST_DBFS, 20 * math.log10(amplitude)) if amplitude else LOWEST_DBFS
