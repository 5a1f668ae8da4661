"""Damaged models and recordings, seeded: each gives scores or one line, and leaves this process as it was.

500 cases in `make test`; `make fuzz` runs 10,000, or as many as FUZZ_CASES says.
"""

import io
import os
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from zoo.errors import ZooError
from zoo.runtime import Classifier
from zoo.runtime.recordings import Recording

CASES = int(os.environ.get("FUZZ_CASES", 500))
CHUNK = 100  # cases of one test: what fails is found again by its number
SLOWEST_S = 30  # the child's limit and some more
GROWTH_BYTES = 64 * 2**20  # what is kept of the largest case, not of every case
RATE_HZ, LABELS = 16_000, ("low", "middle", "high")


def damaged(content, rng):
    """The bytes with one to eight of the kinds of damage that disks, networks and foes do."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 9)):
        at = int(rng.integers(len(content)))
        # Headers are where lies matter: half of the damage falls on the first 200 bytes.
        at = at % 200 if rng.random() < 0.5 else at
        length = int(rng.integers(1, 64))
        kind = rng.integers(6)
        if kind == 0:
            content[at % len(content)] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            content[at : at + length] = rng.bytes(length)
        elif kind == 2:
            extreme = int(rng.choice([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF]))
            content[at : at + 4] = extreme.to_bytes(4, "little")
        elif kind == 3:
            del content[at : at + length]
        elif kind == 4:
            content[at:at] = content[-length:]
        elif at > 16:
            del content[at:]
        if len(content) < 17:
            break
    return bytes(content)


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def outcome(act):
    """Whether it gave scores; a ZooError of one line is the other answer, anything else fails the test."""
    begun = time.monotonic()
    try:
        scores = np.array(list(act().values()))
        assert scores.shape == (3,)
        return True
    except ZooError as error:
        assert "\n" not in str(error) and len(str(error)) < 500
        return False
    finally:
        assert time.monotonic() - begun < SLOWEST_S


@pytest.fixture(scope="module")
def encoded(sound):
    """The sound in formats that recorders and phones write."""
    files = []
    for container, subtype in [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"),
                               ("OGG", "OPUS"), ("MP3", None), ("AIFF", "PCM_16"), ("CAF", "PCM_16")]:  # fmt: skip
        file = io.BytesIO()
        soundfile.write(file, sound[: RATE_HZ // 2], RATE_HZ, subtype, format=container)
        files.append(file.getvalue())
    return files


def chunks(cases):
    return range(0, cases, CHUNK)


@pytest.mark.parametrize("first", chunks(CASES * 3 // 5))
def test_damaged_recordings_give_scores_or_one_line(classifier, encoded, tmp_path, first):
    path, heard, before = tmp_path / "sound.wav", 0, resident_bytes()
    for number in range(first, first + CHUNK):
        rng = np.random.default_rng([1, number])
        path.write_bytes(damaged(encoded[number % len(encoded)], rng))

        def classify():
            recording = Recording(path)
            blocks = np.concatenate([np.zeros((0, recording.channels), np.float32), *recording.blocks()])
            return classifier.classify(blocks[: 60 * RATE_HZ], recording.sample_rate_hz)

        heard += outcome(classify)
    assert 0 < heard < CHUNK  # the damage is neither none nor all
    assert resident_bytes() < before + GROWTH_BYTES


@pytest.mark.parametrize("first", chunks(CASES * 2 // 5))
def test_damaged_models_give_scores_or_one_line(bands, sound, tmp_path, first):
    content, path, before = bands.file.read_bytes(), tmp_path / "model.tflite", resident_bytes()
    ran = 0
    for number in range(first, first + CHUNK):
        rng = np.random.default_rng([2, number])
        path.write_bytes(damaged(content, rng))
        ran += outcome(lambda: Classifier(path, RATE_HZ, LABELS).classify(sound[:RATE_HZ], RATE_HZ))
    assert ran < CHUNK
    assert resident_bytes() < before + GROWTH_BYTES
