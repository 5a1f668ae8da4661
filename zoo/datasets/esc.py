"""TFDS builders of the data sets that come in ESC-50's layout: `audio/` and one csv in `meta/`.

A clip is kept at its own rate and with its own samples: `zoo.pipeline` decodes and resamples it.
Source: Piczak 2015, "ESC: Dataset for Environmental Sound Classification"; https://github.com/karolpiczak/ESC-50
"""

import csv
import hashlib
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from zoo.backend import tf

import tensorflow_datasets as tfds

from zoo import audio
from zoo.atomic import whole_folder
from zoo.datasets import synth10
from zoo.errors import ZooError
from zoo.progress import bar

ARCHIVE_URL = "https://github.com/karolpiczak/ESC-50/archive/master.zip"

# In the order of the official targets, 0 to 49.
ESC50_LABELS = (
    "dog", "rooster", "pig", "cow", "frog", "cat", "hen", "insects", "sheep", "crow",
    "rain", "sea_waves", "crackling_fire", "crickets", "chirping_birds",
    "water_drops", "wind", "pouring_water", "toilet_flush", "thunderstorm",
    "crying_baby", "sneezing", "clapping", "breathing", "coughing",
    "footsteps", "laughing", "brushing_teeth", "snoring", "drinking_sipping",
    "door_wood_knock", "mouse_click", "keyboard_typing", "door_wood_creaks", "can_opening",
    "washing_machine", "vacuum_cleaner", "clock_alarm", "clock_tick", "glass_breaking",
    "helicopter", "chainsaw", "siren", "car_horn", "engine",
    "train", "church_bells", "airplane", "fireworks", "hand_saw",
)  # fmt: skip
ESC10_LABELS = (
    "dog", "rooster", "rain", "sea_waves", "crackling_fire",
    "crying_baby", "sneezing", "clock_tick", "helicopter", "chainsaw",
)  # fmt: skip


@dataclass
class Source(tfds.core.BuilderConfig):
    """Where the clips are read from; its name, the fingerprint, tells one preparation from another."""

    folder: Path | None = None
    skip_bad: bool = False


