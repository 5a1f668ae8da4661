"""Two models on the same clips: how much better the one is, and whether that is more than chance."""

from pathlib import Path

import numpy as np

from zoo import decisions, evaluation
from zoo.errors import ZooError

SEED = 0  # of the bootstrap


def compare(folder_a, folder_b, file="model.h5"):
    """What is told of two exported folders, as JSON holds it: "a" and "b" with accuracy and interval, "difference" of
    their accuracies (b minus a) with its own, over the pairs, and "mcnemar" with b, c and p.

    file: whose decisions are compared, of both.

    Raises: ZooError where a folder has none of them, and where clips, classes or what is true of a clip differ.
    """
    tables = [_table(Path(folder), file) for folder in (folder_a, folder_b)]
    files, truths, sources = ([table[column] for table in tables] for column in ("file", "class", "source"))
    where = f"{folder_a} and {folder_b}"
    if not np.array_equal(*files):
        alone = len(set(files[0]) ^ set(files[1]))
        raise ZooError(
            f"{where} were tested on different clips ({len(files[0])} and {len(files[1])}, {alone} of them on one side "
            "alone); compare models that were tested on the same data and folds"
        )
    labels = [(Path(folder) / "labels.txt").read_text(encoding="utf-8").split("\n") for folder in (folder_a, folder_b)]
    if set(labels[0]) != set(labels[1]):
        other = sorted(set(labels[0]) ^ set(labels[1]))
        raise ZooError(f"{where} know different classes ({other[0]} is of one alone); compare models of the same")
    if not np.array_equal(*truths):
        clip = np.flatnonzero(truths[0] != truths[1])[0]
        told = " and ".join(truth[clip] for truth in truths)
        raise ZooError(f"{where} differ in what {files[0][clip]} is: {told}; compare models of the same data")
    correct_a, correct_b = (table[file] == truths[0] for table in tables)
    b, c, p = evaluation.mcnemar(correct_a, correct_b)
    return {
        "file": file,
        "clips": len(correct_a),
        "sources": len(set(sources[0])),
        "a": {"folder": str(folder_a), **_mean(correct_a, sources[0])},
        "b": {"folder": str(folder_b), **_mean(correct_b, sources[0])},
        "difference": _mean(correct_b.astype(int) - correct_a, sources[0]),
        "mcnemar": {"b": b, "c": c, "p": p},
    }


def told(comparison):
    """The comparison as text."""
    figures = comparison["mcnemar"]
    rows = [("A", comparison["a"]), ("B", comparison["b"]), ("B minus A", comparison["difference"])]
    lines = [
        f"{comparison['file']} on {comparison['clips']} clips of {comparison['sources']} source recordings, over which "
        "the 95 % intervals are bootstrapped",
        "",
    ]
    for name, row in rows:
        interval = "" if row["low"] is None else f" ({100 * row['low']:.2f} to {100 * row['high']:.2f})"
        lines.append(f"{name:<11}{100 * row['accuracy']:6.2f} %{interval}  {row.get('folder', '')}".rstrip())
    lines += [
        "",
        f"clips that A alone gets right: b = {figures['b']}, B alone: c = {figures['c']}",
        f"McNemar's exact test, two-sided: p = {figures['p']:.4f}",
    ]
    return "\n".join(lines)


def _table(folder, file):
    """The decisions of a folder, by clips' names: over all folds where it holds several, of the first seed."""
    table = decisions.of_folder(folder)
    if table is None:
        raise ZooError(f"{folder}: no {decisions.FILE}; pass a folder that a recipe exported")
    files = [column for column in table if column not in decisions.CLIP]
    if file not in files:
        raise ZooError(f"{folder}: no decisions of {file}; it has those of {', '.join(files)}")
    return table


def _mean(values, sources):
    low, high = evaluation.interval(values, sources, SEED)
    return {"accuracy": float(values.mean()), "low": low, "high": high}
