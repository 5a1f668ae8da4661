"""What is wrong with a recording, or with what a microphone delivers, before a model is blamed for it. Needs numpy.

    for fault in faults(samples, sample_rate_hz):
        print(fault.name, fault.evidence, fault.remedy)

Each fault is told by one measure, and the limits stand below as constants; all of them were chosen on ESC-10's folds 1
to 4 and the training split of Speech Commands. `python -m tools.doctor judge DIR` tells how often they are right on
other recordings: least for a wrong rate, which one clip of rain or wind hardly shows (a microphone's is measured by the
clock instead: `true_rate`), and for blocks that were joined without a trace. A fault that explains others
(swapped bytes are loud, and unlike any training data) is named alone. What lasts less than 50 ms is not judged.
"""

from typing import NamedTuple

import numpy as np

from zoo.errors import ZooError
from zoo.runtime import dropouts, spectrum
from zoo.runtime.dropouts import LSB

FULL_SCALE = 2.0**15

NAMES = (
    "not_finite",
    "pdm_as_pcm",
    "byte_order",
    "dead_channel",
    "duplicated_channel",
    "level",
    "dc_offset",
    "clipping",
    "dropped_blocks",
    "wrong_rate",
    "spectrum",
)


class Fault(NamedTuple):
    """What is wrong, the numbers that say so, in words and as they are (units in their names), and what to do.

    harmless: worth knowing, and no reason to mistrust a score.
    """

    name: str
    evidence: str
    remedy: str
    measured: dict
    harmless: bool = False


LONGEST_S = 60.0  # of a recording that is looked at
SHORTEST_S = 0.05  # less is not judged


def faults(samples, sample_rate_hz, thorough=True):
    """The `Fault`s of a recording, in the order of NAMES; an empty list where nothing is wrong or nothing can be told.

    samples: float, (time,) or (time, channels), in [-1, 1], as a file or a driver gave them. One to several seconds are
    best; what goes beyond the first minute is not looked at.
    thorough: look for all of them; else for those that take a few ms: not for PDM, byte order, dropped blocks, a wrong
    rate and a spectrum that ends.

    Raises: ZooError if samples are no such array or the rate is no positive number.
    """
    channels = as_channels(samples, sample_rate_hz)
    if len(channels) < SHORTEST_S * sample_rate_hz:
        return []
    for alone in (_not_finite, _not_scaled, *((_pdm_as_pcm, _byte_order) if thorough else ())):
        fault = alone(channels)
        if fault:
            return [fault]
    moving = channels - channels.mean(axis=0)
    rms = np.sqrt(np.mean(np.square(moving), axis=0))
    loudest = int(np.argmax(rms))  # where all hear the same, the channel that hears most speaks for them
    found = [_dead_channel(channels, rms) or _duplicated_channel(channels)]
    if rms[loudest]:
        low = _too_low(moving[:, loudest], sample_rate_hz)
        found += [low, _dc_offset(channels)]
        if not low:
            clipping = _clipping(channels)
            found += [_too_high(rms[loudest]), clipping]
            if thorough:
                dropped = _dropped_blocks(channels[:, loudest])
                found += [dropped, _spectrum(moving[:, loudest], sample_rate_hz)]
                if not (clipping or dropped):  # they add what was not there, up to the end of the spectrum
                    found.append(_wrong_rate(moving[:, loudest], sample_rate_hz))
    return sorted((fault for fault in found if fault), key=lambda fault: NAMES.index(fault.name))


def as_channels(samples, sample_rate_hz):
    """The first minute of `samples` as float64, (time, channels).

    Raises: ZooError if they are no such array or the rate is no positive number.
    """
    samples = np.asarray(samples)
    if samples.ndim not in (1, 2) or samples.dtype.kind not in "fiu" or 0 in samples.shape[1:]:
        shape = f"{samples.dtype} {samples.shape}"
        raise ZooError(f"samples: {shape}; give numbers in [-1, 1], (time,) or (time, channels)")
    if not np.isfinite(sample_rate_hz) or sample_rate_hz <= 0:
        raise ZooError(f"sample rate: {sample_rate_hz} Hz; give the rate that the samples were taken at")
    samples = samples[: int(LONGEST_S * sample_rate_hz)].astype(np.float64, copy=False)
    return samples if samples.ndim == 2 else samples[:, None]


