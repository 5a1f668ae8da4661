"""What augmentation does to a sound, measured: decibels of noise, decay of rooms, gains of octaves, what masks hide."""

from zoo.backend import tf

import numpy as np
import pytest

from zoo.augment import Augmentation, Masks, SpecAugment, parse
from zoo.errors import ZooError

RATE_HZ = 16_000
SEED = [3, 14]


@pytest.fixture(scope="module")
def sound():
    """Two seconds of noise: every frequency is in it."""
    return tf.constant(np.random.default_rng(0).normal(0, 0.1, 2 * RATE_HZ), tf.float32)


def rms(x):
    return np.sqrt(np.mean(np.square(x)))


def test_noise_lies_as_far_under_the_sound_as_asked(sound):
    for snr_db in (-5.0, 12.0, 40.0):
        noisy = Augmentation(noise_snr_db=(snr_db, snr_db)).apply(sound, RATE_HZ, SEED)
        # float32: at 40 dB the difference of two numbers keeps four digits
        assert 20 * np.log10(rms(sound) / rms(noisy - sound)) == pytest.approx(snr_db, abs=0.01)


def test_a_sound_is_quieter_by_as_much_as_it_may_and_any_less(sound):
    quieter = Augmentation(quieter_db=40.0)
    levels_db = [20 * np.log10(rms(quieter.apply(sound, RATE_HZ, [0, i])) / rms(sound)) for i in range(60)]
    # Of 60 uniform draws the ends lie within a tenth of the range but for one time in 500.
    assert -40 <= min(levels_db) < -36 and -4 < max(levels_db) <= 0


def test_silence_stays_silent():
    everything = Augmentation(noise_snr_db=(5, 30), equaliser_db=6.0, room_s=(0.1, 0.6))
    np.testing.assert_array_equal(everything.apply(tf.zeros(8_000), RATE_HZ, SEED), 0)


def test_a_room_decays_by_60_db_in_its_reverberation_time():
    click = tf.one_hot(0, 2 * RATE_HZ)
    response = Augmentation(room_s=(0.5, 0.5)).apply(click, RATE_HZ, SEED).numpy()
    tail = response[1:]
    left_db = 10 * np.log10(np.cumsum(tail[::-1] ** 2)[::-1] / np.sum(tail**2))  # Schroeder's backward integral
    five, twenty_five = (np.argmax(left_db < -level) / RATE_HZ for level in (5, 25))
    # From 5 to 25 dB, three times: T20, as ISO 3382 has it. One draw of noise strays by some per cent.
    assert 3 * (twenty_five - five) == pytest.approx(0.5, rel=0.1)
    assert np.argmax(np.abs(response)) == 0


def test_the_equaliser_changes_octaves_by_no_more_than_it_may(sound):
    coloured = Augmentation(equaliser_db=6.0).apply(sound, RATE_HZ, SEED).numpy()
    spectra = [np.abs(np.fft.rfft(x, 2 * RATE_HZ)) for x in (coloured, sound.numpy())]
    edges_hz = [88, 177, 354, 707, 1414, 2828, 5657]
    change_db = [20 * np.log10(rms(spectra[0][2 * low : 2 * high]) / rms(spectra[1][2 * low : 2 * high]))
                 for low, high in zip(edges_hz, edges_hz[1:])]  # fmt: skip
    assert 2 < max(change_db) - min(change_db) < 12  # the level is kept: only their distance counts
    assert rms(coloured) == pytest.approx(rms(sound), rel=1e-4)


def test_one_seed_gives_one_sound_and_another_another(sound):
    augmentation = Augmentation(noise_snr_db=(5, 30), equaliser_db=6.0, room_s=(0.1, 0.6))
    first, again, other = (augmentation.apply(sound, RATE_HZ, seed) for seed in (SEED, SEED, [3, 15]))
    np.testing.assert_array_equal(first, again)
    assert rms(first - other) > 0.1 * rms(first)


def test_without_anything_asked_for_a_sound_is_what_it_was(sound):
    assert Augmentation().apply(sound, RATE_HZ, SEED) is sound


def test_masks_hide_stretches_of_both_axes_in_training_alone():
    columns = tf.constant(np.random.default_rng(1).normal(-40, 10, (200, 50, 40, 1)), tf.float32)
    masks = SpecAugment(2, 0.2, 0.25)
    np.testing.assert_array_equal(masks(columns, training=False), columns)
    masked = masks(columns, training=True).numpy()
    hidden = masked[..., 0] != columns.numpy()[..., 0]
    frames, bands = hidden.all(axis=2), hidden.all(axis=1)
    np.testing.assert_array_equal(hidden, frames[:, :, None] | bands[:, None, :])  # nothing but whole frames and bands
    assert frames.sum(axis=1).max() <= 2 * 10 and bands.sum(axis=1).max() <= 2 * 10
    # Two stretches of half of the longest each, which overlap at times, over 200 draws.
    assert frames.mean() == pytest.approx(0.19, abs=0.03) and bands.mean() == pytest.approx(0.235, abs=0.03)
    means = np.broadcast_to(columns.numpy().mean(axis=(1, 2)), hidden[..., 0].shape)
    np.testing.assert_allclose(masked[..., 0][hidden], np.repeat(means[..., None], 40, axis=2)[hidden], rtol=1e-4)


def test_masks_begin_anew_as_the_generator_does():
    masks, columns = SpecAugment(*Masks()), tf.random.normal((4, 30, 20, 1))
    draws = []
    for _ in range(2):
        masks._random_generator._maybe_init()
        masks._random_generator._generator.reset_from_key_counter(7, [0, 5])
        draws.append(masks(columns, training=True))
    np.testing.assert_array_equal(*draws)


def test_the_command_line_says_all_of_it():
    found, masks = parse("noise=-5:30,equaliser=6,room=0.1:0.6,quieter=40,masks=0.2")
    assert found == Augmentation(noise_snr_db=(-5, 30), equaliser_db=6, room_s=(0.1, 0.6), quieter_db=40)
    assert masks == Masks(frames=0.2, bands=0.2)
    assert parse("equaliser=3") == (Augmentation(equaliser_db=3), None)


@pytest.mark.parametrize(
    "text", ["noise", "noise=6", "noise=30:6", "room=0:1", "masks=1.5", "echo=3", "equaliser=-3", "quieter=1:2", ""]
)
def test_what_is_not_known_is_refused(text):
    with pytest.raises(ZooError):
        parse(text)
