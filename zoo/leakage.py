"""Whether what tests was heard in training: pairs of clips that hold the same sound, and sources in two folds.

    prints = [fingerprint(at_rate(samples, sample_rate_hz)) for ...]
    found = pairs(prints, groups, waveform)

A fingerprint is the peaks of a spectrogram, two by two: a hash of both frequencies and of the time between them, and
the frame where it stands. Two clips share many hashes, all with one and the same time between them, only where they
share sound: the same cut, cuts that overlap, a copy in another encoding, rate or level. An index over all hashes finds
those pairs without comparing all clips. As hums and beeps share hashes too, each pair has to be confirmed by the
waveforms: the phases of their overlap must agree over all frequencies, at one lag.

What no fingerprint can find: neighbouring cuts of a recording, which share no sound (their source tells, if the data
say it), a copy at another speed or pitch, and what lies under something louder.

Source: Wang 2003, "An Industrial-Strength Audio Search Algorithm" (the hashes); Knapp and Carter 1976, "The
Generalized Correlation Method for Estimation of Time Delay" (the phase transform, GCC-PHAT).
"""

from collections import defaultdict
from functools import lru_cache
from math import gcd
from typing import NamedTuple

import numpy as np
from scipy import fft, ndimage, signal

from zoo.progress import bar

RATE_HZ = 8_000  # at which all clips are compared, whatever rate they were kept at
LONGEST_S = 60.0  # of a clip that is compared

WINDOW_SAMPLES, HOP_SAMPLES = 512, 128  # 64 and 16 ms
NUM_BINS = 256  # of 15.6 Hz
LOWEST_BIN = 2  # below is DC and what a window makes of it
PEAK_BINS, PEAK_FRAMES = 10, 5  # a peak is the highest within so many on either side
FLOOR_DB = -60.0  # against the loudest peak of the clip
FLOOR_DBFS = -100.0  # of a sine: what lies below is rounding
FAN_OUT = 5  # a peak is paired with so many that follow
FURTHEST_FRAMES, FURTHEST_BINS = 63, 63  # within about a second and a kilohertz

COMMONEST = 300  # a hash that stands more often in all clips tells nothing: it is a hum
BLOCK_CLIPS = 200  # looked up at once
FEWEST_HASHES, MOST_ASKED = 3, 6  # in common at one offset: between the two as many as
SHARE_ASKED = 0.03  # of the hashes of the clip that has fewer
FEWEST_SIGMAS = 10.0  # by which phases must agree
SLACK_SAMPLES = 3 * HOP_SAMPLES  # to either side of an offset in frames
PEAK_SAMPLES = 8  # to either side of the best lag that belong to it
TAPERED = 0.1  # of an overlap, at its two ends together
SHORTEST_SAMPLES = RATE_HZ // 20  # of an overlap that is judged


class Fingerprint(NamedTuple):
    """A clip's hashes, uint32 (n,), and the frames where they stand, int32 (n,)."""

    hashes: np.ndarray
    frames: np.ndarray


class Pair(NamedTuple):
    """Two clips, by their numbers, that hold the same sound."""

    first: int
    second: int
    offset_s: float  # where in the first clip the second one begins
    overlap_s: float
    hashes: int  # in common, at this offset
    correlation: float  # of the overlap's phases, up to 1; 0 where they agree by chance


def at_rate(samples, sample_rate_hz):
    """The first minute as a waveform at 8 kHz: float32 (time,). Shape: samples (time,) or (time, channels)"""
    waveform = samples[: int(LONGEST_S * sample_rate_hz)].astype(np.float32)
    if waveform.ndim == 2:
        waveform = waveform.mean(axis=1)
    common = gcd(RATE_HZ, sample_rate_hz)
    up, down = RATE_HZ // common, sample_rate_hz // common
    return waveform if up == down else signal.resample_poly(waveform, up, down, window=_low_pass(max(up, down)))


