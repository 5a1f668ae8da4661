"""Decoding against soundfile, resampling against soxr, levels against IEC 61672, librosa and a loop in numpy."""

from zoo.backend import tf

import librosa
import numpy as np
import pytest
import soundfile
import soxr

from zoo import audio
from zoo.errors import ZooError

# Rates and channels: those of the data sets, odd ones, and what TensorFlow's vectors do not divide.
RECORDED = ((44_100, 1), (48_000, 2), (11_025, 1), (12_345, 2), (8_000, 3))


def write(path, samples, rate_hz, encoding):
    container, subtype = encoding.split("/")
    soundfile.write(path, samples, rate_hz, format=container, subtype=subtype)


def sound(rate_hz, channels, seconds=0.5, seed=0):
    """Noise over a tone, (time, channels), an odd number of samples, the channels unlike each other."""
    rng, time_s = np.random.default_rng(seed), np.arange(int(rate_hz * seconds) | 1) / rate_hz
    tone = 0.4 * np.sin(2 * np.pi * 440 * time_s)[:, None] * np.linspace(1, -0.5, channels)
    return tone + rng.uniform(-0.3, 0.3, (len(time_s), channels))


@pytest.fixture(scope="module")
def decoded():
    """A function of a path to its waveform, which runs in a graph as the pipeline does."""
    decode = tf.function(audio.decode)

    def run(path):
        recording = audio.read(path)
        return decode(tf.constant(recording.encoded), tf.constant(recording.encoding)).numpy()

    return run


def by_soundfile(path):
    return soundfile.read(path, dtype="float64", always_2d=True)[0].mean(axis=1)


# Vorbis leaves its decoder open: two float32 decoders may round otherwise. The others have one right answer; the mean
# of channels in float32 is off by a rounding or two of 6e-8.
def tolerance(encoding, channels=1):
    if encoding in ("WAV/PCM_32", "WAV/DOUBLE"):
        return 1.2e-7  # more bits than float32 has
    return 3e-7 if encoding == "OGG/VORBIS" else 0 if channels == 1 else 1.2e-7


WRITTEN = (
    *("WAV/PCM_U8", "WAV/PCM_16", "WAV/PCM_24", "WAV/PCM_32", "WAV/FLOAT", "WAV/DOUBLE", "WAV/ULAW"),
    *("FLAC/PCM_S8", "FLAC/PCM_16", "FLAC/PCM_24", "OGG/VORBIS", "AIFF/PCM_16"),
)


@pytest.mark.parametrize("encoding", WRITTEN)
@pytest.mark.parametrize("rate_hz, channels", RECORDED)
def test_decoding_equals_soundfiles(tmp_path, decoded, encoding, rate_hz, channels):
    write(tmp_path / "clip", sound(rate_hz, channels), rate_hz, encoding)
    recording = audio.read(tmp_path / "clip")
    assert recording.sample_rate_hz == rate_hz and recording.encoding in audio.ENCODINGS
    waveform = decoded(tmp_path / "clip")
    assert waveform.dtype == np.float32 and np.abs(waveform).max() <= 1
    np.testing.assert_allclose(waveform, by_soundfile(tmp_path / "clip"), rtol=0, atol=tolerance(encoding, channels))


@pytest.mark.parametrize("encoding", ["OGG/OPUS", "MP3/MPEG_LAYER_III"])
def test_what_tensorflow_io_does_not_decode_is_decoded_before(tmp_path, decoded, encoding):
    write(tmp_path / "clip", sound(48_000, 1), 48_000, encoding)
    kept = soundfile.read(tmp_path / "clip", dtype="float32")[0]
    np.testing.assert_array_equal(decoded(tmp_path / "clip"), kept)


