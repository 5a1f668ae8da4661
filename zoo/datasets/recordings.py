"""What every data set of recordings has in common: a TFDS builder that keeps each clip at its own rate.

`zoo.corpus` decodes and resamples the clips. A data set says in `rows` what lies in its folder, and in `FOLDS`
whether its folds are fixed splits.
"""

import csv
import hashlib
import sys
from abc import abstractmethod
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from zoo.backend import tf

import tensorflow_datasets as tfds

from zoo import audio
from zoo.errors import ZooError
from zoo.progress import bar

PATIENCE_S = 5  # without a bar


@dataclass
class Source(tfds.core.BuilderConfig):
    """Where the clips are read from; its name, the fingerprint, tells one preparation from another."""

    folder: Path | None = None
    skip_bad: bool = False
    labels: tuple = ()  # the classes, in the order of the scores


@dataclass(frozen=True)
class Row:
    """A clip of a data set, not yet read."""

    file: str  # its name in the data set, which no other clip has
    path: Path
    fold: int
    label: str | tuple  # of str, where the data set is `MULTI_LABEL`
    source: str  # the recording that it was cut from, or its speaker: what stands in for chance in intervals
    start_samples: int | None = None  # of the second of `path` that is the clip; None: all of it is


class Split(NamedTuple):
    """The folds that train, those that choose, and the one that tests."""

    train: tuple
    validation: tuple
    test: tuple


