"""docs/results: what exported folders tell becomes rows of a csv, and the rows a page."""

import json

import pytest
from scipy.stats import binomtest

from zoo import report
from zoo.errors import ZooError

FILE = {
    "accuracy": 0.75, "low": 0.5, "high": 0.9, "changed_clips": 0, "lost_clips": 0, "gained_clips": 0,
    "kernels": "x", "bytes": 1_000, "arena_bytes": None,
}  # fmt: skip


def exported(folder, fold, model="tiny", **int8):
    """An exported folder of 80 clips; int8: figures of model_int8.tflite that are not those of the others."""
    folder.mkdir(parents=True)
    metrics = {
        "model": model, "dataset": "esc10", "test_fold": fold, "test_clips": 80, "epochs": 7, "seed": 0,
        "front_end": "raw", "parameters": 10, "macs": 20, "test_classes": ["dog", "rain"], "data_fingerprint": "abc",
        "command": f"python -m recipes.tiny --fold {fold}",
        "steps": [{"step": "train"}, {"step": "PruneChannels(share=0.8)"}],
        "files": {
            "model.h5": FILE,
            "model_int8.tflite": {**FILE, **int8},
            "micro/frontend.tflite": {**FILE, "arena_bytes": 4_000},
            "micro/body.tflite": {**FILE, "arena_bytes": 5_000},
        },
        "stream": {"total_bytes": 7_654, "macs_per_s": {"stream": 3_210, "whole windows": 6_543}},
        "strips": {"body.tflite": {"arena_bytes_before": 8_765}},
        "tflm_bytes_unlike_litert_reference": {"columns": 0, "scores": 2},
    }  # fmt: skip
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "card.md").write_text(f"fold {fold}")
    return folder


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


def page_of(folders):
    report.add_runs(folders)
    report.write_page()
    return (report.RESULTS / "README.md").read_text()


def test_a_run_is_a_row_with_its_steps_and_its_card_is_kept(tmp_path, results):
    page = page_of([exported(tmp_path / "a", 4)])
    (row,) = report.read_runs()
    assert row["steps"] == "train; PruneChannels(share=0.8)" and row["micro_arena_bytes"] == "5000"
    assert (row["stream_bytes"], row["frontend_arena_bytes"], row["scores_unlike_litert"]) == ("7654", "4000", "2")
    assert (results / "tiny-esc10-fold4-7epochs" / "card.md").read_text() == "fold 4"
    assert "| tiny | esc10, 4 |  | 8,765 -> 5,000 | 7,654 | 3,210 | 6,543 |" in page
    assert "| [tiny](tiny-esc10-fold4-7epochs/card.md) | esc10, 4 | 80 | 7 | 75.00 (50.00 to 90.00) |" in page


def test_the_same_run_again_replaces_its_row_and_another_variant_of_the_same_command_does_not(tmp_path):
    page_of([exported(tmp_path / "a", 4), exported(tmp_path / "b", 4, model="tiny_qat")])
    page_of([exported(tmp_path / "again", 4, accuracy=0.7)])
    assert [(row["model"], row["int8_accuracy"]) for row in report.read_runs()] == [
        ("tiny", "0.7"),
        ("tiny_qat", "0.75"),
    ]


def test_folds_are_pooled_clip_by_clip_with_mcnemars_test(tmp_path):
    page = page_of(
        [
            exported(tmp_path / "4", 4, accuracy=0.7125, changed_clips=6, lost_clips=4, gained_clips=1),
            exported(tmp_path / "5", 5, accuracy=0.7375, changed_clips=2, lost_clips=2, gained_clips=1),
        ]
    )
    # 6 lost and 2 gained of 160 clips: 75.00 - 72.50 points.
    p = binomtest(2, 8).pvalue
    assert f"| tiny | esc10, 4, 5 | 160 | 75.00 | int8 (LiteRT) | 72.50 | 2.50 | 8 | 6 | 2 | {p:.2f} |" in page
    assert "| tiny | esc10, 4, 5 | 160 | 75.00 | micro/ stream (TFLM) | 75.00 | 0.00 | 0 | 0 | 0 | 1.00 |" in page


def test_a_single_fold_is_not_pooled(tmp_path):
    assert "McNemar" not in page_of([exported(tmp_path / "4", 4)])


def test_a_folder_without_metrics_is_refused_by_name(tmp_path):
    with pytest.raises(ZooError, match="nothing/metrics.json"):
        report.add_runs([tmp_path / "nothing"])