@pytest.mark.parametrize("encoding", ["WAV/PCM_U8", "WAV/PCM_16", "WAV/PCM_24", "FLAC/PCM_16", "FLAC/PCM_24"])
def test_the_ends_of_the_scale_are_decoded_exactly(tmp_path, decoded, encoding):
    ends = np.tile([-1.0, 1.0, 0.0, -0.5, 0.5], 41)  # 1.0 is written as the highest integer
    write(tmp_path / "clip", ends, 8_000, encoding)
    np.testing.assert_array_equal(decoded(tmp_path / "clip"), by_soundfile(tmp_path / "clip"))
    assert decoded(tmp_path / "clip")[0] == -1 and decoded(tmp_path / "clip")[2] == 0


def test_a_wav_with_extensible_header_and_one_with_a_title_are_read(tmp_path, decoded):
    samples = sound(22_050, 2)
    soundfile.write(tmp_path / "extensible.wav", samples, 22_050, format="WAVEX", subtype="PCM_16")
    with soundfile.SoundFile(tmp_path / "titled.wav", "w", 22_050, 2, "PCM_16") as file:
        file.title = "a chunk that is neither fmt nor data"
        file.write(samples)
    for name in ("extensible.wav", "titled.wav"):
        waveform = decoded(tmp_path / name)
        np.testing.assert_allclose(waveform, by_soundfile(tmp_path / name), rtol=0, atol=tolerance("WAV/PCM_16", 2))


@pytest.mark.parametrize("pattern", ["esc10/audio/*.ogg", "esc50_part/audio/*.ogg", "speech_commands/yes/*.flac",
                                     "urbansound8k_part/audio/fold1/*.flac"])  # fmt: skip
def test_real_recordings_are_decoded_as_soundfile_does(real_recordings, decoded, pattern):
    paths = sorted(real_recordings.glob(pattern))
    assert paths
    for path in paths[:: len(paths) // 6]:
        np.testing.assert_allclose(decoded(path), by_soundfile(path), rtol=0, atol=tolerance(audio.read(path).encoding))


def test_a_chunk_of_odd_length_before_the_sound_is_skipped(tmp_path, decoded):
    write(tmp_path / "plain.wav", sound(8_000, 1), 8_000, "WAV/PCM_16")
    plain = (tmp_path / "plain.wav").read_bytes()
    (tmp_path / "clip.wav").write_bytes(plain[:36] + b"LIST\5\0\0\0title\0" + plain[36:])  # RIFF pads to even
    np.testing.assert_array_equal(decoded(tmp_path / "clip.wav"), by_soundfile(tmp_path / "plain.wav"))


def test_a_wav_that_was_written_to_a_pipe_is_read(tmp_path, decoded):
    """Whoever writes to a pipe cannot know the length, and writes the greatest (as ffmpeg does)."""
    write(tmp_path / "plain.wav", sound(8_000, 1), 8_000, "WAV/PCM_16")
    plain = (tmp_path / "plain.wav").read_bytes()
    (tmp_path / "clip.wav").write_bytes(plain[:4] + b"\xff" * 4 + plain[8:40] + b"\xff" * 4 + plain[44:])
    np.testing.assert_array_equal(decoded(tmp_path / "clip.wav"), by_soundfile(tmp_path / "plain.wav"))


# What cannot be used is named


def assert_refused(path, reason):
    with pytest.raises(ZooError, match=reason) as error:
        audio.read(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"RIFF, he said, and left", b"", b"RIFF\x30\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0"])
def test_a_file_that_is_no_sound_is_named(tmp_path, content):
    (tmp_path / "clip.wav").write_bytes(content)  # the last one is the beginning of a sound
    assert_refused(tmp_path / "clip.wav", "does not decode")


def test_a_file_that_is_not_there_is_named(tmp_path):
    assert_refused(tmp_path / "clip.wav", "does not decode")


