"""UrbanSound8K in its official layout: the folds of the authors, the recordings that clips were cut from."""

import csv
from collections import Counter, defaultdict

import numpy as np
import pytest
import soundfile
import tensorflow_datasets as tfds

from zoo import datasets
from zoo.datasets.urbansound8k import UrbanSound8K
from zoo.errors import ZooError

COLUMNS = ("slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class")
ROWS = (
    ("100032-3-0-0.wav", "100032", "0.0", "0.317551", "1", "5", "3", "dog_bark"),
    ("100263-2-0-117.wav", "100263", "58.5", "62.5", "1", "5", "2", "children_playing"),
    ("100263-2-0-121.wav", "100263", "60.5", "64.5", "1", "5", "2", "children_playing"),
    ("100648-1-0-0.wav", "100648", "4.823402", "5.471927", "2", "10", "1", "car_horn"),
    ("9223-2-0-0.wav", "9223", "0", "4", "1", "1", "2", "children_playing"),
)


def write_table(folder, rows, columns=COLUMNS):
    (folder / "metadata").mkdir(parents=True, exist_ok=True)
    with open(folder / "metadata" / "UrbanSound8K.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])


@pytest.fixture
def folder(tmp_path):
    """Folds 5 and 10 alone, beside the whole csv; rates and channels differ, as in the archive."""
    folder, rng = tmp_path / "UrbanSound8K", np.random.default_rng(0)
    for number, (name, _, _, _, _, fold, _, _) in enumerate(ROWS[:4]):
        path = folder / "audio" / f"fold{fold}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.uniform(-0.5, 0.5, (4_000, 1 + number % 2)), (44_100, 48_000, 96_000, 8_000)[number])
    write_table(folder, ROWS)
    return folder


def test_the_folds_that_are_there_are_read_with_their_rows(folder, tmp_path):
    builder = datasets.load("urbansound8k", tmp_path / "cache", folder)
    found = {e["file"].decode(): e for e in tfds.as_numpy(builder.as_dataset(split="all"))}
    assert {
        name: (int(e["fold"]), builder.class_names[e["label"]], e["source"].decode(), int(e["sample_rate_hz"]))
        for name, e in found.items()
    } == {
        "100032-3-0-0.wav": (5, "dog_bark", "100032", 44_100),
        "100263-2-0-117.wav": (5, "children_playing", "100263", 48_000),
        "100263-2-0-121.wav": (5, "children_playing", "100263", 96_000),
        "100648-1-0-0.wav": (10, "car_horn", "100648", 8_000),
    }
    assert builder.test_folds([10, 5, 5]) == (5, 10)
    assert builder.split([5, 10], 10) == ((5,), (), (10,))


def test_the_labels_stand_in_the_order_of_the_official_ids(real_recordings):
    with open(real_recordings / "urbansound8k_part" / "metadata" / "UrbanSound8K.csv", encoding="utf-8") as file:
        official = {int(row["classID"]): row["class"] for row in csv.DictReader(file)}
    assert tuple(official[number] for number in range(10)) == UrbanSound8K.LABELS


def test_the_real_part_holds_six_clips_of_each_class_in_three_folds(real_recordings):
    rows = UrbanSound8K.rows(real_recordings / "urbansound8k_part")
    counts = Counter((row.fold, row.label) for row in rows)
    assert counts == {(fold, label): 6 for fold in (1, 2, 10) for label in UrbanSound8K.LABELS}
    assert UrbanSound8K.test_folds([row.fold for row in rows]) == (1, 2, 10)
    folds = defaultdict(set)
    for row in rows:
        assert row.path.is_file() and row.file.startswith(f"{row.source}-")
        folds[row.source].add(row.fold)
    assert len(folds) == 127 and max(map(len, folds.values())) == 1  # no recording is in two folds


def test_a_real_clip_is_kept_as_it_is(real_recordings):
    rows = UrbanSound8K.rows(real_recordings / "urbansound8k_part")
    row = next(row for row in rows if row.file == "102842-3-0-1.flac")
    assert UrbanSound8K.example(row)["encoded"] == row.path.read_bytes()


@pytest.mark.parametrize(
    "spoil, named",
    [
        (lambda folder: (folder / "metadata" / "UrbanSound8K.csv").unlink(), "no metadata/UrbanSound8K.csv in "),
        (lambda folder: (folder / "audio").rename(folder / "clips"), "no audio/fold1/ or another fold in "),
        (lambda folder: write_table(folder, [row[:6] for row in ROWS], COLUMNS[:6]), "columns class, fold, fsID"),
        (lambda folder: write_table(folder, [*ROWS, ROWS[0]]), "lists 100032-3-0-0.wav twice"),
        (lambda folder: write_table(folder, [(*ROWS[0][:7], "dog")]), "the unknown class 'dog'"),
        (lambda folder: write_table(folder, [(*ROWS[0][:5], "five", "3", "dog_bark")]), "fold is not a number"),
        (lambda folder: write_table(folder, ROWS[4:]), "lists no clip of the folds in "),
    ],
    ids=["no csv", "no folds", "no column", "twice", "class", "fold", "other folds"],
)
def test_a_folder_that_cannot_be_used_is_refused_in_one_line(folder, tmp_path, spoil, named):
    spoil(folder)
    with pytest.raises(ZooError, match="^urbansound8k: ") as told:
        datasets.load("urbansound8k", tmp_path / "cache", folder)
    assert named in str(told.value) and "\n" not in str(told.value)