def _not_finite(channels):
    share = 1 - np.isfinite(channels).mean()
    if share:
        return Fault(
            "not_finite",
            f"{share:.2%} of the samples are NaN or infinite",
            "find what divides by zero or reads floats as they are not; write the recording anew",
            {"not_finite": share},
        )


# --- Bytes that are not what they are read as ---------------------------------------------------------------------

PDM_RMS = 0.3  # a bit stream read as words is as loud as noise at full scale (0.58) and more
PDM_ONES = (3, 13)  # of 16 bits, which a sound under full scale keeps, and a clipped word (1 or 15) does not
PDM_SPREAD = 2.0  # random words: 4 (16 bits, a variance of 1/4 each); a modulator that shapes its noise: under 1
PDM_WORDS = 0.97  # that obey

_ONES = np.array([bin(word).count("1") for word in range(2**16)])


def _words(channel):
    """16-bit words, as unsigned numbers, (time,)."""
    return np.clip(np.floor(channel * FULL_SCALE + 0.5), -FULL_SCALE, FULL_SCALE - 1).astype(np.int64) & 0xFFFF


def _eight_bits(words):
    """Whether they are eight bits, shifted up."""
    return np.ptp(words & 0xFF) == 0


def _pdm_as_pcm(channels):
    """A sigma-delta modulator says a level by how many of its bits are ones, so 16 neighbouring bits hold about as many
    as the 16 before: words of PCM do not."""
    for channel in channels.T:
        rms = np.sqrt(np.mean(np.square(channel)))
        ones = _ONES[_words(channel)]
        spread = np.mean(np.square(np.diff(ones))) / 2
        obeying = np.mean((ones >= PDM_ONES[0]) & (ones <= PDM_ONES[1]))
        if rms > PDM_RMS and spread < PDM_SPREAD and obeying > PDM_WORDS and np.ptp(channel) > PDM_RMS:
            return Fault(
                "pdm_as_pcm",
                f"16 neighbouring bits hold {ones.mean():.1f} ones, varying by {spread:.1f} from word to word "
                "(random words: 4.0)",
                "the microphone sends PDM: turn on the driver's PDM filter (decimation), do not read its bytes as PCM",
                {"ones_per_word": ones.mean(), "ones_variance": spread, "rms": rms},
            )


BYTE_ORDER_RATIO = 1.5  # noise that fills the scale gives 1 and cannot be told
BYTE_ORDER_ROUGHNESS = 0.5  # of neighbours' differences against those of white noise: a clipped tone is no noise


def _byte_order(channels):
    """Sound is smoother than noise, and its low bytes are noise: so is whatever has them in the place of the high."""
    for channel in channels.T:
        words = _words(channel)
        if _eight_bits(words):
            continue
        as_read, as_swapped = (_signed(order) / FULL_SCALE for order in (words, (words & 0xFF) << 8 | words >> 8))
        roughness = np.sqrt(np.mean(np.square(np.diff(as_read))) / (2 * np.var(as_read)))
        difference, swapped = (np.abs(np.diff(order)).mean() for order in (as_read, as_swapped))
        if difference > BYTE_ORDER_RATIO * swapped and roughness > BYTE_ORDER_ROUGHNESS:
            return Fault(
                "byte_order",
                f"neighbouring samples differ by {difference:.2f} of full scale on average, and by {swapped:.3f} with "
                "their two bytes swapped",
                "read the samples as 16 bits in the other byte order (numpy: '<i2' for '>i2')",
                {"difference": difference, "difference_swapped": swapped},
            )


def _signed(words):
    return np.where(words < FULL_SCALE, words, words - 2 * FULL_SCALE)


# --- Channels -----------------------------------------------------------------------------------------------------

DEAD_RATIO = 10 ** (-50 / 20)  # against the loudest channel: neighbours in one device hear the same room
DEAD_RMS = 4 * LSB  # crosstalk and noise of an open input


