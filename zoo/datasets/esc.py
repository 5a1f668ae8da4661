"""TFDS builders of the data sets that come in ESC-50's layout: `audio/` and one csv in `meta/`.

Source: Piczak 2015, "ESC: Dataset for Environmental Sound Classification"; https://github.com/karolpiczak/ESC-50
"""

from pathlib import Path

from zoo.atomic import whole_folder
from zoo.datasets import synth10
from zoo.datasets.recordings import Recordings, Row
from zoo.errors import ZooError

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


class EscLayout(Recordings):
    """A data set of five folds (or as many as the csv names), of which each tests in its turn."""

    HOMEPAGE = "https://github.com/karolpiczak/ESC-50"
    LAYOUT = "audio/ and meta/"

    @classmethod
    def rows(cls, folder):
        tables = sorted(Path(folder).glob("meta/*.csv"))
        if not (Path(folder) / "audio").is_dir() or len(tables) != 1:
            missing = "no audio/" if len(tables) == 1 else f"{len(tables)} csv files in meta/ (one is wanted)"
            raise ZooError(f"{cls.name}: {missing} in {folder}; point --data-dir at the folder that holds both")
        found = cls._table(tables[0], {"filename", "fold", "category", "src_file"})
        found = [row for row in found if cls._belongs(row)]
        unknown = sorted({row["category"] for row in found} - set(cls.LABELS))
        if unknown or not found:
            held = f"the unknown class {unknown[0]!r}" if unknown else "none of its clips"
            raise ZooError(f"{cls.name}: {tables[0]} holds {held}; choose the data set that the folder holds")
        if any(not row["fold"].isdigit() for row in found):
            raise ZooError(f"{cls.name}: {tables[0]} has a row whose fold is not a number; mend the csv")
        audio = Path(folder) / "audio"
        return [
            Row(row["filename"], audio / row["filename"], int(row["fold"]), row["category"], row["src_file"])
            for row in found
        ]

    @classmethod
    def _belongs(cls, row):
        return True

    @classmethod
    def obtain(cls, cache):
        return next(folder.parent for folder in cls._download(cache, ARCHIVE_URL, "0.6 GB").glob("*/meta"))


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