@lru_cache  # designing it takes longer than a clip
def _low_pass(factor):
    return signal.firwin(20 * factor + 1, 1 / factor, window=("kaiser", 5.0)).astype(np.float32)


def fingerprint(waveform):
    """The `Fingerprint` of a waveform (time,) at 8 kHz; silence has no hashes."""
    frames, bins = _peaks(waveform)
    places, hashes = [], []
    paired = np.zeros(len(frames), int)  # with how many that follow
    for step in range(1, len(frames)):
        later, higher = frames[step:] - frames[:-step], bins[step:] - bins[:-step]
        if later.min() > FURTHEST_FRAMES:
            break
        near = (later > 0) & (later <= FURTHEST_FRAMES) & (np.abs(higher) <= FURTHEST_BINS)
        chosen = np.flatnonzero(near & (paired[:-step] < FAN_OUT))
        paired[chosen] += 1
        places.append(frames[chosen])
        hashes.append((bins[chosen] << 13) | ((higher[chosen] + FURTHEST_BINS) << 6) | later[chosen])
    if not hashes:
        return Fingerprint(np.zeros(0, np.uint32), np.zeros(0, np.int32))
    return Fingerprint(np.concatenate(hashes).astype(np.uint32), np.concatenate(places).astype(np.int32))


def _peaks(waveform):
    """(frames, bins) of the spectrogram's peaks, in the order of time."""
    waveform = np.pad(waveform, (0, max(0, WINDOW_SAMPLES - len(waveform))))
    framed = np.lib.stride_tricks.sliding_window_view(waveform, WINDOW_SAMPLES)[::HOP_SAMPLES]
    window = signal.windows.hann(WINDOW_SAMPLES, sym=False).astype(np.float32)
    amplitude = np.abs(fft.rfft(framed * window))[:, :NUM_BINS] / (WINDOW_SAMPLES / 4)  # of a sine at full scale: 1
    floor = max(10 ** (FLOOR_DBFS / 20), amplitude.max() * 10 ** (FLOOR_DB / 20))
    highest = ndimage.maximum_filter(amplitude, (2 * PEAK_FRAMES + 1, 2 * PEAK_BINS + 1), mode="constant")
    peaks = (amplitude == highest) & (amplitude > floor)
    peaks[:, :LOWEST_BIN] = False
    return np.nonzero(peaks)


def pairs(fingerprints, groups, waveform):
    """All `Pair`s of clips that differ in their group, the surest first.

    groups: one value for each clip, such as (fold, source). waveform: a function, number of a clip -> its waveform at
    8 kHz, asked for those that may be pairs.
    """
    found = []
    for first, second, hashes, offset_frames in bar(
        candidates(fingerprints, groups), desc="confirm pairs", unit="pair", delay=2
    ):
        confirmed = confirm(waveform(first), waveform(second), offset_frames * HOP_SAMPLES)
        if confirmed.sigmas >= FEWEST_SIGMAS:
            found.append(
                Pair(first, second, confirmed.offset_samples / RATE_HZ, confirmed.overlap_samples / RATE_HZ, hashes,
                     confirmed.correlation)
            )  # fmt: skip
    return sorted(found, key=lambda pair: (-pair.correlation, pair.first, pair.second))


def candidates(fingerprints, groups):
    """[(first, second, hashes in common at one offset, that offset in frames)] of clips that differ in their group."""
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    groups = np.array([numbers[group] for group in groups])
    sizes = np.array([len(hashes) for hashes, _ in fingerprints])
    clips = np.repeat(np.arange(len(fingerprints)), sizes)
    hashes, frames = (np.concatenate(column) for column in zip(*fingerprints, strict=True))
    order = np.argsort(hashes, kind="stable")
    index = hashes[order], clips[order], frames[order]
    ends = np.cumsum([0, *sizes])
    found = []
    for begin in bar(range(0, len(fingerprints), BLOCK_CLIPS), desc="compare fingerprints", unit_scale=BLOCK_CLIPS,
                     unit="clip", delay=2):  # fmt: skip
        asked = slice(ends[begin], ends[min(begin + BLOCK_CLIPS, len(fingerprints))])
        found += _look_up(index, hashes[asked], clips[asked], frames[asked], groups, sizes)
    return found


