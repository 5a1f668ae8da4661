"""The page of the papers' comparison tables, ours beside theirs, as lines of Markdown."""

import math
from pathlib import Path

from zoo import plots
from zoo.report import published
from zoo.report.cells import count, interval, line, printed
from zoo.report.runs import RESULTS, folder_name, read_runs

PAGE = "papers.md"

FILES_TOLD = {"int8": ", int8 (LiteRT)", "micro": ", micro/ stream (TFLM)", "micro_one_call": ", one int8 call (TFLM)"}
FOR_UNIT = {"M": 1e6, "B": 1e9}


def page(results=RESULTS):
    """The lines of papers.md, and draws its pictures."""
    runs, rows = read_runs(results), published.read_published(results)
    names = dict.fromkeys(row["dataset"] for row in rows if row["dataset"])
    pictures = [picture for dataset in names if (picture := _draw(rows, runs, dataset, results))]
    return [
        "# Beside the papers",
        "",
        "Made from `published.csv` and `runs.csv` by `python -m zoo report`, never by hand. Each number of a paper",
        "stands under the table or section that prints it; a cell that its text does not hold is blank. Rows that",
        'begin with "ours" are runs of this repository on the same data set: of each model those over all folds, or',
        "else of each fold, with the most epochs; in brackets the 95 % interval of the accuracy. They do not repeat",
        "the papers' protocols: most are of one fold and of fewer epochs, as the second column tells, and no epoch of",
        "ours was ever chosen on the clips that test.",
        *(line for picture in pictures for line in ("", f"![{picture.stem}]({picture.name})")),
        *sections(rows, compared(runs)),
    ]


def compared(runs):
    """The runs that stand beside the papers: of each model on a data set those over all folds, or else of each fold,
    and of them those of the most epochs.
    """
    models = {}
    for run in runs:
        models.setdefault((run["model"], run["dataset"], run["front_end"]), []).append(run)
    chosen = []
    for rows in models.values():
        rows = [row for row in rows if row["test_fold"] == "all"] or rows
        for fold in dict.fromkeys(row["test_fold"] for row in rows):
            of_fold = [row for row in rows if row["test_fold"] == fold]
            most = max(int(row["epochs"]) for row in of_fold)
            chosen += [row for row in of_fold if int(row["epochs"]) == most]
    return chosen


def trained_on(run):
    """How a run was made, in a few words, without its model."""
    fold = "all folds" if run["test_fold"] == "all" else f"fold {run['test_fold']} alone"
    seeds = f", mean of {run['seeds']} seeds" if run["seeds"] else ""
    return f"{run['dataset']}, {fold}, {count(run['test_clips'])} clips, {count(run['epochs'])} epochs{seeds}"


def size_bytes(run, file):
    """How large a run's file is, as text: a float model is told by its .tflite."""
    return run[f"{'tflite' if file == 'keras' else file}_bytes"]


def sections(rows, runs):
    """Lines: a chapter for each paper, of the rows of published.csv and of ours."""
    lines = []
    for key, paper in published.PAPERS.items():
        of_paper = [row for row in rows if row["paper"] == key]
        if of_paper:
            lines += ["", f"## {paper.citation}", "", paper.caution]
            lines += _contradictions(of_paper)
            places = dict.fromkeys(row["place"] for row in of_paper)
            for place in (place for place in places if place.startswith("table")):
                lines += _table(place, [row for row in of_paper if row["place"] == place], runs)
            lines += _in_the_text([row for row in of_paper if not row["place"].startswith("table")])
    return lines


def _table(place, rows, runs):
    """Lines: one of a paper's tables, each of its models a row, then ours, in the columns that ours has figures for."""
    columns = dict.fromkeys(map(_column, rows))
    theirs, ours = {}, {}
    for row in rows:
        theirs.setdefault((row["model"], row["setting"]), {})[_column(row)] = _value(row)
        for run in runs:
            for file in published.beside(row, run):
                model = f"ours: [{run['model']}]({folder_name(run)}/card.md){FILES_TOLD.get(file, '')}"
                ours.setdefault((model, trained_on(run)), {})[_column(row)] = _figure(run, file, row)
    datasets = dict.fromkeys(row["dataset"] for row in rows)
    one = next(iter(datasets)) if len(datasets) == 1 else ""  # it stands over the table, not over each column
    heads = [", ".join(told for told in column if told not in ("", one)) for column in columns]
    lines = ["", f"### {place.capitalize()}{one and f', on {one}'}", ""]
    lines += [line(["model", "how", *heads]), f"|---|---|{'---:|' * len(heads)}"]
    for (model, how), figures in (*theirs.items(), *ours.items()):
        lines.append(line([model, how, *(figures.get(column, "") for column in columns)]))
    return lines + _notes(rows)


