"""Data sets in ESC-50's layout: TFDS keeps each clip as it is, and what cannot be used is named in one line."""

import csv
import io
import shutil
from collections import Counter

import numpy as np
import pytest
import soundfile
import tensorflow_datasets as tfds

from zoo import datasets
from zoo.datasets.esc import ESC10_LABELS, ESC18_LABELS, ESC50_LABELS
from zoo.errors import ZooError

COLUMNS = ("filename", "fold", "target", "category", "esc10", "src_file", "take")
# name, rate, channels, of ESC-10 or not: a rate and an encoding of each kind that ESC-like folders hold
CLIPS = (
    ("1-100-A-0.wav", "dog", 44_100, 1),
    ("1-100-B-0.ogg", "dog", 44_100, 1),
    ("2-101-A-10.flac", "rain", 22_050, 2),
    ("2-102-A-41.wav", "chainsaw", 8_000, 1),
    ("3-103-A-5.ogg", "cat", 22_050, 2),
    ("3-104-A-42.flac", "siren", 8_000, 1),
)
ESC10_CLIPS = CLIPS[:4]


def write_table(folder, rows, name="esc50.csv"):
    with open(folder / "meta" / name, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)


def read_table(folder):
    with open(folder / "meta" / "esc50.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def folder(tmp_path):
    """Six clips of a quarter of a second, in four classes over three folds, as a folder of ESC-50 would lie there."""
    folder, rng, rows = tmp_path / "clips", np.random.default_rng(0), []
    (folder / "audio").mkdir(parents=True)
    (folder / "meta").mkdir()
    for filename, category, rate_hz, channels in CLIPS:
        soundfile.write(folder / "audio" / filename, rng.uniform(-0.5, 0.5, (rate_hz // 4, channels)), rate_hz)
        fold, source, take, target = filename.split(".")[0].split("-")
        row = (filename, fold, target, category, category in ESC10_LABELS, source, take)
        rows.append(dict(zip(COLUMNS, row, strict=True)))
    write_table(folder, rows)
    return folder


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def examples(builder):
    """{file: example} of all splits, as numpy."""
    data = tfds.as_numpy(builder.as_dataset(split="all"))
    return {example["file"].decode(): example for example in data}


def append_byte(path):
    path.write_bytes(path.read_bytes() + b"\0")


# What comes back


def test_each_clip_keeps_its_samples_its_rate_and_its_row(folder, cache):
    found = examples(datasets.load("esc50", cache, folder))
    assert set(found) == {name for name, *_ in CLIPS}
    for filename, category, rate_hz, _ in CLIPS:
        example = found[filename]
        kept, _ = soundfile.read(io.BytesIO(example["encoded"]))
        np.testing.assert_array_equal(kept, soundfile.read(folder / "audio" / filename)[0])
        assert example["sample_rate_hz"] == rate_hz
        assert ESC50_LABELS[example["label"]] == category
        fold, source, *_ = filename.split("-")
        assert (example["fold"], example["source"].decode()) == (int(fold), source)
        container = {"wav": "FLAC/PCM_16", "ogg": "OGG/VORBIS", "flac": "FLAC/PCM_16"}
        assert example["encoding"].decode() == container[filename.split(".")[1]]


def test_each_fold_is_a_split(folder, cache):
    builder = datasets.load("esc50", cache, folder)
    assert {name: split.num_examples for name, split in builder.info.splits.items()} == {
        "fold1": 2, "fold2": 2, "fold3": 2,
    }  # fmt: skip
    for fold in (1, 2, 3):
        assert {e["fold"] for e in tfds.as_numpy(builder.as_dataset(split=f"fold{fold}"))} == {fold}
    assert builder.class_names == ESC50_LABELS
    assert builder.info.metadata["skipped"] == []


def test_esc10_is_chosen_out_of_a_folder_of_esc50(folder, cache):
    builder = datasets.load("esc10", cache, folder)
    found = examples(builder)
    assert set(found) == {name for name, *_ in ESC10_CLIPS}
    for filename, category, *_ in ESC10_CLIPS:
        assert builder.info.features["label"].int2str(found[filename]["label"]) == category
    assert builder.class_names == ESC10_LABELS


def test_a_prepared_data_set_is_not_prepared_again(folder, cache, capfd):
    first = datasets.load("esc50", cache, folder)
    written = {path: path.stat().st_mtime_ns for path in cache.rglob("*") if path.is_file()}
    capfd.readouterr()
    second = datasets.load("esc50", cache, folder)
    assert capfd.readouterr().err == ""  # no bar: no clip was looked at
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*") if path.is_file()} == written
    assert second.builder_config.name == first.builder_config.name
    assert examples(second).keys() == examples(first).keys()


# The fingerprint


def test_the_fingerprint_does_not_depend_on_where_the_folder_lies(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "elsewhere")
    for builder in (datasets.Esc10, datasets.Esc50):
        assert builder.fingerprint(folder) == builder.fingerprint(tmp_path / "elsewhere")


def test_the_fingerprint_changes_with_one_byte_of_any_clip(folder):
    seen = {datasets.Esc50.fingerprint(folder)}
    for filename, *_ in CLIPS:
        path = folder / "audio" / filename
        sound = bytearray(path.read_bytes())
        sound[-1] ^= 1
        path.write_bytes(sound)
        seen.add(datasets.Esc50.fingerprint(folder))
    assert len(seen) == len(CLIPS) + 1


@pytest.mark.parametrize("column, value", [("fold", "4"), ("category", "crow"), ("src_file", "999")])
def test_the_fingerprint_changes_with_a_row(folder, column, value):
    before, rows = datasets.Esc50.fingerprint(folder), read_table(folder)
    rows[5][column] = value
    write_table(folder, rows)
    assert datasets.Esc50.fingerprint(folder) != before


def test_the_fingerprint_changes_when_a_clip_goes(folder):
    before = datasets.Esc50.fingerprint(folder)
    (folder / "audio" / CLIPS[0][0]).unlink()
    without_file = datasets.Esc50.fingerprint(folder)
    write_table(folder, read_table(folder)[1:])
    assert len({before, without_file, datasets.Esc50.fingerprint(folder)}) == 3


def test_the_fingerprint_of_esc10_does_not_change_with_clips_of_other_classes(folder):
    before, of_esc50 = datasets.Esc10.fingerprint(folder), datasets.Esc50.fingerprint(folder)
    append_byte(folder / "audio" / "3-103-A-5.ogg")
    write_table(folder, read_table(folder)[:5])
    assert datasets.Esc10.fingerprint(folder) == before
    assert datasets.Esc50.fingerprint(folder) != of_esc50


def test_changed_clips_are_prepared_anew(folder, cache):
    before = datasets.load("esc50", cache, folder)
    path = folder / "audio" / CLIPS[0][0]
    soundfile.write(path, np.full(4_000, 0.25), 8_000)
    after = datasets.load("esc50", cache, folder)
    assert after.builder_config.name != before.builder_config.name
    kept, _ = soundfile.read(io.BytesIO(examples(after)[CLIPS[0][0]]["encoded"]))
    np.testing.assert_array_equal(kept, soundfile.read(path)[0])


# Real recordings


def test_the_labels_stand_in_the_order_of_the_official_targets(real_recordings):
    targets = {}
    for name in ("esc10", "esc50_part"):
        (table,) = (real_recordings / name / "meta").glob("*.csv")
        with open(table, newline="", encoding="utf-8") as file:
            targets |= {int(row["target"]): row["category"] for row in csv.DictReader(file)}
    assert [targets[target] for target in range(50)] == list(ESC50_LABELS)
    assert [label for label in ESC50_LABELS if label in ESC10_LABELS] == list(ESC10_LABELS)


@pytest.mark.parametrize(
    "builder, part, labels",
    [(datasets.Esc10, "esc10", ESC10_LABELS), (datasets.Esc18, "", ESC18_LABELS)],  # out of two folders side by side
    ids=["esc10", "esc18"],
)
def test_the_real_clips_are_40_a_class_and_8_of_each_a_fold(real_recordings, builder, part, labels):
    rows = builder.rows(real_recordings / part)
    assert Counter((row.label, row.fold) for row in rows) == {(label, n): 8 for label in labels for n in range(1, 6)}
    for row in rows:  # ESC-50 names a file fold-source-take-target
        fold, source, _, target = row.path.stem.split("-")
        assert (str(row.fold), row.source, row.label) == (fold, source, ESC50_LABELS[int(target)])
        assert row.path.is_file()


# ESC-18


@pytest.fixture
def side_by_side(tmp_path):
    """A clip of each class of ESC-18: those of ESC-10 in one folder, the others in another, with one class more."""
    folders = tmp_path / "both"
    for name, labels in (("first", ESC10_LABELS), ("second", [*(set(ESC18_LABELS) - set(ESC10_LABELS)), "pig"])):
        (folders / name / "audio").mkdir(parents=True)
        (folders / name / "meta").mkdir()
        rows = []
        for label in labels:
            target = ESC50_LABELS.index(label)
            filename = f"1-{target}-A-{target}.wav"
            soundfile.write(folders / name / "audio" / filename, np.full(80, 0.1), 8_000)
            rows.append(dict(zip(COLUMNS, (filename, 1, target, label, label in ESC10_LABELS, target, "A"))))
        write_table(folders / name, rows)
    return folders


def test_esc18_of_one_folder_and_of_two_is_the_same(side_by_side, tmp_path, cache):
    one = tmp_path / "one"
    shutil.copytree(side_by_side / "first", one)
    shutil.copytree(side_by_side / "second" / "audio", one / "audio", dirs_exist_ok=True)
    write_table(one, [*read_table(side_by_side / "first"), *read_table(side_by_side / "second")])
    assert datasets.Esc18.fingerprint(one) == datasets.Esc18.fingerprint(side_by_side)
    builder = datasets.load("esc18", cache, side_by_side)
    assert builder.class_names == ESC18_LABELS
    assert {ESC18_LABELS[example["label"]] for example in examples(builder).values()} == set(ESC18_LABELS)


def test_esc18_of_a_part_or_with_a_clip_twice_is_refused(side_by_side):
    with pytest.raises(ZooError, match="esc18: no clip of car_horn in .*first; point --data-dir at ESC-50's"):
        datasets.Esc18.rows(side_by_side / "first")
    shutil.copytree(side_by_side / "first", side_by_side / "third")
    (table,) = (side_by_side / "third" / "meta").iterdir()
    table.write_text(table.read_text().replace(".wav", ".ogg"))  # the same clips in another container
    with pytest.raises(ZooError, match="esc18: .* holds 1-0-A-0 in two of its folders"):
        datasets.Esc18.rows(side_by_side)


# Frogs


def test_frogs_take_their_classes_from_the_csv(tmp_path, cache):
    folder = tmp_path / "frogs"
    (folder / "audio").mkdir(parents=True)
    (folder / "meta").mkdir()
    rows = []
    for number, (fold, species) in enumerate((fold, species) for fold in "12345" for species in "jihgfedcba"):
        rows.append(dict(zip(COLUMNS, (f"{fold}-{number}-A-0.wav", fold, 0, species, False, number, "A"))))
        soundfile.write(folder / "audio" / rows[-1]["filename"], np.full(64, 0.1), 32_000)
    write_table(folder, rows, "frogs.csv")
    builder = datasets.load("frogs", cache, folder)
    assert builder.class_names == tuple("abcdefghij")
    assert {name: split.num_examples for name, split in builder.info.splits.items()} == {
        f"fold{fold}": 10 for fold in range(1, 6)
    }
    assert {(f"{e['fold']}", builder.class_names[e["label"]]) for e in examples(builder).values()} == {
        (row["fold"], row["category"]) for row in rows
    }


def test_frogs_cannot_be_downloaded(cache):
    with pytest.raises(ZooError, match="frogs: not published: .*--data-dir"):
        datasets.load("frogs", cache)


# What cannot be used


def refusal(name, cache, folder, **kwargs):
    """The one line that refuses the folder."""
    with pytest.raises(ZooError) as refused:
        datasets.load(name, cache, folder, **kwargs)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_an_unknown_data_set_is_refused_with_those_there_are(folder, cache):
    line = refusal("esc99", cache, folder)
    assert "esc99" in line and ", ".join(datasets.DATASETS) in line


@pytest.mark.parametrize("there", [(), ("meta",), ("audio",), ("audio", "meta")])
def test_a_folder_without_the_layout_is_refused(tmp_path, cache, there):
    assert "esc50" in refusal("esc50", cache, tmp_path / "nowhere")
    for part in ("clips", *(f"clips/{part}" for part in there)):
        (tmp_path / part).mkdir()
    line = refusal("esc50", cache, tmp_path / "clips")
    assert "esc50" in line and str(tmp_path / "clips") in line
    assert not (cache / "tfds").exists()


def test_an_empty_name_of_a_folder_is_no_wish_to_download(tmp_path, cache, monkeypatch):
    # As `--data-dir "$UNSET"` gives it. Should it be taken for a wish, the test must not download 600 MB.
    monkeypatch.setattr(datasets.Esc10, "obtain", classmethod(lambda cls, cache: pytest.fail("it would download")))
    monkeypatch.chdir(tmp_path)
    assert "--data-dir" in refusal("esc10", cache, "")


def test_a_folder_without_audio_is_refused(folder, cache):
    shutil.rmtree(folder / "audio")
    assert "no audio/" in refusal("esc50", cache, folder)


def test_two_tables_are_refused(folder, cache):
    write_table(folder, read_table(folder), "esc50-old.csv")
    assert "2 csv files" in refusal("esc50", cache, folder)


@pytest.mark.parametrize("column", ["filename", "fold", "category", "src_file"])
def test_a_table_without_a_column_is_refused(folder, cache, column):
    rows = read_table(folder)
    for row in rows:
        del row[column]
    write_table(folder, rows)
    line = refusal("esc50", cache, folder)
    assert column in line and "esc50.csv" in line


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"filename,fold,target,category,esc10,src_file,take\n",
        b"\xff\xfe\x00\x01 this is no text\n",
        b"filename,fold,target,category,esc10,src_file,take\n1-100-A-0.wav,1,0,dog\n",  # a row that was cut short
        b"filename,fold,target,category,esc10,src_file,take\n1-100-A-0.wav,one,0,dog,True,100,A\n",
        b"filename,fold,target,category,esc10,src_file,take\n1-100-A-0.wav,,0,dog,True,100,A\n",
    ],
    ids=["empty", "no rows", "no text", "short row", "fold in words", "no fold"],
)
def test_a_broken_table_is_refused_and_named(folder, cache, text):
    (folder / "meta" / "esc50.csv").write_bytes(text)
    assert "esc50.csv" in refusal("esc50", cache, folder)


def test_a_table_that_lists_a_clip_twice_is_refused(folder, cache):
    rows = read_table(folder)
    write_table(folder, [*rows, rows[0]])
    assert rows[0]["filename"] in refusal("esc50", cache, folder)


def test_a_table_saved_by_a_spreadsheet_is_read(folder):
    table = folder / "meta" / "esc50.csv"
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes())  # Excel's "CSV UTF-8" begins with a byte order mark
    assert len(datasets.Esc50.rows(folder)) == len(CLIPS)


def test_a_class_that_the_data_set_does_not_know_is_refused(folder, cache):
    rows = read_table(folder)
    rows[4]["category"] = "theremin"
    write_table(folder, rows)
    assert "theremin" in refusal("esc50", cache, folder)


def test_a_folder_with_no_clip_of_the_data_set_is_refused(folder, cache):
    write_table(folder, read_table(folder)[4:])
    assert "esc10" in refusal("esc10", cache, folder)


def missing(path):
    path.unlink()


def no_sound(path):
    path.write_bytes(b"this is no sound")


def not_a_number(path):
    soundfile.write(path, np.full(441, np.nan), 44_100, subtype="FLOAT")  # 10 ms: not too short


BROKEN = CLIPS[0][0]


@pytest.mark.parametrize("make", [missing, no_sound, not_a_number])
def test_a_broken_clip_is_refused_and_named(folder, cache, make, capfd):
    make(folder / "audio" / BROKEN)
    assert BROKEN in refusal("esc50", cache, folder)
    assert capfd.readouterr().out == ""  # TFDS tells of its downloads there
    assert [path for path in cache.rglob("*") if path.is_file()] == []  # nothing that a later load could take for whole


def test_a_clip_of_another_data_set_may_be_broken(folder, cache):
    no_sound(folder / "audio" / "3-103-A-5.ogg")
    assert len(examples(datasets.load("esc10", cache, folder))) == len(ESC10_CLIPS)


def test_skipping_leaves_out_broken_clips_alone_and_names_them(folder, cache):
    broken = [name for name, *_ in CLIPS[::2]]
    for make, name in zip((not_a_number, no_sound, missing), broken, strict=True):
        make(folder / "audio" / name)
    builder = datasets.load("esc50", cache, folder, skip_bad=True)
    assert builder.info.metadata["skipped"] == broken
    assert set(examples(builder)) == {name for name, *_ in CLIPS} - {*broken}
    again = datasets.load("esc50", cache, folder, skip_bad=True)  # read from the cache
    assert again.info.metadata["skipped"] == broken


def test_a_load_that_skips_is_told_from_one_that_does_not(folder, cache):
    whole = datasets.load("esc50", cache, folder)
    skipping = datasets.load("esc50", cache, folder, skip_bad=True)
    assert whole.builder_config.name != skipping.builder_config.name
    assert skipping.info.metadata["skipped"] == []
    no_sound(folder / "audio" / BROKEN)
    broken = datasets.load("esc50", cache, folder, skip_bad=True)
    assert broken.builder_config.name != skipping.builder_config.name
    assert BROKEN in refusal("esc50", cache, folder)  # what was skipped once is not forgiven


def test_a_fold_of_which_every_clip_is_skipped_is_no_split(folder, cache):
    for filename, *_ in CLIPS:
        if filename.startswith("2-"):
            no_sound(folder / "audio" / filename)
    builder = datasets.load("esc50", cache, folder, skip_bad=True)
    assert sorted(builder.info.splits) == ["fold1", "fold3"]
    assert len(builder.info.metadata["skipped"]) == 2 and len(examples(builder)) == 4


def test_nothing_left_after_skipping_is_refused(folder, cache):
    for filename, *_ in CLIPS:
        no_sound(folder / "audio" / filename)
    assert "esc50" in refusal("esc50", cache, folder, skip_bad=True)


def test_a_folder_may_be_a_link(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    assert datasets.Esc50.fingerprint(tmp_path / "link") == datasets.Esc50.fingerprint(folder)
