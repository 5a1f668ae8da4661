"""The pruning study as data: pruning.csv, a row a run, and beside it what each run decided of each test clip.

A recipe's --study writes a folder of both; here they join docs/results and become its page.
"""

import csv
from itertools import combinations
from pathlib import Path

import numpy as np

from zoo import decisions, plots
from zoo.errors import ZooError
from zoo.report import csv_file, paired, published
from zoo.report.cells import count, interval, line, percent
from zoo.report.runs import RESULTS

FILE, PAGE, KEPT = "pruning.csv", "pruning.md", "pruning"  # KEPT: the folder of the decisions in docs/results
COLUMNS = (
    "model", "dataset", "test_fold", "method", "share", "first_block", "ending", "seed", "epochs", "epochs_before",
    "accuracy", "low", "high", "parameters", "macs", "bytes", "gzip_bytes", "command",
)  # fmt: skip
CELL = ("method", "share", "first_block", "ending")
TRAINED = ("model", "dataset", "test_fold")
# The rows of tables 8 and 9 of Mohaimenuzzaman et al. 2023, by method and first block; and their columns, by ending.
PAPERS_ROWS = {
    ("magnitude", "kept"): "1: magnitude, TFEB alone",
    ("magnitude", "pruned"): "2: magnitude",
    ("taylor", "kept"): "3: taylor, TFEB alone",
    ("taylor", "pruned"): "4: taylor",
    ("hybrid_magnitude", "kept"): "5: hybrid, magnitude, TFEB alone",
    ("hybrid_magnitude", "pruned"): "6: hybrid, magnitude",
    ("hybrid_taylor", "kept"): "7: hybrid, taylor, TFEB alone",
    ("hybrid_taylor", "pruned"): "8: hybrid, taylor",
}
PAPERS_ENDINGS = {"fine_tuned": "fine-tuned", "retrained": "re-trained", "from_scratch": "from scratch"}
PAPERS_TABLES = {"0.8": "table 8", "0.85": "table 9"}


def write(folder, rows, tables):
    """Writes what a study gave: rows, dicts of COLUMNS, and the decisions of each, in tables (paths) of one each."""
    csv_file.write(folder / FILE, COLUMNS, rows)
    _write_decisions(folder / decisions.FILE, tables)


def add(folder, results=RESULTS):
    """Adds the folder of a study to the results. A run of the same cell, seed, model, data and fold is replaced."""
    folder, results = Path(folder), Path(results)
    new = read(folder)
    rows = {_identity(row): row for row in (*read(results), *new)}
    results.mkdir(parents=True, exist_ok=True)
    csv_file.write(results / FILE, COLUMNS, rows.values())
    kept = results / KEPT / f"{'-'.join(new[0][name] for name in TRAINED)}.csv"
    kept.parent.mkdir(exist_ok=True)
    _write_decisions(kept, [folder / decisions.FILE, *([kept] if kept.exists() else [])])


def is_study(folder):
    """Whether a recipe's --study wrote it."""
    return (Path(folder) / FILE).is_file()


def read(folder=RESULTS):
    """The rows of pruning.csv, all values as text."""
    return csv_file.read(Path(folder) / FILE)


def column(row):
    """What a run is called among the decisions: hybrid_taylor-0.8-pruned-from_scratch seed 0."""
    return f"{'-'.join(str(row[name]) for name in CELL)} seed {row['seed']}"


def table(rows):
    """Lines of Markdown, as one text: one row a cell, over its seeds."""
    return "\n".join(_cells(_as_text(rows), published.read_published()))


def page(results=RESULTS):
    """The lines of pruning.md, and draws its pictures; [] without results."""
    rows, cited = read(results), published.read_published(results)
    if not rows:
        return []
    lines = [
        "# What pruning costs",
        "",
        f"Made from `{FILE}`, `{KEPT}/` and `published.csv` by `python -m zoo report`, never by hand. A row is the",
        "mean over its seeds, in brackets the lowest and the highest. The test fold is scored once, at the end; a",
        "cell that was not run is not there. The paper's are of ESC-50, five folds, and of its own epochs; its best",
        "epoch seems to be chosen on the fold that tests.",
    ]
    for trained, some in csv_file.grouped(rows, TRAINED).items():
        model, dataset, fold = trained
        lines += [
            "",
            f"## {model} on {dataset}, fold {fold}",
            "",
            *_cells(some, cited),
            *_claims(trained, some, results),
        ]
        picture = Path(results) / KEPT / f"{'-'.join(trained)}.png"
        if channels := [row for row in some if row["method"] != "sparse"]:
            plots.pruning_study(_points(channels), picture, f"{model} on {dataset}, fold {fold}: pruned channels")
            lines += ["", f"![{picture.stem}]({KEPT}/{picture.name})"]
        lines += ["", "Commands:", "", *(f"    {command}" for command in dict.fromkeys(r["command"] for r in some))]
    return lines


