"""Crops against EnvNet-v2's equations in numpy, over tones whose share in a mixture can be measured."""

import time
from dataclasses import replace
from functools import partial

from zoo.backend import keras

import numpy as np
import pytest

from tests.clips import clips_of
from zoo import assembly, audio, corpus, frontends, pipeline
from zoo.errors import ZooError
from zoo.models import acdnet

RATE_HZ = 16_000
CROP = 4_096  # two of the windows that levels are measured in
AS_THEY_ARE = pipeline.Waveforms(max_stretch=1.0, max_gain_db=0.0)


def tone(frequency_hz, amplitude=0.5, length=20 * CROP):
    return amplitude * np.sin(2 * np.pi * frequency_hz * np.arange(length) / RATE_HZ)


def shares_of(crop, frequencies_hz):
    """(amplitude of each tone in the crop, share of the crop's energy that is none of them)."""
    phases = 2 * np.pi * np.outer(np.arange(len(crop)) / RATE_HZ, frequencies_hz)
    basis = np.concatenate([np.sin(phases), np.cos(phases)], axis=1)
    found, *_ = np.linalg.lstsq(basis, crop.astype(np.float64), rcond=None)
    rest = crop - basis @ found
    return np.hypot(*found.reshape(2, -1)), np.sum(rest**2) / np.sum(crop.astype(np.float64) ** 2)


def mixed(clips, num_classes, waveforms=AS_THEY_ARE, seed=0, batch_size=8, epochs=(0, 1), num_samples=CROP):
    """(crops, labels) of whole epochs, as arrays."""
    batches = pipeline.mixed_crops(clips, num_samples, num_classes, waveforms, seed, batch_size, *epochs)
    crops, labels = zip(*batches.as_numpy_iterator(), strict=True)
    return np.concatenate(crops), np.concatenate(labels)


# Labels and what they stand for


def test_a_label_is_shared_by_two_classes_that_differ(noises):
    crops, labels = mixed(noises, 7, epochs=(0, 20))
    assert crops.shape == (20 * 16, CROP) and labels.shape == (20 * 16, 7)
    assert crops.dtype == labels.dtype == np.float32
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)  # r + (1 - r) in float32
    assert (np.count_nonzero(labels, axis=1) == 2).all()  # two different ones: the same twice would be one
    assert set(np.flatnonzero(labels.any(axis=0))) == {0, 1, 2, 5}


def test_ratios_are_spread_evenly_over_0_to_1(noises):
    _, labels = mixed(noises, 7, epochs=(0, 40))
    ratios = np.sort(labels[:, 0][labels[:, 0] > 0])
    # The distance of n even draws from a straight line is under 1.63 / sqrt(n) 99 times of 100 (Kolmogorov).
    assert np.abs(ratios - np.linspace(0, 1, len(ratios))).max() < 1.63 / np.sqrt(len(ratios))


def test_mixing_follows_the_papers_equations_3_and_4():
    """Two classes of one tone each: a crop's two amplitudes tell p, without knowing what was drawn."""
    frequencies_hz, amplitudes = np.array([500.0, 3_000.0]), np.array([0.5, 0.02])
    clips = clips_of([tone(*row) for row in zip(frequencies_hz, amplitudes)], [0, 1])
    crops, labels = mixed(clips, 2, epochs=(0, 12))
    # A tone's level follows from its amplitude and the A curve; its window and length are the same for both.
    levels_db = 20 * np.log10(amplitudes) + audio.a_weighting_db(frequencies_hz)
    judged = 0
    for crop, (ratio, _) in zip(crops, labels, strict=True):
        found, rest = shares_of(crop, frequencies_hz)
        if rest > 1e-5:  # a tone that starts or ends within the crop, one crop in ten
            continue
        judged += 1
        p = 1 / (1 + 10 ** ((levels_db[0] - levels_db[1]) / 20) * (1 - ratio) / ratio)
        wanted = np.array([p, 1 - p]) / np.hypot(p, 1 - p)
        # A level is the loudest of three windows over tones of 16 bits: 0.05 dB, so half a hundredth of the share.
        np.testing.assert_allclose(found / amplitudes, wanted, atol=5e-3)
    assert judged > len(crops) / 2


