"""Models that somebody ships: in a checkout's exported/, or as an archive of such a folder, here or at an address."""

import os
import shutil
import tempfile
import urllib.request
import zipfile
from pathlib import Path
from urllib.error import URLError

from zoo.atomic import whole_folder
from zoo.errors import ZooError
from zoo.runtime import sums
from zoo.runtime.classifier import Classifier

CHECKOUT = Path(__file__).parents[2] / "exported"
ARCHIVE_LIMIT_BYTES = 2**30  # unpacked
BLOCK_BYTES, TIMEOUT_S = 2**20, 30


def load(source, **settings):
    """The `Classifier` of a model.

    source: its name in exported/ of the checkout ("micro_acdnet-esc10"), a folder, or a .zip of one: a path or an
    address, which may end with "#sha256=" and the archive's sum. Archives are unpacked below the user's cache
    (XDG_CACHE_HOME), by their sum: one that lies there is not fetched again. settings: of `Classifier`.

    Raises: ZooError for a name that is not shipped, for what is no such archive, and where a sum is not the one told.
    """
    source = os.fspath(source)
    address, _, told_sum = source.partition("#sha256=")
    if "://" in address:
        return Classifier(_fetched(address, told_sum.lower()), **settings)
    if address.endswith(".zip"):
        return Classifier(_unpacked(Path(address), told_sum.lower(), address), **settings)
    places = (Path(address), CHECKOUT / address)
    for folder in places:
        if folder.is_dir():
            return Classifier(folder, **settings)
    shipped = sorted(path.parent.name for path in CHECKOUT.glob(f"*/{sums.FILE}"))
    raise ZooError(
        f"{source}: no folder, and no model in {CHECKOUT}, which has {', '.join(shipped) or 'none'}; pass one of "
        "these, a folder or a .zip of one"
    )


def pack(folder, archive):
    """Writes an exported folder as a .zip, the same bytes for the same files. Returns its SHA-256.

    Raises: ZooError for a folder whose files are not those of its sums.
    """
    folder = Path(folder)
    if wrong := sums.damaged(folder):
        raise ZooError(f"{folder}: {wrong[0]}")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name in sorted((*sums.listed(folder), sums.FILE)):
            undated = zipfile.ZipInfo(f"{folder.resolve().name}/{name}")
            file.writestr(undated, (folder / name).read_bytes(), zipfile.ZIP_DEFLATED)
    return sums.of(archive)


def _cache():
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edge-audio-zoo"


def _fetched(address, told_sum):
    if told_sum and (cached := _in_cache(told_sum)):
        return cached
    with tempfile.TemporaryDirectory() as scratch:
        archive = Path(scratch, "model.zip")
        try:
            with urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer, open(archive, "wb") as file:
                shutil.copyfileobj(answer, file, BLOCK_BYTES)
        except (URLError, OSError, ValueError) as error:
            raise ZooError(f"{address}: {getattr(error, 'reason', error)}") from error
        return _unpacked(archive, told_sum, address)


def _unpacked(archive, told_sum, source):
    """The folder of an archive, in the cache."""
    try:
        found_sum = sums.of(archive)
    except OSError as error:
        raise ZooError(f"{source}: {error.strerror}") from error
    if told_sum and found_sum != told_sum:
        raise ZooError(f"{source}: its SHA-256 is {found_sum}, and not {told_sum}: damaged, or another archive")
    return _in_cache(found_sum) or _unpack(archive, _cache() / found_sum, source)


def _in_cache(found_sum):
    """The folder of the archive with this sum, where it was unpacked before."""
    return next((path.parent for path in (_cache() / found_sum).glob(f"*/{sums.FILE}")), None)


def _unpack(archive, place, source):
    with whole_folder(place, overwrite=True) as unfinished:
        try:
            with zipfile.ZipFile(archive) as file:
                if sum(info.file_size for info in file.infolist()) > ARCHIVE_LIMIT_BYTES:
                    raise ZooError(f"{source}: is larger than {ARCHIVE_LIMIT_BYTES:,} bytes once it is unpacked")
                file.extractall(unfinished)
        except (zipfile.BadZipFile, OSError) as error:
            raise ZooError(f"{source}: no .zip archive that could be unpacked: {error}") from error
        folders = [path.parent for path in unfinished.glob(f"*/{sums.FILE}")]
        if len(folders) != 1:
            raise ZooError(f"{source}: no archive of one exported folder: its {sums.FILE} is not there")
        if wrong := sums.damaged(folders[0]):
            raise ZooError(f"{source}: {wrong[0]}")
    return place / folders[0].name
