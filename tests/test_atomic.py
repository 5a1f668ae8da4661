"""Folders and files are there whole or not at all, and never replaced unasked."""

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.atomic import full_disk_told, whole_file, whole_folder
from zoo.errors import ZooError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def folder(tmp_path):
    """Where a folder is to be; nothing else lies beside it."""
    return tmp_path / "exported" / "model-data"


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write(folder, overwrite=False, card="new"):
    with whole_folder(folder, overwrite) as unfinished:
        (unfinished / "card.md").write_text(card)
        (unfinished / "micro").mkdir()
        (unfinished / "micro" / "body.cc").write_text(card)


def test_a_folder_is_not_there_before_it_is_whole(folder):
    with whole_folder(folder, overwrite=False) as unfinished:
        (unfinished / "card.md").write_text("half")
        assert not folder.exists()
    assert contents(folder) == {"card.md": b"half"}
    assert list(folder.parent.iterdir()) == [folder]


def test_others_may_read_a_finished_folder(folder):
    write(folder)
    assert folder.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_block_that_fails_leaves_nothing(folder, error, overwrite):
    with pytest.raises(error):
        with whole_folder(folder, overwrite) as unfinished:
            (unfinished / "card.md").write_text("half")
            raise error
    assert list(folder.parent.iterdir()) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_the_folder_that_it_would_have_replaced(folder, error):
    write(folder, card="old")
    with pytest.raises(error):
        with whole_folder(folder, overwrite=True) as unfinished:
            (unfinished / "card.md").write_text("half")
            raise error
    assert contents(folder) == {"card.md": b"old", "micro/body.cc": b"old"}
    assert list(folder.parent.iterdir()) == [folder]


def test_overwriting_replaces_a_folder_whole(folder):
    write(folder, card="old")
    (folder / "left_over.tflite").write_text("old")
    write(folder, overwrite=True)
    assert contents(folder) == {"card.md": b"new", "micro/body.cc": b"new"}
    assert list(folder.parent.iterdir()) == [folder]


def test_without_overwrite_a_folder_that_came_meanwhile_is_never_touched(folder):
    write(folder, card="old")
    with pytest.raises(OSError):
        write(folder)
    assert contents(folder) == {"card.md": b"old", "micro/body.cc": b"old"}
    assert list(folder.parent.iterdir()) == [folder]


FULL_DISK = """
import sys
from pathlib import Path
from zoo.atomic import whole_folder
from zoo.backend import keras
from zoo.errors import ZooError
from zoo.export.keras_files import save_h5

model = keras.Sequential([keras.Input((500,)), keras.layers.Dense(500)])
for write in (lambda folder: (folder / "model.tflite").write_bytes(bytes(1_000_000)),
              lambda folder: save_h5(model, folder / "model.h5")):
    try:
        with whole_folder(Path(sys.argv[1]), overwrite=True) as unfinished:
            (unfinished / "labels.txt").write_text("dog")
            write(unfinished)
    except ZooError as error:
        print(error)
"""


def at_most_100_kb_a_file():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write itself fails then, as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


def test_writes_that_fail_leave_nothing_half_written_and_are_told_in_one_line(folder):
    write(folder, card="old")
    finished = subprocess.run(
        [sys.executable, "-c", FULL_DISK, folder],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=at_most_100_kb_a_file,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    lines = finished.stdout.splitlines()
    assert len(lines) == 2 and all("the disk is full" in line for line in lines), finished.stdout
    assert contents(folder) == {"card.md": b"old", "micro/body.cc": b"old"}
    assert list(folder.parent.iterdir()) == [folder]


def test_a_full_disk_alone_is_told_as_one(tmp_path):
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        with pytest.raises(ZooError, match="the disk is full"), full_disk_told(tmp_path):
            raise OSError(number, os.strerror(number))
    for error in (FileNotFoundError(errno.ENOENT, "nowhere"), ValueError("other"), KeyboardInterrupt()):
        with pytest.raises(type(error)), full_disk_told(tmp_path):
            raise error
    with pytest.raises(ZooError, match="^told already$"), full_disk_told(tmp_path):
        raise ZooError("told already")


def test_a_file_takes_its_place_once_it_is_whole(tmp_path):
    path = tmp_path / "cache" / "clips.npz"
    for text in ("old", "new"):
        with whole_file(path) as unfinished:
            assert unfinished.suffix == ".npz"  # numpy adds it where it is missing
            unfinished.write_text(text)
            assert not path.exists() or path.read_text() == "old"
        assert path.read_text() == text
        assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_file_whose_block_fails_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "clips.npz"
    path.write_text("old")
    with pytest.raises(error):
        with whole_file(path) as unfinished:
            unfinished.write_text("half")
            raise error
    assert list(tmp_path.iterdir()) == [path] and path.read_text() == "old"
