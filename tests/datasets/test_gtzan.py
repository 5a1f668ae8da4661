"""GTZAN in both layouts that circulate: a split that never changes, and one broken file that is known."""

import hashlib
from collections import Counter

import numpy as np
import pytest
import soundfile
import tensorflow_datasets as tfds

from zoo import datasets
from zoo.datasets.gtzan import Gtzan
from zoo.errors import ZooError

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")


@pytest.fixture
def folder(tmp_path):
    """Clips 50 to 54 of each genre, 20 ms each, as the copy has them in genres_original/."""
    rng = np.random.default_rng(0)
    for genre in GENRES:
        (tmp_path / "data" / "genres_original" / genre).mkdir(parents=True)
        for number in range(50, 55):
            path = tmp_path / "data" / "genres_original" / genre / f"{genre}.{number:05d}.wav"
            soundfile.write(path, rng.uniform(-0.5, 0.5, 441), 22_050)
    return tmp_path / "data"


def spoil(path):
    path.write_bytes(b"\0" * 1_000)


def test_the_whole_set_is_split_80_to_20_in_each_genre(tmp_path):
    for genre in GENRES:
        (tmp_path / "genres" / genre).mkdir(parents=True)
        for number in range(100):
            (tmp_path / "genres" / genre / f"{genre}.{number:05d}.au").touch()  # rows do not look into a file
    rows = Gtzan.rows(tmp_path)
    assert len(rows) == 1_000
    counts = Counter((row.label, row.fold) for row in rows)
    assert counts == {(genre, fold): clips for genre in GENRES for fold, clips in ((0, 80), (1, 20))}
    of_jazz = sorted(
        (f"jazz.{number:05d}" for number in range(100)), key=lambda name: hashlib.sha256(name.encode()).digest()
    )
    assert {row.path.stem for row in rows if (row.label, row.fold) == ("jazz", 1)} == set(of_jazz[:20])

    # The same excerpts test where some are missing, and where the copy is another.
    tests = {row.path.stem for row in rows if row.fold == 1}
    for path in (tmp_path / "genres").glob("*/*.000[0-4]*.au"):
        path.rename(path.with_suffix(".wav"))
    for path in (tmp_path / "genres").glob("*/*.au"):
        path.unlink()
    part = Gtzan.rows(tmp_path / "genres")
    assert len(part) == 500
    assert {row.path.stem for row in part if row.fold == 1} == {name for name in tests if name.split(".")[1] < "00050"}


def test_the_known_broken_file_is_left_out_told_and_counted(folder, tmp_path, capfd):
    spoil(folder / "genres_original" / "jazz" / "jazz.00054.wav")
    builder = datasets.load("gtzan", tmp_path / "cache", folder)
    assert builder.info.metadata["skipped"] == ["jazz.00054.wav"]
    assert "gtzan: jazz.00054.wav does not decode, as is known of it: left out" in capfd.readouterr().err
    found = list(tfds.as_numpy(builder.as_dataset(split="all")))
    assert Counter(builder.class_names[e["label"]] for e in found) == {
        genre: 4 if genre == "jazz" else 5 for genre in GENRES
    }
    assert all(e["file"].decode() == e["source"].decode() + ".wav" for e in found)
    assert set(builder.info.splits) == {"train", "test"}


def test_a_whole_jazz_00054_is_kept_and_another_broken_file_stops_the_run(folder, tmp_path):
    assert datasets.load("gtzan", tmp_path / "cache", folder).info.metadata["skipped"] == []
    spoil(folder / "genres_original" / "jazz" / "jazz.00053.wav")
    with pytest.raises(ZooError, match="jazz.00053.wav: does not decode"):
        datasets.load("gtzan", tmp_path / "cache", folder)


@pytest.mark.parametrize(
    "change, named",
    [
        (lambda genres: (genres / "rock").rename(genres.parent / "rock"), "no .wav or .au in .*rock"),
        (lambda genres: (genres / "pop" / "pop.00050.wav").rename(genres / "pop" / "hit.wav"), "hit.wav is not named"),
        (lambda genres: (genres / "pop" / "pop.00050.au").touch(), "pop.00050.au is there twice"),
    ],
    ids=["genre", "name", "twice"],
)
def test_a_folder_that_cannot_be_used_is_refused_in_one_line(folder, change, named):
    change(folder / "genres_original")
    with pytest.raises(ZooError, match=named):
        Gtzan.rows(folder)


def test_without_a_folder_it_says_where_the_clips_are(tmp_path):
    with pytest.raises(ZooError, match="gtzan: .*marsyas/gtzan.*; point --data-dir at the folder that holds genres/"):
        datasets.load("gtzan", tmp_path)
