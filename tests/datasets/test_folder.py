"""One's own sounds: class folders or a csv, whose recordings are never divided between training and test."""

import csv
from collections import Counter, defaultdict

import numpy as np
import pytest
import soundfile
import tensorflow_datasets as tfds

from zoo import datasets
from zoo.datasets.folder import Folder, group_of
from zoo.errors import ZooError


def write(folder, files):
    """Sounds of 20 ms, of another rate each, in the format that the suffix tells."""
    rng = np.random.default_rng(0)
    for number, file in enumerate(files):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        rate_hz = (8_000, 44_100, 48_000, 16_000)[number % 4]
        soundfile.write(folder / file, rng.uniform(-0.5, 0.5, (rate_hz // 50, 1 + number % 2)), rate_hz)
    return folder


def write_table(folder, rows, columns):
    with open(folder / "sounds.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])


# Two recordings in parts in dog, one of which is in horn too, and five of their own.
FILES = (
    *("dog/kitchen-1.wav", "dog/kitchen-2.flac", "dog/kitchen_3.mp3", "dog/street-01.ogg", "dog/Dog 1.wav"),
    *("dog/dog_1.wav", "dog/dog_2.wav", "dog/3.wav"),
    *("horn/street-02.ogg", "horn/20240503_101512.wav", "horn/20240503_101733.wav", "horn/a.wav", "horn/b.wav"),
)


@pytest.mark.parametrize(
    "file, label, group",
    [
        ("dog/kitchen-1.wav", "dog", "kitchen"),
        ("dog/kitchen_12-003.wav", "dog", "kitchen"),
        ("dog/kitchen.mp3", "dog", "kitchen"),
        ("siren/100648-1-3-0.flac", "siren", "100648"),  # UrbanSound8K
        ("dog/1-100032-A-0.ogg", "dog", "1-100032-A"),  # ESC-50
        ("dog/20240503_101512.wav", "dog", "20240503_101512"),  # a telephone's: no parts, but a date and a time
        ("dog/7.wav", "dog", "dog/7.wav"),
        ("dog/dog_07.wav", "dog", "dog/dog_07.wav"),
        ("car horn/car_horn-2.wav", "car horn", "car horn/car_horn-2.wav"),
        ("cat/dog_07.wav", "cat", "dog"),
    ],
)
def test_a_name_tells_the_recording_up_to_its_part_numbers(file, label, group):
    assert group_of(file, label) == group


def test_class_folders_of_any_format_and_rate_are_read(tmp_path, capfd):
    folder = write(tmp_path / "sounds", FILES)
    (folder / ".DS_Store").touch()
    (folder / "dog" / ".DS_Store").touch()
    (folder / "README.txt").touch()
    builder = datasets.load("folder", tmp_path / "cache", folder)
    assert builder.class_names == ("dog", "horn")
    found = {e["file"].decode(): e for e in tfds.as_numpy(builder.as_dataset(split="all"))}
    assert set(found) == set(FILES)
    assert {file: builder.class_names[e["label"]] for file, e in found.items()} == {
        file: file.split("/")[0] for file in FILES
    }
    assert len({int(e["sample_rate_hz"]) for e in found.values()}) == 4
    told = capfd.readouterr().err
    assert f"{folder}: 13 clips of 2 classes; 10 groups (" in told and told.count("10 groups") == 1
    assert "); 5 folds by hash\n" in told


def test_no_group_is_divided_and_every_class_is_in_every_fold(tmp_path):
    rows = Folder.rows(write(tmp_path, FILES))
    folds_of_group, folds_of_class = defaultdict(set), defaultdict(set)
    for row in rows:
        folds_of_group[row.source].add(row.fold)
        folds_of_class[row.label].add(row.fold)
    assert max(map(len, folds_of_group.values())) == 1
    assert Counter(row.source for row in rows)["kitchen"] == 3
    assert {row.label for row in rows if row.source == "street"} == {"dog", "horn"}
    assert folds_of_class == {"dog": {1, 2, 3, 4, 5}, "horn": {1, 2, 3, 4, 5}}


def test_fewer_groups_make_fewer_folds_and_a_line_says_so(tmp_path, capfd):
    rows = Folder.rows(write(tmp_path, [*FILES[:8], "horn/a.wav", "horn/b.wav", "horn/c.wav"]))
    assert {row.fold for row in rows} == {1, 2, 3}
    assert "; 3 folds by hash, since 'horn' has no more groups\n" in capfd.readouterr().err


def test_a_csv_tells_classes_groups_and_folds(tmp_path):
    files = ("one.wav", "two.wav", "in/three.wav", "in/four.wav")
    write(tmp_path, files)
    rows = list(zip(files, ("yap", "yap", "honk", "honk"), ("x", "y", "x", "z"), (0, 7, 0, 7)))
    write_table(tmp_path, rows, ("filename", "category", "group", "fold"))
    found = [(row.file, row.label, row.source, row.fold) for row in Folder.rows(tmp_path)]
    assert found == rows
    write_table(tmp_path, [row[:2] for row in rows], ("filename", "category"))
    assert [row.source for row in Folder.rows(tmp_path)] == ["one", "two", "three", "four"]
    assert all(row.path.is_file() for row in Folder.rows(tmp_path))


def test_the_fingerprint_changes_with_a_group(tmp_path):
    files = ("one.wav", "two.wav", "three.wav", "four.wav")
    write(tmp_path, files)
    seen = set()
    for groups in ("wxyz", "wxyw"):
        write_table(tmp_path, zip(files, "aabb", groups), ("filename", "category", "group"))
        seen.add(Folder.fingerprint(tmp_path))
    assert len(seen) == 2


@pytest.mark.parametrize(
    "files, named",
    [
        ((), "no folders of sounds in "),
        (("loose.wav",), "no folders of sounds in "),
        (("dog/a.wav", "dog/b.wav"), "holds one class, 'dog'"),
        ((*FILES, "cat/tom-1.wav", "cat/tom-2.wav"), "all clips of 'cat' in .* are of one group, 'tom', .*csv"),
        ((*FILES, "cat/cat_1.wav"), "all clips of 'cat' in .* are of one group, 'cat/cat_1.wav'"),
        ((*FILES, "dog/puppy/a.wav"), "dog holds the folder puppy"),
    ],
    ids=["empty", "no classes", "one class", "one recording", "one clip", "inner folder"],
)
def test_class_folders_that_cannot_be_used_are_refused_in_one_line(tmp_path, files, named):
    with pytest.raises(ZooError, match=f"^folder: .*{named}") as told:
        Folder.rows(write(tmp_path, files))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "rows, columns, named",
    [
        ([("a.wav", "dog")], ("filename", "label"), "needs rows with the columns category, filename"),
        ([], ("filename", "category"), "needs rows with the columns"),
        ([("a.wav", ""), ("b.wav", "cat")], ("filename", "category"), r"a row \(a.wav\) whose category, group or fold"),
        ([("a.wav", "dog", "1"), ("b.wav", "cat", "x")], ("filename", "category", "fold"), r"a row \(b.wav\) .*fold"),
        ([("a.wav", "dog", "1"), ("b.wav", "cat")], ("filename", "category", "fold"), r"a row \(b.wav\) .*fold"),
        ([("a.wav", "dog", "x", "1"), ("b.wav", "cat", "x", "2")], ("filename", "category", "group", "fold"),
         "group 'x' in folds 1 and 2"),
        ([(f"{n}.wav", label, fold) for n, (label, fold) in enumerate(["a1", "a2", "b1", "b1"])],
         ("filename", "category", "fold"), "all clips of 'b' in .* come to be in fold 1"),
    ],
    ids=["column", "empty", "no category", "word for fold", "short row", "divided group", "one fold"],
)  # fmt: skip
def test_a_csv_that_cannot_be_used_is_refused_in_one_line(tmp_path, rows, columns, named):
    write_table(tmp_path, rows, columns)
    with pytest.raises(ZooError, match=f"^folder: .*{named}") as told:
        Folder.rows(tmp_path)
    assert "\n" not in str(told.value)


def test_two_csv_files_are_refused(tmp_path):
    write_table(tmp_path, [("a.wav", "dog")], ("filename", "category"))
    (tmp_path / "other.csv").touch()
    with pytest.raises(ZooError, match="holds other.csv and sounds.csv; leave one csv there"):
        Folder.rows(tmp_path)


def test_a_file_that_is_no_sound_stops_the_run_by_name(tmp_path):
    folder = write(tmp_path / "sounds", FILES)
    (folder / "dog" / "notes.txt").write_text("a fine dog")
    with pytest.raises(ZooError, match="notes.txt: does not decode"):
        datasets.load("folder", tmp_path / "cache", folder)


def test_real_clips_in_class_folders_are_kept_apart_by_recording(real_recordings, tmp_path):
    part = real_recordings / "urbansound8k_part"
    with open(part / "metadata" / "UrbanSound8K.csv", newline="", encoding="utf-8") as file:
        official = {row["slice_file_name"]: row for row in csv.DictReader(file)}
    for name, row in official.items():
        (tmp_path / row["class"]).mkdir(exist_ok=True)
        (tmp_path / row["class"] / name).symlink_to(part / "audio" / f"fold{row['fold']}" / name)
    rows = Folder.rows(tmp_path)
    assert {row.path.name: row.source for row in rows} == {name: row["fsID"] for name, row in official.items()}
    assert Counter(row.fold for row in rows) == dict.fromkeys(range(1, 6), 36)
    counts = Counter((row.fold, row.label) for row in rows)
    assert len(counts) == 50 and set(counts.values()) <= {3, 4, 5}  # 18 clips a class, parts of up to four


def test_without_a_folder_it_asks_for_one(tmp_path):
    with pytest.raises(ZooError, match="folder: your own sounds; point --data-dir at the folder that holds a folder"):
        datasets.load("folder", tmp_path)