def _cells(rows, cited):
    """Lines: one row a cell, the paper's accuracy beside it."""
    lines = [
        "| method | share removed | first block | ending | seeds | epochs | accuracy | the paper's | parameters "
        "| multiplies | bytes | gzipped |",
        "|---|---:|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for (method, share, first_block, ending), some in csv_file.grouped(rows, CELL).items():
        accuracies = [float(row["accuracy"]) for row in some]
        sizes = [_mean(some, name) for name in ("parameters", "macs", "bytes", "gzip_bytes")]
        told = interval(np.mean(accuracies), min(accuracies), max(accuracies))
        epochs = f"{some[0]['epochs_before']} + {some[0]['epochs']}"
        cells = [
            method,
            percent(share),
            first_block,
            ending,
            len(some),
            epochs,
            told,
            _papers(cited, method, share, first_block, ending),
            *sizes,
        ]
        lines.append(line(cells))
    return lines


def _claims(trained, rows, results):
    """Lines: of which two methods, and of which two endings, the one is better, where all else is the same: where the
    interval of the difference, over the same clips and seeds, does not hold 0.
    """
    judged = decisions.read([Path(results) / KEPT / f"{'-'.join(trained)}.csv"])
    lines = []
    for differing in ("method", "ending"):
        if claims := list(_claims_about(differing, rows, judged)):
            alike = [name for name in CELL if name != differing]
            lines += [
                "",
                f"Which {differing} is better, all else the same: the difference of the accuracies over the same clips",
                "and seeds, with its 95 % interval (bootstrap over source recordings). An interval that holds 0 tells",
                "of no difference.",
                "",
                line([*(name.replace("_", " ").replace("share", "share removed") for name in alike), "seeds",
                      f"{differing}s", "points", "better"]),
                "|---|---|---|---:|---|---:|---|",
                *claims,
            ]  # fmt: skip
    return lines


def _claims_about(differing, rows, judged):
    """A line for each two cells that differ in this column alone."""
    alike = tuple(name for name in CELL if name != differing)
    for shared, some in csv_file.grouped(rows, alike).items():
        told = [percent(value) if name == "share" else value for name, value in zip(alike, shared)]
        for one, other in combinations(csv_file.grouped(some, (differing,)).values(), 2):
            seeds = sorted({row["seed"] for row in one} & {row["seed"] for row in other})
            if seeds:
                yield line([*told, len(seeds), *_claim(judged, one, other, seeds, differing)])


def _claim(judged, one, other, seeds, differing):
    gained = np.zeros(len(judged["class"]))
    for sign, rows in ((1, one), (-1, other)):
        for row in rows:
            if row["seed"] in seeds:
                gained += sign * (judged[column(row)] == judged["class"]) / len(seeds)
    names = one[0][differing], other[0][differing]
    told, sign = paired.difference(gained, judged["source"])
    return f"{names[0]} - {names[1]}", told, ("", *names)[sign]


def _papers(cited, method, share, first_block, ending):
    """The accuracy that the paper prints for a cell, in percent; "" where it has none."""
    if method == "sparse":
        wanted = {
            "place": "table 7",
            "setting": f"{percent(share)[:2]} % of the weights zero, fold 4",
            "metric": "accuracy",
        }
    elif ending.startswith("distilled_"):
        _, *kind, temperature = ending.split("_")
        number = ("ce_ce", "kl_ce", "kl_kl").index("_".join(kind)) + 1
        metric = f"accuracy, T = {temperature[1:]}"
        wanted = {"place": "table 10", "setting": f"distilled, L{number}", "metric": metric}
    else:
        wanted = {
            "place": PAPERS_TABLES.get(share),
            "setting": PAPERS_ROWS.get((method, first_block)),
            "metric": f"accuracy, {PAPERS_ENDINGS.get(ending)}",
        }
    found = [row["value"] for row in cited if wanted.items() <= row.items()]
    return found[0] if found else ""


def _points(rows):
    """(method and first block, ending, accuracies of the seeds) of each cell."""
    return [
        (f"{method}, {percent(share)[:2]} %, first block {first_block}", ending, [float(r["accuracy"]) for r in some])
        for (method, share, first_block, ending), some in csv_file.grouped(rows, CELL).items()
    ]


def _identity(row):
    return tuple(row[name] for name in (*TRAINED, *CELL, "seed"))


def _mean(rows, name):
    return count(round(np.mean([int(row[name]) for row in rows])))


def _as_text(rows):
    return [{name: str(value) for name, value in row.items()} for row in rows]


def _write_decisions(path, tables):
    """One table of all; of two columns with one name, the first stays."""
    by_clip = [decisions.by_clip(decisions.read([table])) for table in tables]
    joined = {name: by_clip[0][name] for name in decisions.CLIP}
    for one in by_clip:
        if not np.array_equal(one["file"], joined["file"]):
            raise ZooError(f"{path}: runs of different clips; take the older results away")
        joined |= {name: values for name, values in one.items() if name not in joined}
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(joined)
        writer.writerows(zip(*joined.values(), strict=True))