def _dead_channel(channels, rms):
    stuck = np.ptp(channels, axis=0) == 0
    faint = (rms < DEAD_RATIO * rms.max()) & (rms < DEAD_RMS)
    dead = np.flatnonzero(stuck | faint)
    if len(dead) == 0:
        return None
    which = ", ".join(str(channel + 1) for channel in dead)
    held = f"stuck at {channels[0, dead[0]]:+.4f}" if stuck[dead].all() else f"{_db(rms[dead].max()):.0f} dBFS"
    return Fault(
        "dead_channel",
        f"channel {which} of {channels.shape[1]}: {held}"
        + ("" if len(dead) == channels.shape[1] else f", beside {_db(rms.max()):.0f} dBFS"),
        "check the microphone's wiring, its power, its mute switch and the L/R select; or choose a channel that hears"
        if channels.shape[1] > 1
        else "check the microphone's wiring, its power, its mute switch and the chosen device",
        {"channels": [int(channel) + 1 for channel in dead], "rms_dbfs": _db(rms[dead].max())},
    )


def _duplicated_channel(channels):
    """Equal channels change nothing for a model that averages them, and many files have them. They are named all the
    same, for two microphones never agree to the last bit; a caller that reads files may leave out what is harmless."""
    if channels.shape[1] < 2:
        return None
    same = [
        c for c in range(1, channels.shape[1]) if any(np.array_equal(channels[:, c], channels[:, b]) for b in range(c))
    ]
    if same:
        which = ", ".join(str(channel + 1) for channel in same)
        return Fault(
            "duplicated_channel",
            f"channel {which} of {channels.shape[1]} equals one before it, sample by sample",
            "a file made from mono: nothing to do; two microphones: one is not read, check its wiring and L/R select",
            {"channels": [channel + 1 for channel in same]},
            harmless=True,
        )


# --- Levels -------------------------------------------------------------------------------------------------------

SCALED_PEAK = 2.0  # decoders of lossy files pass 1 by a little
LOUD_RMS = 0.5  # -6 dBFS over a whole recording: a sine that fills the scale has -3
FAINT_RMS = 8 * LSB  # -72 dBFS in the loudest window
WINDOW_S = 0.05


def _not_scaled(channels):
    peak = np.abs(channels).max()
    if peak > SCALED_PEAK:
        return Fault(
            "level",
            f"the peak is {peak:,.1f} times full scale",
            "divide integer samples by full scale (32,768 for 16 bits): a model wants [-1, 1]",
            {"peak": peak},
        )


