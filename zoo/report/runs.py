"""Runs become rows of runs.csv: one row for each exported folder, all values as text."""

import json
import shutil
from pathlib import Path

from zoo import decisions
from zoo.errors import ZooError
from zoo.report import csv_file

RESULTS = Path("docs/results")
# The files whose figures a row holds, and what their columns are called.
FILES = {
    "model.h5": "keras",
    "model.tflite": "tflite",
    "model_int8.tflite": "int8",
    "micro/body.tflite": "micro",
    "micro/xnor.c": "micro",  # in its place
    "micro/model.tflite": "micro_one_call",
}
FIGURES = (
    "accuracy", "mAP", "low", "high", "lowest", "highest", "changed_clips", "lost_clips", "gained_clips", "bytes",
    "arena_bytes",
)  # fmt: skip
STREAM = (
    "stream_bytes", "body_as_converted_bytes", "one_call_as_converted_bytes", "stream_macs_per_s",
    "whole_windows_macs_per_s",
)  # fmt: skip
COLUMNS = (
    "model", "dataset", "metric", "test_fold", "test_clips", "validation_accuracy", "validation_mAP",
    "validation_lowest", "validation_highest", "epochs", "seed", "seeds", "front_end", "steps", "classes",
    "parameters", "macs", "binary_products",
    *(f"{name}_{figure}" for name in dict.fromkeys(FILES.values()) for figure in FIGURES), "frontend_arena_bytes",
    *STREAM, "columns_unlike_litert", "scores_unlike_litert", "test_classes", "data_fingerprint", "command",
)  # fmt: skip


def add_runs(folders, results=RESULTS):
    """Adds a row for each exported folder's metrics.json, and keeps its card, pictures and decisions beside the csv.

    A row whose card stood in the same folder is replaced.

    Raises: ZooError naming the first folder that no recipe exported.
    """
    rows = {folder_name(row): row for row in read_runs(results)}
    for folder in folders:
        path = Path(folder) / "metrics.json"
        if not path.is_file():
            raise ZooError(f"{path}: not there; give the folder that a recipe exported")
        metrics = json.loads(path.read_text())
        if not {"steps", "files"} <= metrics.keys():
            raise ZooError(f"{path}: tells of no training and its test; give the folder that a recipe exported")
        row = {name: str(value) for name, value in _row(metrics).items()}
        name = folder_name(row)
        rows[name] = row
        kept = results / name
        kept.mkdir(parents=True, exist_ok=True)
        for told in (path.with_name("card.md"), *path.parent.glob("*.png")):
            shutil.copy(told, kept)
        for table in decisions.kept(folder):
            place = kept / table.relative_to(folder)
            place.parent.mkdir(exist_ok=True)
            shutil.copy(table, place)
    results.mkdir(parents=True, exist_ok=True)
    csv_file.write(results / "runs.csv", COLUMNS, rows.values())


def read_runs(results=RESULTS):
    """The rows of runs.csv, with every column: "" where a row has none."""
    return [{**dict.fromkeys(COLUMNS, ""), **row} for row in csv_file.read(results / "runs.csv")]


def identity(row):
    """What tells a run from another one."""
    names = ("model", "test_fold", "epochs", "seed", "front_end", "data_fingerprint", "steps")
    return tuple(row[name] for name in names)


def folder_name(row):
    """The folder that keeps the card and pictures of a run."""
    seed = "" if row["seed"] == "0" else f"-seed{row['seed'].replace(' ', '')}"
    begun = "-head" if "head alone" in row["steps"] else "-begun" if row["steps"].startswith("train from") else ""
    return f"{row['model']}-{row['dataset']}-fold{row['test_fold']}-{row['epochs']}epochs{seed}{begun}"


def _row(metrics):
    row = {column: metrics[column] for column in COLUMNS if column in metrics}
    pooled = _pool(row, metrics)
    if "validation" in metrics and "seeds" not in row:
        metric = metrics.get("metric", "accuracy")  # older folders knew no other one
        row[f"validation_{metric}"] = metrics["validation"][metric]
    for path, name in FILES.items():
        for figure, value in {**metrics["files"].get(path, {}), **pooled.get(path, {})}.items():
            if figure in FIGURES:
                row[f"{name}_{figure}"] = "" if value is None else value
    stream = metrics["stream"]
    if stream:
        (front_end,) = (figures for path, figures in metrics["files"].items() if path.startswith("micro/frontend"))
        strips = metrics["strips"]
        row["frontend_arena_bytes"], row["stream_bytes"] = front_end["arena_bytes"], stream["total_bytes"]
        row["body_as_converted_bytes"] = strips.get("body.tflite", {}).get("arena_bytes_before", "")
        row["one_call_as_converted_bytes"] = strips.get("model.tflite", {}).get("arena_bytes_before", "")
        row["stream_macs_per_s"] = stream["macs_per_s"]["stream"]
        row["whole_windows_macs_per_s"] = stream["macs_per_s"]["whole windows"]
        unlike = metrics["tflm_bytes_unlike_litert_reference"]
        row["columns_unlike_litert"], row["scores_unlike_litert"] = unlike["columns"], unlike["scores"]
    row["classes"] = len(metrics["labels"])
    row["steps"] = "; ".join(step["step"] for step in metrics["steps"])
    row["test_classes"] = ", ".join(metrics["test_classes"])
    return row


def _pool(row, metrics):
    """Tells in `row` of all trainings of a folder that holds several, and returns {file: figures over them all}."""
    found = metrics.get("cross_validation")
    if not found:
        return {}
    row["test_clips"] = found["test_clips"]
    if len(found["folds"]) != 1:
        row["test_fold"] = "all"
    seeds = list(found.get("seeds", ()))  # older folders tell of one, and do not name it
    if len(seeds) > 1:
        row["seed"], row["seeds"] = f"{seeds[0]} to {seeds[-1]}", len(seeds)
        row |= {f"validation_{figure}": value for figure, value in found.get("validation", {}).items()}
    return {path: figures for file, figures in found["files"].items() for path in file.split(" + ")}
