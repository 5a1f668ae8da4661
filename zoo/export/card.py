"""The card of an exported folder: what the model is, how it was made, what it scores and costs."""

from pathlib import Path


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
    pair = "micro/frontend.tflite" in metrics["files"]
    text = f"""# {metrics["model"]} on {metrics["dataset"]}

Source: {metrics["paper"]}

A classifier of {len(metrics["labels"])} sounds. It takes {metrics["num_samples"]:,} samples at
{metrics["sample_rate_hz"]:,} Hz ({metrics["num_samples"] / metrics["sample_rate_hz"]:.2f} s), mono, float32 in [-1, 1]
(16-bit samples divided by 32768; never scaled by their own peak), and gives one score for each line of `labels.txt`.

## What it scores and costs

Test fold {metrics["test_fold"]} ({metrics["test_clips"]} clips), scored once, after the last epoch; a clip's scores are
the mean over {metrics["crops_per_clip"]} crops. The interval is a percentile bootstrap over source recordings. "Changed clips" are
decisions that differ from those of `model.h5`. Classes in the fold: {", ".join(metrics["test_classes"])}.

{table(metrics)}

{_micro_note(metrics) if pair else ""}
Trainable parameters {metrics["parameters"]:,}; multiplies for one input {metrics["macs"]:,} (as the ACDNet paper counts,
with ReLU outputs, pooled inputs, dense biases and softmax: {metrics["paper_flops"]:,}).
Arenas were measured in TFLM on a 64-bit host.

![accuracy against size](files.png)
![per class](per_class.png)
![confusion](confusion.png)

## How it was made

    {metrics["command"]}

{metrics["epochs"]:,} epochs, seed {metrics["seed"]}, front end {metrics["front_end"]}. Versions: {_versions(metrics)}.
Data fingerprint `{metrics["data_fingerprint"]}`{_skipped(metrics)}.

![training](training.png)
![layers](layers.png)

## Data

{metrics["dataset"]}{f", {homepage}" if homepage else ""}. Licence of the recordings: {licence}. The code is Apache-2.0.
"""
    if citation:
        text += f"\n    {citation.strip()}\n".replace("\n  ", "\n      ")
    (Path(folder) / "card.md").write_text(text, encoding="utf-8")


def _micro_note(metrics):
    equal = metrics["tflm_equals_litert_reference"]
    return (
        "`micro/frontend.tflite` and `micro/body.tflite` run as a pair, hop by hop, and share one row's figures; "
        f"on {equal['crops']} crops TFLM gave the bytes of LiteRT's reference kernels. `micro/model.tflite` is the same "
        "network as one int8 call with an 8-bit waveform, for comparison: use the pair.\n"
    )


def _percent(share):
    return "" if share is None else f"{100 * share:.2f}"


def _number(count):
    return "" if count is None else f"{count:,}"


def _versions(metrics):
    return ", ".join(f"{name} {version}" for name, version in metrics["versions"].items())


def _skipped(metrics):
    skipped = metrics["skipped_files"]
    return f"; {len(skipped)} broken files left out ({', '.join(skipped)})" if skipped else ""
