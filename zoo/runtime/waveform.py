"""Whatever a driver, a file or a user gives becomes a waveform: float32 in [-1, 1], (time,), mono, at one rate.

Resampling needs soxr, of the extra `audio`.
"""

import warnings

import numpy as np

from zoo.errors import ZooError
from zoo.runtime.extras import extra

FULL_SCALE = {np.dtype(np.int16): 2**15, np.dtype(np.int32): 2**31}
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 1_000, 768_000  # beyond is no sound card, but a header that lies
LOUDEST = 32.0  # 30 dB over full scale: float files may go over 1, and what lies far beyond was never divided


def mono(samples):
    """The waveform (time,) of samples (time,) or (time, channels): channels are averaged, integers become shares of 1.

    Float32 and float64 are taken as they are, int16 and int32 by their full scale, uint8 around 128.

    Raises: ZooError for another type, more than two axes or what is not a finite number.
    Warns: UserWarning where floats hold integers.
    """
    samples = np.asarray(samples)
    if samples.ndim not in (1, 2):
        raise ZooError(f"samples of shape {samples.shape}: pass (time,) or (time, channels)")
    if samples.dtype in FULL_SCALE:
        samples = samples.astype(np.float32) / FULL_SCALE[samples.dtype]
    elif samples.dtype == np.uint8:
        samples = (samples.astype(np.float32) - 128) / 128
    elif samples.dtype.kind != "f":
        raise ZooError(f"samples of type {samples.dtype}: pass float32 in [-1, 1], or int16, int32 or uint8")
    elif not np.isfinite(samples).all():
        raise ZooError("samples that are not finite numbers: the recording is damaged, or its type was mistaken")
    elif samples.size and np.abs(samples).max() > LOUDEST:
        warnings.warn(
            f"floats up to {np.abs(samples).max():g} where a waveform lies in [-1, 1]: integers? divide int16 by 32768",
            stacklevel=3,
        )
    waveform = samples.mean(axis=1) if samples.ndim == 2 and samples.shape[1] else samples.reshape(len(samples))
    return waveform.astype(np.float32, copy=False)


def check_rate(sample_rate_hz):
    """Raises: ZooError for a rate that no sound has."""
    if not LOWEST_RATE_HZ <= sample_rate_hz <= HIGHEST_RATE_HZ:
        raise ZooError(
            f"a sample rate of {sample_rate_hz:g} Hz: no sound card gives that; {LOWEST_RATE_HZ:,} to "
            f"{HIGHEST_RATE_HZ:,} Hz are taken"
        )


class Resampler:
    """Blocks of a waveform at one rate become blocks at another, as if it were one long waveform."""

    def __init__(self, from_hz, to_hz):
        """Raises: ZooError for a rate that no sound has, and where soxr is needed and missing."""
        check_rate(from_hz)
        check_rate(to_hz)
        self._stream = extra("soxr", "to resample").ResampleStream(from_hz, to_hz, 1) if from_hz != to_hz else None

    def feed(self, block):
        """What is ready of the block and those before. Shape: (n,) -> (m,)"""
        return self._stream.resample_chunk(block) if self._stream else block

    def close(self):
        """The rest. Shape: (m,)"""
        nothing = np.zeros(0, np.float32)
        return self._stream.resample_chunk(nothing, last=True) if self._stream else nothing
