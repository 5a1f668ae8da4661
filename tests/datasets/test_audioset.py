"""AudioSet in its official form: which clips are read, and a preparation that is killed, resumed and not done twice."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tensorflow_datasets as tfds

from zoo import corpus, datasets
from zoo.datasets import audioset
from zoo.datasets.audioset import Audioset, AudiosetBalanced
from zoo.errors import ZooError

ROOT = Path(__file__).parents[2]
RATE_HZ = 8_000
# As class_labels_indices.csv has them; the second holds a comma.
CLASSES = {"/m/0bt9lr": "Dog", "/m/07qn5dc": "Crowing, cock-a-doodle-doo", "/t/dd00002": "Baby cry, infant cry"}
MIDS = tuple(CLASSES)
HEADER = """# Segments csv created Sun Mar  5 10:54:25 2017
# num_ytids={0}, num_segs={0}, num_unique_labels=3, num_positive_labels=9
# YTID, start_seconds, end_seconds, positive_labels
"""
# YTID, start in s, mids, the file of the clip below the folder; None: the video has disappeared
BALANCED = (
    ("--4gqARaEJE", 0, MIDS[:2], "--4gqARaEJE.wav"),
    ("YwfSPbhBAq4", 30, MIDS[2:], "balanced/YYwfSPbhBAq4.flac"),
    ("-BfNjxHKZFs", 2.5, MIDS[:1], "balanced/-BfNjxHKZFs_2500.ogg"),
    ("0000000000_", 70, MIDS, None),
    *((f"train_{n:05}", 10 * n, (MIDS[n % 3],), f"balanced/train_{n:05}.flac") for n in range(9)),
)
UNBALANCED = (("unbalanced0", 5, MIDS[1:], "unbalanced/unbalanced0_5000_15000.wav"),)
EVALUATION = (
    ("-0RWZT-miFs", 420, MIDS[1:], "eval/Y-0RWZT-miFs_420000.wav"),
    ("eval_000002", 20, MIDS[:1], "eval/eval_000002.flac"),
    ("eval_broken", 20, MIDS[:1], "eval/eval_broken.flac"),
)


def write_segments(path, segments):
    lines = [f'{video}, {start:.3f}, {start + 10:.3f}, "{",".join(mids)}"\n' for video, start, mids, _ in segments]
    path.write_text(HEADER.format(len(segments)) + "".join(lines), encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Clips of a fifth of a second under every name that is read; one is not there, and one does not decode."""
    folder, rng = tmp_path_factory.mktemp("audioset"), np.random.default_rng(0)
    tables = {"balanced_train": BALANCED, "unbalanced_train": UNBALANCED, "eval": EVALUATION}
    for name, segments in tables.items():
        write_segments(folder / f"{name}_segments.csv", segments)
        for file in filter(None, (segment[-1] for segment in segments)):
            (folder / file).parent.mkdir(exist_ok=True)
            soundfile.write(folder / file, rng.uniform(-0.5, 0.5, RATE_HZ // 5), RATE_HZ)
    (folder / "eval/eval_broken.flac").write_bytes(b"fLaC" + bytes(400))
    (folder / "eval/notes.txt").write_text("no sound")
    (folder / "class_labels_indices.csv").write_text(
        "index,mid,display_name\n" + "".join(f'{i},{mid},"{name}"\n' for i, (mid, name) in enumerate(CLASSES.items()))
    )
    return folder


@pytest.fixture
def csv_only(folder, tmp_path):
    """A folder with the same csv files, and two of the clips."""
    for path in folder.glob("*.csv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    for file in (BALANCED[0][-1], EVALUATION[0][-1]):
        (tmp_path / Path(file).name).write_bytes((folder / file).read_bytes())
    return tmp_path


# What the folder holds


def test_listed_clips_are_found_under_the_names_that_collectors_give_them(folder):
    listed = {segment[0]: segment for segment in (*BALANCED, *UNBALANCED, *EVALUATION)}
    rows = Audioset.rows(folder)
    assert {row.source for row in rows} == {video for video, segment in listed.items() if segment[-1]}
    for row in rows:
        _, _, mids, file = listed[row.source]
        assert row.path == folder / file and row.file == row.path.name
        assert row.label == tuple(CLASSES[mid] for mid in mids)
        assert row.fold == Audioset.FOLDS["test" if file.startswith("eval/") else "train"]
    assert Audioset.labels(folder) == tuple(CLASSES.values())


def test_the_balanced_segments_alone_are_a_data_set_of_their_own(folder):
    videos = {row.source for row in Audioset.rows(folder)}
    assert videos - {row.source for row in AudiosetBalanced.rows(folder)} == {"unbalanced0"}
    assert datasets.DATASETS["audioset_balanced"] is AudiosetBalanced and datasets.DATASETS["audioset"] is Audioset


def test_the_fingerprint_tells_another_clip_another_size_and_another_label(folder, csv_only):
    seen = {AudiosetBalanced.fingerprint(csv_only)}
    clip = csv_only / "--4gqARaEJE.wav"
    (csv_only / "train_00000.flac").write_bytes((folder / "balanced/train_00000.flac").read_bytes())
    seen.add(AudiosetBalanced.fingerprint(csv_only))
    clip.write_bytes(clip.read_bytes() + b"\0")
    seen.add(AudiosetBalanced.fingerprint(csv_only))
    write_segments(csv_only / "balanced_train_segments.csv", [(*BALANCED[0][:2], MIDS, None), *BALANCED[1:]])
    seen.add(AudiosetBalanced.fingerprint(csv_only))
    assert len(seen) == 4
    (csv_only / "unbalanced_train_segments.csv").unlink()  # which it does not read
    assert AudiosetBalanced.fingerprint(csv_only) in seen


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("eval_segments.csv", "# comment\nabc, 0.000, 10.000\n", "line 2 is not YTID"),
        ("eval_segments.csv", 'abc, 0.000, 10.000, "/m/none"\n', "lists the label /m/none"),
        ("eval_segments.csv", '--4gqARaEJE, 0.000, 10.000, "/m/0bt9lr"\n', "lists --4gqARaEJE once more"),
        ("class_labels_indices.csv", "index,mid,display_name\n1,/m/0bt9lr,Dog\n", "is not numbered from 0 on"),
        ("class_labels_indices.csv", None, "no class_labels_indices.csv in"),
        ("copy.flac", "", "none"),
    ],
)
def test_what_is_wrong_with_the_folder_is_told_in_a_line(csv_only, file, text, told):
    if text is None:
        (csv_only / file).unlink()
    else:
        (csv_only / file).write_text(text)
    if told == "none":
        for path in csv_only.glob("*.wav"):
            path.unlink()
    with pytest.raises(ZooError) as raised:
        AudiosetBalanced.rows(csv_only)
    assert told in str(raised.value) and str(csv_only) in str(raised.value) and "\n" not in str(raised.value)


def test_a_clip_that_is_there_twice_is_refused(csv_only):
    (csv_only / "again").mkdir()
    (csv_only / "again/--4gqARaEJE.flac").write_bytes(b"")
    with pytest.raises(ZooError, match="are one clip; take one of them away"):
        AudiosetBalanced.rows(csv_only)


# The preparation

KILLED = """
import os, signal, sys
from zoo import datasets
from zoo.datasets import audioset

audioset.SHARD_CLIPS = 2
clips, example = 0, audioset.Audioset.example

def killing(row):
    global clips
    clips += 1
    if clips == 6:
        os.kill(os.getpid(), signal.SIGKILL)
    return example(row)

audioset.Audioset.example = killing
datasets.load("audioset", sys.argv[1], sys.argv[2])
"""


@pytest.fixture(scope="module")
def resumed(folder, tmp_path_factory):
    """(builder, {shard: (mtime, inode)} when SIGKILL came, the same of all shards at the end, what was told)."""
    cache = tmp_path_factory.mktemp("cache")
    command = [sys.executable, "-c", KILLED, cache, folder]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert child.returncode == -signal.SIGKILL, child.stderr[-2_000:]
    (unfinished,) = cache.glob("tfds/audioset/*/.unfinished-1.0.0")
    killed = stamps(unfinished)
    errors, stderr = io.StringIO(), sys.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audioset, "SHARD_CLIPS", 2)
        sys.stderr = errors
        try:
            builder = datasets.load("audioset", cache, folder)
        finally:
            sys.stderr = stderr
    return builder, killed, stamps(builder.data_path), errors.getvalue()


