"""The card tells what metrics.json holds, and nothing that it does not."""

import copy
import re

import pytest

from zoo.export import card

SOURCE = ("https://example.org/clips", "CC BY 3.0", "@inproceedings{author2015,\n  title={Clips}}")


@pytest.fixture
def metrics():
    """Figures that look like nothing else in the card."""
    rows = {
        "model.h5": (0.8125, 0.7519, 0.8741, 0, 573_921, None, "keras-2"),
        "model.tflite": (0.8126, 0.7523, 0.8749, 1, 534_127, None, "litert-xnnpack"),
        "micro/frontend.tflite": (0.7975, 0.7361, 0.8583, 4, 9_817, 16_993, "tflm"),
        "micro/body.tflite": (0.7975, 0.7361, 0.8583, 4, 151_237, 37_713, "tflm"),
    }
    names = ("accuracy", "low", "high", "changed_clips", "bytes", "arena_bytes", "kernels")
    return {
        "model": "micro_acdnet",
        "dataset": "esc10",
        "test_fold": 4,
        "test_clips": 83,
        "test_classes": ["dog", "rain"],
        "train_clips": 317,
        "crops_per_clip": 13,
        "sample_rate_hz": 20_000,
        "num_samples": 30_225,
        "front_end": "raw",
        "labels": ["dog", "rain", "siren"],
        "metric": "accuracy",
        "thresholds": None,
        "epochs": 2_001,
        "seed": 77,
        "command": "python -m recipes.micro_acdnet --dataset esc10 --data-dir DIR --fold 4 --seed 77",
        "paper": "Somebody et al. 2023, On Sounds",
        "licence": "CC BY 3.0 and Apache-2.0",
        "embedding": False,
        "data_fingerprint": "cc18d19eed9d810d",
        "skipped_files": [],
        "versions": {"tensorflow": "2.16.2", "kapre": "0.4.1"},
        "files": {path: dict(zip(names, row, strict=True)) for path, row in rows.items()},
        "column_stride_samples": 200,
        "tflm_bytes_unlike_litert_reference": {"crops": 19, "columns": 0, "scores": 23},
        "front_end_decisions": {"crops": 831, "changed": 6},
        "stream": {
            "head_bytes": 16_361,
            "frontend_tail_bytes": 1_881,
            "body_tail_bytes": 14_037,
            "ring_bytes": 3_021,
            "hop_bytes": 427,
            "total_bytes": 35_727,
        },
        "strips": {
            "body.tflite": {
                "stretches": [{"first": 1, "last": 5}],
                "arena_bytes": 30_403,
                "arena_bytes_before": 45_611,
                "macs": 1_011,
                "macs_before": 1_000,
            },
            "model.tflite": {
                "stretches": [],
                "arena_bytes": 9,
                "arena_bytes_before": 9,
                "macs": 8_888,
                "macs_before": 8_888,
            },
        },
        "parameters": 131_474,
        "macs": 14_286_134,
        "paper_flops": 14_512_345,
        "steps": [
            step("train", 350, 18_849_072, 17_448_394, 541_703_116, 626_081),
            step("Sparsify(share=0.95)", 21, 18_849_073, 1_182_909, 541_703_117, None),
        ],
        "calibration_accuracy": 0.9531,
        "sensitivity": [],
        "wide_tensors": (),
    }


def step(name, *figures):
    return dict(zip(("step", "epochs", "bytes", "gzip_bytes", "macs", "arena_bytes"), (name, *figures), strict=True))


@pytest.fixture
def written(tmp_path):
    def write(metrics):
        card.write_card(tmp_path, metrics, SOURCE)
        return (tmp_path / "card.md").read_text(encoding="utf-8")

    return write


def words(text):
    """The text with its line breaks taken out, as a reader sees it."""
    return re.sub(r"\s+", " ", text)


def cells(text, path):
    (row,) = [line for line in text.splitlines() if line.startswith(f"| {path} |")]
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_a_card_holds_every_figure_of_the_metrics(written, metrics):
    text = words(written(metrics))
    for figure in ("micro_acdnet on esc10", "fold 4", "83 clips", "13 crops", "317 clips", "30,225 samples",
                   "20,000 Hz", "1.51 s", "2,001 epochs", "seed 77", "131,474", "14,286,134", "14,512,345",
                   "`cc18d19eed9d810d`", "tensorflow 2.16.2", "kapre 0.4.1", "front end raw",
                   "Somebody et al. 2023, On Sounds",
                   "CC BY 3.0", "https://example.org/clips", "3 sounds", "dog, rain"):  # fmt: skip
        assert figure in text, figure
    assert "siren" not in text  # a label of which the test fold holds no clip


def test_a_card_holds_the_command_and_the_citation_line_by_line(written, metrics):
    lines = written(metrics).splitlines()
    assert f"    {metrics['command']}" in lines
    assert [line for line in lines if line.strip() in SOURCE[2].replace("\n  ", "\n").split("\n")] == [
        "    @inproceedings{author2015,",
        "      title={Clips}}",
    ]