@pytest.mark.parametrize("encoding", ["WAV/PCM_16", "WAV/FLOAT"])
def test_a_file_without_samples_is_named(tmp_path, encoding):
    write(tmp_path / "clip", np.zeros(0), 8_000, encoding)
    assert_refused(tmp_path / "clip", "has no samples")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_file_with_samples_that_are_no_number_is_named(tmp_path, value):
    samples = sound(8_000, 2)
    samples[1_234, 1] = value
    write(tmp_path / "clip", samples, 8_000, "WAV/FLOAT")
    assert_refused(tmp_path / "clip", "not finite")


# Resampling


def resampled(samples, from_hz, to_hz):
    """In a graph, with a rate that only the graph's run knows, as in the pipeline."""
    run = tf.function(lambda x, from_hz: audio.resample(x, from_hz, to_hz))
    return run(tf.constant(samples, tf.float32), tf.constant(from_hz, tf.int64)).numpy()


RATES = ((44_100, 20_000), (22_050, 20_000), (48_000, 16_000), (44_100, 16_000), (8_000, 20_000), (12_345, 16_000))


@pytest.mark.parametrize("from_hz, to_hz", RATES)
def test_resampling_equals_soxrs_within_the_pass_band(from_hz, to_hz, without_delay):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 2 * from_hz)
    found, wanted = resampled(noise, from_hz, to_hz), soxr.resample(noise, from_hz, to_hz, quality="VHQ")
    assert abs(len(found) - len(noise) * to_hz / from_hz) <= 2
    found, wanted = without_delay(found, wanted, 0.85 * min(from_hz, to_hz) / 2, to_hz)
    # What is left after the delay: ripple and rounding, 60 dB under white noise (0.01 dB of gain would be 59 dB under).
    assert np.linalg.norm(found - wanted) < 1e-3 * np.linalg.norm(wanted)


@pytest.mark.parametrize("from_hz, to_hz", [(44_100, 20_000), (22_050, 20_000), (48_000, 16_000), (44_100, 16_000)])
def test_what_lies_above_the_new_nyquist_is_gone(from_hz, to_hz):
    for frequency_hz in np.linspace(1.01 * to_hz / 2, 0.99 * from_hz / 2, 5):
        tone = np.sin(2 * np.pi * frequency_hz * np.arange(from_hz) / from_hz)
        alias = resampled(tone, from_hz, to_hz)[500:-500]  # where a tone starts and ends it is no tone
        assert np.sqrt(2 * np.mean(alias**2)) < 1e-4  # -80 dB: a step of 16 bits is at -90


def test_real_clips_are_resampled_as_soxr_does(real_recordings, without_delay):
    for path in sorted((real_recordings / "esc10" / "audio").glob("*.ogg"))[::80]:
        clip, from_hz = soundfile.read(path)
        found, wanted = resampled(clip, from_hz, 20_000), soxr.resample(clip, from_hz, 20_000, quality="VHQ")
        assert abs(len(found) - len(clip) * 20_000 / from_hz) <= 2
        found, wanted = without_delay(found, wanted, 8_500, 20_000)
        # -60 dB as for noise, plus float32's rounding where a clip is nearly silent.
        assert np.linalg.norm(found - wanted) < 1e-3 * np.linalg.norm(wanted) + 1e-6 * np.sqrt(len(wanted))


def test_the_same_rate_is_the_identity():
    noise = np.random.default_rng(0).uniform(-1, 1, 1_001).astype(np.float32)
    np.testing.assert_array_equal(resampled(noise, 20_000, 20_000), noise)


def test_silence_is_resampled_to_silence():
    assert not resampled(np.zeros(44_100), 44_100, 20_000).any()


@pytest.mark.parametrize("length", [1, 2, 3, 10])
def test_a_recording_is_named_or_leaves_a_sample_after_resampling(tmp_path, decoded, length):
    write(tmp_path / "clip", np.full(length, 0.5), 44_100, "WAV/PCM_16")
    try:
        waveform = decoded(tmp_path / "clip")
    except ZooError:
        return
    assert len(resampled(waveform, 44_100, 20_000)) >= 1


