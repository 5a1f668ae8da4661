"""TFDS builders of the data sets that come in ESC-50's layout: `audio/` and one csv in `meta/`.

Source: Piczak 2015, "ESC: Dataset for Environmental Sound Classification"; https://github.com/karolpiczak/ESC-50
"""

from collections import Counter
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
ESC18_LABELS = tuple(
    label for label in ESC50_LABELS
    if label in ESC10_LABELS or label in (
        "cat", "chirping_birds", "thunderstorm", "snoring", "glass_breaking", "siren", "car_horn", "church_bells",
    )
)  # fmt: skip


class EscLayout(Recordings):
    """A data set of five folds (or as many as the csv names), of which each tests in its turn."""

    SAMPLE_RATE_HZ = 44_100
    PROTOCOL = "5 folds, each tests in its turn"
    LAYOUT = "audio/ and meta/"
    IS_PART = False  # of what the folder holds: other classes than `LABELS` are passed over

    @classmethod
    def rows(cls, folder):
        tables = sorted(Path(folder).glob("meta/*.csv"))
        if not (Path(folder) / "audio").is_dir() or len(tables) != 1:
            missing = "no audio/" if len(tables) == 1 else f"{len(tables)} csv files in meta/ (one is wanted)"
            raise ZooError(f"{cls.name}: {missing} in {folder}; point --data-dir at the folder that holds both")
        found = cls._table(tables[0], {"filename", "fold", "category", "src_file"})
        found = [row for row in found if not cls.IS_PART or row["category"] in cls.LABELS]
        unknown = cls.LABELS and sorted({row["category"] for row in found} - set(cls.LABELS))
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


class Esc50(EscLayout):
    """ESC-50: 2,000 clips of 5 s, 50 classes, 5 folds."""

    TASK = "environmental sounds"
    LABELS = ESC50_LABELS
    NUM_CLIPS = 2_000
    LICENCE = "CC BY-NC 3.0"
    HOMEPAGE = "https://github.com/karolpiczak/ESC-50"
    CITATION = """@inproceedings{piczak2015esc,
  title={{ESC}: {Dataset} for {Environmental Sound Classification}}, author={Piczak, Karol J.},
  booktitle={Proceedings of the 23rd Annual ACM Conference on Multimedia}, pages={1015--1018}, year={2015}}"""
    GET = "downloaded from its page (0.6 GB)"

    @classmethod
    def obtain(cls, cache):
        return next(folder.parent for folder in cls._download(cache, ARCHIVE_URL, "0.6 GB").glob("*/meta"))


class Esc10(Esc50):
    """ESC-10: the 400 clips and 10 classes of ESC-50 that are free for commercial use; any ESC-50 folder holds it."""

    LABELS = ESC10_LABELS
    IS_PART = True
    NUM_CLIPS = 400
    LICENCE = "CC BY 3.0"


class Esc18(Esc50):
    """ESC-10 and eight more whole classes of ESC-50: 720 clips, 5 folds. Any ESC-50 folder holds it.

    So does a folder in which ESC-10 and a part of ESC-50 lie side by side, each in a folder of its own with audio/ and
    meta/esc*.csv.
    """

    LABELS = ESC18_LABELS
    IS_PART = True
    NUM_CLIPS = 720
    LAYOUT = "ESC-50's audio/ and meta/, or the folders of ESC-10 and of a part of ESC-50 that hold them"

    @classmethod
    def rows(cls, folder):
        folder, of_part = Path(folder), super().rows
        parts = {table.parents[1] for table in folder.glob("*/meta/esc*.csv") if not (folder / "meta").is_dir()}
        rows = [row for part in sorted(parts) or [folder] for row in of_part(part)]
        missing = set(cls.LABELS) - {row.label for row in rows}
        if missing:
            raise ZooError(f"{cls.name}: no clip of {min(missing)} in {folder}; point --data-dir at {cls.LAYOUT}")
        twice = [name for name, times in Counter(row.path.stem for row in rows).items() if times > 1]
        if twice:
            raise ZooError(f"{cls.name}: {folder} holds {twice[0]} in two of its folders; take one of them away")
        return rows


class Frogs(EscLayout):
    """Field recordings of ten Australian frogs, in ESC-50's layout: 9,132 clips at 32 kHz, 5 folds.

    The ACDNet paper trains on them for 1,000 epochs without augmentation and reports 88.98 %. They were lent
    to its authors and are not published: neither the names of the species nor the layout of their folder could
    be checked. The classes are those of the csv, sorted.
    """

    TASK = "calls of frogs"
    NUM_CLIPS = 9_132
    NUM_CLASSES = 10
    SAMPLE_RATE_HZ = 32_000
    LICENCE = "none stated"
    CITATION = """@article{mohaimenuzzaman2023environmental,
  title={Environmental Sound Classification on the Edge: A Pipeline for Deep Acoustic Networks on Extremely
         Resource-Constrained Devices}, author={Mohaimenuzzaman, Md and Bergmeir, Christoph and West, Ian and
         Meyer, Bernd}, journal={Pattern Recognition}, volume={133}, pages={109025}, year={2023}}"""
    GET = "not published: James Cook University lent them to the authors of the ACDNet paper"


class Synth10(EscLayout):
    """Ten everyday sounds made by code: 400 clips of 2 to 7 s, 5 folds, no download."""

    TASK = "environmental sounds, made by code"
    LABELS = synth10.LABELS
    NUM_CLIPS = 400
    LICENCE = "CC0 1.0"
    GET = "made on the spot"

    @classmethod
    def obtain(cls, cache):
        folder = Path(cache) / "synth10"
        if not folder.exists():
            with whole_folder(folder) as unfinished:
                synth10.write(unfinished)
        return folder
