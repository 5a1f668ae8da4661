"""What changes a sound does what it says: levels and bands by their definition, codecs against the sound itself."""

import numpy as np
import pytest

from zoo.robustness import CONDITIONS, NOISE

RATE_HZ = 20_000


@pytest.fixture(scope="module")
def sound():
    """Two seconds of two tones, one within a telephone's band, and noise."""
    rng, time_s = np.random.default_rng(0), np.arange(2 * RATE_HZ) / RATE_HZ
    tones = 0.2 * np.sin(2 * np.pi * 1_000 * time_s) + 0.1 * np.sin(2 * np.pi * 6_000 * time_s)
    return tones.astype(np.float32), rng.normal(0, 0.3, len(time_s)).astype(np.float32)


def level_db(waveform, frequency_hz=None):
    """RMS; of a tone alone by its line in the spectrum."""
    if frequency_hz is None:
        return 10 * np.log10(np.mean(np.square(waveform, dtype=np.float64)))
    inner = waveform[RATE_HZ // 2 : 3 * RATE_HZ // 2]  # without what a filter does at the ends
    return 20 * np.log10(np.abs(np.fft.rfft(inner)[frequency_hz]) / len(inner))


@pytest.mark.parametrize("kind, value", [(kind, value) for kind in CONDITIONS for value in CONDITIONS[kind]])
def test_a_change_keeps_shape_type_and_range(sound, kind, value):
    changed = CONDITIONS[kind][value](sound[0], sound[1] if kind == NOISE else RATE_HZ)
    assert changed.shape == sound[0].shape and changed.dtype == np.float32 and np.abs(changed).max() <= 1


@pytest.mark.parametrize("snr_db", [20, 0, -5])
def test_noise_lies_so_many_decibels_under_the_sound(sound, snr_db):
    waveform, noise = sound
    mixed = CONDITIONS["noise"][f"{snr_db} dB"](waveform, noise)
    scale = np.linalg.lstsq(np.stack([waveform, noise], axis=1), mixed, rcond=None)[0]
    found = level_db(scale[0] * waveform) - level_db(scale[1] * noise)
    assert found == pytest.approx(snr_db, abs=0.01)


def test_levels_are_those_of_16_bits(sound):
    quiet = CONDITIONS["level"]["-40 dB"](sound[0], RATE_HZ)
    np.testing.assert_array_equal(quiet * 2**15, np.round(quiet * 2**15))
    assert level_db(quiet) - level_db(sound[0]) == pytest.approx(-40, abs=0.1)
    assert np.abs(CONDITIONS["level"]["+6 dB"](5 * sound[0], RATE_HZ)).max() <= 1


def test_a_telephone_and_a_low_rate_take_the_high_tone_away(sound):
    for kind, value in (("band", "phone"), ("rate", "8000 Hz")):
        changed = CONDITIONS[kind][value](sound[0], RATE_HZ)
        assert level_db(changed, 1_000) == pytest.approx(level_db(sound[0], 1_000), abs=0.5)
        assert level_db(changed, 6_000) < level_db(sound[0], 6_000) - 30


def test_clipping_cuts_the_loudest_samples(sound):
    _, noise = sound  # of which no two samples are alike
    changed = CONDITIONS["clipping"]["5%"](noise, RATE_HZ)
    assert np.mean(changed != noise) == pytest.approx(0.05, abs=1e-3)
    assert np.abs(noise[changed == noise]).max() <= np.abs(noise[changed != noise]).min()


@pytest.mark.parametrize("codec", CONDITIONS["codec"])
def test_a_codec_keeps_the_tones_and_not_the_samples(sound, codec):
    changed = CONDITIONS["codec"][codec](sound[0], RATE_HZ)
    assert level_db(changed, 1_000) == pytest.approx(level_db(sound[0], 1_000), abs=1)
    assert np.abs(changed - sound[0]).max() > 1e-3
