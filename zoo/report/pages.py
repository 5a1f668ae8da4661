"""The pages of docs/results: our runs, ours beside the papers', and both as one HTML file with its pictures inside."""

import base64
import math
import os
from pathlib import Path

import markdown
from markdown.treeprocessors import Treeprocessor

from zoo import plots
from zoo.atomic import whole_file
from zoo.report import boards, ours, papers, pruning, published, search, signs
from zoo.report.runs import RESULTS, read_runs

RUNS_PAGE, PAPERS_PAGE = "README.md", "papers.md"
HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Edge Audio Zoo: results</title>
<style>
body { font: 15px/1.45 sans-serif; color: #222; max-width: 72em; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; display: block; overflow-x: auto; margin: 1em 0; }
th, td { border-bottom: 1px solid #ddd; padding: .25em .6em; }
img { max-width: 100%; }
pre { overflow-x: auto; background: #f5f5f5; padding: .6em; }
</style>
</head>
"""


def write_pages(results=RESULTS):
    """Remakes README.md and papers.md from runs.csv, published.csv and boards/, and the pictures that they show.

    Raises: ZooError for what is no run of a board.
    """
    runs, rows = read_runs(results), published.read_published(results)
    (results / RUNS_PAGE).write_text(_text(_runs_page(runs, boards.read(results / "boards"))), encoding="utf-8")
    names = dict.fromkeys(row["dataset"] for row in rows if row["dataset"])
    pictures = [picture for dataset in names if (picture := _draw(rows, runs, dataset, results))]
    (results / PAPERS_PAGE).write_text(_text(_papers_page(rows, runs, pictures)), encoding="utf-8")
    for study in (pruning, search, signs):
        if lines := study.page(results):
            (results / study.PAGE).write_text(_text(lines), encoding="utf-8")


def write_html(path, results=RESULTS):
    """Writes both pages, as they stand in `results`, as one HTML file at `path`, pictures inside."""
    path = Path(path)
    converter = markdown.Markdown(extensions=["tables"])
    converter.treeprocessors.register(_Placed(converter, results, path.parent), "placed", 0)
    pages = (results / name for name in (RUNS_PAGE, PAPERS_PAGE))
    body = converter.convert("\n".join(page.read_text(encoding="utf-8") for page in pages))
    with whole_file(path) as unfinished:
        unfinished.write_text(f"{HEAD}<body>\n{body}\n</body>\n</html>\n", encoding="utf-8")


class _Placed(Treeprocessor):
    """Puts pictures into the page, and lets links lead from where the page lies to where they led."""

    def __init__(self, converter, results, folder):
        super().__init__(converter)
        self.results, self.folder = Path(results), folder

    def run(self, root):
        for image in root.iter("img"):
            data = base64.b64encode((self.results / image.get("src")).read_bytes()).decode()
            image.set("src", f"data:image/png;base64,{data}")
        for link in root.iter("a"):
            link.set("href", Path(os.path.relpath(self.results / link.get("href"), self.folder)).as_posix())


def _text(lines):
    return "\n".join(lines).rstrip() + "\n"


def _runs_page(runs, of_boards):
    return [
        "# Results",
        "",
        "Made from `runs.csv` and `boards/` by `python -m zoo report`, never by hand. Accuracy in %, with its 95 %",
        "interval (percentile bootstrap over source recordings); the test fold is scored once, at the end. In",
        "brackets: clips whose decision differs from that of Keras in float, of all seeds together. RAM in bytes, TFLM",
        "on a 64-bit host: of the stream all that it holds (of runs before 0.3.0 the two arenas alone), of the one",
        "call its arena.",
        f"Beside what the papers print: [{PAPERS_PAGE}]({PAPERS_PAGE}).",
        "",
        *ours.overview(runs),
        *ours.seeds(runs),
        *ours.pooled(runs),
        *ours.streams(runs),
        *boards.table(of_boards),
        *ours.commands(runs),
    ]


def _papers_page(rows, runs, pictures):
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
        *papers.sections(rows, papers.compared(runs)),
    ]


def _draw(rows, runs, dataset, results):
    """Draws accuracy against size on a data set, where a run of ours stands beside a paper's; returns the picture."""
    points = [
        (run, file)
        for run in papers.compared(runs)
        for file in ("keras", "int8")
        if run["dataset"] == dataset and run[f"{file}_accuracy"] and papers.size_bytes(run, file)
        if any(published.beside(row, run) for row in rows if row["dataset"] == dataset)
    ]
    theirs = published.sized_accuracies(rows, dataset)
    if not points or not theirs:
        return None
    hollow = [_cited_point(row, size_bytes) for row, size_bytes in theirs]
    filled = [_point(run, file) for run, file in points]
    title = f"{dataset}: hollow what the papers print, filled ours (fold, epochs)"
    return Path(plots.accuracy_against_size(filled, results / f"papers-{dataset}.png", title, hollow))


def _cited_point(row, size_bytes):
    name = ", ".join(filter(None, (row["model"], row["setting"])))
    return name, size_bytes, float(row["value"]) / 100, (math.nan, math.nan)


def _point(run, file):
    low, high = (float(run[f"{file}_{end}"] or math.nan) for end in ("low", "high"))
    name = f"{run['model']}{'' if file == 'keras' else f' {file}'} ({run['test_fold']}, {run['epochs']})"
    return name, int(papers.size_bytes(run, file)), float(run[f"{file}_accuracy"]), (low, high)