def stamps(folder):
    return {
        path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in Path(folder).glob("audioset-*.tfrecord-*")
    }


def test_shards_that_were_finished_before_the_kill_are_not_written_again(resumed):
    _, killed, whole, _ = resumed
    assert len(killed) == 2 and len(whole) == 7 + 2  # the sixth clip began the third shard's second half
    assert killed.items() <= whole.items()


def test_what_is_prepared_is_a_tfds_data_set_of_all_clips_that_decode(resumed, folder):
    builder, *_ = resumed
    assert {split: info.num_examples for split, info in builder.info.splits.items()} == {"train": 13, "test": 2}
    assert [path.name for path in Path(builder.data_path).glob(".*")] == []
    rows = {row.file: row for row in Audioset.rows(folder) if row.file != "eval_broken.flac"}
    again = tfds.builder_from_directory(builder.data_path)  # TFDS alone reads it too
    found = {example["file"].decode(): example for example in tfds.as_numpy(again.as_dataset(split="train+test"))}
    assert found.keys() == rows.keys()
    for file, example in found.items():
        assert tuple(builder.class_names[label] for label in example["label"]) == rows[file].label
        wanted, _ = soundfile.read(rows[file].path)
        kept, rate_hz = soundfile.read(io.BytesIO(example["encoded"]))
        np.testing.assert_array_equal(kept, wanted)
        assert (rate_hz, example["fold"]) == (RATE_HZ, rows[file].fold)


