import io
import struct
import sys

import numpy as np
import pytest
import soundfile

from zoo.errors import ZooError
from zoo.runtime.recordings import BLOCK_SAMPLES, Recording, find_recordings, raw_blocks

RATE_HZ = 22_050


@pytest.fixture
def stereo():
    return np.random.default_rng(0).uniform(-0.5, 0.5, (3 * BLOCK_SAMPLES // 2 + 17, 2)).astype(np.float32)


FORMATS = {
    "sound.wav": ("PCM_16", 2**-15),
    "sound.w64": ("FLOAT", 0),
    "sound.aiff": ("PCM_24", 2**-23),
    "sound.flac": ("PCM_16", 2**-15),
    "sound.au": ("PCM_U8" if "PCM_U8" in soundfile.available_subtypes("AU") else "PCM_S8", 2**-7),
}


@pytest.mark.parametrize("name", FORMATS)
def test_any_format_gives_its_samples_in_short_blocks(name, stereo, tmp_path):
    subtype, step = FORMATS[name]
    soundfile.write(tmp_path / name, stereo, RATE_HZ, subtype)
    recording = Recording(tmp_path / name)
    assert (recording.sample_rate_hz, recording.channels) == (RATE_HZ, 2)
    assert recording.seconds == len(stereo) / RATE_HZ
    blocks = list(recording.blocks())
    assert {block.dtype for block in blocks} == {np.dtype(np.float32)}
    assert max(block.size for block in blocks) <= BLOCK_SAMPLES
    np.testing.assert_allclose(np.concatenate(blocks), stereo, atol=step)


@pytest.mark.parametrize("name", ["sound.ogg", "sound.mp3"])
def test_lossy_formats_are_read_too(name, tmp_path):
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * 44_100) / 44_100)
    soundfile.write(tmp_path / name, tone, 44_100)
    found = np.concatenate(list(Recording(tmp_path / name).blocks()))[:, 0]
    assert np.abs(np.fft.rfft(found)).argmax() == pytest.approx(440 * len(found) / 44_100, abs=1)


def header(rate_hz=16_000, channels=1, data=b"\0" * 64, claimed=None):
    """A WAV of 16 bits whose header may lie."""
    claimed = len(data) if claimed is None else claimed
    fmt = struct.pack("<HHIIHH", 1, channels, rate_hz, rate_hz * 2 * channels & 0xFFFFFFFF, 2 * channels, 16)
    body = b"WAVEfmt " + struct.pack("<I", 16) + fmt + b"data" + struct.pack("<I", claimed) + data
    return b"RIFF" + struct.pack("<I", len(body) & 0xFFFFFFFF) + body


@pytest.mark.parametrize(
    "content, told",
    [
        (b"", "is empty"),
        (b"dog", "does not decode"),
        (b"OggS" + bytes(200), "does not decode"),
        (header(rate_hz=0), "bad.wav"),
        (header(rate_hz=1), "sample rate"),
        (header(rate_hz=10_000_000), "sample rate"),
        (header(channels=0), "bad.wav"),
        (header(channels=1_000, data=bytes(4_000)), "channels"),
    ],
)
def test_what_is_no_recording_is_one_line_with_its_name(content, told, tmp_path):
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    with pytest.raises(ZooError, match=told) as refused:
        list(Recording(path).blocks())
    assert "bad.wav" in str(refused.value) and "\n" not in str(refused.value)


def test_a_recording_cut_short_gives_what_is_there(tmp_path):
    path = tmp_path / "cut.wav"
    path.write_bytes(header(data=struct.pack("<100h", *range(100)), claimed=1_000_000))
    found = np.concatenate(list(Recording(path).blocks()))
    np.testing.assert_array_equal(found[:, 0] * 2**15, np.arange(100))


def test_folders_are_searched_for_sound_files_alone(tmp_path):
    for name in ("b/two.WAV", "a.flac", "b/c/three.mp3", "notes.txt", "b/labels.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = [str(path.relative_to(tmp_path)) for path in find_recordings([tmp_path])]
    assert found == ["a.flac", "b/c/three.mp3", "b/two.WAV"]
    assert find_recordings([tmp_path / "notes.txt"]) == [tmp_path / "notes.txt"]  # whoever names it means it
    (tmp_path / "empty").mkdir()
    for path, told in ((tmp_path / "empty", "no recording"), (tmp_path / "none", "no such file")):
        with pytest.raises(ZooError, match=told):
            find_recordings([path])


def test_raw_pcm_comes_in_whole_frames_however_it_is_cut(tmp_path, monkeypatch):
    samples = np.arange(-3_000, 3_000, dtype="<i2").reshape(-1, 2)
    (tmp_path / "sound.raw").write_bytes(samples.tobytes() + b"\1")  # half a sample at the end is none
    np.testing.assert_array_equal(np.concatenate(list(raw_blocks(tmp_path / "sound.raw", 2))), samples)

    class Dribbling(io.BytesIO):
        def read1(self, size):
            return super().read1(min(size, 7))

    monkeypatch.setattr(sys, "stdin", type("Pipe", (), {"buffer": Dribbling(samples.tobytes())}))
    np.testing.assert_array_equal(np.concatenate(list(raw_blocks("-", 2))), samples)
    with pytest.raises(ZooError, match="none.raw"):
        list(raw_blocks(tmp_path / "none.raw", 1))
