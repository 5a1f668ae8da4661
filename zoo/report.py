"""Results are data: one row a run in docs/results/runs.csv, from which the page beside it is made."""

import csv
import json
import shutil
from pathlib import Path

from zoo import evaluation, on_boards
from zoo.errors import ZooError

RESULTS = Path("docs/results")
# The files whose figures a row holds, and what their columns are called.
FILES = {
    "model.h5": "keras",
    "model.tflite": "tflite",
    "model_int8.tflite": "int8",
    "micro/body.tflite": "micro",
    "micro/model.tflite": "micro_one_call",
}
FIGURES = ("accuracy", "low", "high", "changed_clips", "lost_clips", "gained_clips", "bytes", "arena_bytes")
STREAM = (
    "stream_bytes", "body_as_converted_bytes", "one_call_as_converted_bytes", "stream_macs_per_s",
    "whole_windows_macs_per_s",
)  # fmt: skip
COLUMNS = (
    "model", "dataset", "test_fold", "test_clips", "validation_accuracy", "epochs", "seed", "front_end", "steps",
    "parameters", "macs",
    *(f"{name}_{figure}" for name in FILES.values() for figure in FIGURES), "frontend_arena_bytes",
    *STREAM, "columns_unlike_litert", "scores_unlike_litert", "test_classes", "data_fingerprint", "command",
)  # fmt: skip


