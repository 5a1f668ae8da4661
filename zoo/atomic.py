"""Folders and files that are written whole or not at all, and a full disk told in one line."""

import errno
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import ZooError

NO_ROOM_BYTES = 2**20  # a disk with less is full: what did not fit may have been larger


@contextmanager
def whole_folder(folder, overwrite=False):
    """A temporary folder beside `folder`: it takes its place when the block ends well, and goes when it does not."""
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        with full_disk_told(folder.parent):
            yield unfinished
        unfinished.chmod(0o755)  # mkdtemp lets nobody else in
        if overwrite and folder.exists():
            replaced = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
            folder.rename(replaced / folder.name)
            unfinished.rename(folder)
            shutil.rmtree(replaced)
        else:
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


@contextmanager
def whole_file(path):
    """A temporary path beside `path`, with the same ending, whose file takes its place when the block ends well."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.stem}-", dir=path.parent) as folder, full_disk_told(path.parent):
        yield Path(folder) / path.name
        (Path(folder) / path.name).replace(path)


@contextmanager
def full_disk_told(folder):
    """Turns what a library raises where the disk of `folder` is full, each its own, into a ZooError."""
    try:
        yield
    except ZooError:
        raise
    except Exception as error:
        reasons = [os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)]
        no_room = any(reason in str(error) for reason in reasons) or shutil.disk_usage(folder).free < NO_ROOM_BYTES
        if not no_room:
            raise
        raise ZooError(f"{folder}: the disk is full; make room, and the same command goes on from there") from error
