"""Blocks of a recording that a driver lost: filled with zeros, or left out so that what is not neighbours was joined.

Drivers hand over blocks of a fixed length, and so do their losses: a gap lasts whole blocks, and what was joined was
joined at the ends of blocks. A crack in the sound is proof of nothing, for fire and cutlery crack too; cracks on a grid
of 512 samples are.
"""

from math import lgamma, log
from typing import NamedTuple

import numpy as np

LSB = 2.0**-15  # the step of 16 bits

# Blocks that drivers are known to use: powers of two, 10, 20, 30 and 60 ms at 16 kHz, 10 and 20 ms at 48 and 44.1 kHz.
USUAL_BLOCKS = (128, 160, 256, 320, 441, 480, 512, 882, 960, 1024, 2048, 4096)
OTHER_BLOCKS = tuple(block for block in range(128, 4097, 32) if block not in USUAL_BLOCKS)

SHORTEST_GAP = 32  # samples; every block is a multiple of it but for 441 and 882
BESIDE = 16  # samples on either side of a gap, which are loud where a gap was cut into sound ...
LOUD = 20 * LSB  # ... and fade out where the recording itself has digital silence


class Gaps(NamedTuple):
    """Stretches of zeros inside sound: how many, and the samples that they take."""

    count: int
    num_samples: int


def gaps(samples):
    """The `Gaps` in samples, (time,): none for zeros at either end, for fades, and for one stretch of odd length."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], samples == 0, [0]])))
    starts, ends = edges[::2], edges[1::2]
    lengths = ends - starts
    inside = (lengths >= SHORTEST_GAP) & (starts >= BESIDE) & (ends <= len(samples) - BESIDE)
    loudness = np.concatenate([[0.0], np.cumsum(np.abs(samples))])
    lengths, starts, ends = lengths[inside], starts[inside], ends[inside]
    before, after = loudness[starts] - loudness[starts - BESIDE], loudness[ends + BESIDE] - loudness[ends]
    cut = lengths[np.minimum(before, after) > BESIDE * LOUD]
    if len(cut) == 1 and cut[0] % SHORTEST_GAP and cut[0] % 441:
        return Gaps(0, 0)  # one stretch of any length may be an edit
    return Gaps(len(cut), int(cut.sum()))


class Joins(NamedTuple):
    """Cracks that lie on a grid of blocks: the block's length and the cracks on it."""

    block_samples: int
    count: int


PREDICTORS = 16
# Neither divides a block, or their own borders would lie on a grid.
FRAME, SCALE_SAMPLES = 502, 127
TRANSFORM = 540  # holds FRAME + PREDICTORS, and has small factors only
SPREAD = 8  # samples for which a prediction over a join goes wrong
APART = 12  # samples within which the worst prediction stands for the others
MOST_CRACKS = 256
CHANCE = 0.0005  # of sound without joins to be called joined


def joins(samples):
    """The `Joins` in samples, (time,), or None.

    The sharper a sound's spectrum, the better it is predicted and the plainer is a join: one that was ever resampled
    or coded shows nearly each. White noise shows none, and neither does a hiss under which a join is small.

    The most unpredictable 4, 8, ... 256 places are asked whether more of them share a phase of some block than chance
    allows: the binomial tail, times the numbers of phases and of blocks that were asked (usual and other blocks share
    the doubt by halves). Steady pulses are no joins, unless their period is a whole block to the sample.
    """
    if len(samples) < 4 * FRAME:
        return None
    surprise = _surprise(samples)
    around = np.lib.stride_tricks.sliding_window_view(surprise, 2 * APART + 1)
    places = APART + np.flatnonzero(around.argmax(axis=1) == APART)
    places = places[surprise[places] > 0]
    places = places[np.argsort(-surprise[places], kind="stable")][:MOST_CRACKS]
    least, found = log(CHANCE), None
    num_cracks = 4
    while num_cracks <= len(places):
        for blocks in (USUAL_BLOCKS, OTHER_BLOCKS):
            for block in blocks:
                on_grid = int(np.bincount(places[:num_cracks] % block).max())
                if on_grid >= 3:
                    choices = lgamma(num_cracks + 1) - lgamma(on_grid + 1) - lgamma(num_cracks - on_grid + 1)
                    chance = choices - on_grid * log(block) + log(block) + log(2 * len(blocks))
                    if chance < least:
                        least, found = chance, Joins(block, on_grid)
        num_cracks *= 2
    return found


def _surprise(samples):
    """How badly each sample is foretold by those before and after it, (time,), against what is usual around it.

    Linear prediction frame by frame (autocorrelation method; its coefficients foretell backwards too, for a frame has
    one autocorrelation). Source: Makhoul 1975, "Linear prediction: a tutorial review".
    """
    half = FRAME // 2
    samples = np.asarray(samples, np.float64) - np.mean(samples)
    starts = np.arange(0, len(samples), half)  # of stretches, each judged by the frame around it
    around = np.pad(samples, (half // 2, FRAME))
    frames = np.lib.stride_tricks.sliding_window_view(around, FRAME)[starts] * np.hanning(FRAME)
    spectra = np.abs(np.fft.rfft(frames, TRANSFORM, axis=1)) ** 2
    correlation = np.fft.irfft(spectra, axis=1)[:, : PREDICTORS + 1]
    correlation[:, 0] = correlation[:, 0] * (1 + 1e-7) + 1e-9  # silence is foretold as well
    lags = np.abs(np.arange(PREDICTORS)[:, None] - np.arange(PREDICTORS))
    weights = np.linalg.solve(correlation[:, lags], correlation[:, 1:, None])[:, :, 0]
    errors = np.concatenate(
        [np.ones((len(weights), 1)), -weights], axis=1
    )  # filters from sound to what was not foretold
    stretches = np.lib.stride_tricks.sliding_window_view(
        np.pad(samples, (PREDICTORS, PREDICTORS + half)), half + 2 * PREDICTORS
    )[starts]
    windows = np.lib.stride_tricks.sliding_window_view(stretches, PREDICTORS + 1, axis=1)  # (stretches, time, taps)
    forward = np.einsum("stk,sk->st", windows[:, :half], errors[:, ::-1]).reshape(-1)
    backward = np.einsum("stk,sk->st", windows[:, PREDICTORS:], errors).reshape(-1)
    after = np.cumsum(_against_usual(forward[: len(samples)]))
    before = np.cumsum(_against_usual(backward[: len(samples)]))
    surprise = np.zeros(len(after))
    middle = np.arange(4 * SPREAD, len(after) - 4 * SPREAD)  # the ends themselves are not foretold
    surprise[middle] = after[middle + SPREAD - 1] - after[middle - 1] + before[middle - 1] - before[middle - SPREAD - 1]
    return surprise


def _against_usual(errors):
    """Squared errors against the larger usual one of each stretch and its neighbours: an onset is unusual for long."""
    n = len(errors) // SCALE_SAMPLES
    errors = errors[: n * SCALE_SAMPLES].reshape(n, SCALE_SAMPLES)
    usual = np.maximum(1.48 * np.median(np.abs(errors), axis=1), LSB / 2)  # 1.48: median to standard deviation
    usual = np.pad(usual, 1, mode="edge")
    usual = np.maximum(np.maximum(usual[:-2], usual[2:]), usual[1:-1])
    return np.square(errors / usual[:, None]).reshape(-1)
