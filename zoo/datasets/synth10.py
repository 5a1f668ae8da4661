"""Ten everyday sounds made by code from their physics: a data set with no download and no licence to read.

Each class is one function that builds its sound the way the world does: drops that ring as bubbles, an escapement that
strikes a case, an engine whose firings excite an exhaust. What tells the classes apart is how they move in time. Where
their energy lies tells little, on purpose: every clip is put in a room, over a coloured background, behind a microphone
with a colour of its own, and played at a level of its own. A linear model on a clip's mean spectrum therefore stays
under 80 %, and a small network that sees time passes 95 %.

    write(folder)           the whole data set in ESC-50's layout: audio/ and meta/synth10.csv, five folds
    synthesise(label, rng)  one clip
"""

import csv
from pathlib import Path

import numpy as np
import soundfile
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, oaconvolve, sosfilt

from zoo.progress import bar

SAMPLE_RATE_HZ = 44_100
DURATION_S = (2.0, 7.0)
NUM_FOLDS = 5
LEAD_IN_S = 1.5  # made and cut away, so that a clip opens in the middle of its sound and its room already rings
SNR_DB = (6.0, 22.0)  # the sound's loud moments over the background
PEAK_DB = (-18.0, -1.0)  # of full scale
SIREN_CYCLES_PER_S = (("wail", 0.35, 0.7), ("yelp", 2.2, 4.0), ("hi_lo", 0.8, 1.3))
COLUMNS = ("filename", "fold", "target", "category", "esc10", "src_file", "take")


# The physics that several sounds share.


def _log_uniform(rng, low, high, size=None):
    """Draws that are uniform in octaves, as pitches and time constants are."""
    return np.exp(rng.uniform(np.log(low), np.log(high), size))


def _wander(rng, num_samples, low, high, turns_per_s):
    """A smooth random curve between low and high that changes its mind `turns_per_s` times a second."""
    duration_s = num_samples / SAMPLE_RATE_HZ
    knots = rng.uniform(low, high, int(duration_s * turns_per_s) + 3)
    return PchipInterpolator(np.linspace(0, duration_s, len(knots)), knots)(np.arange(num_samples) / SAMPLE_RATE_HZ)


def _poisson_onsets(rng, num_samples, events_per_s):
    """Sorted onsets in seconds of events that know nothing of each other."""
    duration_s = num_samples / SAMPLE_RATE_HZ
    return np.sort(rng.uniform(0, duration_s, rng.poisson(events_per_s * duration_s)))


def _paced_onsets(rng, num_samples, events_per_s, jitter):
    """Onsets in seconds of events at a steady pace; `jitter` is a share of the interval."""
    duration_s = num_samples / SAMPLE_RATE_HZ
    onsets_s = (np.arange(int(duration_s * events_per_s) + 1) + rng.uniform()) / events_per_s
    return onsets_s + rng.normal(0, jitter / events_per_s, len(onsets_s))


def _strikes(num_samples, onsets_s, levels, body):
    """The sound of one body struck at the onsets: impulses convolved with the body's response."""
    at = np.round(onsets_s * SAMPLE_RATE_HZ).astype(int)
    inside = (at >= 0) & (at < num_samples)
    impulses = np.bincount(at[inside], np.broadcast_to(levels, at.shape)[inside], num_samples)
    return oaconvolve(impulses, body)[:num_samples]