def _look_up(index, hashes, clips, frames, groups, sizes):
    """`candidates` whose first clip is one of those asked for, and whose second comes after it."""
    index_hashes, index_clips, index_frames = index
    left = np.searchsorted(index_hashes, hashes, "left")
    times = np.searchsorted(index_hashes, hashes, "right") - left
    times[times > COMMONEST] = 0
    asked = np.repeat(np.arange(len(hashes)), times)
    answers = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times) + np.repeat(left, times)
    first, second = clips[asked], index_clips[answers]
    kept = (first < second) & (groups[first] != groups[second])
    first, second, asked, answers = first[kept], second[kept], asked[kept], answers[kept]
    offsets = frames[asked].astype(np.int64) - index_frames[answers]
    # One number for each pair and offset; a sound that lies between two frames is counted at two offsets.
    spread = 2**16
    keys, counts = np.unique((first * len(groups) + second) * spread + offsets + spread // 2, return_counts=True)
    follows = keys[1:] == keys[:-1] + 1
    counts[:-1] += counts[1:] * follows
    fewer = np.minimum(*(sizes[numbers] for numbers in divmod(keys // spread, len(groups))))
    enough = counts >= np.clip(SHARE_ASKED * fewer, FEWEST_HASHES, MOST_ASKED)
    best = {}
    for key, count in zip(keys[enough].tolist(), counts[enough].tolist()):
        pair, offset = key // spread, key % spread - spread // 2
        if count > best.get(pair, (0, 0))[0]:
            best[pair] = count, offset
    return [(*divmod(pair, len(groups)), *found) for pair, found in best.items()]


class Confirmation(NamedTuple):
    """How the phases of two clips agree where they overlap."""

    correlation: float  # of the phases: 1 where all agree
    sigmas: float  # that, against its root mean square at the other lags, where the phases agree by chance
    offset_samples: int
    overlap_samples: int


def confirm(first, second, offset_samples):
    """The `Confirmation` of two waveforms at 8 kHz, the second of which begins at about `offset_samples` of the first.

    An amplitude says nothing here: a hum that two recordings share has few frequencies, and the phases of all count.
    """
    begin, end = max(0, offset_samples), min(len(first), offset_samples + len(second))
    overlap = end - begin
    if overlap < SHORTEST_SAMPLES:
        return Confirmation(0.0, 0.0, offset_samples, max(0, overlap))
    length = fft.next_fast_len(2 * overlap, real=True)  # zeros behind, or the end would come round to the start
    taper = signal.windows.tukey(overlap, TAPERED)  # two sounds that are cut off at one place would agree on the cut
    spectra = [
        fft.rfft((part - part.mean()) * taper, length)
        for part in (first[begin:end], second[begin - offset_samples : end - offset_samples])
    ]
    cross = spectra[0] * np.conj(spectra[1])
    phases = np.divide(cross, np.abs(cross), out=np.zeros_like(cross), where=cross != 0)
    correlation = fft.irfft(phases, length)
    slack = min(SLACK_SAMPLES, overlap)
    near = np.concatenate([correlation[-slack:], correlation[: slack + 1]])
    best = int(np.argmax(near))
    others = np.delete(near, slice(max(0, best - PEAK_SAMPLES), best + PEAK_SAMPLES + 1))
    noise = np.sqrt(np.mean(np.square(others))) if len(others) else np.inf
    return Confirmation(
        float(near[best]), float(near[best] / noise) if noise else 0.0, offset_samples + best - slack, overlap
    )


def sources_across(folds, sources):
    """{source: its folds, sorted} of the sources that are in more than one fold."""
    found = defaultdict(set)
    for fold, source in zip(folds, sources, strict=True):
        found[source].add(fold)
    return {source: sorted(its_folds) for source, its_folds in found.items() if len(its_folds) > 1}