def test_the_clip_that_does_not_decode_is_named_and_the_absent_one_counted(resumed, folder):
    builder, _, _, told = resumed
    assert list(builder.info.metadata["skipped"]) == ["eval_broken.flac"]
    assert builder.info.metadata["missing"] == {"train": 1}
    assert "audioset: not there: 1 of the clips to train\n" in told
    assert f"left out: {folder / 'eval/eval_broken.flac'}: does not decode" in told
    assert "audioset: left out: 1 of the clips; metadata.json in" in told
    assert "9/9" in told  # shards done of all


def test_clips_have_a_row_of_labels_each(resumed, folder, tmp_path):
    builder, *_ = resumed
    clips = corpus.clips_at(builder, RATE_HZ, tmp_path)
    assert clips.targets.shape == (15, 3) and clips.targets.dtype == np.uint8
    rows, names = {row.file: row for row in Audioset.rows(folder)}, list(CLASSES.values())
    for file, target in zip(clips.files, clips.targets, strict=True):
        assert [names[i] for i in np.flatnonzero(target)] == list(rows[file].label)
    assert builder.split(clips.folds.tolist(), 1) == ((0,), (), (1,))


def test_without_beam_one_line_says_what_to_install(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(ZooError, match="pip install apache-beam"):
        datasets.load("audioset", tmp_path, folder)


def test_shards_that_no_worker_wrote_are_told(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(audioset, "_run", lambda shards, write: None)  # as a cluster does that sees other folders
    with pytest.raises(
        ZooError, match="Beam has ended, and not all shards are in .*unfinished-1.0.0; look at its work"
    ):
        datasets.load("audioset", tmp_path, folder)
    assert not list(tmp_path.glob("tfds/audioset/*/1.0.0"))


def test_beams_own_options_say_where_it_runs(tmp_path, monkeypatch):
    monkeypatch.setenv(audioset.BEAM_OPTIONS, "--runner=NoSuchRunner")
    with pytest.raises(ValueError, match="NoSuchRunner"):
        audioset._run([tmp_path], os.path.exists)
