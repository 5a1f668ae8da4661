"""AudioEvent as its archive lies there: train/ with a folder for each class, test/ without."""

from collections import Counter

import numpy as np
import pytest
import soundfile
import tensorflow_datasets as tfds

from zoo import datasets
from zoo.datasets.audio_event import AudioEvent
from zoo.errors import ZooError

CLIPS = {"acoustic_guitar": 12, "airplane": 7, "footstep": 5}  # a third of them in test/


@pytest.fixture
def folder(tmp_path):
    root, rng = tmp_path / "ae_dataset", np.random.default_rng(0)
    for label, clips in CLIPS.items():
        for number in range(clips):
            inner = "test" if number % 3 == 0 else f"train/{label}"
            path = root / "AudioEventDataset" / inner / f"{label}_{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, rng.uniform(-0.5, 0.5, 320), 16_000)
    (root / "__MACOSX").mkdir()
    (root / "__MACOSX" / "._airplane_1.wav").touch()
    return root


def test_clips_are_of_the_class_that_they_are_named_for(folder, tmp_path):
    builder = datasets.load("audio_event", tmp_path / "cache", folder)
    assert builder.class_names == ("acoustic_guitar", "airplane", "footstep")
    found = list(tfds.as_numpy(builder.as_dataset(split="all")))
    assert Counter(builder.class_names[e["label"]] for e in found) == CLIPS
    assert all(e["file"].decode().startswith(builder.class_names[e["label"]] + "_") for e in found)
    assert {name: split.num_examples for name, split in builder.info.splits.items()} == {"train": 20, "test": 4}


def test_a_fifth_of_each_class_tests_wherever_it_lies(folder):
    rows = AudioEvent.rows(folder)
    assert Counter(row.label for row in rows if row.fold == 1) == {"acoustic_guitar": 2, "airplane": 1, "footstep": 1}
    tests = {row.file for row in rows if row.fold == 1}
    for path in list(folder.rglob("test/*.wav")):
        path.rename(path.parents[1] / "train" / path.stem.rsplit("_", 1)[0] / path.name)
    assert {row.file for row in AudioEvent.rows(folder) if row.fold == 1} == tests


def test_a_folder_that_cannot_be_used_is_refused_in_one_line(folder, tmp_path):
    stranger = folder / "AudioEventDataset" / "test" / "noise.wav"
    stranger.touch()
    with pytest.raises(ZooError, match="noise.wav is not named CLASS_NUMBER.wav"):
        AudioEvent.rows(folder)
    stranger.unlink()
    (folder / "AudioEventDataset" / "test" / "airplane_1.wav").touch()
    with pytest.raises(ZooError, match="holds airplane_1.wav twice"):
        AudioEvent.rows(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ZooError, match="audio_event: no .wav in .*point --data-dir"):
        AudioEvent.rows(tmp_path / "empty")
