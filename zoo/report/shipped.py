"""The models in exported/ beside what others ship: a table in README.md, and a picture of accuracy against memory."""

import json
import math
from pathlib import Path

from zoo import plots
from zoo.report import csv_file
from zoo.report.cells import count, interval, line
from zoo.report.runs import RESULTS

EXPORTED, README, PICTURE, PEERS = Path("exported"), Path("README.md"), "shipped/memory.png", "peers.csv"
BEGIN, END = "<!-- made by `python -m zoo report` -->\n", "<!-- end -->\n"
MADE_HERE = ("synth10", "folder")  # data sets of which what is exported is not kept
NO_ENDS = (math.nan, math.nan)  # of an interval that nobody tells
KERAS_FILE, APP_FILE, STREAM = "model.h5", "model_int8.tflite", ("micro/body.tflite", "micro/xnor.c")


def write(results=RESULTS, exported=EXPORTED, readme=README):
    """Writes the picture, and the table between its marks in the README, of what a recipe judged by accuracy."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(Path(exported).glob("*/metrics.json"))]
    models = [
        metrics
        for metrics in found
        if metrics.get("dataset", "folder") not in MADE_HERE
        and metrics.get("files")
        and metrics.get("metric", "accuracy") == "accuracy"
    ]
    peers = csv_file.read(results / PEERS)
    if not models:
        return
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, _, behind = rest.partition(END)
    if not rest:
        return
    readme.write_text(f"{before}{BEGIN}\n{_table(models, peers)}\n\n{END}{behind}", encoding="utf-8")
    _draw(models, peers, results / PICTURE)


def _table(models, peers):
    lines = [
        "| model | heard on | float | int8 file | micro/ stream | int8 bytes | RAM of the stream |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for metrics in models:
        files, folder = _files(metrics), f"{metrics['model']}-{metrics['dataset']}"
        folds = metrics.get("cross_validation", {}).get("folds", {metrics["test_fold"]: None})
        cells = [
            f"[{metrics['model']}](exported/{folder}/card.md)",
            f"{metrics['dataset']}, {_told(folds)}",
            *(_accuracy(files.get(name)) for name in (KERAS_FILE, APP_FILE, _stream_of(files))),
            count(metrics["files"][APP_FILE]["bytes"]),
            count(metrics["stream"]["total_bytes"]) if metrics["stream"] else "",
        ]
        lines.append(line(cells))
    for peer in peers:
        told = f"{peer['dataset']}, {peer['split']}"
        arena = f"{count(peer['arena_bytes'])} of arena" if peer["arena_bytes"] else ""
        accuracies = peer["float_accuracy"], peer["int8_accuracy"], ""
        lines.append(line([peer["model"], told, *accuracies, count(peer["bytes"]), arena]))
    return "\n".join(lines)


def _files(metrics):
    """{path: its figures}, over all folds where there are several."""
    pooled = metrics.get("cross_validation", {}).get("files", {})
    return metrics["files"] | {path: row for name, row in pooled.items() for path in name.split(" + ")}


def _stream_of(files):
    return next((name for name in STREAM if name in files), None)


def _told(folds):
    return f"{len(folds)} folds" if len(folds) > 1 else f"fold {next(iter(folds))}"


def _accuracy(row):
    return interval(row["accuracy"], row["low"], row["high"]) if row else ""


def _draw(models, peers, path):
    """Accuracy of the streams against their RAM; hollow: arenas of others' int8 files, on their own clips."""
    rows = []
    for metrics in models:
        row = _files(metrics).get(_stream_of(metrics["files"]))
        if row and metrics["stream"]:
            name = f"{metrics['model']}, {metrics['dataset']}"
            rows.append((name, metrics["stream"]["total_bytes"], row["accuracy"], (row["low"], row["high"])))
    others = [
        (f"{peer['model']}, {peer['dataset']}", int(peer["arena_bytes"]), float(peer["int8_accuracy"]) / 100, NO_ENDS)
        for peer in peers
        if peer["arena_bytes"]
    ]
    if rows:
        path.parent.mkdir(exist_ok=True)
        plots.accuracy_against_size(rows, path, "int8 on a microcontroller", others, size="RAM (others: arena)")
