"""What a sound looks like over frequency and time, in numbers that a wrong sampling rate or a narrow band changes.

`describe` gives them, `rate_evidence` and `band_edge` read them. Where spectra end (20 kHz of a microphone, 16 kHz of
an mp3) is looked at by nobody: it tells how a file was coded, not how fast it is played. The weights that are used here
are made by tools/doctor.py.
"""

from typing import NamedTuple

import numpy as np

from zoo.runtime import training_spectrum


class Bands(NamedTuple):
    """Third octaves from 50 Hz, and the lowest rate that holds them."""

    centres_hz: np.ndarray

    @property
    def edges_hz(self):
        return self.centres_hz * 2 ** (-1 / 6), self.centres_hz * 2 ** (1 / 6)

    @property
    def lowest_rate_hz(self):
        return 2 * self.edges_hz[1][-1]


NARROW = Bands(1000 * 2.0 ** (np.arange(-13, 9) / 3))  # to 6.3 kHz, for rates from 14.2 kHz
WIDE = Bands(1000 * 2.0 ** (np.arange(-13, 13) / 3))  # to 16 kHz, for rates from 35.9 kHz
LOWEST_TONAL = 8  # from 315 Hz a third octave holds four bins and more

FRAME_S, FRAMES_PER_HOP = 0.064, 4
LAGS = (1, 2, 4, 8)  # frames: 16 to 128 ms
SILENT_DB = -50.0  # a frame this far under the loudest one is a pause
FLOOR_POWER = 1e-11  # -110 dBFS: under the noise of 16 bits in a third octave
SHORTEST_S = 0.3


class Description(NamedTuple):
    """What `describe` found, all in dB; a sound that is played too fast moves all of it: up the bands, to short lags.

    levels: each band's mean power against all of them.
    quiet: each band's quiet moments (10th percentile) against the mean of those of all.
    flicker: how much each band changes from frame to frame.
    change: how much all bands change over each of LAGS.
    tonality: the mean of each band's bins, from LOWEST_TONAL up, against their geometric mean.
    """

    levels: np.ndarray
    quiet: np.ndarray
    flicker: np.ndarray
    change: np.ndarray
    tonality: np.ndarray


def describe(samples, sample_rate_hz, bands):
    """The `Description`, or None where there is too little sound, or too low a rate, for one.

    samples: (time,). Frames that are pauses are left out.
    """
    if len(samples) < SHORTEST_S * sample_rate_hz or sample_rate_hz < bands.lowest_rate_hz:
        return None
    spectra = _spectra(np.asarray(samples, np.float64), sample_rate_hz)
    powers = spectra @ _shares(bands, sample_rate_hz) + FLOOR_POWER  # (frames, bands)
    loudness = powers.sum(axis=1)
    heard = loudness > loudness.max() * 10 ** (SILENT_DB / 10)
    powers, spectra = powers[heard], spectra[heard]
    if len(powers) <= LAGS[-1] + 1:
        return None
    powers_db, mean_powers = _db(powers), powers.mean(axis=0)
    quiet = _db(np.percentile(powers, 10, axis=0))
    bins_hz = np.fft.rfftfreq(round(FRAME_S * sample_rate_hz), 1 / sample_rate_hz)
    tonality = []
    for low_hz, high_hz in list(zip(*bands.edges_hz))[LOWEST_TONAL:]:
        inside = spectra[:, (bins_hz >= low_hz) & (bins_hz < high_hz)] + FLOOR_POWER / 1000
        tonality.append(_db(inside.mean()) - _db(inside).mean())
    return Description(
        levels=_db(mean_powers / mean_powers.sum()),
        quiet=quiet - quiet.mean(),
        flicker=np.abs(np.diff(powers_db, axis=0)).mean(axis=0),
        change=np.array([np.abs(powers_db[lag:] - powers_db[:-lag]).mean() for lag in LAGS]),
        tonality=np.array(tonality),
    )


def _db(power):
    return 10 * np.log10(power)


def _spectra(samples, sample_rate_hz):
    """Power of each bin in each frame, (frames, bins): a sine of amplitude 1 has 0.5 in all."""
    n = round(FRAME_S * sample_rate_hz)
    window = np.hanning(n)
    frames = np.lib.stride_tricks.sliding_window_view(samples, n)[:: n // FRAMES_PER_HOP]
    return np.array([np.abs(np.fft.rfft(frame * window)) ** 2 for frame in frames]) * 2 / (n * np.sum(window**2))


def _shares(bands, sample_rate_hz):
    """The part of each bin that lies in each band, (bins, bands): a low band is narrower than a bin."""
    n = round(FRAME_S * sample_rate_hz)
    bin_hz = sample_rate_hz / n
    middle_hz = np.fft.rfftfreq(n, 1 / sample_rate_hz)[:, None]
    low_hz, high_hz = bands.edges_hz
    inside_hz = np.minimum(middle_hz + bin_hz / 2, high_hz) - np.maximum(middle_hz - bin_hz / 2, low_hz)
    return np.clip(inside_hz, 0, None) / bin_hz


class RateEvidence(NamedTuple):
    """Log odds that a sound is played at a wrong rate, the limit above which that is said, and which way."""

    log_odds: float
    limit: float
    too_slow: bool


def rate_evidence(samples, sample_rate_hz):
    """The `RateEvidence` of samples, (time,), or None where there is too little sound or too low a rate.

    What claims 36 kHz and more is asked whether it sounds three times too fast (16 kHz read as 48), what claims less
    whether it sounds three times too slow. Logistic regression on the description, its weights in training_spectrum.
    """
    wide = sample_rate_hz >= WIDE.lowest_rate_hz
    description = describe(samples, sample_rate_hz, WIDE if wide else NARROW)
    if description is None:
        return None
    table = training_spectrum.TOO_FAST if wide else training_spectrum.TOO_SLOW
    weights = np.concatenate([table[part] for part in Description._fields])
    return RateEvidence(float(np.concatenate(description) @ weights + table["bias"]), table["limit"], not wide)


class BandEdge(NamedTuple):
    """Above which frequency a spectrum has nothing, and by how much it falls there."""

    frequency_hz: float
    fall_db: float


EDGE_DB = 30.0  # for the sound and its quiet moments alike, from two bands to all that lie above
SHEER_EDGE_DB = 54.5  # for the sound alone, from four bands
LOWEST_EDGE = 5  # 160 Hz


def band_edge(samples, sample_rate_hz):
    """The `BandEdge` of samples, (time,), or None where the spectrum goes on to 6.3 kHz as those of training data do.

    The quiet moments have to fall as well: a bird's spectrum ends, but not that of the wind in which it sings. What
    falls further than any sound in the training data did needs no such witness.
    """
    description = describe(samples, sample_rate_hz, NARROW)
    if description is None:
        return None
    levels, quiet = description.levels, description.quiet
    sheer = _falls(levels, 4)
    falls = np.maximum(np.minimum(_falls(levels, 2), _falls(quiet, 2)) / EDGE_DB, sheer / SHEER_EDGE_DB)
    band = int(np.argmax(falls))
    if falls[band] < 1:
        return None
    return BandEdge(float(NARROW.edges_hz[1][LOWEST_EDGE + band]), float(sheer[band]))


def _falls(levels_db, num_bands):
    """From the loudest of the `num_bands` up to each band to the loudest above its neighbour, in dB."""
    return np.array(
        [
            levels_db[band + 1 - num_bands : band + 1].max() - levels_db[band + 2 :].max()
            for band in range(LOWEST_EDGE, len(levels_db) - 2)
        ]
    )
