"""The page of the project's own runs, as lines of Markdown, from the rows of runs.csv and what boards told."""

from pathlib import Path

from zoo import evaluation
from zoo.report import boards, papers
from zoo.report.cells import change, count, interval, judged, line, named, percent
from zoo.report.runs import RESULTS, folder_name, identity, read_runs

PAGE = "README.md"


def page(results=RESULTS):
    """The lines of README.md."""
    runs = read_runs(results)
    return [
        "# Results",
        "",
        "Made from `runs.csv` and `boards/` by `python -m zoo report`, never by hand. Accuracy in %, with its 95 %",
        "interval (percentile bootstrap over source recordings); the test fold is scored once, at the end. In",
        "brackets: clips whose decision differs from that of Keras in float, of all seeds together. RAM in bytes, TFLM",
        "on a 64-bit host: of the stream all that it holds (of runs before 0.3.0 the two arenas alone), of the one",
        "call its arena.",
        f"Beside what the papers print: [{papers.PAGE}]({papers.PAGE}).",
        "",
        *overview(runs),
        *seeds(runs),
        *pooled(runs),
        *streams(runs),
        *boards.table(boards.read(Path(results, "boards"))),
        *commands(runs),
    ]


def overview(runs):
    """Lines: one row a run, with a link to its card."""
    lines = [
        "| model | data set, fold | clips | epochs | Keras | int8 (LiteRT) | micro/ stream (TFLM) "
        "| one int8 call (TFLM) | RAM, stream | RAM, one call |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for run in runs:
        arenas = [run["frontend_arena_bytes"], run["micro_arena_bytes"]]
        cells = [
            f"[{run['model']}]({folder_name(run)}/card.md)",
            f"{run['dataset']}, {run['test_fold']}",
            run["test_clips"],
            run["epochs"],
            named(run, interval(judged(run, "keras"), run["keras_low"], run["keras_high"])),
            *(_changed(run, name) for name in ("int8", "micro", "micro_one_call")),
            count(run["stream_bytes"]) or " + ".join(map(count, filter(None, arenas))),
            count(run["micro_one_call_arena_bytes"]),
        ]
        lines.append(line(cells))
    return lines


def seeds(runs):
    """Lines: the accuracies of each model that was trained from several seeds, in one run or in a run for each."""
    trained = {}
    for run in runs:
        key = (run["dataset"], run["test_fold"], bool(run["seeds"]), *identity({**run, "seed": ""}))
        trained.setdefault(key, []).append(run)
    lines = [
        "",
        "Several seeds: the mean over them, and in brackets the lowest and the highest. Settings were chosen on the",
        "validation clips, where there are any.",
        "",
        "| model | data set, fold | epochs | seeds | validation | Keras | int8 (LiteRT) | micro/ stream (TFLM) |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    heads = len(lines)
    for (dataset, fold, _, model, *_), rows in trained.items():
        number = int(rows[0]["seeds"] or len(rows))
        if number > 1:
            cells = [model, f"{dataset}, {fold}", rows[0]["epochs"], number]
            cells += [_range(rows, name) for name in ("validation", "keras", "int8", "micro")]
            lines.append(line(cells))
    return lines if len(lines) > heads else []


def pooled(runs):
    """Lines: what 8 bits cost each model that was trained on several folds, over the clips of them all."""
    folds = {}
    for run in runs:
        if run["int8_lost_clips"] and run["int8_accuracy"] and run["test_fold"] != "all":  # older rows tell of no lost
            folds.setdefault((run["dataset"], *identity({**run, "test_fold": ""})), []).append(run)
    lines = [
        "",
        "What 8 bits cost, over all clips of several folds: clips that Keras alone gets right are lost, those that the",
        "file alone gets right are gained; p is that of McNemar's exact test on the two.",
        "",
        "| model | data set, folds | clips | Keras | file | accuracy | points lost | changed | lost | gained | p |",
        "|---|---|---:|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    heads = len(lines)
    for (_, model, *_), rows in folds.items():
        if len(rows) > 1:
            for name, told in (("int8", "int8 (LiteRT)"), ("micro", "micro/ stream (TFLM)")):
                if all(row[f"{name}_accuracy"] for row in rows):  # not every model has micro/
                    lines.append(line([model, *_pooled_cells(rows, name, told)]))
    return lines if len(lines) > heads else []


def streams(runs):
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
                change(run["one_call_as_converted_bytes"], run["micro_one_call_arena_bytes"]),
                change(run["body_as_converted_bytes"], run["micro_arena_bytes"]),
                *(count(run[name]) for name in ("stream_bytes", "stream_macs_per_s", "whole_windows_macs_per_s")),
            ]
            lines.append(line(cells))
    return lines if len(lines) > heads else []


def commands(runs):
    """Lines: what made each row, and what it heard where the data held some of the classes only."""
    lines = ["", "Each row's command, in the order above:", "", *(f"    {run['command']}" for run in runs), ""]
    return lines + [
        f"{run['model']} on fold {run['test_fold']} of {run['dataset']} heard these of its classes: "
        f"{run['test_classes']}.\n"
        for run in runs
        if run["dataset"] == "esc50" and run["test_fold"] != "all"
    ]


def _range(rows, name):
    """Mean, lowest and highest accuracy: of a run of several seeds, or over the runs of one each."""
    ends = [(judged(row, name), row[f"{name}_lowest"], row[f"{name}_highest"]) for row in rows]
    ends = [[float(end or mean) for end in (mean, low, high)] for mean, low, high in ends if mean]
    if not ends:
        return ""
    means, lows, highs = zip(*ends)
    return named(rows[0], interval(sum(means) / len(means), min(lows), max(highs)))


def _pooled_cells(rows, name, told):
    clips = [int(row["test_clips"]) for row in rows]
    accuracies = [
        sum(float(row[f"{file}_accuracy"]) * count for row, count in zip(rows, clips)) / sum(clips)
        for file in ("keras", name)
    ]
    changed, lost, gained = (
        sum(int(row[f"{name}_{figure}"]) for row in rows) for figure in ("changed_clips", "lost_clips", "gained_clips")
    )
    return [
        ", ".join([rows[0]["dataset"], *sorted(row["test_fold"] for row in rows)]),
        sum(clips),
        percent(accuracies[0]),
        told,
        percent(accuracies[1]),
        f"{100 * (accuracies[0] - accuracies[1]):.2f}",
        changed,
        lost,
        gained,
        f"{evaluation.mcnemar_p(lost, gained):.2f}",
    ]


def _changed(run, name):
    share = judged(run, name)
    return named(run, f"{percent(share)} ({run[f'{name}_changed_clips']})") if share else ""
