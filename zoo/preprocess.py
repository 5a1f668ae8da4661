"""Dead space and zero crossings of a waveform, as options before training.

Mou and Milanova 2024 (section 4) cut out of their recordings all sections below a threshold of 20 dB under a signal
envelope, and state neither the envelope's smoothing nor what the 20 dB are measured from. Here the envelope is the
highest magnitude within 25 ms on either side, and the reference is its own maximum in the clip: half a period of 20 Hz
fits in, so no sound is cut at its own zero crossings, and a click keeps 25 ms around it. All sections below go, in the
middle as well as at the ends; what is left is joined without a fade.
"""

import numpy as np
from scipy import ndimage

ENVELOPE_S = 0.05
LIMIT_DB = 20.0  # under the envelope's maximum, as the paper has it


def envelope(waveform, sample_rate_hz):
    """The highest magnitude around each sample, within a window of 50 ms. Shape: (time,)"""
    window = max(1, round(ENVELOPE_S * sample_rate_hz))
    return ndimage.maximum_filter1d(np.abs(waveform), window, mode="constant")


def is_alive(waveform, sample_rate_hz, limit_db=LIMIT_DB):
    """Whether each sample lies where the envelope is less than `limit_db` under its maximum; in silence none does.

    Shape: waveform (time,), float; comes back as bool (time,)
    """
    height = envelope(waveform, sample_rate_hz)
    return height > height.max(initial=0.0) * 10 ** (-limit_db / 20)


def zero_crossing_rate(waveform):
    """The share of neighbouring samples between which the sign changes; 0 counts as positive. Shape: (time,)"""
    is_negative = np.signbit(waveform) & (waveform != 0)
    return float(np.mean(is_negative[1:] != is_negative[:-1])) if len(waveform) > 1 else 0.0