def add_runs(folders):
    """Adds a row for each exported folder's metrics.json, and keeps its card and pictures beside the csv.

    A row of the same model, fold, epochs, seed and data is replaced.

    Raises: ZooError naming the first folder without a metrics.json.
    """
    rows = {_identity(row): row for row in read_runs()}
    for folder in folders:
        path = Path(folder) / "metrics.json"
        if not path.is_file():
            raise ZooError(f"{path}: not there; give the folder that a recipe exported")
        row = {name: str(value) for name, value in _row(json.loads(path.read_text())).items()}
        rows[_identity(row)] = row
        kept = RESULTS / _folder_name(row)
        kept.mkdir(parents=True, exist_ok=True)
        for told in (path.with_name("card.md"), *path.parent.glob("*.png")):
            shutil.copy(told, kept)
    RESULTS.mkdir(parents=True, exist_ok=True)
    with open(RESULTS / "runs.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows.values())


def read_runs():
    """The rows of runs.csv, all values as text."""
    if not (RESULTS / "runs.csv").is_file():
        return []
    with open(RESULTS / "runs.csv", newline="") as file:
        return list(csv.DictReader(file))


def write_page():
    """Remakes docs/results/README.md from runs.csv and boards/."""
    runs = read_runs()
    lines = [
        "# Results",
        "",
        "Made from `runs.csv` and `boards/` by `python -m zoo report`, never by hand. Accuracy in %, with its 95 %",
        "interval (percentile bootstrap over source recordings); the test fold is scored once, at the end. In",
        "brackets: clips whose decision differs from that of Keras in float. RAM in bytes, TFLM on a 64-bit host: of",
        "the stream all that it holds (of runs before 0.3.0 the two arenas alone), of the one call its arena.",
        "",
        "| model | data set, fold | clips | epochs | Keras | int8 (LiteRT) | micro/ stream (TFLM) "
        "| one int8 call (TFLM) | RAM, stream | RAM, one call |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for run in runs:
        arenas = [run["frontend_arena_bytes"], run["micro_arena_bytes"]]
        cells = [
            f"[{run['model']}]({_folder_name(run)}/card.md)",
            f"{run['dataset']}, {run['test_fold']}",
            run["test_clips"],
            run["epochs"],
            f"{_percent(run['keras_accuracy'])} ({_percent(run['keras_low'])} to {_percent(run['keras_high'])})",
            *(_changed(run, name) for name in ("int8", "micro", "micro_one_call")),
            _count(run["stream_bytes"]) or " + ".join(map(_count, filter(None, arenas))),
            _count(run["micro_one_call_arena_bytes"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += _seeds(runs)
    lines += _pooled(runs)
    lines += _streams(runs)
    lines += on_boards.table(on_boards.read(RESULTS / "boards"))
    lines += ["", "Each row's command, in the order above:", "", *(f"    {run['command']}" for run in runs), ""]
    lines += [
        f"{run['model']} on fold {run['test_fold']} of {run['dataset']} heard these of its classes: "
        f"{run['test_classes']}.\n"
        for run in runs
        if run["dataset"] == "esc50" and run["test_fold"] != "all"
    ]
    (RESULTS / "README.md").write_text("\n".join(lines).rstrip() + "\n")


def _seeds(runs):
    """Lines: the accuracies of each model that was trained from several seeds."""
    seeds = {}
    for run in runs:
        seeds.setdefault((run["dataset"], run["test_fold"], *_identity({**run, "seed": ""})), []).append(run)
    lines = [
        "",
        "Several seeds: the mean over them, and in brackets the lowest and the highest. Settings were chosen on the",
        "validation clips, where there are any.",
        "",
        "| model | data set, fold | epochs | seeds | validation | Keras | int8 (LiteRT) | micro/ stream (TFLM) |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    heads = len(lines)
    for (dataset, fold, model, *_), rows in seeds.items():
        if len(rows) > 1:
            columns = ("validation_accuracy", *(f"{name}_accuracy" for name in ("keras", "int8", "micro")))
            cells = [model, f"{dataset}, {fold}", rows[0]["epochs"], len(rows)]
            cells += [_range([float(row[column]) for row in rows if row.get(column)]) for column in columns]
            lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines if len(lines) > heads else []


def _range(accuracies):
    if not accuracies:
        return ""
    mean, low, high = sum(accuracies) / len(accuracies), min(accuracies), max(accuracies)
    return f"{_percent(mean)} ({_percent(low)} to {_percent(high)})"


def _pooled(runs):
    """Lines: what 8 bits cost each model that was trained on several folds, over the clips of them all."""
    folds = {}
    for run in runs:
        if run["int8_lost_clips"] and run["test_fold"] != "all":  # rows of the first release have none
            folds.setdefault((run["dataset"], *_identity({**run, "test_fold": ""})), []).append(run)
    lines = [
        "",
        "What 8 bits cost, over all clips of several folds: clips that Keras alone gets right are lost, those that the",
        "file alone gets right are gained; p is that of McNemar's exact test on the two.",
        "",
        "| model | data set, folds | clips | Keras | file | accuracy | points lost | changed | lost | gained | p |",
        "|---|---|---:|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    heads = len(lines)
    for (dataset, model, *_), rows in folds.items():
        if len(rows) > 1:
            for name, told in (("int8", "int8 (LiteRT)"), ("micro", "micro/ stream (TFLM)")):
                if all(row[f"{name}_accuracy"] for row in rows):  # not every model has micro/
                    lines.append(f"| {model} | {dataset}, {_pooled_cells(rows, name, told)} |")
    return lines if len(lines) > heads else []


def _streams(runs):
    """Lines: what each model takes of a microcontroller, as it was converted and as it is shipped."""
    lines = [
        "",
        "RAM in bytes on a microcontroller: arenas as converted -> in strips, and all that the stream holds.",
        "Multiplies a second are those of four decisions, as a stream and with whole windows each time; those of a",
        "log-mel in C are not counted.",
        "",
        "| model | data set, fold | one call | body | stream in all | multiplies a second | whole windows |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    heads = len(lines)
    for run in runs:
        if run["stream_bytes"]:  # rows before 0.3.0 have none
            cells = [
                run["model"],
                f"{run['dataset']}, {run['test_fold']}",
                _change(run["one_call_as_converted_bytes"], run["micro_one_call_arena_bytes"]),
                _change(run["body_as_converted_bytes"], run["micro_arena_bytes"]),
                *(_count(run[name]) for name in ("stream_bytes", "stream_macs_per_s", "whole_windows_macs_per_s")),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return lines if len(lines) > heads else []


def _pooled_cells(rows, name, told):
    clips = [int(row["test_clips"]) for row in rows]
    accuracies = [
        sum(float(row[f"{file}_accuracy"]) * count for row, count in zip(rows, clips)) / sum(clips)
        for file in ("keras", name)
    ]
    changed, lost, gained = (
        sum(int(row[f"{name}_{figure}"]) for row in rows) for figure in ("changed_clips", "lost_clips", "gained_clips")
    )
    cells = [
        ", ".join(sorted(row["test_fold"] for row in rows)),
        sum(clips),
        _percent(accuracies[0]),
        told,
        _percent(accuracies[1]),
        f"{100 * (accuracies[0] - accuracies[1]):.2f}",
        changed,
        lost,
        gained,
        f"{evaluation.mcnemar_p(lost, gained):.2f}",
    ]
    return " | ".join(map(str, cells))


def _identity(row):
    names = ("model", "test_fold", "epochs", "seed", "front_end", "data_fingerprint", "steps")
    return tuple(row[name] for name in names)


def _folder_name(row):
    seed = "" if row["seed"] == "0" else f"-seed{row['seed']}"
    begun = "-head" if "head alone" in row["steps"] else "-begun" if row["steps"].startswith("train from") else ""
    return f"{row['model']}-{row['dataset']}-fold{row['test_fold']}-{row['epochs']}epochs{seed}{begun}"


def _row(metrics):
    row = {column: metrics[column] for column in COLUMNS if column in metrics}
    folds, stream = metrics.get("cross_validation"), metrics["stream"]
    pooled = {path: figures for file, figures in folds["files"].items() for path in file.split(" + ")} if folds else {}
    if folds:
        row["test_fold"], row["test_clips"] = "all", folds["test_clips"]
    if "validation" in metrics:
        row["validation_accuracy"] = metrics["validation"]["accuracy"]
    for path, name in FILES.items():
        for figure, value in {**metrics["files"].get(path, {}), **pooled.get(path, {})}.items():
            if figure in FIGURES:
                row[f"{name}_{figure}"] = "" if value is None else value
    if stream:
        (front_end,) = (figures for path, figures in metrics["files"].items() if path.startswith("micro/frontend"))
        strips = metrics["strips"]
        row["frontend_arena_bytes"], row["stream_bytes"] = front_end["arena_bytes"], stream["total_bytes"]
        row["body_as_converted_bytes"] = strips["body.tflite"]["arena_bytes_before"]
        row["one_call_as_converted_bytes"] = strips.get("model.tflite", {}).get("arena_bytes_before", "")
        row["stream_macs_per_s"] = stream["macs_per_s"]["stream"]
        row["whole_windows_macs_per_s"] = stream["macs_per_s"]["whole windows"]
        unlike = metrics["tflm_bytes_unlike_litert_reference"]
        row["columns_unlike_litert"], row["scores_unlike_litert"] = unlike["columns"], unlike["scores"]
    row["steps"] = "; ".join(step["step"] for step in metrics["steps"])
    row["test_classes"] = ", ".join(metrics["test_classes"])
    return row


def _changed(run, name):
    accuracy = run[f"{name}_accuracy"]
    return f"{_percent(accuracy)} ({run[f'{name}_changed_clips']})" if accuracy else ""


def _percent(share):
    return f"{100 * float(share):.2f}" if share else ""


def _change(before, after):
    return f"{_count(before)} -> {_count(after)}" if before else ""


def _count(number):
    return f"{int(number):,}" if number else ""
