"""Searches under a budget as data: search.csv, a row a trial, and the page and the picture that are made of it."""

from pathlib import Path

from zoo import plots
from zoo.report import csv_file
from zoo.report.cells import count, interval, line
from zoo.report.runs import RESULTS

FILE, PAGE, PICTURES = "search.csv", "search.md", "search"  # PICTURES: a folder in docs/results
SEARCH = ("model", "dataset", "front_end", "test_fold", "tuner", "flash_bytes_budget", "ram_bytes_budget",
          "macs_budget", "seed", "command")  # fmt: skip
COLUMNS = (
    *SEARCH, "trial", "settings", "epochs", "refused", "clips", "accuracy", "low", "high", "parameters", "macs",
    "flash_bytes", "arena_bytes", "ram_bytes",
)  # fmt: skip
COSTS = ("flash_bytes", "ram_bytes", "macs")


def write(folder, rows):
    """Writes what a search gave: rows, dicts of COLUMNS."""
    csv_file.write(Path(folder) / FILE, COLUMNS, rows)


def add(folder, results=RESULTS):
    """Adds the folder of a search to the results, in the place of one by the same command."""
    new = read(folder)
    kept = [row for row in read(results) if row["command"] != new[0]["command"]]
    Path(results).mkdir(parents=True, exist_ok=True)
    write(results, [*kept, *new])


def is_search(folder):
    """Whether a recipe's --search wrote it."""
    return (Path(folder) / FILE).is_file()


def read(folder=RESULTS):
    """The rows of search.csv, all values as text."""
    return csv_file.read(Path(folder) / FILE)


def table(rows):
    """Lines of Markdown, as one text: the trials that nothing beats."""
    return "\n".join(_front(_as_text(rows)))


def page(results=RESULTS):
    """The lines of search.md, and draws its pictures; [] without results."""
    rows = read(results)
    if not rows:
        return []
    lines = [
        "# Searches under a budget",
        "",
        f"Made from `{FILE}` by `python -m zoo report`, never by hand. Each trial was trained, exported and measured",
        "in TFLM on a 64-bit host: flash and RAM are of the stream, front end and body, RAM with its ring and the",
        "samples of a column. A row is a trial within the budget that no other beats in accuracy, flash, RAM and",
        "multiplies at once. The accuracy is that of `model_int8.tflite` on clips that neither trained nor test, with",
        "its 95 % interval: the best of many on the same few clips is flattered. `--set` trains a row's settings anew.",
    ]
    for number, (found, some) in enumerate(csv_file.grouped(rows, SEARCH).items(), start=1):
        model, dataset, front_end, fold, *_ = found
        refused = [row for row in some if row["refused"]]
        lines += [
            "",
            f"## {model} ({front_end}) on {dataset}, without fold {fold}",
            "",
            f"    {some[0]['command']}",
            "",
            f"{len(some) - len(refused)} trials, {len(refused)} more refused untrained.",
            "",
            *_front(some),
        ]
        picture = Path(results) / PICTURES / f"{model}-{dataset}-{number}.png"
        picture.parent.mkdir(exist_ok=True)
        plots.pareto(
            [_point(row, some) for row in some if not row["refused"]],
            [int(some[0][f"{cost}_budget"] or 0) for cost in COSTS],
            picture,
            f"{model} on {dataset}: each trial, filled what no other beats",
        )
        lines += ["", f"![{picture.stem}]({PICTURES}/{picture.name})"]
    return lines


def _front(rows):
    lines = [
        "| trial | settings | epochs | accuracy | parameters | multiplies | flash | arena | RAM |",
        "|---:|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in sorted(filter(lambda row: _is_unbeaten(row, rows), rows), key=lambda row: -float(row["accuracy"])):
        told = interval(row["accuracy"], row["low"], row["high"])
        sizes = [count(row[name]) for name in ("parameters", "macs", "flash_bytes", "arena_bytes", "ram_bytes")]
        lines.append(line([row["trial"], row["settings"].replace(",", ", "), row["epochs"], told, *sizes]))
    return lines


def _is_unbeaten(row, rows):
    """Whether a trial fits the budget, as measured, and no other that does is as good in all and better in one."""

    def values(row):
        return (-float(row["accuracy"]), *(int(row[cost]) for cost in COSTS))

    def fits(row):
        return not row["refused"] and all(int(row[cost]) <= int(row[f"{cost}_budget"] or row[cost]) for cost in COSTS)

    if not fits(row):
        return False
    mine = values(row)
    others = (values(other) for other in rows if fits(other))
    return not any(other != mine and all(a <= b for a, b in zip(other, mine)) for other in others)


def _point(row, rows):
    return float(row["accuracy"]), [int(row[cost]) for cost in COSTS], _is_unbeaten(row, rows)


def _as_text(rows):
    return [{name: "" if row.get(name) is None else str(row[name]) for name in COLUMNS} for row in rows]