def window_powers(sound, sample_rate_hz):
    """The mean square of each 50 ms, or of all of a shorter sound. Shape: (time,) -> (windows,)"""
    window = max(1, min(len(sound), round(WINDOW_S * sample_rate_hz)))
    return np.square(sound[: len(sound) // window * window]).reshape(-1, window).mean(axis=1)


def _too_low(sound, sample_rate_hz):
    loudest = np.sqrt(window_powers(sound, sample_rate_hz).max())
    if loudest < FAINT_RMS:
        return Fault(
            "level",
            f"nothing is louder than {_db(loudest):.0f} dBFS ({loudest / LSB:.1f} steps of 16 bits)",
            "raise the microphone's gain, or go nearer: a model hears rounding, not sound",
            {"loudest_dbfs": _db(loudest)},
        )


def _too_high(rms):
    if rms > LOUD_RMS:
        return Fault(
            "level",
            f"{_db(rms):.1f} dBFS over the whole recording",
            "lower the microphone's gain: no room is left for anything louder",
            {"rms_dbfs": _db(rms)},
        )


DC_LIMIT = 0.045  # of full scale: cheap sound cards stand at 0.01 to 0.03, and nothing is wrong with what they hear


def _dc_offset(channels):
    offset = channels.mean(axis=0)
    worst = int(np.argmax(np.abs(offset)))
    if abs(offset[worst]) > DC_LIMIT:
        return Fault(
            "dc_offset",
            f"channel {worst + 1} of {channels.shape[1]} stands at {offset[worst]:+.3f} of full scale on average",
            "subtract the mean or filter below 20 Hz (many microphones need it); check bits and sign of the format",
            {"dc": offset[worst]},
        )


CLIPPED_SHARE = 0.02  # of the samples above half the ceiling
FEWEST_CLIPPED = 20  # samples
LOWEST_CEILING = 0.02  # nothing clips at less


def _clipping(channels):
    """Samples pile up at the ceiling, which is full scale or, before a converter or a gain, less.

    So do a sine's at its peak, a little: it is within the share d of it for 2 sqrt(2 d) of the 2 pi / 3 radians that it
    spends above half its amplitude. Three times that is asked.
    """
    for number, channel in enumerate(channels.T, 1):
        step = 1.5 * LSB * (256 if _eight_bits(_words(channel)) else 1)
        for side in (channel, -channel):
            ceiling = side.max()
            if ceiling < LOWEST_CEILING:
                continue
            clipped = np.count_nonzero(side > ceiling - step)
            share = clipped / np.count_nonzero(side > ceiling / 2)
            of_a_sine = 2 * np.sqrt(2 * step / ceiling) / (2 * np.pi / 3)
            if clipped >= FEWEST_CLIPPED and share > max(CLIPPED_SHARE, 3 * of_a_sine):
                return Fault(
                    "clipping",
                    f"channel {number} of {channels.shape[1]}: {clipped:,} samples lie at {_db(ceiling):.1f} dBFS, "
                    f"{share:.0%} of what is above half of that",
                    "lower the gain (the microphone's own, if the ceiling is under 0 dBFS) or go further away",
                    {"clipped_samples": clipped, "ceiling_dbfs": _db(ceiling), "share_of_peaks": share},
                )


# --- Time and frequency -------------------------------------------------------------------------------------------


def _dropped_blocks(channel):
    gaps, joins = dropouts.gaps(channel), dropouts.joins(channel)
    if not gaps.count and joins is None:
        return None
    parts = []
    if gaps.count:
        parts.append(f"{gaps.count:,} stretches of zeros inside sound, {gaps.num_samples:,} samples in all")
    if joins:
        parts.append(f"{joins.count:,} cracks on a grid of {joins.block_samples:,} samples")
    return Fault(
        "dropped_blocks",
        "; ".join(parts),
        "the reader is too slow: use larger or more buffers, do less in the callback, choose a faster card or bus",
        {
            "gaps": gaps.count,
            "gap_samples": gaps.num_samples,
            "joins": joins.count if joins else 0,
            "block_samples": joins.block_samples if joins else None,
        },
    )


def _wrong_rate(sound, sample_rate_hz):
    evidence = spectrum.rate_evidence(sound, sample_rate_hz)
    if evidence is None or evidence.log_odds <= evidence.limit:
        return None
    way, example = ("slow", "48 kHz read as 16") if evidence.too_slow else ("fast", "16 kHz read as 48")
    return Fault(
        "wrong_rate",
        f"sounds as if played too {way}: log odds {evidence.log_odds:.1f}, where 1 % of sounds at the right "
        f"rate reaches {evidence.limit:.1f}",
        f"check which rate the driver really gives ({example} is common), and state that one",
        {"log_odds": evidence.log_odds, "limit": evidence.limit, "too_slow": evidence.too_slow},
    )


def _spectrum(sound, sample_rate_hz):
    edge = spectrum.band_edge(sound, sample_rate_hz)
    if edge:
        return Fault(
            "spectrum",
            f"nothing above {edge.frequency_hz:,.0f} Hz, where it falls by {edge.fall_db:.0f} dB",
            "training data go on: turn off telephone modes and noise filters, clear the microphone's hole",
            {"edge_hz": edge.frequency_hz, "fall_db": edge.fall_db},
        )


COMMON_RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000, 192_000)
RATE_TOLERANCE = 0.04  # buffers make a short measurement uneven; 44.1 and 48 kHz are 9 % apart


def true_rate(num_samples, seconds, sample_rate_hz):
    """The common rate in Hz that a driver really delivers at, or None where it keeps `sample_rate_hz` within 4 %.

    num_samples: what came in `seconds` of a clock that has nothing to do with the sound (time.monotonic), after the
    first block. Fewer than stated may also be blocks that were lost; where no common rate is near, the measured one
    comes back, rounded to whole Hz.

    Raises: ZooError if a number is not positive.
    """
    if not (num_samples > 0 and seconds > 0 and sample_rate_hz > 0):
        found = f"{num_samples} samples in {seconds} s at {sample_rate_hz} Hz"
        raise ZooError(f"rate: {found} cannot be judged; listen for a second or more")
    measured_hz = num_samples / seconds
    if abs(measured_hz / sample_rate_hz - 1) <= RATE_TOLERANCE:
        return None
    nearest_hz = min(COMMON_RATES_HZ, key=lambda rate_hz: abs(np.log(rate_hz / measured_hz)))
    return nearest_hz if abs(measured_hz / nearest_hz - 1) <= RATE_TOLERANCE else round(measured_hz)


def _db(amplitude):
    return float(20 * np.log10(max(amplitude, 1e-10)))