def _contradictions(rows):
    """Lines: what a paper prints as several numbers; all of them stand in the tables."""
    found = published.contradictions(rows)
    if not found:
        return []
    lines = ["", "It disagrees with itself, and all of its values stand below:", ""]
    for row, values in found:
        told = "; ".join(f"{printed(value)} ({', '.join(places)})" for value, places in values.items())
        what = ", ".join(filter(None, (row["model"], row["setting"], *_column(row))))
        lines.append(f"- {what}: {told}")
    return lines


def _in_the_text(rows):
    """Lines: the numbers that stand in no table of their paper."""
    if not rows:
        return []
    lines = ["", "### In its text", "", "| place | model | how | what | value |", "|---|---|---|---|---:|"]
    for row in rows:
        what = ", ".join(filter(None, (*_column(row), row["note"])))
        lines.append(line([row["place"], row["model"], row["setting"], what, _value(row)]))
    return lines


def _column(row):
    return row["dataset"], row["metric"], row["unit"]


def _value(row):
    return printed(row["value"]) + (f" ± {row['plus_minus']}" if row["plus_minus"] else "")


def _notes(rows):
    """Lines: what is to know of the numbers of a table, each note once, with the rows that it is about."""
    notes = {}
    for row in rows:
        if row["note"]:
            about = ", ".join(filter(None, (row["model"], row["setting"], row["metric"])))
            notes.setdefault(row["note"], {})[about] = None
    return [""] * bool(notes) + [f"- {'; '.join(about)}: {note}." for note, about in notes.items()]


def _figure(run, file, row):
    """Our figure in the unit of a cited one."""
    metric, unit = row["metric"].partition(",")[0], row["unit"]
    if metric == "accuracy":
        return interval(*(run[f"{file}_{figure}"] for figure in ("accuracy", "low", "high")))
    if metric == "size":
        told, decimals = size_bytes(run, file), 2 if unit == "MB" else 0
        return f"{int(told) / published.BYTES[unit]:,.{decimals}f}" if told else ""
    number = int(run[{"parameters": "parameters", "FLOPs": "macs"}[metric]])
    return f"{number / FOR_UNIT[unit]:,.4g}" if unit else count(number)


def _draw(rows, runs, dataset, results):
    """Draws accuracy against size on a data set, where a run of ours stands beside a paper's; returns the picture."""
    points = [
        (run, file)
        for run in compared(runs)
        for file in ("keras", "int8")
        if run["dataset"] == dataset and run[f"{file}_accuracy"] and size_bytes(run, file)
        if any(published.beside(row, run) for row in rows if row["dataset"] == dataset)
    ]
    theirs = published.sized_accuracies(rows, dataset)
    if not points or not theirs:
        return None
    hollow = [_cited_point(row, size_bytes) for row, size_bytes in theirs]
    filled = [_point(run, file) for run, file in points]
    title = f"{dataset}: hollow what the papers print, filled ours (fold, epochs)"
    return Path(plots.accuracy_against_size(filled, Path(results, f"papers-{dataset}.png"), title, hollow))


def _cited_point(row, size_bytes):
    name = ", ".join(filter(None, (row["model"], row["setting"])))
    return name, size_bytes, float(row["value"]) / 100, (math.nan, math.nan)


def _point(run, file):
    low, high = (float(run[f"{file}_{end}"] or math.nan) for end in ("low", "high"))
    name = f"{run['model']}{'' if file == 'keras' else f' {file}'} ({run['test_fold']}, {run['epochs']})"
    return name, int(size_bytes(run, file)), float(run[f"{file}_accuracy"]), (low, high)