def _rings(frequencies_hz, decays_s, levels):
    """Decaying sines, one a row, cut where the longest has fallen by 43 dB. Shape: (sines, time)"""
    time_s = (np.arange(int(5 * np.max(decays_s) * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ).astype(np.float32)
    # float32, because the thousands of rings of rain and fire are much of what a clip costs.
    rates, pitches, levels = (
        column.astype(np.float32)[:, None] for column in (-1 / decays_s, 2 * np.pi * frequencies_hz, levels)
    )
    return levels * np.exp(rates * time_s) * np.sin(pitches * time_s)


def _modes(frequencies_hz, decays_s, levels):
    """The response of a struck body: its modes ring together. Shape: (time,)"""
    return np.sum(_rings(frequencies_hz, decays_s, levels), axis=0)


def _grains(num_samples, onsets_s, frequencies_hz, decays_s, levels):
    """The sum of many short rings, each with an onset and a pitch of its own."""
    rings = _rings(frequencies_hz, decays_s, levels)
    at = (onsets_s * SAMPLE_RATE_HZ).astype(int)[:, None] + np.arange(rings.shape[1])
    return np.bincount(at.ravel(), rings.ravel(), num_samples)[:num_samples]


def _equalise(sound, knots_hz, knots_db):
    """The sound behind a filter whose gain is a straight line in octaves between the knots."""
    size = next_fast_len(len(sound), real=True)
    octaves = np.log2(np.maximum(rfftfreq(size, 1 / SAMPLE_RATE_HZ), 20.0))
    gain = 10 ** (np.interp(octaves, np.log2(knots_hz), knots_db) / 20)
    return irfft(rfft(sound, size) * gain, size)[: len(sound)]


def _noise(rng, num_samples, knots_hz, knots_db):
    """Gaussian noise of unit power with the given spectrum."""
    noise = _equalise(rng.standard_normal(num_samples), knots_hz, knots_db)
    return noise / np.std(noise)


def _band_noise(rng, num_samples, low_hz, high_hz):
    """Gaussian noise of unit power that falls by 12 dB an octave outside its band."""
    return _noise(rng, num_samples, (low_hz / 32, low_hz, high_hz, high_hz * 32), (-60, 0, 0, -60))


def _phase(frequency_hz):
    """The phase in radians of an oscillator that follows a frequency curve."""
    return 2 * np.pi * np.cumsum(frequency_hz) / SAMPLE_RATE_HZ


# The ten sounds. Each returns `num_samples` at any level; a range in a signature is what its clips draw from.


def rain(rng, num_samples, drops_per_s=(150, 600)):
    """Drops fall at random; each clicks as it lands and leaves an air bubble that rings at Minnaert's pitch.
    Far drops merge into a bed of noise."""
    onsets_s = _poisson_onsets(rng, num_samples, _log_uniform(rng, *drops_per_s))
    radii_mm = np.clip(rng.lognormal(np.log(rng.uniform(0.7, 1.6)), 0.45, len(onsets_s)), 0.4, 3.0)
    distances = rng.uniform(0.3, 3.0, len(onsets_s))
    minnaert_hz = 3260 / radii_mm  # in water, at the surface
    bubbles = _grains(num_samples, onsets_s, minnaert_hz, 0.004 * radii_mm**0.5, radii_mm / distances)
    impacts = _strikes(num_samples, onsets_s, radii_mm / distances, np.diff(np.exp(-np.arange(60) / 9.0)))
    bed = _noise(rng, num_samples, (100, 800, 5000, 15000), rng.uniform(-12, 0, 4))
    drops = bubbles + rng.uniform(0.5, 2.0) * impacts
    return drops / np.std(drops) + rng.uniform(0.2, 0.6) * bed


def sea_waves(rng, num_samples, waves_per_s=(0.45, 0.8)):
    """A swell lifts, breaks and washes out: three bands of noise, the higher the later and the shorter.
    Between the waves the sea never falls silent."""
    onsets_s = _paced_onsets(rng, num_samples, rng.uniform(*waves_per_s), jitter=0.12)
    heights = rng.uniform(0.6, 1.0, len(onsets_s))
    sea = np.zeros(num_samples)
    time_s = np.arange(4 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    for low_hz, high_hz, delay_s, rise_s, fall_s in (
        (60, 400, 0.0, 0.5, 0.9),
        (300, 1800, 0.2, 0.25, 0.6),
        (1200, 7000, 0.3, 0.12, 0.4),
    ):
        stretch = rng.uniform(0.7, 1.3)
        surge = (1 - np.exp(-((time_s / (rise_s * stretch)) ** 3))) * np.exp(-time_s / (fall_s * stretch))
        swell = 0.05 + _strikes(num_samples, onsets_s + delay_s, heights, surge / surge.max())
        sea += rng.uniform(0.4, 1.0) * swell * _band_noise(rng, num_samples, low_hz, high_hz)
    return sea


def wind(rng, num_samples, whistle_hz=(300, 1600)):
    """Turbulence roars with the square of the air's speed, and edges whistle at a pitch in step with it (Strouhal):
    noise through narrow resonances that wander with the gusts."""
    speed = _wander(rng, num_samples, 0.35, 1.0, rng.uniform(1.2, 2.5))
    air = rng.uniform(0.3, 0.8) * speed**2 * _noise(rng, num_samples, (30, 150, 3000), (0, 0, rng.uniform(-35, -15)))
    for _ in range(rng.integers(2, 4)):
        home_hz = _log_uniform(rng, *whistle_hz)
        octaves = 1.6 * (speed - 0.7) + _wander(rng, num_samples, -0.3, 0.3, 2)
        # A resonance that moves: noise as narrow as it is, carried on its pitch.
        low_pass = butter(2, rng.uniform(0.02, 0.07) * home_hz, fs=SAMPLE_RATE_HZ, output="sos")
        in_phase, quadrature = sosfilt(low_pass, rng.standard_normal((2, num_samples)))
        phase = _phase(home_hz * 2**octaves)
        whistle = in_phase * np.cos(phase) - quadrature * np.sin(phase)
        air += rng.uniform(0.4, 1.0) * speed**2 * whistle / np.std(whistle)
    return air


def crackling_fire(rng, num_samples, crackles_per_s=(10, 40)):
    """Pockets of steam burst in the wood, in flurries: short rings of any pitch whose energies span decades.
    Under them the flames' roar flickers."""
    candidates_s = _poisson_onsets(rng, num_samples, 2 * _log_uniform(rng, *crackles_per_s))
    flurry = _wander(rng, num_samples, 0, 1, 4)[(candidates_s * SAMPLE_RATE_HZ).astype(int)]
    onsets_s = candidates_s[rng.uniform(size=len(candidates_s)) < flurry]
    levels = np.minimum(rng.lognormal(0, 1.2, len(onsets_s)), 12)
    crackles = np.zeros(num_samples)
    for _ in range(3):  # the modes of a splinter
        frequencies_hz = _log_uniform(rng, 500, 7000, len(onsets_s))
        crackles += _grains(num_samples, onsets_s, frequencies_hz, _log_uniform(rng, 4e-4, 4e-3, len(onsets_s)), levels)
    flicker = _wander(rng, num_samples, 0.3, 1.0, rng.uniform(6, 12))
    roar = flicker * _band_noise(rng, num_samples, 50, _log_uniform(rng, 250, 700))
    return crackles / np.max(np.abs(crackles)) + rng.uniform(0.02, 0.08) * roar


def clock_tick(rng, num_samples, beats_per_s=(1.8, 5.0)):
    """An escapement at a steady pace: each beat is two or three hard contacts, milliseconds apart, on a small case.
    Tick and tock differ, because the lever drops from either side."""
    beats_s = _paced_onsets(rng, num_samples, rng.uniform(*beats_per_s), jitter=0.002)
    contacts_s = np.cumsum(rng.uniform(0.004, 0.014, rng.integers(2, 4)))
    loudness = np.where(np.arange(len(beats_s)) % 2, 1.0, rng.uniform(0.5, 1.0))
    clock = np.zeros(num_samples)
    case_hz = _log_uniform(rng, 900, 6500, 5)
    decays_s = _log_uniform(rng, 0.0015, 0.006, 5)
    for contact_s in contacts_s:
        for side in (0, 1):
            body = _modes(case_hz, decays_s, rng.uniform(0.2, 1.0, 5))
            level = loudness[side::2] * rng.uniform(0.3, 1.0)
            clock += _strikes(num_samples, beats_s[side::2] + contact_s, level, body)
    return clock


def engine(rng, num_samples, firings_per_s=(22, 75)):
    """Cylinders fire in order, none quite like the next, at a drifting speed: pulses through the exhaust's resonances.
    Valves and gears hiss in step with them."""
    rate_hz = _log_uniform(rng, *firings_per_s) * 2 ** _wander(rng, num_samples, -0.25, 0.25, 1.0)
    turns = np.cumsum(rate_hz) / SAMPLE_RATE_HZ
    onsets_s = np.flatnonzero(np.diff(np.floor(turns))) / SAMPLE_RATE_HZ
    onsets_s = onsets_s + rng.normal(0, 4e-4, len(onsets_s))
    cylinders = rng.uniform(0.5, 1.0, rng.choice((2, 3, 4)))
    levels = np.resize(cylinders, len(onsets_s)) * rng.uniform(0.85, 1.15, len(onsets_s))
    exhaust = _modes(_log_uniform(rng, 90, 1600, 5), _log_uniform(rng, 0.003, 0.012, 5), rng.uniform(0.3, 1.0, 5))
    firing = _strikes(num_samples, onsets_s, levels, exhaust)
    valves = _strikes(num_samples, onsets_s, levels, np.exp(-np.arange(1500) / rng.uniform(80, 250)))
    hiss = valves * _band_noise(rng, num_samples, _log_uniform(rng, 800, 2000), 6000)
    return firing / np.std(firing) + rng.uniform(0.3, 0.9) * hiss / np.std(hiss)


def siren_pitch_hz(rng, num_samples, low_hz, high_hz):
    """A siren's pitch over time: a wail (slow exponential rise and fall), a yelp (a quick one) or two tones in turn."""
    style, low, high = SIREN_CYCLES_PER_S[rng.integers(len(SIREN_CYCLES_PER_S))]
    turn = np.arange(num_samples) / SAMPLE_RATE_HZ * rng.uniform(low, high) + rng.uniform()
    height = (np.sin(2 * np.pi * turn) > 0) if style == "hi_lo" else 0.5 - 0.5 * np.cos(2 * np.pi * turn)
    return low_hz * (high_hz / low_hz) ** height


def siren(rng, num_samples, low_hz=(380, 900)):
    """A chopped air jet or an overdriven horn: a tone that wails, yelps or alternates, and sways in level.
    The drive sets how many harmonics it has."""
    low_hz = _log_uniform(rng, *low_hz)
    pitch_hz = siren_pitch_hz(rng, num_samples, low_hz, low_hz * rng.uniform(1.35, 2.2))
    wave = np.tanh(_log_uniform(rng, 0.5, 4.0) * (np.sin(_phase(pitch_hz)) + rng.uniform(0.0, 0.5)))
    return (wave - wave.mean()) * _wander(rng, num_samples, 0.5, 1.0, 1.0)


def bird_chirp(rng, num_samples, syllables_per_s=(4, 10)):
    """A syrinx sings syllables, each a quick sweep of pitch under a smooth breath, in phrases of a few alike.
    A weak second harmonic, and hardly any rest."""
    duration_s = num_samples / SAMPLE_RATE_HZ
    home_hz = _log_uniform(rng, 1500, 4500)
    song = np.zeros(num_samples)
    start_s = rng.uniform(0, 0.3)
    while start_s < duration_s:
        period_s = 1 / _log_uniform(rng, *syllables_per_s)
        pitch_hz, sweep_octaves = home_hz * 2 ** rng.uniform(-0.4, 0.4), rng.uniform(0.15, 0.7) * rng.choice((-1, 1))
        trill_hz, trill_octaves = rng.uniform(15, 45), rng.choice((0.0, 0.08))
        turn = np.linspace(0, 1, int(period_s * rng.uniform(0.45, 0.8) * SAMPLE_RATE_HZ))
        bend = sweep_octaves * (turn - 0.5) + trill_octaves * np.sin(2 * np.pi * trill_hz * period_s * turn)
        phase = _phase(pitch_hz * 2**bend)
        syllable = np.sin(np.pi * turn) ** 0.7 * (np.sin(phase) + rng.uniform(0, 0.2) * np.sin(2 * phase))
        count = rng.integers(2, 8)
        song += _strikes(num_samples, start_s + period_s * np.arange(count), rng.uniform(0.6, 1.0, count), syllable)
        start_s += count * period_s + rng.uniform(0.05, 0.35)
    return song


def telephone(rng, num_samples, strikes_per_s=(18, 26)):
    """A hammer swings between two gongs tuned a little apart, or a ringer warbles between two tones as fast.
    Both ring in cadences: on for about a second, off for less."""
    strikes_per_s = rng.uniform(*strikes_per_s)
    pitches_hz = _log_uniform(rng, 700, 1800) * np.array([1.0, rng.uniform(1.12, 1.3)])
    on_s, off_s = rng.uniform(0.7, 1.4), rng.uniform(0.25, 0.6)
    time_s = np.arange(num_samples) / SAMPLE_RATE_HZ + rng.uniform(0, on_s + off_s)
    rings = time_s % (on_s + off_s) < on_s
    if rng.uniform() < 0.5:
        onsets_s = _paced_onsets(rng, num_samples, strikes_per_s, jitter=0.01)
        strengths = np.interp(onsets_s, np.arange(num_samples) / SAMPLE_RATE_HZ, rings)
        partials, levels = np.array([1.0, 2.4, 4.1, 5.9]), np.array([1.0, 0.8, 0.5, 0.3]) * rng.uniform(0.5, 1.0, 4)
        decays_s = rng.uniform(0.05, 0.2) / np.sqrt(partials)
        return sum(
            _strikes(num_samples, onsets_s[side::2], strengths[side::2], _modes(pitch_hz * partials, decays_s, levels))
            for side, pitch_hz in enumerate(pitches_hz)
        )
    second = (time_s * strikes_per_s % 2 < 1).astype(int)
    tone = np.tanh(_log_uniform(rng, 0.7, 4.0) * np.sin(_phase(pitches_hz[second])))
    return tone * uniform_filter1d(rings.astype(float), 200)  # 5 ms of fade: a ringer's supply does not jump


def knocking(rng, num_samples, knocks_per_s=(3.5, 7.5)):
    """Knuckles on a wooden door, three to six at a time: each impact excites the plate's modes, heavily damped.
    The higher the mode, the sooner it has died away."""
    duration_s = num_samples / SAMPLE_RATE_HZ
    lowest_hz = _log_uniform(rng, 110, 330)
    # A plate held at its edges: mode (m, n) lies at m^2 + (n / aspect)^2, spread a little by the wood's grain.
    aspect = rng.uniform(1.5, 2.5)
    orders = np.array([m**2 + (n / aspect) ** 2 for m in (1, 2, 3) for n in (1, 2, 3)])
    modes_hz = lowest_hz * orders / orders[0] * rng.uniform(0.95, 1.05, 9)
    decays_s = rng.uniform(0.018, 0.045) * (modes_hz / lowest_hz) ** -0.4
    plate = _modes(modes_hz, decays_s, rng.uniform(0.4, 1.0, 9) * (modes_hz / lowest_hz) ** -rng.uniform(0.0, 0.5))
    onsets_s = []
    start_s = rng.uniform(0, 0.4)
    while start_s < duration_s:
        intervals_s = rng.uniform(0.93, 1.07, rng.integers(3, 7)) / rng.uniform(*knocks_per_s)
        onsets_s.extend(start_s + np.cumsum(intervals_s))
        start_s = onsets_s[-1] + rng.uniform(0.2, 0.5)
    return _strikes(num_samples, np.array(onsets_s), rng.uniform(0.6, 1.0, len(onsets_s)), plate)


SOUNDS = {
    sound.__name__: sound
    for sound in (rain, sea_waves, wind, crackling_fire, clock_tick, engine, siren, bird_chirp, telephone, knocking)
}
LABELS = tuple(SOUNDS)


# What lies between the source and the file.


def _room(rng):
    """A small room's impulse response: the direct sound, a few early reflections, and a tail that dies away."""
    reverberation_s = _log_uniform(rng, 0.08, 0.5)  # until it has fallen by 60 dB
    time_s = np.arange(int(reverberation_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tail = rng.standard_normal(len(time_s)) * np.exp(-6.9 * time_s / reverberation_s)
    response = tail / np.linalg.norm(tail) * 10 ** (rng.uniform(-20, -5) / 20)
    early = (rng.uniform(0.001, 0.03, 6) * SAMPLE_RATE_HZ).astype(int)
    response[early] += rng.uniform(-0.3, 0.3, 6)
    response[0] = 1.0
    return response


def _colour(rng, tilt_db_per_octave, ripple_db):
    """Knots (hertz, decibels) of a random spectrum: a tilt, and bumps upon it."""
    knots_hz = 62.5 * 2.0 ** np.arange(9)
    tilt_db = rng.uniform(-tilt_db_per_octave, tilt_db_per_octave) * np.arange(9)
    return knots_hz, tilt_db + rng.uniform(-ripple_db, ripple_db, 9)


def _loud_moments_rms(sound):
    """The level of a sound's loud moments: of its 10 ms frames, the one that 5 % of them exceed."""
    frames = sound[: len(sound) // 441 * 441].reshape(-1, 441)
    return np.sqrt(np.quantile(np.mean(frames**2, axis=1), 0.95))


def synthesise(label, rng):
    """One clip of the class, 2 to 7 s at 44.1 kHz: its sound in a room, over a background, through a microphone.

    Shape: (time,), float32, in [-1, 1]
    """
    lead_in = int(LEAD_IN_S * SAMPLE_RATE_HZ)
    num_samples = lead_in + int(rng.uniform(*DURATION_S) * SAMPLE_RATE_HZ)
    sound = oaconvolve(SOUNDS[label](rng, num_samples), _room(rng))[lead_in:num_samples]
    sound = _equalise(sound, *_colour(rng, tilt_db_per_octave=1.5, ripple_db=5.0))
    background = _noise(rng, len(sound), *_colour(rng, tilt_db_per_octave=3.0, ripple_db=5.0))
    clip = sound / _loud_moments_rms(sound) + 10 ** (-rng.uniform(*SNR_DB) / 20) * background
    return (clip / np.max(np.abs(clip)) * 10 ** (rng.uniform(*PEAK_DB) / 20)).astype(np.float32)


def write_clip(path, clip):
    """Writes a sound file of 16 bits at `SAMPLE_RATE_HZ`, in the format that the path ends with. Shape: (time,)"""
    soundfile.write(path, np.round(clip * 32767).astype(np.int16), SAMPLE_RATE_HZ, subtype="PCM_16")


def write(folder, clips_per_class=40, seed=2026):
    """Fills the folder with the data set in ESC-50's layout: audio/ (FLAC, 16 bit) and meta/synth10.csv.

    A clip depends on the seed, its class and its index alone: fewer clips are the first of more clips.

    Raises: ValueError if the clips do not divide into five equal folds.
    """
    if clips_per_class % NUM_FOLDS:
        raise ValueError(f"synth10: {clips_per_class} clips per class; give a multiple of {NUM_FOLDS}, for equal folds")
    folder = Path(folder)
    for name in ("audio", "meta"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rows = []
    clips = [(index, target) for index in range(clips_per_class) for target in range(len(LABELS))]
    for index, target in bar(clips, desc="synth10", unit="clip"):
        rng = np.random.default_rng(np.random.SeedSequence((seed, target, index)))
        fold, src_file, take = index % NUM_FOLDS + 1, 1000 * (target + 1) + index, "A"
        filename = f"{fold}-{src_file}-{take}-{target}.flac"
        write_clip(folder / "audio" / filename, synthesise(LABELS[target], rng))
        rows.append((filename, fold, target, LABELS[target], False, src_file, take))
    with open(folder / "meta" / "synth10.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(rows)
