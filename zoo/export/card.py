"""The card of an exported folder: what the model is, how it was made, what it scores and costs."""

import csv
import json
import math
from pathlib import Path
from textwrap import fill, indent

from zoo import plots
from zoo.export import open_world_card
from zoo.export.cells import interval, number, percent
from zoo.measure import counts


def table(metrics):
    """The measured files as a Markdown table."""
    metric = metrics["metric"]
    lines = [
        f"| file | {metric} | 95 % interval | changed clips | bytes | arena bytes | kernels |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for path, row in metrics["files"].items():
        lines.append(
            f"| {path} | {percent(row[metric])} | {interval(row)} "
            f"| {row['changed_clips']} | {row['bytes']:,} | {number(row['arena_bytes'])} | {row['kernels']} |"
        )
    return "\n".join(lines)


def cross_validation_table(metrics):
    """Each file's accuracy over the clips of all folds, and on each fold, as a Markdown table."""
    return _by_training(
        metrics,
        "fold",
        ("all folds", "95 % interval", "changed clips"),
        lambda row: (percent(row["accuracy"]), interval(row), row["changed_clips"]),
    )


def _by_training(metrics, one, heads, told):
    """A row for each file: what is `told` of it under `heads`, and its accuracy of each `one`, fold or seed."""
    found = metrics["cross_validation"]
    trainings = found[f"{one}s"]
    heads = ("file", *heads, *(f"{one} {name}" for name in trainings))
    lines = [f"| {' | '.join(heads)} |", f"|---|{'---:|' * (len(heads) - 1)}"]
    for file, row in found["files"].items():
        cells = (file, *told(row), *(percent(accuracies[file]) for accuracies in trainings.values()))
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def draw_pictures(folder, model, seam_layer, metrics, history, tables):
    """Writes the pictures that the card shows, and training.csv, from which one of them is drawn.

    tables: of the test clips, as a labelling (`zoo.labelling`) makes them.
    """
    folder, labels, metric = Path(folder), metrics["labels"], metrics["metric"]
    title = f"{metrics['model']} on {metrics['dataset']}, fold {metrics['test_fold']}"
    rows, edges = counts.graph_of(model)
    seam = seam_layer if seam_layer in [row.name for row in rows] else None
    plots.layer_graph(rows, edges, folder / "layers.png", title, seam)
    with open(folder / "training.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, history[0])
        writer.writeheader()
        writer.writerows(history)
    plots.training_curves(history, folder / "training.png", title)
    if "confusion" in tables:
        plots.confusion_matrix(tables["confusion"], labels, folder / "confusion.png", title)
    plots.per_class_scores(tables["per_class"], labels, folder / "per_class.png", title)
    measured = {}  # the stream in micro/ is one point: its rows follow each other and share their figures
    for path, row in metrics["files"].items():
        name = "micro/ stream" if path.startswith(("micro/frontend", "micro/body", "micro/xnor")) else path
        size_bytes = row["bytes"] + (measured[name][1] if name in measured else 0)
        interval = [math.nan if end is None else end for end in (row["low"], row["high"])]
        measured[name] = (name, size_bytes, row[metric], interval)
    plots.accuracy_against_size(measured.values(), folder / "files.png", title, metric=metric)
    names = [row.name for row in rows]
    sensitivity = [tuple(row.values()) for row in metrics["sensitivity"]]
    sensitivity.sort(key=lambda row: names.index(row[0]) if row[0] in names else -1)  # the seam may be the input
    if sensitivity:
        plots.quantisation_sensitivity(
            sensitivity, folder / "sensitivity.png", f"{title}: one tensor in 8 bits",
            metrics[f"calibration_{metric}"], metric,
        )  # fmt: skip


def draw_pruning(folder, before, after, saliency, metrics):
    """Writes the pictures of a pruned net: its layers' widths and saliency, and its graph beside that of `before`."""
    title = f"{metrics['model']} on {metrics['dataset']}, fold {metrics['test_fold']}"
    graphs = [counts.graph_of(model) for model in (before, after)]
    widths = ({row.name: row.output_shape[-1] for row in rows if row.macs} for rows, _ in graphs)
    plots.widths_and_saliency(*widths, saliency, Path(folder) / "widths.png", title)
    plots.graphs_before_and_after(*graphs, Path(folder) / "pruned.png", title)


def steps_table(metrics):
    """What each step made of the net, as a Markdown table."""
    lines = [
        "| step | epochs | float .tflite bytes | gzipped | multiplies | int8 arena bytes |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for step in metrics["steps"]:
        figures = (step[name] for name in ("epochs", "bytes", "gzip_bytes", "macs", "arena_bytes"))
        lines.append(f"| {step['step']} | {' | '.join(map(number, figures))} |")
    return "\n".join(lines)


def write_card(folder, metrics, source):
    """Writes metrics.json, and card.md from it and the data set's `source`: (homepage, licence, citation)."""
    (Path(folder) / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    homepage, licence, citation = source
    seconds = metrics["num_samples"] / metrics["sample_rate_hz"]
    paragraphs = [
        f"# {metrics['model']} on {metrics['dataset']}",
        f"Source: {metrics['paper']}.",
        f"A classifier of {len(metrics['labels'])} sounds. It takes {metrics['num_samples']:,} samples at "
        f"{metrics['sample_rate_hz']:,} Hz ({seconds:.2f} s), mono, float32 in [-1, 1] (16-bit samples divided by "
        "32768, never scaled by their own peak), and gives one score for each line of `labels.txt`.",
        "## What it scores and costs",
        f"Test fold {metrics['test_fold']} ({metrics['test_clips']} clips), scored once, after the last epoch. A "
        f"clip's scores are the mean over {metrics['crops_per_clip']} crops. The interval is a percentile bootstrap "
        "over source recordings. Changed clips are decisions that differ from those of `model.h5`. Classes in the "
        f"fold: {', '.join(metrics['test_classes'])}.",
        *_thresholds_note(metrics),
        table(metrics),
        *_cross_validation_note(metrics),
        *_validation_note(metrics),
        *micro_note(metrics),
        *_kernels_note(metrics),
        *_signs_note(metrics),
        f"Trainable parameters {metrics['parameters']:,}; multiplies for one input {metrics['macs']:,} (as the ACDNet "
        f"paper counts, with ReLU outputs, pooled inputs, dense biases and softmax: {metrics['paper_flops']:,}). "
        "Arenas were measured in TFLM on a 64-bit host.",
        f"![{metrics['metric']} against size](files.png)\n![per class](per_class.png)"
        + "\n![confusion](confusion.png)" * (metrics["metric"] == "accuracy"),
        *_trim_note(metrics),
        *_embedding_note(metrics),
        *open_world_card.note(metrics),
        "## How it was made",
        f"    {metrics['command']}",
        steps_table(metrics),
        f"{metrics['epochs']:,} epochs in all on {metrics['train_clips']:,} clips, seed {metrics['seed']}, front end "
        f"{metrics['front_end']}. Versions: {', '.join(map(' '.join, metrics['versions'].items()))}. Data fingerprint "
        f"`{metrics['data_fingerprint']}`{_skipped(metrics)}.",
        "![training](training.png)\n![layers](layers.png)",
        *_pruning_note(metrics),
        *_eight_bits_note(metrics),
        "## Data",
        f"{' '.join(filter(None, [metrics['dataset'], homepage]))}. Licence of the recordings: {licence}; of the "
        f"weights: {metrics['licence']}. The code is Apache-2.0.",
        indent(citation, "    "),
    ]
    (Path(folder) / "card.md").write_text(joined(paragraphs), encoding="utf-8")


def joined(paragraphs):
    """The text of a card: prose is filled, tables, code and pictures stay as they are."""
    text = "\n\n".join(fill(paragraph, 100) if paragraph[:1].isalpha() else paragraph for paragraph in paragraphs)
    return text.rstrip() + "\n"


def micro_note(metrics):
    """Paragraphs: what the stream of micro/ takes, and what strips won."""
    paragraphs, stream = [], metrics["stream"]
    if stream:
        ring_bytes = sum(stream[name] for name in ("ring_bytes", "hop_bytes"))
        tail_bytes = sum(stream[name] for name in ("frontend_tail_bytes", "body_tail_bytes"))
        paragraphs.append(
            "The front end and the body of micro/ run as a stream, a column at a time, and share one row's figures: "
            f"{stream['total_bytes']:,} bytes of RAM in all ({stream['head_bytes']:,} that both use in turn, "
            f"{tail_bytes:,} that they keep, {ring_bytes:,} of ring and samples)."
        )
    if "micro/model.tflite" in metrics["files"]:
        paragraphs.append(
            "`micro/model.tflite` is the same network as one int8 call with an 8-bit waveform"
            + (", for comparison: use the stream." if stream else ".")
        )
    won = (
        f"{name} {strips['arena_bytes_before']:,} to {strips['arena_bytes']:,} bytes of arena, multiplies "
        f"{strips['macs'] / strips['macs_before'] - 1:+.2%}"
        for name, strips in metrics["strips"].items()
        if strips["stretches"]
    )
    told = "; ".join(won)
    if told:
        paragraphs.append(f"Computed strip by strip where memory peaks, without a byte of difference: {told}.")
    return paragraphs


def _signs_note(metrics):
    if not metrics.get("binary_products"):
        return []
    return [
        f"XNOR-Net: {metrics['binary_products']:,} of the multiplies are products of signs. `micro/xnor.c` counts bits "
        "for them; its bytes are those of its tables. TFLite has no such operator: the .tflite files multiply, -1 and "
        "1 in float, -127 and 127 in int8, for phones and for comparison."
    ]


def _cross_validation_note(metrics):
    if "cross_validation" not in metrics:
        return []
    found = metrics["cross_validation"]
    several = "Cross-validation: each fold tests a model that was trained on the others. " * (len(found["folds"]) > 1)
    return [
        f"{several}All {found['test_clips']} clips; weights and decisions of each fold lie in folds/.",
        cross_validation_table(metrics),
        *_seeds_note(metrics),
    ]


def _seeds_note(metrics):
    seeds = metrics["cross_validation"]["seeds"]
    if len(seeds) == 1:
        return []
    first, *others = seeds
    return [
        f"This table is of {len(seeds)} seeds: accuracies are means over them, the interval resamples source "
        "recordings with all seeds' decisions of their clips, changed clips are those of all seeds together. The files "
        f"are of seed {first}, as folds/ is; the others' weights and decisions lie in folds-seed{others[0]}/ and on.",
        seeds_table(metrics),
    ]


def seeds_table(metrics):
    """Each file's accuracy over the seeds, and of each seed, as a Markdown table."""
    ends = ("accuracy", "lowest", "highest")
    return _by_training(metrics, "seed", ("mean", *ends[1:]), lambda row: [percent(row[end]) for end in ends])


def _thresholds_note(metrics):
    """Of clips with any number of labels: what the figures are, and where the thresholds come from."""
    if metrics["thresholds"] is None:
        return []
    thresholds, d_prime = metrics["thresholds"], metrics["files"]["model.h5"]["d_prime"]
    told = "" if d_prime is None else f" `model.h5` has a d-prime of {d_prime:.2f} (of the mean area under ROC curves)."
    return [
        f"A clip has any number of labels; mAP is the mean of the classes' average precisions.{told} A label is decided"
        " for from its own threshold on, and a clip counts as changed where any of its labels does. The thresholds are "
        f"those of the highest F1 on {thresholds['clips']} {thresholds['chosen_on']} clips; `metrics.json` lists them. "
        "Accuracy in training is the share of crops whose highest score is that of a label that they have."
    ]


def _validation_note(metrics):
    if "validation" not in metrics:
        return []
    row = metrics["validation"]
    return [
        f"On the {row['clips']} validation clips, which neither train nor test, `model.h5` has "
        f"{percent(row[metrics['metric']])} % ({interval(row)})."
    ]


def _trim_note(metrics):
    if metrics.get("trim_db") is None:
        return []
    return [
        f"Dead space was cut out of all clips first, those that trained and those of the test fold: what lies "
        f"{metrics['trim_db']:g} dB and more under the maximum of a clip's envelope. No file does that by itself."
    ]


def _embedding_note(metrics):
    if not metrics["embedding"]:
        return []
    return [
        "`embedding.h5` and `embedding.tflite` are `model.h5` and `model.tflite` with a second output: what the head "
        "makes the scores of."
    ]


def _kernels_note(metrics):
    unlike, front = metrics["tflm_bytes_unlike_litert_reference"], metrics["front_end_decisions"]
    if not unlike:
        return []
    return [
        f"On {unlike['crops']} crops {unlike['columns']} bytes of columns and {unlike['scores']} of scores differ "
        "between TFLM and LiteRT's reference kernels. With the int8 body fixed, the stream's front end changes "
        f"{front['changed']} of {front['crops']} crop decisions of the fold against the float front end."
    ]


def _pruning_note(metrics):
    if not any(step["step"].startswith("PruneChannels") for step in metrics["steps"]):
        return []
    return [
        "Filters by layer before and after the pruning, with the channels' saliency in its last round; and the graph "
        "before and after.",
        "![widths](widths.png)\n![pruned](pruned.png)",
    ]


def _eight_bits_note(metrics):
    if metrics[f"calibration_{metrics['metric']}"] is None:
        return []
    wide = ", ".join(metrics["wide_tensors"])
    return [
        "## Eight bits, tensor by tensor",
        "What happens to the scores of the calibration crops (training clips) when one tensor alone is rounded to 8 "
        f"bits{wide and f'; 16 bits in the files: {wide}'}.",
        "![sensitivity](sensitivity.png)",
    ]


def _skipped(metrics):
    skipped = metrics["skipped_files"]
    return f"; {len(skipped)} broken files left out ({', '.join(skipped)})" if skipped else ""