class EscLayout(tfds.core.GeneratorBasedBuilder):
    """One split for each fold. `info.metadata["skipped"]` names the files that --skip-bad left out."""

    VERSION = tfds.core.Version("1.0.0")
    LABELS = ()
    LICENCE = ""
    CITATION = ""
    HOMEPAGE = "https://github.com/karolpiczak/ESC-50"

    @classmethod
    def rows(cls, folder):
        """The csv's rows, one dict a clip, that belong to this data set.

        Raises: ZooError if the folder has not ESC-50's layout, or holds a class that this data set does not know.
        """
        tables = sorted(Path(folder).glob("meta/*.csv"))
        if not (Path(folder) / "audio").is_dir() or len(tables) != 1:
            missing = "no audio/" if len(tables) == 1 else f"{len(tables)} csv files in meta/ (one is wanted)"
            raise ZooError(f"{cls.name}: {missing} in {folder}; point --data-dir at the folder that holds both")
        try:
            with open(tables[0], newline="", encoding="utf-8-sig") as file:  # Excel begins with a byte order mark
                rows = list(csv.DictReader(file))
        except (UnicodeDecodeError, csv.Error) as error:
            raise ZooError(f"{cls.name}: {tables[0]} is no csv in UTF-8 ({error}); mend it") from error
        columns = {"filename", "fold", "category", "src_file"}
        if not rows or any(row.get(column) is None for row in rows for column in columns):
            raise ZooError(f"{cls.name}: {tables[0]} needs rows with the columns {', '.join(sorted(columns))}")
        rows = [row for row in rows if cls._belongs(row)]
        unknown = sorted({row["category"] for row in rows} - set(cls.LABELS))
        if unknown or not rows:
            found = f"the unknown class {unknown[0]!r}" if unknown else "none of its clips"
            raise ZooError(f"{cls.name}: {tables[0]} holds {found}; choose the data set that the folder holds")
        if any(not row["fold"].isdigit() for row in rows):
            raise ZooError(f"{cls.name}: {tables[0]} has a row whose fold is not a number; mend the csv")
        twice = [file for file, rows_of_it in Counter(row["filename"] for row in rows).items() if rows_of_it > 1]
        if twice:
            raise ZooError(f"{cls.name}: {tables[0]} lists {twice[0]} twice; mend the csv")
        return rows

    @classmethod
    def _belongs(cls, row):
        return True

    @classmethod
    def fingerprint(cls, folder):
        """Sixteen hex digits that change with any byte of any clip, and with the csv's rows of this data set."""
        digest = hashlib.sha256()
        for row in sorted(cls.rows(folder), key=lambda row: row["filename"]):
            path = Path(folder) / "audio" / row["filename"]
            clip = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"
            digest.update("\0".join([row["filename"], row["fold"], row["category"], row["src_file"], clip]).encode())
        return digest.hexdigest()[:16]

    @classmethod
    def obtain(cls, cache):
        """The official clips' folder, downloaded and unpacked below `cache`."""
        print(
            f"{cls.name}: downloading {ARCHIVE_URL} (0.6 GB); --data-dir takes a folder that you have", file=sys.stderr
        )
        manager = tfds.download.DownloadManager(download_dir=Path(cache) / "downloads", dataset_name=cls.name)
        try:
            unpacked = Path(manager.download_and_extract(ARCHIVE_URL))
        except Exception as error:  # TFDS, requests and the archive each raise their own
            raise ZooError(
                f"{cls.name}: {ARCHIVE_URL} could not be downloaded ({type(error).__name__}); "
                "get ESC-50 yourself and point --data-dir at the folder that holds audio/ and meta/"
            ) from error
        return next(folder.parent for folder in unpacked.glob("*/meta"))

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "encoded": tfds.features.Tensor(shape=(), dtype=tf.string),
                    "encoding": tfds.features.Text(),
                    "sample_rate_hz": tfds.features.Scalar(tf.int64),
                    "label": tfds.features.ClassLabel(names=self.LABELS),
                    "fold": tfds.features.Scalar(tf.int64),
                    "file": tfds.features.Text(),
                    "source": tfds.features.Text(doc="the recording that the clip was cut from"),
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
            path = Path(self.builder_config.folder) / "audio" / row["filename"]
            try:
                if not path.is_file():
                    raise ZooError(f"{path}: is listed in meta/ but not there; put it back, or pass --skip-bad")
                recording = audio.read(path)
                good.setdefault(int(row["fold"]), []).append((row, recording))
            except ZooError:
                if not self.builder_config.skip_bad:
                    raise
                self.info.metadata["skipped"].append(row["filename"])
        if not good:
            raise ZooError(f"{self.name}: no clip of {self.builder_config.folder} can be used; look at one of them")
        return {f"fold{fold}": self._generate_examples(good[fold]) for fold in sorted(good)}

    def _generate_examples(self, clips):
        for row, recording in clips:
            yield (
                row["filename"],
                {
                    "encoded": recording.encoded,
                    "encoding": recording.encoding,
                    "sample_rate_hz": recording.sample_rate_hz,
                    "label": row["category"],
                    "fold": int(row["fold"]),
                    "file": row["filename"],
                    "source": row["src_file"],
                },
            )


ESC_CITATION = """@inproceedings{piczak2015esc,
  title={{ESC}: {Dataset} for {Environmental Sound Classification}}, author={Piczak, Karol J.},
  booktitle={Proceedings of the 23rd Annual ACM Conference on Multimedia}, pages={1015--1018}, year={2015}}"""


class Esc50(EscLayout):
    """ESC-50: 2,000 clips of 5 s, 50 classes, 5 folds."""

    LABELS = ESC50_LABELS
    LICENCE = "CC BY-NC 3.0"
    CITATION = ESC_CITATION


class Esc10(EscLayout):
    """ESC-10: the 400 clips and 10 classes of ESC-50 that are free for commercial use; any ESC-50 folder holds it."""

    LABELS = ESC10_LABELS
    LICENCE = "CC BY 3.0"
    CITATION = ESC_CITATION

    @classmethod
    def _belongs(cls, row):
        return row["category"] in ESC10_LABELS


class Synth10(EscLayout):
    """Ten everyday sounds made by code: 400 clips of 2 to 7 s, 5 folds, no download and no licence."""

    LABELS = synth10.LABELS
    LICENCE = "CC0 1.0"
    HOMEPAGE = ""

    @classmethod
    def obtain(cls, cache):
        folder = Path(cache) / "synth10"
        if not folder.exists():
            with whole_folder(folder) as unfinished:
                synth10.write(unfinished)
        return folder