def test_loudness_does_not_decide_what_is_heard():
    """EnvNet-v2's point: at a ratio of one half both are heard as loud, however loud each was recorded."""
    clips = clips_of([tone(1_000, 0.9), tone(1_300, 0.009)], [0, 1])
    crops, labels = mixed(clips, 2, epochs=(0, 12))
    for crop, (ratio, _) in zip(crops, labels, strict=True):
        found, rest = shares_of(crop, np.array([1_000.0, 1_300.0]))
        if rest < 1e-5 and 0.4 < ratio < 0.6:
            assert found[0] / found[1] == pytest.approx(
                ratio / (1 - ratio), rel=0.1
            )  # 0.6 dB between them on the A curve


def test_gains_stay_within_their_bounds_and_reach_them():
    clips = clips_of([tone(500), tone(3_000)], [0, 1])
    crops, _ = mixed(clips, 2, replace(AS_THEY_ARE, max_gain_db=6.0), epochs=(0, 24))
    gains_db = []
    for crop in crops:
        found, rest = shares_of(crop, np.array([500.0, 3_000.0]))
        if rest < 1e-5:
            gains_db.append(20 * np.log10(np.hypot(*found / 0.5)))  # equation 4 leaves p and 1 - p a root of 1
    assert len(gains_db) > 96
    # 0.01 dB for the tones' 16 bits. Of 96 even draws the outermost lie a tenth of the way in once in 20,000.
    assert -6.01 < min(gains_db) < -4.8 and 4.8 < max(gains_db) < 6.01


def test_stretches_stay_within_their_bounds_and_reach_them():
    clips = clips_of([tone(400), np.zeros(CROP)], [0, 1])
    crops, _ = mixed(clips, 2, replace(AS_THEY_ARE, max_stretch=1.25), epochs=(0, 96))
    # Mixed with silence a tone is all that is heard, however quiet. Not judged: crops that hold little of it.
    crops = np.stack([crop / np.abs(crop).max() for crop in crops if crop.any()])
    crops = crops[np.mean(crops**2, axis=1) > 0.3]
    found_hz = np.argmax(np.abs(np.fft.rfft(crops * np.hanning(CROP), 16 * CROP)), axis=1) * RATE_HZ / (16 * CROP)
    assert len(found_hz) > 96
    # 1 % for a tone that is cut. Of so many draws, even in the logarithm, some are near either end.
    assert 400 / 1.25 * 0.99 < found_hz.min() < 400 / 1.2 and 400 * 1.2 < found_hz.max() < 400 * 1.25 * 1.01
    assert 0.4 < np.mean(found_hz > 400) < 0.6  # as often up as down: 0.1 is two standard deviations of 96, or more


# Without mixing, and with less silence around


def test_unmixed_each_crop_is_of_one_clip_with_its_own_label():
    levels = [0.1, 0.2, 0.3, 0.4]
    clips = clips_of([np.full(3 * CROP, level) for level in levels], [0, 0, 1, 1])
    crops, labels = mixed(clips, 2, replace(AS_THEY_ARE, mix="none", padding=0.0), batch_size=4)
    np.testing.assert_allclose(sorted(crops.mean(axis=1)), levels, atol=1e-4)  # 16 bits
    assert (crops.std(axis=1) < 1e-4).all()
    np.testing.assert_array_equal(labels.argmax(axis=1), (crops.mean(axis=1) > 0.25).astype(int))
    np.testing.assert_array_equal(labels.sum(axis=1), 1)


