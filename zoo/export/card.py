"""The card of an exported folder: what the model is, how it was made, what it scores and costs."""

from pathlib import Path
from textwrap import fill, indent


def table(metrics):
    """The measured files as a Markdown table."""
    lines = [
        "| file | accuracy | 95 % interval | changed clips | bytes | arena bytes | kernels |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for path, row in metrics["files"].items():
        lines.append(
            f"| {path} | {_percent(row['accuracy'])} | {_percent(row['low'])} to {_percent(row['high'])} "
            f"| {row['changed_clips']} | {row['bytes']:,} | {_number(row['arena_bytes'])} | {row['kernels']} |"
        )
    return "\n".join(lines)


def write_card(folder, metrics, source):
    """Writes card.md from what metrics.json holds and the data set's `source`: (homepage, licence, citation)."""
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
        table(metrics),
        *_micro_note(metrics),
        f"Trainable parameters {metrics['parameters']:,}; multiplies for one input {metrics['macs']:,} (as the ACDNet "
        f"paper counts, with ReLU outputs, pooled inputs, dense biases and softmax: {metrics['paper_flops']:,}). "
        "Arenas were measured in TFLM on a 64-bit host.",
        "![accuracy against size](files.png)\n![per class](per_class.png)\n![confusion](confusion.png)",
        "## How it was made",
        f"    {metrics['command']}",
        f"{metrics['epochs']:,} epochs on {metrics['train_clips']:,} clips, seed {metrics['seed']}, front end "
        f"{metrics['front_end']}. Versions: {', '.join(map(' '.join, metrics['versions'].items()))}. Data fingerprint "
        f"`{metrics['data_fingerprint']}`{_skipped(metrics)}.",
        "![training](training.png)\n![layers](layers.png)",
        "## Data",
        f"{' '.join(filter(None, [metrics['dataset'], homepage]))}. Licence of the recordings: {licence}. The code is "
        "Apache-2.0.",
        indent(citation, "    "),
    ]
    text = "\n\n".join(fill(paragraph, 100) if paragraph[:1].isalpha() else paragraph for paragraph in paragraphs)
    (Path(folder) / "card.md").write_text(text.rstrip() + "\n", encoding="utf-8")


def _micro_note(metrics):
    if "tflm_bytes_unlike_litert_reference" not in metrics:
        return []
    unlike = metrics["tflm_bytes_unlike_litert_reference"]
    return [
        "The frontend and the body of micro/ run as a pair, hop by hop, and share one row's figures. On "
        f"{unlike['crops']} crops {unlike['columns']} bytes of columns and {unlike['scores']} of scores differ between "
        "TFLM and LiteRT's reference kernels. `micro/model.tflite` is the same network as one int8 call with an 8-bit "
        "waveform, for comparison: use the pair."
    ]


def _percent(share):
    return "" if share is None else f"{100 * share:.2f}"


def _number(count):
    return "" if count is None else f"{count:,}"


def _skipped(metrics):
    skipped = metrics["skipped_files"]
    return f"; {len(skipped)} broken files left out ({', '.join(skipped)})" if skipped else ""
