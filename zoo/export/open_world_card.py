"""What a card tells of a model outside of its test set: sounds of no class, noise, levels, rates, codecs."""

from pathlib import Path

from zoo import open_set, plots
from zoo.export.cells import interval, percent


def draw(folder, metrics):
    """Writes the pictures."""
    folder, title = Path(folder), f"{metrics['model']} on {metrics['dataset']}"
    table = open_set.read(folder / open_set.FILE)
    confidences = {file: both for file, both in table.items() if file not in open_set.CLIP}
    plots.open_set(confidences, folder / "open_set.png", f"{title}: sounds of no class")
    plots.robustness(metrics["robustness"], folder / "robustness.png", f"{title}: changed sounds")


def note(metrics):
    """Paragraphs: how sounds of no class are refused, how many are not, and what changed sounds cost."""
    paragraphs = []
    if "rejection" in metrics or "open_set" in metrics:
        paragraphs.append("## Sounds of no class")
        if "cross_validation" in metrics:
            paragraphs.append(f"Of the files here alone, whose test fold is {metrics['test_fold']}:")
    if "rejection" in metrics:
        paragraphs.append(_rejection(metrics["rejection"]))
    if "open_set" in metrics:
        paragraphs += [
            *_unknown(metrics["open_set"]),
            *_false_alarms(metrics["false_alarms"]),
            *_robustness(metrics["robustness"]),
        ]
    return paragraphs


def _rejection(found):
    return (
        "A class is believed from its own threshold on; a sound that reaches none is refused. The temperature "
        f"({found['temperature']:.3g}, by which the logits are divided) and the thresholds come from "
        f"{found['trainings']} further trainings, each without some of the classes, judged by {found['known_clips']} "
        f"clips of the others and {found['unknown_clips']} of those left out; none is of the test fold. The thresholds "
        f"in the files are those of {open_set.USUAL} sensitivity, which "
        f"{open_set.SENSITIVITIES[open_set.USUAL]:.0%} of a class's clips reach there."
    )


def _unknown(found):
    files, raw = found["files"], found["files"].get("raw")
    rows = (
        (
            "raw softmax" if file == "raw" else file,
            percent(row["auroc"]), interval(row, "auroc"), percent(row["fpr95"]), interval(row, "fpr95"),
        )
        for file, row in files.items()
    )  # fmt: skip
    points = (
        (name, file, percent(row["known_accepted"]), percent(row["unknown_accepted"]))
        for name, of_files in found["points"].items()
        for file, row in of_files.items()
    )
    return [
        f"Against {found['clips']} clips of {found['dataset']}, of {len(found['classes'])} classes that never trained. "
        "AUROC: how often a known clip has the higher score. FPR95: the share of the unknown that are taken for known "
        "where 95 % of the known are."
        + (f" With its temperature the model is {_beside(found, raw)} its raw softmax." if raw else ""),
        _table(("file", "AUROC", "95 % interval", "FPR95", "95 % interval"), rows),
        _table(("sensitivity", "file", "known clips accepted", "unknown clips accepted"), points),
        "![open set](open_set.png)",
    ]


def _beside(found, raw):
    if found["auroc"] > raw["auroc_high"]:
        return "better at it than"
    return "worse at it than" if found["auroc"] < raw["auroc_low"] else "no better at it than"


def _false_alarms(found):
    rows = (
        (
            name, row["alarms"], f"{row['per_hour']:.1f}", f"{row['low']:.1f} to {row['high']:.1f}",
            ", ".join(f"{label} {count}" for label, count in row["by_class"].items()),
        )
        for name, row in found["points"].items()
    )  # fmt: skip
    return [
        f"Those clips one behind the other, {found['hours']:.2f} hours in which something sounds all the time, heard "
        "by the runtime as a stream: events, each of them false. The interval is that of a Poisson process.",
        _table(("sensitivity", "events", "an hour", "95 % interval", "by class"), rows),
    ]


def _robustness(found):
    files = list(found["unchanged"][""])
    rows = (
        (kind, value, *(cell for file in files for cell in (percent(row[file]["accuracy"]), interval(row[file]))))
        for kind, changes in found.items()
        for value, row in changes.items()
    )
    heads = ("change", "", *(head for file in files for head in (file, "95 % interval")))
    return [
        "## Changed sounds",
        "Accuracy on the test clips after each of these; noise is that of wind, engines, vacuum cleaners and washing "
        "machines, and its decibels are those of the sound over it.",
        _table(heads, rows),
        "![robustness](robustness.png)",
    ]


def _table(heads, rows):
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return "\n".join(lines + [f"| {' | '.join(map(str, row))} |" for row in rows])
