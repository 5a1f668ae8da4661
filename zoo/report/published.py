"""Cited numbers: published.csv, one row a number with its source. What a paper's text does not hold has no value there.

`ours` names the runs that are to stand beside a number: models, or model/file where it is not of the float one.
"""

from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from zoo.report import csv_file
from zoo.report.runs import FILES, RESULTS

COLUMNS = (
    "paper", "place", "dataset", "model", "setting", "metric", "value", "plus_minus", "unit", "ours", "note",
)  # fmt: skip


class Paper(NamedTuple):
    """What a paper is, and what to know before its numbers are held against ours."""

    citation: str
    caution: str


PAPERS = {
    "mohaimenuzzaman-2023": Paper(
        "Mohaimenuzzaman, Bergmeir, West and Meyer 2023, Environmental Sound Classification on the Edge, Pattern "
        "Recognition 133",
        "Their best epoch seems to be chosen on the test fold (their section 3.2.2); ours never is: ours are of the "
        "last epoch, and the fold that tests is scored once. Theirs are of 10 runs over all folds, 5 of the "
        "compressed models, each of 2,000 epochs. Their FLOPs are multiplies and some other operations; ours are "
        "multiplies. Their MB are 2^20 bytes of float32 parameters; ours are those of the .tflite file.",
    ),
    "mohaimenuzzaman-2022": Paper(
        "Mohaimenuzzaman, Bergmeir and Meyer 2022, Pruning vs XNOR-Net, IEEE Access 10",
        "Of its page, not of its tables: there is no accuracy on it.",
    ),
    "mou-2024": Paper(
        "Mou and Milanova 2024, Performance Analysis of Deep Learning Model-Compression Techniques for Audio "
        "Classification on Edge Devices, Sci 6(2)",
        "The text tells neither the data set of most of its accuracies nor the clips on which its epoch was chosen; "
        "an epoch of ours is never chosen on the clips that test. Its tables 2 and 4 and its own rows of table 3 are "
        "empty in the text. Where it tells no data set, ours stand beside it on any.",
    ),
    "hu-2024": Paper(
        "Hu, Shao and Johar 2024, Adaptive Model Optimization for Audio Classification on Edge Devices",
        "It tells validation accuracies: those of the fifth of the clips that does not train. No third part is told "
        "of, so the same clips seem to have chosen and to have judged; ours that judge never choose. Table 3 is an "
        "estimate.",
    ),
}


def read_published(results=RESULTS):
    """The rows of published.csv, all values as text."""
    return csv_file.read(results / "published.csv")


def beside(row, run):
    """The files of a run whose figures stand beside a cited number, by their names in runs.csv."""
    named = (ours.partition("/") for ours in row["ours"].split())
    files = [file or FILES["model.h5"] for model, _, file in named if model == run["model"]]
    return files if row["dataset"] in ("", run["dataset"]) else []


def contradictions(rows):
    """[(row, {value: places})]: what one paper prints as several numbers that are no roundings of each other."""
    told = {}
    for row in rows:
        if row["value"]:
            key = tuple(row[name] for name in ("paper", "dataset", "model", "setting", "metric", "unit"))
            told.setdefault(key, []).append(row)
    found = []
    for same in told.values():
        values = {}
        for row in same:
            values.setdefault(row["value"], []).append(row["place"])
        if not all(_agree(value, other) for value in values for other in values):
            found.append((same[0], values))
    return found


def sized_accuracies(rows, dataset):
    """(row, size_bytes) of each accuracy on a data set whose paper tells the size of the model, each value once."""
    sizes = {}
    for row in rows:
        if row["metric"] == "size" and row["value"]:
            size_bytes = float(row["value"]) * BYTES[row["unit"]]
            sizes.setdefault((row["paper"], row["model"], row["setting"]), size_bytes)
    points = {}
    for row in rows:
        named = (row["paper"], row["model"], row["setting"])
        if (row["metric"], row["dataset"]) == ("accuracy", dataset) and row["value"] and named in sizes:
            points.setdefault((*named, row["value"]), (row, sizes[named]))
    return list(points.values())


BYTES = {"MB": 2**20, "kB": 2**10}  # 18.06 MB are the 4,735,378 floats of ACDNet


def _agree(value, other):
    """Whether the one may be the other, rounded."""
    value, other = sorted(map(Decimal, (value, other)), key=lambda number: number.as_tuple().exponent)
    return value.quantize(other, ROUND_HALF_UP) == other