class Recordings(tfds.core.GeneratorBasedBuilder):
    """One TFDS split for each fold. `info.metadata["skipped"]` names the files that were left out."""

    VERSION = tfds.core.Version("1.0.0")
    TASK = ""  # what there is to tell apart, in a few words
    LABELS = ()  # empty where the folder tells
    MULTI_LABEL = False  # whether any number of the classes is heard in a clip, or exactly one
    NUM_CLIPS = None  # as published
    NUM_CLASSES = None  # as published, where `LABELS` do not tell
    SAMPLE_RATE_HZ = None  # as published; None where rates are mixed
    PROTOCOL = ""  # how it is tested: what --fold all does
    LICENCE = ""
    CITATION = ""
    HOMEPAGE = ""
    LAYOUT = ""  # what the folder that --data-dir names must hold
    GET = ""  # how to come by the recordings
    FOLDS = {}  # split -> fold where the splits are fixed; empty where each fold tests in its turn
    KNOWN_BROKEN = ()  # names, without suffix, of published clips that are left out where they do not decode

    @classmethod
    @abstractmethod
    def rows(cls, folder):
        """A list of `Row`, one for each clip that belongs to this data set.

        Raises: ZooError if the folder has not the layout, or holds what this data set does not know.
        """

    @classmethod
    def labels(cls, folder):
        """The classes of the data in `folder`, in the order of the scores: `LABELS`, or where there are none those of
        the rows, sorted.
        """
        return cls.LABELS or tuple(sorted({row.label for row in cls.rows(folder)}))

    @property
    def class_names(self):
        """The classes, in the order of the scores: a tuple of str."""
        label = self.info.features["label"]
        return tuple((label.feature if self.MULTI_LABEL else label).names)

    @classmethod
    def obtain(cls, cache):
        """The folder of the official clips, downloaded or made below `cache`.

        Raises: ZooError, with the way to them, where they can be neither.
        """
        raise ZooError(f"{cls.name}: {cls.GET}; point --data-dir at the folder that holds {cls.LAYOUT}")

    @classmethod
    def _lacks(cls, what, folder):
        """The ZooError of a folder without `what`."""
        return ZooError(f"{cls.name}: no {what} in {folder}; point --data-dir at the folder that holds {cls.LAYOUT}")

    @classmethod
    def test_folds(cls, folds):
        """Those of `folds`, in order, that may test: all of them, or the one that the data set's authors set apart.

        Raises: ZooError if there is none.
        """
        found = tuple(fold for fold in sorted(set(folds)) if fold == cls.FOLDS.get("test", fold))
        if not found:
            raise ZooError(f"{cls.name}: the folder holds no clip to test on (fold {cls.FOLDS['test']}); add the rest")
        return found

    @classmethod
    def split(cls, folds, test_fold):
        """The `Split` of the data's `folds` in which `test_fold` tests.

        Cross-validation trains on all others and leaves validation empty; fixed splits are as `FOLDS` names them.

        Raises: ZooError if `test_fold` is not there, is not for testing, or leaves nothing to train on.
        """
        testing = cls.test_folds(folds)
        if test_fold not in testing:
            fixed = [name for name, fold in cls.FOLDS.items() if fold == test_fold]
            found = f"fold {test_fold} is its {fixed[0]} split" if fixed else f"no fold {test_fold}"
            raise ZooError(f"{cls.name}: {found}; what may test is fold {', '.join(map(str, testing))}")
        validation = {fold for fold in folds if fold == cls.FOLDS.get("validation")}
        train = set(folds) - validation - {test_fold}
        if not train:
            raise ZooError(f"{cls.name}: the folder holds nothing to train on beside fold {test_fold}; add the rest")
        return Split(tuple(sorted(train)), tuple(validation), (test_fold,))

    @classmethod
    def fingerprint(cls, folder):
        """Sixteen hex digits that change with any byte of any clip, and with the rows of this data set."""

        @cache  # many clips may be cut from one recording
        def sha256(path):
            return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"

        digest = hashlib.sha256()
        rows = sorted(cls.rows(folder), key=lambda row: row.file)
        for row in bar(rows, desc=f"{cls.name}: fingerprint", unit="clip", delay=PATIENCE_S):
            labels = row.label if cls.MULTI_LABEL else (row.label,)
            digest.update("\0".join([row.file, str(row.fold), *labels, row.source, sha256(row.path)]).encode())
        return digest.hexdigest()[:16]

    @classmethod
    def _table(cls, path, columns, names="filename"):
        """The rows of the csv at `path` as dicts, in each of which all of `columns` stand; `names` is that of files.

        Raises: ZooError if it is no csv, has no rows, lacks a column or lists a clip twice.
        """
        try:
            with open(path, newline="", encoding="utf-8-sig") as file:  # Excel begins with a byte order mark
                rows = list(csv.DictReader(file))
        except (UnicodeDecodeError, csv.Error) as error:
            raise ZooError(f"{cls.name}: {path} is no csv in UTF-8 ({error}); mend it") from error
        if not rows or any(row.get(column) is None for row in rows for column in columns):
            raise ZooError(f"{cls.name}: {path} needs rows with the columns {', '.join(sorted(columns))}")
        twice = [file for file, times in Counter(row[names] for row in rows).items() if times > 1]
        if twice:
            raise ZooError(f"{cls.name}: {path} lists {twice[0]} twice; mend the csv")
        return rows

    @classmethod
    def _download(cls, cache, url, size_told, known=None):
        """The folder below `cache` in which the archive at `url` lies unpacked; `known` is its TFDS `UrlInfo`."""
        print(f"{cls.name}: downloading {url} ({size_told}); --data-dir takes a folder that you have", file=sys.stderr)
        manager = tfds.download.DownloadManager(
            download_dir=Path(cache) / "downloads", dataset_name=cls.name, url_infos=known and {url: known}
        )
        try:
            return Path(manager.download_and_extract(url))
        except Exception as error:  # TFDS, requests and the archive each raise their own
            raise ZooError(
                f"{cls.name}: {url} could not be downloaded ({type(error).__name__}); "
                f"get it yourself and point --data-dir at the folder that holds {cls.LAYOUT}"
            ) from error

    def _info(self):
        label = tfds.features.ClassLabel(names=self.builder_config.labels)
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "encoded": tfds.features.Tensor(shape=(), dtype=tf.string),
                    "encoding": tfds.features.Text(),
                    "sample_rate_hz": tfds.features.Scalar(tf.int64),
                    "label": tfds.features.Sequence(label) if self.MULTI_LABEL else label,
                    "fold": tfds.features.Scalar(tf.int64),
                    "file": tfds.features.Text(),
                    "source": tfds.features.Text(doc="the recording that the clip was cut from, or its speaker"),
                }
            ),
            homepage=self.HOMEPAGE,
            citation=self.CITATION,
            license=self.LICENCE,
            metadata=tfds.core.MetadataDict(skipped=[]),
        )

    def _split_generators(self, dl_manager):
        good = {}
        for row in bar(self.rows(self.builder_config.folder), desc=f"{self.name}: look at clips", unit="clip"):
            try:
                self.read(row)  # and again when it is kept: all recordings at once would not fit in memory
                good.setdefault(row.fold, []).append(row)
            except ZooError:
                is_known = row.path.stem in self.KNOWN_BROKEN
                if not (is_known or self.builder_config.skip_bad):
                    raise
                if is_known:
                    print(f"{self.name}: {row.file} does not decode, as is known of it: left out", file=sys.stderr)
                self.info.metadata["skipped"].append(row.file)
        if not good:
            raise ZooError(f"{self.name}: no clip of {self.builder_config.folder} can be used; look at one of them")
        names = {fold: name for name, fold in self.FOLDS.items()}
        return {names.get(fold, f"fold{fold}"): self._generate_examples(good[fold]) for fold in sorted(good)}

    @classmethod
    def read(cls, row):
        """The clip's `audio.Recording`.

        Raises: ZooError, naming the file, if it is not there or cannot be used.
        """
        if not row.path.is_file():
            raise ZooError(f"{row.path}: is listed but not there; put it back, or pass --skip-bad")
        return audio.read(row.path)

    @classmethod
    def example(cls, row):
        """What TFDS keeps of the clip.

        Raises: ZooError, as `read` does.
        """
        recording = cls.read(row)
        return {
            "encoded": recording.encoded,
            "encoding": recording.encoding,
            "sample_rate_hz": recording.sample_rate_hz,
            "label": row.label,
            "fold": row.fold,
            "file": row.file,
            "source": row.source,
        }

    def _generate_examples(self, rows):
        for row in bar(rows, desc=f"{self.name}: keep clips", unit="clip", delay=PATIENCE_S):
            yield row.file, self.example(row)
