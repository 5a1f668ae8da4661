"""Clips as soundfile and soxr have them, and the crops that judge a model."""

import numpy as np
import pytest
import soundfile
import soxr

from tests.clips import clips_of
from zoo import corpus

# The crops that judge


@pytest.mark.parametrize("length", [1, 50, 999, 1_000, 1_001, 5_003])
@pytest.mark.parametrize("num_samples", [1_000, 1_001])
def test_judging_crops_begin_and_end_with_the_clip(length, num_samples):
    clip = np.arange(1, length + 1, dtype=np.float32)  # each sample is unlike the others, and none is silence
    crops = corpus.judging_crops(clip, num_samples, 10)
    assert crops.shape == (10, num_samples) and crops.dtype == np.float32
    assert 1 in crops[0] and length in crops[-1]
    assert not crops[0][: num_samples // 2].any()  # half a crop of silence before
    assert not crops[-1][num_samples - num_samples // 2 :].any()  # and behind
    gap = (length + 2 * (num_samples // 2) - num_samples) / 9
    if gap <= num_samples:
        assert set(clip) <= set(crops.ravel())


def test_judging_crops_lie_at_even_steps():
    crops = corpus.judging_crops(np.arange(1, 10_001, dtype=np.float32), 1_000, 11)
    middles = crops[1:-1, 500]
    np.testing.assert_array_equal(np.diff(middles), 1_000)  # 10,000 samples in ten steps


def test_a_single_judging_crop_hears_the_clip():
    crop = corpus.judging_crops(np.ones(5_000, np.float32), 1_000, 1)
    assert crop.shape == (1, 1_000) and crop.all()


def test_judging_crops_of_clips_are_cut_as_they_are_asked_for(noises):
    crops = corpus.JudgingCrops(noises, 1_000, 3, 0.1)
    assert len(crops) == 12
    for i, found in enumerate(crops):
        np.testing.assert_array_equal(found, corpus.judging_crops(noises.waveform(i), 1_000, 3, 0.1))
    with pytest.raises(IndexError):
        crops[12]


def test_unmixed_crops_repeat_with_their_seed_and_are_pieces_of_clips(noises):
    crops, targets = corpus.unmixed_crops(noises, 1_001, 30, seed=3)
    assert crops.shape == (30, 1_001) and crops.dtype == np.float32
    np.testing.assert_array_equal(crops, corpus.unmixed_crops(noises, 1_001, 30, seed=3)[0])
    assert (crops != corpus.unmixed_crops(noises, 1_001, 30, seed=4)[0]).any()
    for crop, target in zip(crops, targets, strict=True):
        whole = np.round(crop[np.flatnonzero(crop)] * 32_768).astype(np.int16).tobytes()
        of_target = [
            noises.samples[noises.starts[i] : noises.ends[i]] for i in np.flatnonzero(noises.targets == target)
        ]
        assert any(whole in clip.tobytes() for clip in of_target)


def test_unmixed_crops_take_each_clip_before_one_twice():
    clips = clips_of([np.full(5_000, (i + 1) / 100) for i in range(20)], range(20))
    crops, targets = corpus.unmixed_crops(clips, 1_000, 20, seed=0)
    assert len(set(crops.max(axis=1))) == 20 and sorted(targets) == list(range(20))


# Clips


def test_clips_are_chosen_with_all_that_belongs_to_them(noises):
    keep = np.isin(noises.folds, [2, 3])
    chosen = noises.where(keep)
    assert len(chosen) == keep.sum() and chosen.sample_rate_hz == noises.sample_rate_hz
    for new, old in enumerate(np.flatnonzero(keep)):
        np.testing.assert_array_equal(chosen.waveform(new), noises.waveform(old))
        for column in ("targets", "folds", "files", "sources"):
            assert getattr(chosen, column)[new] == getattr(noises, column)[old]
    assert len(noises.where(np.zeros(12, bool))) == 0


def test_a_waveform_is_its_sixteen_bits_over_32768():
    clips = clips_of([[-1.0, 0.0, 32_767 / 32_768, 1 / 32_768]], [0])
    np.testing.assert_array_equal(clips.waveform(0), [-1.0, 0.0, 32_767 / 32_768, 1 / 32_768])
    assert clips.waveform(0).dtype == np.float32


# Real clips


def test_real_clips_are_kept_with_their_rows(esc10_builder, esc10_clips):
    assert len(esc10_clips) == 50 and esc10_clips.samples.dtype == np.int16
    assert (np.diff(esc10_clips.targets) >= 0).all()  # sorted by class, which mixing counts on
    assert np.bincount(esc10_clips.targets).tolist() == [5] * 10
    assert np.bincount(esc10_clips.folds).tolist() == [0] + [10] * 5
    names = esc10_builder.class_names
    official = {"dog": 0, "rooster": 1, "rain": 10, "sea_waves": 11, "crackling_fire": 12, "crying_baby": 20,
                "sneezing": 21, "clock_tick": 38, "helicopter": 40, "chainsaw": 41}  # fmt: skip
    for target, fold, file, source in zip(
        esc10_clips.targets, esc10_clips.folds, esc10_clips.files, esc10_clips.sources, strict=True
    ):
        in_name = file.removesuffix(".ogg").split("-")  # fold, source, take, ESC-50's target
        assert [str(fold), source, str(official[names[target]])] == [in_name[0], in_name[1], in_name[3]]


def test_real_clips_are_those_of_soundfile_and_soxr(esc10_folder, esc10_clips, without_delay):
    for i in range(0, 50, 7):
        clip, from_hz = soundfile.read(esc10_folder / "audio" / esc10_clips.files[i])
        wanted = soxr.resample(clip, from_hz, 20_000, quality="VHQ")
        found = esc10_clips.waveform(i)
        assert abs(len(found) - len(wanted)) <= 2
        found, wanted = without_delay(found, np.clip(wanted, -1, 1), 8_500, 20_000)  # both keep this band as it is
        if wanted.std() > 1e-3:  # under 30 steps of 16 bits their rounding is heard
            assert np.corrcoef(found, wanted)[0, 1] > 0.999, esc10_clips.files[i]


def test_clips_are_decoded_once_and_then_read_from_the_cache(esc10_builder, tmp_path, monkeypatch):
    first = esc10_builder.as_dataset(split="fold1").take(3)
    monkeypatch.setattr(esc10_builder, "as_dataset", lambda **kwargs: first)
    decoded = corpus.clips_at(esc10_builder, 16_000, tmp_path)
    assert len(decoded) == 3 and decoded.sample_rate_hz == 16_000
    monkeypatch.setattr(esc10_builder, "as_dataset", None)  # whoever decodes again fails
    cached = corpus.clips_at(esc10_builder, 16_000, tmp_path)
    for column in ("samples", "starts", "ends", "targets", "folds", "files", "sources"):
        np.testing.assert_array_equal(getattr(cached, column), getattr(decoded, column))
        assert getattr(cached, column).dtype == getattr(decoded, column).dtype
    assert [path.name for path in tmp_path.iterdir()] == [
        f"esc10-{esc10_builder.builder_config.name}-16000hz"
    ]  # and nothing half-written