@pytest.mark.parametrize("padding", [0.0, 0.1, 0.25])
def test_a_clip_of_a_crops_length_is_moved_by_the_padding_at_most(padding):
    impulse = np.zeros(CROP)
    impulse[CROP // 2] = 0.5
    clips = clips_of([impulse, impulse], [0, 1])
    crops, _ = mixed(clips, 2, replace(AS_THEY_ARE, mix="none", padding=padding), epochs=(0, 60))
    moved = np.abs(crops).argmax(axis=1) - CROP // 2
    furthest = np.array([-moved.min(), moved.max()])
    # Of 480 even draws the outermost lies a twentieth of the way in once in 10^10.
    assert (0.9 * padding * CROP <= furthest).all() and (furthest <= padding * CROP).all()


def test_without_padding_one_crop_judges_all_of_a_clip_that_is_as_long():
    clip = np.random.default_rng(0).uniform(-1, 1, 1_000).astype(np.float32)
    np.testing.assert_array_equal(corpus.judging_crops(clip, 1_000, 1, padding=0.0), clip[None])
    np.testing.assert_array_equal(corpus.judging_crops(clip, 1_000, 1, padding=0.1), clip[None])
    first, last = corpus.judging_crops(clip, 1_000, 2, padding=0.1)
    np.testing.assert_array_equal(first[100:], clip[:900])
    np.testing.assert_array_equal(last[:900], clip[100:])


def test_a_mix_or_a_padding_that_is_none_is_refused():
    for wrong in ({"mix": "some"}, {"padding": 0.6}, {"padding": -0.1}):
        with pytest.raises(ValueError, match="mix is between_class or none, padding is 0 to 0.5"):
            pipeline.Waveforms(**wrong)


# Order and chance


def test_each_clip_comes_once_first_in_an_epoch():
    """One clip against nineteen: it is in every example, and first once, so each other one is the first once."""
    frequencies_hz = 300.0 + 250 * np.arange(20)
    clips = clips_of([tone(f) for f in frequencies_hz], [0] + [1] * 19)
    orders = []
    for epoch in range(3):
        crops, labels = mixed(clips, 2, batch_size=4, epochs=(epoch, epoch + 1))
        assert len(crops) == 20
        heard = np.array([shares_of(crop, frequencies_hz)[0][1:] for crop in crops])
        others = np.argmax(heard, axis=1)
        counts = np.sort(np.bincount(others, minlength=19))
        assert counts.tolist() == [1] * 18 + [2]  # and once any of them goes with the one
        orders.append(others.tolist())
    assert orders[0] != orders[1] != orders[2]


def test_an_epoch_is_filled_up_where_the_batch_does_not_divide_it(noises):
    assert pipeline.steps_per_epoch(noises, 5) == 3
    assert len(mixed(noises, 6, batch_size=5)[0]) == 15
    assert pipeline.steps_per_epoch(noises, 12) == 1 and pipeline.steps_per_epoch(noises, 64) == 1
    assert len(mixed(noises, 6, batch_size=64)[0]) == 64


def test_the_same_seed_gives_the_same_batches_and_another_seed_others(noises):
    augmented = pipeline.Waveforms()
    first, again, other = (mixed(noises, 6, augmented, seed=seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not (first[1] == other[1]).all(axis=1).any()


def test_epochs_after_a_restart_are_those_of_a_run_that_never_stopped(noises):
    augmented = pipeline.Waveforms()
    whole, rest = (mixed(noises, 6, augmented, batch_size=5, epochs=epochs) for epochs in ((0, 5), (3, 5)))
    np.testing.assert_array_equal(whole[0][3 * 15 :], rest[0])
    np.testing.assert_array_equal(whole[1][3 * 15 :], rest[1])
    assert not (whole[1][:15] == whole[1][15:30]).all(axis=1).any()  # and no epoch is another one


@pytest.mark.parametrize("silent", ["one class", "both classes"])
def test_silence_mixes_without_nan(silent):
    clips = clips_of([np.zeros(CROP), tone(500) * (silent == "one class")], [0, 1])
    crops, labels = mixed(clips, 2, pipeline.Waveforms(), epochs=(0, 20))
    assert np.isfinite(crops).all() and np.isfinite(labels).all()
    assert crops.any() == (silent == "one class")


def test_a_single_class_cannot_be_mixed(noises):
    with pytest.raises(ZooError, match="needs clips of two classes"):
        mixed(noises.where(noises.targets == 2), 6)


def envnet_crop(clip, stretch, position, num_samples):
    """EnvNet-v2's random_scale, padding and random_crop with the draws given. Source: its utils.py."""
    at = np.arange(int(len(clip) * stretch)) / stretch
    scaled = np.interp(at, np.arange(len(clip) + 1), np.append(clip, 0))  # its end fades to the silence behind it
    padded = np.pad(scaled, num_samples // 2)
    start = int(position * (len(scaled) + 1))
    return padded[start : start + num_samples]


@pytest.mark.parametrize("length", [100, 999, 1_000, 20_011])
@pytest.mark.parametrize("stretch", [0.8, 1.0, 1.25])
@pytest.mark.parametrize("position", [0.0, 0.37, 0.999])
def test_a_stretched_crop_is_envnets(length, stretch, position):
    stretch, position = np.float32(stretch), np.float32(position)  # as they are drawn
    clips = clips_of([np.random.default_rng(seed).uniform(-1, 1, length) for seed in range(3)], [0, 1, 2])
    crop = pipeline._stretched_crop(
        clips.samples, clips.starts[1], clips.ends[1], 1_000, 500, stretch, position
    ).numpy()
    wanted = envnet_crop(clips.waveform(1).astype(np.float64), float(stretch), float(position), 1_000)
    # The fade of the last sample of a stretched clip ends where EnvNet-v2 cuts it off: one sample at most.
    differing = np.flatnonzero(np.abs(crop - wanted) > 1e-6)  # weights in float32
    assert len(differing) <= (0 if stretch == 1 else 2)


# Several labels a clip, and classes drawn alike


def levels_of(targets, length=3 * CROP):
    """Clips that are told apart by their level: clip i is (i + 1) hundredths all the way."""
    return clips_of([np.full(length, (i + 1) / 100) for i in range(len(targets))], targets)


UNMIXED = replace(AS_THEY_ARE, mix="none", padding=0.0)
SEVERAL = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0]], np.uint8)


def test_labels_of_several_classes_are_mixed_as_their_sounds_are():
    _, labels = mixed(levels_of(SEVERAL[:2]), 4, epochs=(0, 10))
    # The two clips share the second class, which is there whatever the ratio; none has the fourth.
    np.testing.assert_allclose(labels[:, 1], 1, atol=1e-6)
    np.testing.assert_allclose(labels[:, 0] + labels[:, 2], 1, atol=1e-6)
    assert not labels[:, 3].any() and labels[:, 0].min() < 0.1 and labels[:, 0].max() > 0.9
    crops, labels = mixed(levels_of(SEVERAL), 4, UNMIXED, batch_size=5)
    chosen = np.round(100 * crops.mean(axis=1)).astype(int) - 1
    assert sorted(chosen) == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(labels, SEVERAL[chosen])


@pytest.mark.parametrize("sampling", ["all", "balanced"])
@pytest.mark.parametrize("several", [True, False])
def test_a_clip_is_mixed_with_another_one_that_differs(several, sampling):
    own = np.eye(5, dtype=np.uint8)
    clips = levels_of(np.append(own, np.ones((5, 1), np.uint8), axis=1) if several else [0, 0, 0, 1, 2])
    _, labels = mixed(clips, 6, replace(AS_THEY_ARE, sampling=sampling), epochs=(0, 40))
    if several:
        np.testing.assert_allclose(labels[:, 5], 1, atol=1e-6)  # that all of them have
        labels = labels[:, :5]
    assert (np.count_nonzero(labels, axis=1) == 2).all() and labels.any(axis=0).sum() == (5 if several else 3)


@pytest.mark.parametrize("targets", [SEVERAL, np.array([0] * 6 + [1] * 2 + [3])], ids=["several", "one"])
def test_balanced_sampling_draws_a_class_and_then_a_clip_of_it(targets):
    clips, num_epochs = levels_of(targets), 250
    crops, _ = mixed(clips, 4, replace(UNMIXED, sampling="balanced"), epochs=(0, num_epochs), num_samples=2_048)
    draws = num_epochs * 8 * pipeline.steps_per_epoch(clips, 8)  # an epoch is as long as ever
    assert len(crops) == draws
    found = np.bincount(np.round(100 * crops.mean(axis=1)).astype(int) - 1, minlength=len(clips)) / draws
    has = targets if targets.ndim == 2 else np.eye(4)[targets]
    classes = has[:, has.any(axis=0)]
    wanted = (classes / classes.sum(axis=0)).mean(axis=1)
    # Four standard deviations of a share among so many draws.
    np.testing.assert_array_less(np.abs(found - wanted), 4 * np.sqrt(wanted * (1 - wanted) / draws))


def test_balanced_epochs_after_a_restart_are_those_of_a_run_that_never_stopped():
    clips, balanced = levels_of(SEVERAL), pipeline.Waveforms(sampling="balanced")
    whole, rest = (mixed(clips, 4, balanced, batch_size=4, epochs=epochs) for epochs in ((0, 5), (3, 5)))
    np.testing.assert_array_equal(whole[0][3 * 8 :], rest[0])
    np.testing.assert_array_equal(whole[1][3 * 8 :], rest[1])
    assert not (whole[0][:8] == whole[0][8:16]).all()


def test_a_sampling_that_is_none_and_a_single_clip_to_mix_are_refused():
    with pytest.raises(ValueError, match="sampling is all or balanced"):
        pipeline.Waveforms(sampling="some")
    with pytest.raises(ZooError, match="needs two clips"):
        mixed(levels_of(SEVERAL[:1]), 4)


def test_more_sound_than_memory_holds_is_mixed_and_judged_where_it_lies(tmp_path):
    """A file of a terabyte, most of it a hole: whoever copied it would find no memory."""
    count, path = 5 * 10**11, tmp_path / "samples.int16"
    with open(path, "wb") as file:
        file.truncate(2 * count)
    samples = np.memmap(path, np.int16, "r+")
    samples[-CROP:] = 3_277
    starts = np.array([0, 10**11, count - CROP])
    names = np.array(["first", "middle", "last"])
    clips = corpus.Clips(samples, starts, starts + CROP, np.arange(3), np.ones(3, int), names, names, RATE_HZ)
    crops, labels = mixed(clips, 3, UNMIXED, batch_size=3)
    np.testing.assert_allclose(crops.mean(axis=1), 0.1 * (labels.argmax(axis=1) == 2), atol=1e-5)
    last = clips.where(clips.files == "last")
    assert np.shares_memory(last.samples, samples)
    (judged,) = corpus.JudgingCrops(last, CROP, 1, padding=0.0)
    np.testing.assert_allclose(judged, 0.1, atol=1e-5)
    np.testing.assert_allclose(corpus.unmixed_crops(last, CROP, 2, 0, padding=0.0)[0], 0.1, atol=1e-5)


# Real clips


def test_real_clips_mix_into_sound(esc10_clips):
    crops, labels = mixed(esc10_clips, 10, pipeline.Waveforms(), num_samples=30_225, batch_size=25)
    assert np.isfinite(crops).all() and (np.count_nonzero(labels, axis=1) == 2).all()
    assert (crops.std(axis=1) > 0).mean() > 0.9  # two of half a crop's silence would be silence: seldom


def test_throughput_of_the_pipeline_beside_that_of_training(capsys):
    """Prints crops/s: the pipeline must not be what training waits for. No time is asserted, machines differ."""
    rng = np.random.default_rng(0)
    clips = clips_of([rng.uniform(-0.5, 0.5, 5 * 20_000) for _ in range(20)], [0] * 10 + [1] * 10, 20_000)
    batches = iter(pipeline.mixed_crops(clips, 30_225, 2, pipeline.Waveforms(), 0, 16, 0, 20))
    first = next(batches)  # traced and warm
    started = time.perf_counter()
    made = sum(len(crops) for crops, _ in batches)
    pipeline_crops_per_s = made / (time.perf_counter() - started)

    build = partial(acdnet.build, widths=acdnet.MICRO_WIDTHS)
    model = assembly.join(frontends.Raw(20_000, 30_225).build(), build((30_225, 1, 1), 2, 20_000))
    model.compile(keras.optimizers.SGD(0.01), "kl_divergence")
    model.train_on_batch(*first)
    started = time.perf_counter()
    model.train_on_batch(*first)
    training_crops_per_s = len(first[0]) / (time.perf_counter() - started)
    assert pipeline_crops_per_s > 0 and training_crops_per_s > 0
    with capsys.disabled():
        print(
            f"\npipeline {pipeline_crops_per_s:.0f} crops/s, Micro-ACDNet's training {training_crops_per_s:.0f} crops/s"
            f" (ratio {pipeline_crops_per_s / training_crops_per_s:.1f})"
        )
