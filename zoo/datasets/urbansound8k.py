"""The TFDS builder of UrbanSound8K: clips of city sounds in ten folds that are never shuffled.

A clip's source is the Freesound recording that it was cut from. Clips of one recording resemble each other: whoever
shuffles them over other folds than the official ten measures memory.

Source: Salamon, Jacoby and Bello 2014, "A Dataset and Taxonomy for Urban Sound Research", and the archive's README
"""

from pathlib import Path

from zoo.datasets.recordings import Recordings, Row
from zoo.errors import ZooError

ARCHIVE_URL = "https://zenodo.org/record/1203745/files/UrbanSound8K.tar.gz"
TABLE = "metadata/UrbanSound8K.csv"


class UrbanSound8K(Recordings):
    """UrbanSound8K: 8,732 clips of at most 4 s, 10 classes, 10 folds; or those of the folds that the folder holds."""

    name = "urbansound8k"
    TASK = "city sounds"
    LABELS = (  # in the order of classID
        "air_conditioner", "car_horn", "children_playing", "dog_bark", "drilling",
        "engine_idling", "gun_shot", "jackhammer", "siren", "street_music",
    )  # fmt: skip
    NUM_CLIPS = 8_732
    PROTOCOL = "10 folds, each tests in its turn"
    LICENCE = "CC BY-NC 3.0"
    HOMEPAGE = "https://urbansounddataset.weebly.com/urbansound8k.html"
    CITATION = """@inproceedings{salamon2014dataset,
  title={A Dataset and Taxonomy for Urban Sound Research}, author={Salamon, Justin and Jacoby, Christopher and
         Bello, Juan Pablo}, booktitle={Proceedings of the 22nd ACM International Conference on Multimedia},
  pages={1041--1044}, year={2014}}"""
    LAYOUT = f"audio/fold1/ to audio/fold10/, or some of them, and {TABLE}"
    GET = "downloaded from Zenodo (6 GB)"

    @classmethod
    def rows(cls, folder):
        table = Path(folder) / TABLE
        folds = {path.name.removeprefix("fold"): path for path in Path(folder).glob("audio/fold*") if path.is_dir()}
        if not table.is_file() or not folds:
            raise cls._lacks(TABLE if folds else "audio/fold1/ or another fold", folder)
        found = cls._table(table, {"slice_file_name", "fsID", "fold", "class"}, names="slice_file_name")
        unknown = sorted({row["class"] for row in found} - set(cls.LABELS))
        if unknown or any(not row["fold"].isdigit() for row in found):
            held = f"the unknown class {unknown[0]!r}" if unknown else "a row whose fold is not a number"
            raise ZooError(f"{cls.name}: {table} holds {held}; mend the csv")
        there = [(row["slice_file_name"], row) for row in found if row["fold"] in folds]
        rows = [
            Row(file, folds[row["fold"]] / file, int(row["fold"]), row["class"], row["fsID"]) for file, row in there
        ]
        if not rows:
            raise ZooError(f"{cls.name}: {table} lists no clip of the folds in {folder}/audio; put the others there")
        return rows

    @classmethod
    def obtain(cls, cache):
        return cls._download(cache, ARCHIVE_URL, "6 GB") / "UrbanSound8K"
