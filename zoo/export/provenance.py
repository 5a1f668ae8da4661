"""How an exported folder came to be: provenance.json, of which nothing can be measured again, and clips.csv, the ledger
of the clips that had a part in it.
"""

import csv
import json
from pathlib import Path

from zoo.errors import ZooError

FILE, LEDGER = "provenance.json", "clips.csv"
COLUMNS = ("file", "source", "fold", "class", "part")


def write(folder, told):
    """Writes provenance.json. told: as JSON holds it."""
    (Path(folder) / FILE).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def write_ledger(folder, parts):
    """Writes clips.csv. parts: {"train": (clips of `zoo.corpus`, their classes), ...}."""
    with open(Path(folder) / LEDGER, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for part, (clips, classes) in parts.items():
            writer.writerows((*clip, part) for clip in zip(clips.files, clips.sources, clips.folds, classes))


def read(folder):
    """What provenance.json holds. Raises: ZooError where there is none."""
    try:
        return json.loads((Path(folder) / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ZooError(
            f"{folder}: no {FILE}; pass a folder that a recipe of this version exported, or export it again"
        ) from error
