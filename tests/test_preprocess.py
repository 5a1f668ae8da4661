"""Dead space and zero crossings, against sounds whose gaps are known, librosa, and what the pipeline keeps."""

import librosa
import numpy as np
import pytest
import soundfile

from zoo import preprocess

RATE_HZ = 20_000
HALF = round(preprocess.ENVELOPE_S * RATE_HZ) // 2  # samples that a click keeps on either side


@pytest.fixture
def bursts():
    """Noise at 0.5 from 0.2 to 0.5 s and from 0.9 to 1.1 s, over noise that lies `quieter_db` below it."""

    def make(quieter_db):
        rng = np.random.default_rng(0)
        level = np.full(round(1.5 * RATE_HZ), 10 ** (-quieter_db / 20))
        for start_s, end_s in ((0.2, 0.5), (0.9, 1.1)):
            level[round(start_s * RATE_HZ) : round(end_s * RATE_HZ)] = 1
        return (0.5 * level * rng.choice([-1, 1], len(level))).astype(np.float32)  # each sample at its full level

    return make


def stretches(is_alive):
    """[(first, end)] of what is True, in samples."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], is_alive, [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def test_what_lies_20_db_under_the_maximum_is_dead_in_the_middle_as_at_the_ends(bursts):
    found = stretches(preprocess.is_alive(bursts(21), RATE_HZ))
    wanted = [(4_000, 10_000), (18_000, 22_000)]
    assert len(found) == 2
    for (start, end), (burst_start, burst_end) in zip(found, wanted):
        assert burst_start - start in (HALF, HALF - 1) and end - burst_end in (HALF, HALF - 1)  # an even window
    assert preprocess.is_alive(bursts(19), RATE_HZ).all()
    assert stretches(preprocess.is_alive(bursts(19), RATE_HZ, limit_db=18)) == found


def test_a_click_keeps_its_surroundings_and_silence_keeps_nothing():
    click = np.zeros(RATE_HZ, np.float32)
    click[5_000] = -0.7
    assert stretches(preprocess.is_alive(click, RATE_HZ)) == [(5_000 - HALF + 1, 5_000 + HALF + 1)]
    assert not preprocess.is_alive(np.zeros(100, np.float32), RATE_HZ).any()
    assert len(preprocess.is_alive(np.zeros(0, np.float32), RATE_HZ)) == 0


def test_a_level_changes_nothing(bursts):
    np.testing.assert_array_equal(
        preprocess.is_alive(bursts(30), RATE_HZ), preprocess.is_alive(bursts(30) / 64, RATE_HZ)
    )


def test_zero_crossings_are_librosas(real_recordings):
    for path in sorted((real_recordings / "esc10" / "audio").glob("*.ogg"))[::80]:
        waveform, _ = soundfile.read(path, dtype="float32")
        crossings = librosa.zero_crossings(waveform, threshold=0, pad=False)  # its first entry has no sample before it
        assert preprocess.zero_crossing_rate(waveform) == pytest.approx(crossings[1:].mean(), abs=1e-12), path.name


def test_a_tone_crosses_zero_twice_a_period():
    tone = np.sin(2 * np.pi * 1_000 * np.arange(RATE_HZ) / RATE_HZ + 0.1)
    assert preprocess.zero_crossing_rate(tone) == pytest.approx(2 * 1_000 / RATE_HZ, abs=1 / RATE_HZ)
    assert preprocess.zero_crossing_rate(np.zeros(5)) == preprocess.zero_crossing_rate(np.ones(1)) == 0


def test_trimmed_clips_are_the_untrimmed_ones_without_dead_space(esc10_builder, esc10_clips, tmp_path):
    from zoo import corpus

    trimmed = corpus.clips_at(esc10_builder, 20_000, tmp_path, trim_db=20)
    assert trimmed.files.tolist() == esc10_clips.files.tolist()
    shares = []
    for i in range(len(trimmed)):
        whole = esc10_clips.waveform(i)
        wanted = whole[preprocess.is_alive(whole, 20_000, 20)]
        np.testing.assert_array_equal(trimmed.waveform(i), wanted)
        shares.append(len(wanted) / len(whole))
    assert min(shares) < 0.3 and max(shares) == 1  # a bark, and rain
    again = corpus.clips_at(esc10_builder, 20_000, tmp_path)  # from the same cache
    assert len(again.waveform(0)) == len(esc10_clips.waveform(0)) and min(shares) < 1


def test_a_clip_of_which_nothing_is_left_is_named(tmp_path):
    from zoo import corpus, datasets
    from zoo.errors import ZooError

    rng = np.random.default_rng(0)
    for label in ("dog", "horn"):
        (tmp_path / "sounds" / label).mkdir(parents=True)
        for name in ("kitchen", "street"):
            samples = rng.normal(0, 0.1, 8_000) * (f"{label}-{name}" != "horn-street")
            soundfile.write(tmp_path / "sounds" / label / f"{name}.wav", samples, 8_000)
    builder = datasets.load("folder", tmp_path / "cache", tmp_path / "sounds")
    with pytest.raises(ZooError, match="folder: horn/street.wav is silent, and nothing is left of it") as error:
        corpus.clips_at(builder, 8_000, tmp_path / "cache", trim_db=20)
    assert "\n" not in str(error.value)
    assert len(corpus.clips_at(builder, 8_000, tmp_path / "cache")) == 4  # untrimmed, silence is a sound


def test_the_flag_sets_the_recipes_value_and_takes_decibels_alone(capsys, monkeypatch, tmp_path):
    from recipes import micro_acdnet, run

    asked = []

    def clips_at(builder, sample_rate_hz, cache, trim_db):
        asked.append(trim_db)
        raise KeyboardInterrupt

    monkeypatch.setattr(run.datasets, "load", lambda *_: None)
    monkeypatch.setattr(run.corpus, "clips_at", clips_at)
    command = ["--dataset", "synth10", "--out", str(tmp_path)]
    for flags, trim_db in (([], None), (["--trim-db", "20"], 20.0)):
        with pytest.raises(SystemExit):
            run.main(micro_acdnet.RECIPE, [*command, *flags])
        assert asked.pop() == trim_db
    capsys.readouterr()
    for wrong in ("0", "-20", "nan", "loud"):
        with pytest.raises(SystemExit):
            run.main(micro_acdnet.RECIPE, [*command, f"--trim-db={wrong}"])
        assert f"{wrong!r} is no number of decibels above 0" in capsys.readouterr().err
