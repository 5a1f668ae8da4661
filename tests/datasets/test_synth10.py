"""synth10: its files keep ESC-50's layout, its sounds their physics, and mean spectra do not give its classes away."""

import collections
import csv

import librosa
import numpy as np
import pytest
import soundfile
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneGroupOut, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from zoo.datasets import synth10

FRAME_SAMPLES = 441  # 10 ms


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """15 clips of each class, of the whole 40: each is its seed's, class's and number's alone."""
    folder = tmp_path_factory.mktemp("synth10")
    synth10.write(folder, clips_per_class=15)
    return folder


@pytest.fixture(scope="module")
def rows(folder):
    with open(folder / "meta" / "synth10.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def recordings(folder, rows):
    return [soundfile.read(folder / "audio" / row["filename"], dtype="float32") for row in rows]


def num_samples(duration_s):
    return int(duration_s * synth10.SAMPLE_RATE_HZ)


def envelope(sound, frame_samples):
    frames = sound[: len(sound) // frame_samples * frame_samples].reshape(-1, frame_samples)
    return np.sqrt(np.mean(frames**2, axis=1))


def test_the_table_has_the_columns_of_esc50(folder):
    header = (folder / "meta" / "synth10.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header == "filename,fold,target,category,esc10,src_file,take"


def test_every_file_is_named_by_its_row_and_every_row_has_its_file(folder, rows):
    for row in rows:
        assert row["filename"] == f"{row['fold']}-{row['src_file']}-{row['take']}-{row['target']}.flac"
        assert row["category"] == synth10.LABELS[int(row["target"])]
        assert row["esc10"] == "False"
    assert sorted(path.name for path in (folder / "audio").iterdir()) == sorted(row["filename"] for row in rows)


def test_folds_are_balanced(rows):
    counts = collections.Counter((row["fold"], row["category"]) for row in rows)
    assert counts == {(fold, label): 3 for fold in "12345" for label in synth10.LABELS}


def test_clips_that_do_not_divide_into_five_folds_are_refused(tmp_path):
    with pytest.raises(ValueError, match="multiple of 5"):
        synth10.write(tmp_path, clips_per_class=7)


def test_files_are_16_bit_mono_at_44100_hz(folder, rows):
    for row in rows:
        info = soundfile.info(folder / "audio" / row["filename"])
        assert (info.subtype, info.channels, info.samplerate) == ("PCM_16", 1, 44_100)


def test_every_clip_lies_between_two_and_seven_seconds_in_range(recordings):
    for sound, sample_rate_hz in recordings:
        assert 2.0 <= len(sound) / sample_rate_hz <= 7.0
        # Below 1: nothing is clipped. Above 0.1: the quietest clip keeps 13 of its 16 bits (PEAK_DB starts at -18).
        assert 0.1 < np.max(np.abs(sound)) < 1.0


@pytest.mark.parametrize("target", range(10))
def test_a_clip_is_a_float32_waveform_of_its_seed_class_and_index_alone(target, folder):
    clip = synth10.synthesise(synth10.LABELS[target], np.random.default_rng(np.random.SeedSequence((2026, target, 7))))
    assert clip.dtype == np.float32 and clip.ndim == 1 and np.all(np.isfinite(clip)) and np.max(np.abs(clip)) <= 1.0
    written, _ = soundfile.read(folder / "audio" / f"3-{1_000 * (target + 1) + 7}-A-{target}.flac", dtype="int16")
    np.testing.assert_array_equal(np.round(clip * 32767).astype(np.int16), written)


def test_fewer_clips_are_the_first_ones_and_another_seed_gives_others(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(synth10, "LABELS", synth10.LABELS[:1])
    for seed in (2026, 1):
        synth10.write(tmp_path / str(seed), clips_per_class=5, seed=seed)
    for path in (tmp_path / "2026" / "audio").iterdir():
        few, first = (soundfile.read(at, dtype="int16")[0] for at in (path, folder / "audio" / path.name))
        np.testing.assert_array_equal(few, first)
    for path in (tmp_path / "1" / "audio").iterdir():
        other, first = (soundfile.read(at, dtype="int16")[0] for at in (path, folder / "audio" / path.name))
        assert len(other) != len(first) or np.any(other != first)


def test_a_linear_model_on_the_mean_log_mel_stays_under_80_percent(recordings, rows):
    features = []
    for sound, sample_rate_hz in recordings:
        sound = librosa.resample(sound, orig_sr=sample_rate_hz, target_sr=16_000, res_type="soxr_hq")
        mel = librosa.feature.melspectrogram(y=sound, sr=16_000, n_fft=512, hop_length=160, n_mels=64)
        features.append(np.mean(np.log(mel + 1e-10), axis=1))
    targets, folds = (np.array([int(row[name]) for row in rows]) for name in ("target", "fold"))
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    accuracies = cross_val_score(model, np.array(features), targets, groups=folds, cv=LeaveOneGroupOut())
    # Over 40 %: the spectra still are those of real sounds, not ten times the same noise.
    assert 0.4 < np.mean(accuracies) < 0.8, accuracies


@pytest.mark.parametrize("label", synth10.LABELS)
def test_every_excerpt_of_one_and_a_half_seconds_holds_the_sound(label):
    for seed in range(5):
        sound = synth10.SOUNDS[label](np.random.default_rng(seed), num_samples(8))[num_samples(synth10.LEAD_IN_S) :]
        levels = envelope(sound, FRAME_SAMPLES)
        loudest = np.lib.stride_tricks.sliding_window_view(levels, 150).max(axis=1)
        # 15 dB: heights of waves, gusts and crackles differ, but none is lost in the background.
        assert np.min(loudest) > 10 ** (-15 / 20) * np.quantile(levels, 0.95), f"seed {seed}"


def test_the_clock_keeps_its_period():
    sound = synth10.clock_tick(np.random.default_rng(3), num_samples(6), beats_per_s=(2.5, 2.5))
    ticks = envelope(sound, 44)  # 1 ms
    ticks -= np.mean(ticks)
    likeness = np.correlate(ticks, ticks, mode="full")[len(ticks) :]  # the first lag is 1 frame
    lags_s = np.arange(1, len(ticks)) * 44 / synth10.SAMPLE_RATE_HZ
    beat = (lags_s > 0.2) & (lags_s < 0.6)  # from half a beat to one and a half
    # A contact's ring lasts a few milliseconds, and tick differs from tock.
    assert lags_s[beat][np.argmax(likeness[beat])] == pytest.approx(0.4, abs=0.005)


@pytest.mark.parametrize("seed", range(6))  # bells and ringers
def test_the_telephone_comes_back_to_a_gong_on_every_second_strike(seed):
    sound = synth10.telephone(np.random.default_rng(seed), num_samples(8), strikes_per_s=(22, 22))
    spectrum = np.fft.rfft(sound)
    frequencies_hz = np.fft.rfftfreq(len(sound), 1 / synth10.SAMPLE_RATE_HZ)
    strongest_hz = frequencies_hz[np.argmax(np.abs(spectrum))]
    # One gong alone: the other is at least 84 Hz away.
    gong = np.fft.irfft(spectrum * (np.abs(frequencies_hz - strongest_hz) < 35), len(sound))
    swing = np.abs(np.fft.rfft(envelope(gong, FRAME_SAMPLES)))
    swing_hz = np.fft.rfftfreq(len(sound) // FRAME_SAMPLES, FRAME_SAMPLES / synth10.SAMPLE_RATE_HZ)
    above_cadence = swing_hz > 5
    # Cadences spread the line by about 1 Hz to either side.
    assert swing_hz[above_cadence][np.argmax(swing[above_cadence])] == pytest.approx(11, abs=1)


@pytest.mark.parametrize("seed", range(6))  # wails, yelps and two tones
def test_the_siren_sweeps_between_its_low_and_its_high_pitch(seed):
    sound = synth10.siren(np.random.default_rng(seed), num_samples(4), low_hz=(500, 500))
    spectra = np.abs(librosa.stft(sound, n_fft=4096, hop_length=1024, center=False))
    pitches_hz = librosa.fft_frequencies(sr=synth10.SAMPLE_RATE_HZ, n_fft=4096)[np.argmax(spectra, axis=0)]
    # A bin is 10.8 Hz wide, and a frame (93 ms) blurs a yelp's turning points: 4 cycles a second over an octave.
    assert np.min(pitches_hz) == pytest.approx(500, abs=50)
    assert 1.25 * 500 < np.max(pitches_hz) < 2.2 * 500 + 11


def test_the_engine_sounds_at_its_firing_rate():
    rng = np.random.default_rng(0)
    sound = synth10.engine(rng, num_samples(4), firings_per_s=(40, 40))
    firings = envelope(sound, 44) ** 2
    firings -= np.mean(firings)
    power = np.abs(np.fft.rfft(firings)) ** 2
    rate_hz = np.fft.rfftfreq(len(firings), 44 / synth10.SAMPLE_RATE_HZ)
    # The speed drifts by a quarter of an octave to either side: 33.6 to 47.6 firings a second.
    drift = (rate_hz > 33) & (rate_hz < 48)
    between = (rate_hz > 49) & (rate_hz < 64)
    assert np.sum(power[drift]) > 5 * np.sum(power[between])