def test_each_file_has_a_row_with_its_figures(written, metrics):
    text = written(metrics)
    assert cells(text, "model.h5") == ["model.h5", "81.25", "75.19 to 87.41", "0", "573,921", "", "keras-2"]
    assert cells(text, "micro/body.tflite") == [
        "micro/body.tflite", "79.75", "73.61 to 85.83", "4", "151,237", "37,713", "tflm",
    ]  # fmt: skip
    bars = [line.count("|") for line in text.splitlines() if line.startswith("|")]
    assert bars == [8] * 6 + [7] * 4  # files, and steps


def test_an_interval_that_is_null_leaves_its_cell_blank(written, metrics):
    for row in metrics["files"].values():
        row["low"] = row["high"] = None
    text = written(metrics)
    assert cells(text, "model.h5")[2] == ""
    assert "None" not in text and "nan" not in text.lower().split()


def test_skipped_files_are_counted_and_named(written, metrics):
    assert "left out" not in written(metrics)
    metrics["skipped_files"] = ["1-7-A-0.ogg", "2-8-B-3.ogg"]
    assert "2 broken files left out (1-7-A-0.ogg, 2-8-B-3.ogg)" in words(written(metrics))


def test_what_differs_between_tflm_and_litert_is_told(written, metrics):
    text = words(written(metrics))
    assert "19 crops" in text and "0 bytes of columns" in text and "23 of scores" in text


def test_what_the_stream_takes_and_what_strips_won_is_told(written, metrics):
    text = words(written(metrics))
    assert "35,727 bytes of RAM in all (16,361 that both use in turn, 15,918 that they keep, 3,448 of ring" in text
    assert "body.tflite 45,611 to 30,403 bytes of arena, multiplies +1.10%" in text
    assert "8,888" not in text  # of a file that stayed as it was
    assert "changes 6 of 831 crop decisions" in text


def test_every_picture_is_linked_beside_the_card(written, metrics):
    names = re.findall(r"!\[[^]]+\]\(([^)]+)\)", written(metrics))
    always = ["confusion.png", "files.png", "layers.png", "per_class.png", "sensitivity.png", "training.png"]
    assert sorted(names) == always
    pruned = {**metrics, "steps": [*metrics["steps"], step("PruneChannels(share=0.8)", 102, 1, 2, 3, 4)]}
    names = re.findall(r"!\[[^]]+\]\(([^)]+)\)", written(pruned))
    assert sorted(names) == sorted([*always, "pruned.png", "widths.png"])


def test_a_card_of_several_labels_a_clip_tells_of_map_and_of_thresholds(written, metrics):
    files = {path: {**row, "mAP": row["accuracy"], "d_prime": 2.345} for path, row in metrics["files"].items()}
    for row in files.values():
        del row["accuracy"]
    thresholds = {"chosen_on": "training", "clips": 317, "by_class": {"dog": 0.25, "rain": 0.5, "siren": 0.5}}
    changed = {"metric": "mAP", "files": files, "thresholds": thresholds, "calibration_mAP": 0.9}
    text = written({**metrics, **changed, "validation": {"clips": 21, "mAP": 0.4567, "low": 0.4, "high": 0.5}})
    assert cells(text, "file")[1] == "mAP" and cells(text, "model.h5")[1] == "81.25"
    assert "d-prime of 2.35" in words(text) and "highest F1 on 317 training clips" in words(text)
    assert "has 45.67 % (40.00 to 50.00)" in words(text)
    assert "confusion.png" not in text and "per_class.png" in text and "sensitivity.png" in text


def test_each_step_has_a_row_with_what_it_left(written, metrics):
    text = written(metrics)
    assert cells(text, "train") == ["train", "350", "18,849,072", "17,448,394", "541,703,116", "626,081"]
    sparse = "Sparsify(share=0.95)"
    assert cells(text, sparse) == [sparse, "21", "18,849,073", "1,182,909", "541,703,117", ""]


def test_tensors_of_16_bits_are_named(written, metrics):
    assert "16 bits" not in written(metrics)
    assert "16 bits in the files: seam, conv3_relu." in words(
        written({**metrics, "wide_tensors": ("seam", "conv3_relu")})
    )


def test_a_card_of_a_data_set_without_homepage_or_citation_has_no_holes(tmp_path, metrics):
    card.write_card(tmp_path, {**metrics, "dataset": "synth10"}, ("", "CC0 1.0", ""))
    text = (tmp_path / "card.md").read_text()
    assert "synth10. Licence of the recordings: CC0 1.0; of the weights: CC BY 3.0 and Apache-2.0." in words(text)
    assert "\n\n\n" not in text and text.endswith("\n") and not text.endswith("\n\n")


def test_a_card_leaves_its_metrics_as_they_were(written, metrics):
    before = copy.deepcopy(metrics)
    written(metrics)
    assert metrics == before