# Levels

A_CURVE_DB = {
    31.5: -39.4, 63: -26.2, 125: -16.1, 250: -8.6, 500: -3.2, 1_000: 0.0, 2_000: 1.2, 4_000: 1.0, 8_000: -1.1,
    16_000: -6.6,
}  # fmt: skip  # IEC 61672-1, table 3


def test_the_a_curve_is_the_standards():
    # The table has one decimal and is of exact base-ten frequencies (7,943 Hz is named 8,000): 0.1 and a little more.
    np.testing.assert_allclose(audio.a_weighting_db(list(A_CURVE_DB)), list(A_CURVE_DB.values()), atol=0.2)


def test_the_a_curve_is_librosas():
    frequency_hz = np.geomspace(10, 22_050, 200)
    # librosa has 12194.217, 20.598997 and so on where EnvNet-v2, as here, rounds: a hundredth of a dB at most.
    np.testing.assert_allclose(
        audio.a_weighting_db(frequency_hz), librosa.A_weighting(frequency_hz, min_db=None), atol=0.02
    )


def envnet_level_db(sound, rate_hz, window):
    """EnvNet-v2's loudest A-weighted level, window after window.

    Source: compute_gain in utils.py of github.com/mil-tokyo/bc_learning_sound, with librosa's A curve.
    """
    levels = []
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    frequency_hz = np.fft.rfftfreq(window, 1 / rate_hz)
    frequency_hz[0] = 1.0
    weights = 10 ** (librosa.A_weighting(frequency_hz, min_db=-80.0) / 10)
    for start in range(0, len(sound) - window + 1, window // 2):
        power = np.abs(np.fft.rfft(hann * sound[start : start + window].astype(np.float64))) ** 2
        levels.append(10 * np.log10(max(np.sum(weights * power), 1e-8)))
    return max(levels)


@pytest.mark.parametrize("rate_hz, window", [(20_000, 2_048), (44_100, 4_096)])
def test_levels_are_envnets(rate_hz, window):
    rng = np.random.default_rng(0)
    for gain in (1.0, 1e-2, 1e-4):
        noise = (gain * rng.uniform(-1, 1, 30_225) * np.linspace(0, 1, 30_225)).astype(np.float32)
        # Float32 against float64, and the roundings of the two A curves: 0.02 dB.
        assert abs(audio.level_db(noise, rate_hz).numpy() - envnet_level_db(noise, rate_hz, window)) < 0.02


def test_levels_of_real_clips_are_envnets(real_recordings):
    for path in sorted((real_recordings / "esc10" / "audio").glob("*.ogg"))[::40]:
        clip, rate_hz = soundfile.read(path, dtype="float32")
        # As above. Below 22 Hz EnvNet-v2 stops its curve at -80 dB, which no clip is loud enough at to show.
        assert abs(audio.level_db(clip, rate_hz).numpy() - envnet_level_db(clip, rate_hz, 4_096)) < 0.02, path.name


def test_twice_the_amplitude_is_six_decibels_more():
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 30_225).astype(np.float32)
    difference = audio.level_db(2 * noise, 20_000) - audio.level_db(noise, 20_000)
    assert abs(difference - 20 * np.log10(2)) < 1e-4  # doubling is exact; the logarithm's float32 of 60 dB is not


def test_silence_has_the_level_of_the_floor():
    assert audio.level_db(np.zeros(30_225, np.float32), 20_000) == audio.LEVEL_FLOOR_DB == -80


def test_a_loud_moment_sets_the_level_wherever_it_is():
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 2_048).astype(np.float32)
    levels = [
        audio.level_db(np.pad(noise, (start, 28_672 - start)), 20_000).numpy() for start in range(0, 28_673, 1_024)
    ]
    assert np.ptp(levels) < 1e-4  # the same window of the same samples, each time
