"""SHA256SUMS of an exported folder, as `sha256sum --check` reads it: whether its files are those that were written."""

import hashlib
from pathlib import Path

from zoo.errors import ZooError

FILE = "SHA256SUMS"


def write(folder):
    """Writes the sums of all files below the folder."""
    lines = [f"{of(Path(folder, name))}  {name}\n" for name in sorted(_files(folder))]
    Path(folder, FILE).write_text("".join(lines), encoding="utf-8")


def listed(folder):
    """{path in the folder: its sum}; nothing where there is no such file."""
    path = Path(folder, FILE)
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return dict(line.split("  ", 1)[::-1] for line in lines)


def damaged(folder):
    """What the sums and the folder do not agree about, one line each.

    Raises: ZooError where there are no sums.
    """
    known, there = listed(folder), _files(folder)
    if not known:
        raise ZooError(f"{folder}: no {FILE}; pass a folder that a recipe exported")
    return [
        *(f"{name}: listed in {FILE}, and not there" for name in sorted(known.keys() - there)),
        *(f"{name}: not listed in {FILE}" for name in sorted(there - known.keys())),
        *(
            f"{name}: is not the file that {FILE} lists: damaged or changed"
            for name in sorted(there & known.keys())
            if of(Path(folder, name)) != known[name]
        ),
    ]


def _files(folder):
    return {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()} - {FILE}


def of(path):
    """The SHA-256 of a file, in hex digits."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
