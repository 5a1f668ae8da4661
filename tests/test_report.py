"""docs/results: what exported folders tell becomes rows of a csv, and the rows and the boards' JSONs a page."""

import json
import re
import shutil
from pathlib import Path

import jsonschema
import pytest
from scipy.stats import binomtest

from zoo import report
from zoo.errors import ZooError
from zoo.report import boards

ROOT = Path(__file__).parents[1]
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
        "labels": ["dog", "rain"],
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


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


def page_of(folders, results):
    report.add_runs(folders, results)
    report.write_pages(results)
    return (results / "README.md").read_text()


def test_a_run_is_a_row_with_its_steps_and_its_card_is_kept(tmp_path, results):
    page = page_of([exported(tmp_path / "a", 4)], results)
    (row,) = report.read_runs(results)
    assert row["steps"] == "train; PruneChannels(share=0.8)" and row["micro_arena_bytes"] == "5000"
    assert (row["stream_bytes"], row["frontend_arena_bytes"], row["scores_unlike_litert"]) == ("7654", "4000", "2")
    assert (results / "tiny-esc10-fold4-7epochs" / "card.md").read_text() == "fold 4"
    assert "| tiny | esc10, 4 |  | 8,765 -> 5,000 | 7,654 | 3,210 | 6,543 |" in page
    assert "| [tiny](tiny-esc10-fold4-7epochs/card.md) | esc10, 4 | 80 | 7 | 75.00 (50.00 to 90.00) |" in page


def test_the_same_run_again_replaces_its_row_and_another_variant_of_the_same_command_does_not(tmp_path, results):
    page_of([exported(tmp_path / "a", 4), exported(tmp_path / "b", 4, model="tiny_qat")], results)
    page_of([exported(tmp_path / "again", 4, accuracy=0.7)], results)
    assert [(row["model"], row["int8_accuracy"]) for row in report.read_runs(results)] == [
        ("tiny", "0.7"),
        ("tiny_qat", "0.75"),
    ]


def test_folds_are_pooled_clip_by_clip_with_mcnemars_test(tmp_path, results):
    page = page_of(
        [
            exported(tmp_path / "4", 4, accuracy=0.7125, changed_clips=6, lost_clips=4, gained_clips=1),
            exported(tmp_path / "5", 5, accuracy=0.7375, changed_clips=2, lost_clips=2, gained_clips=1),
        ],
        results,
    )
    # 6 lost and 2 gained of 160 clips: 75.00 - 72.50 points.
    p = binomtest(2, 8).pvalue
    assert f"| tiny | esc10, 4, 5 | 160 | 75.00 | int8 (LiteRT) | 72.50 | 2.50 | 8 | 6 | 2 | {p:.2f} |" in page
    assert "| tiny | esc10, 4, 5 | 160 | 75.00 | micro/ stream (TFLM) | 75.00 | 0.00 | 0 | 0 | 0 | 1.00 |" in page


def test_a_single_fold_is_not_pooled(tmp_path, results):
    assert "McNemar" not in page_of([exported(tmp_path / "4", 4)], results)


def test_a_folder_without_metrics_is_refused_by_name(tmp_path, results):
    with pytest.raises(ZooError, match="nothing/metrics.json"):
        report.add_runs([tmp_path / "nothing"], results)


def test_boards_that_nobody_ran_are_rows_without_figures_of_ours(tmp_path, results):
    page = page_of([exported(tmp_path / "4", 4)], results)
    for board, published in boards.AWAITED.items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| {board} |")]
        *ours, theirs = row.strip("| ").split(" | ") if published else [*row.strip("| ").split(" | "), ""]
        assert theirs == published and not any(cell.strip(" |") for cell in ours[1:])


def test_a_board_that_somebody_ran_is_told_from_its_json_alone(tmp_path, results):
    run = json.loads(sorted((ROOT / "docs/results/boards").glob("*-*.json"))[0].read_text())
    run["machine"]["board"] = "Raspberry Pi 5 Model B Rev 1.0"
    run["models"][0]["runs"][0]["latency_ms"] |= {"median": 12.344, "p95": 45.671}
    (results / "boards").mkdir(parents=True)
    (results / "boards" / "pi.json").write_text(json.dumps(run))
    page = page_of([exported(tmp_path / "4", 4)], results)
    rows = [line for line in page.splitlines() if line.startswith("| Raspberry Pi 5 ")]
    assert len(rows) == len(run["models"]) and f"| Raspberry Pi 5 Model B Rev 1.0, {run['machine']['cores']}" in rows[0]
    assert "1: 12.34 (45.67)" in rows[0] and f"| {run['models'][0]['bytes']:,} |" in rows[0]


def test_a_json_of_another_kind_is_refused_by_name(results):
    (results / "boards").mkdir(parents=True)
    for content in ("{}", "[1]", '{"schema_version": 9}', "no json"):
        (results / "boards" / "odd.json").write_text(content)
        with pytest.raises(ZooError, match="odd.json"):
            report.write_pages(results)


@pytest.fixture(scope="module")
def schema():
    schema = json.loads((ROOT / "docs/results/boards/SCHEMA.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("path", sorted((ROOT / "docs/results/boards").glob("*-*.json")), ids=lambda path: path.name)
def test_each_json_from_a_board_is_as_the_schema_describes_it(path, schema):
    run = json.loads(path.read_text())
    schema.validate(run)
    for model in run["models"]:
        if model["memory_bytes"]:
            *parts, total = model["memory_bytes"].values()
            assert sum(parts) == total
    assert not re.search(r'"/|"[A-Z]:\\|@', path.read_text())  # nobody's paths or addresses


def test_no_figure_of_the_pages_is_without_its_row_or_its_json(results):
    """The pages in the repository are what their data make, and nothing else."""
    results.mkdir()
    for name in ("runs.csv", "published.csv"):
        shutil.copy(ROOT / "docs/results" / name, results)
    shutil.copytree(ROOT / "docs/results/boards", results / "boards")
    report.write_pages(results)
    for name in ("README.md", "papers.md"):
        assert (results / name).read_text() == (ROOT / "docs/results" / name).read_text()
    assert {path.name for path in results.glob("*.png")} == {
        path.name for path in (ROOT / "docs/results").glob("*.png")
    }


def changed(folder, **figures):
    """The exported folder, with these figures in its metrics.json; None takes one out."""
    metrics = {**json.loads((folder / "metrics.json").read_text()), **figures}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


def without_micro(folder):
    files = {"model.h5": FILE, "model_int8.tflite": FILE}
    return changed(folder, files=files, stream=None, strips={}, tflm_bytes_unlike_litert_reference=None)


def test_folds_of_a_model_without_micro_are_pooled_over_the_files_that_it_has(tmp_path, results):
    page = page_of([without_micro(exported(tmp_path / str(fold), fold)) for fold in (4, 5)], results)
    pooled = [line for line in page.splitlines() if line.startswith("| tiny | esc10, 4, 5 |")]
    assert len(pooled) == 1 and "int8 (LiteRT)" in pooled[0]


def test_a_cross_validation_is_a_row_of_all_clips_and_no_fold_of_the_pool(tmp_path, results):
    whole = exported(tmp_path / "all", 1)
    pooled = {name: {**FILE, "accuracy": 0.625} for name in ("model.h5", "micro/frontend.tflite + micro/body.tflite")}
    changed(whole, cross_validation={"test_clips": 160, "files": pooled, "folds": {}})
    page = page_of([whole, *(exported(tmp_path / str(fold), fold) for fold in (1, 2))], results)
    row = report.read_runs(results)[0]
    assert (row["test_fold"], row["test_clips"], row["keras_accuracy"], row["micro_accuracy"]) == (
        "all", "160", "0.625", "0.625",
    )  # fmt: skip
    assert "| tiny | esc10, 1, 2 | 160 |" in page


def test_several_seeds_are_told_by_their_mean_and_their_ends(tmp_path, results):
    accuracies = {0: 0.75, 1: 0.875, 2: 0.7}
    for seed, accuracy in accuracies.items():
        folder = exported(tmp_path / str(seed), 2)
        files = json.loads((folder / "metrics.json").read_text())["files"]
        files["model.h5"] = {**FILE, "accuracy": accuracy}
        changed(folder, seed=seed, files=files, validation={"clips": 9, "accuracy": accuracy - 0.1})
    page = page_of([tmp_path / str(seed) for seed in accuracies], results)
    assert "| tiny | esc10, 2 | 7 | 3 | 67.50 (60.00 to 77.50) | 77.50 (70.00 to 87.50) |" in page


def test_weights_that_were_begun_with_make_another_row(tmp_path, results):
    plain, begun = exported(tmp_path / "plain", 4), exported(tmp_path / "begun", 4)
    changed(begun, steps=[{"step": "train from yamnet.tflite, head alone"}])
    page_of([plain, begun], results)
    assert len(report.read_runs(results)) == 2 and len({*results.glob("tiny-*")}) == 2


def test_several_seeds_of_one_command_are_one_row(tmp_path, results):
    folder = exported(tmp_path / "seeds", 2)
    files = {"model.h5": {**FILE, "accuracy": 0.8, "lowest": 0.75, "highest": 0.875, "changed_clips": 3}}
    found = {
        "test_clips": 80, "folds": {"2": {}}, "seeds": {"0": {}, "1": {}, "2": {}}, "files": files,
        "validation": {"accuracy": 0.7, "lowest": 0.65, "highest": 0.725},
    }  # fmt: skip
    changed(folder, cross_validation=found, validation={"clips": 9, "accuracy": 0.65})
    page = page_of([folder], results)
    assert "| tiny | esc10, 2 | 7 | 3 | 70.00 (65.00 to 72.50) | 80.00 (75.00 to 87.50) |" in page
    (row,) = report.read_runs(results)
    assert (row["seed"], row["seeds"], row["test_fold"]) == ("0 to 2", "3", "2")
    assert (results / "tiny-esc10-fold2-7epochs-seed0to2" / "card.md").is_file()


def test_clips_of_several_labels_are_told_by_mean_average_precision(tmp_path, results):
    judged = {**FILE, "mAP": 0.456, "d_prime": 1.5}
    del judged["accuracy"]
    folder = changed(exported(tmp_path / "a", 1), metric="mAP", files={"model.h5": judged, "model_int8.tflite": judged},
                     stream=None, strips={}, validation={"clips": 3, "mAP": 0.4, "low": 0.1, "high": 0.5})  # fmt: skip
    page = page_of([folder, changed(shutil.copytree(folder, tmp_path / "b"), test_fold=2)], results)
    assert "| mAP 45.60 (50.00 to 90.00) | mAP 45.60 (0) |" in page and "McNemar" not in page
    assert report.read_runs(results)[0]["validation_mAP"] == "0.4"


@pytest.mark.parametrize("pruned", ["_micro", "_micro_fine_tuned"])
def test_xnor_stands_beside_the_net_that_it_was_made_of_on_the_same_clips(tmp_path, results, pruned):
    """Of another number of classes nothing is held against it."""

    def told(name, model, body="micro/body.tflite", labels=("dog", "rain"), decided="dog dog dog rain", **changed):
        folder = exported(tmp_path / name, 4, model)
        metrics = json.loads((folder / "metrics.json").read_text())
        metrics["files"][body] = {**metrics["files"].pop("micro/body.tflite"), "bytes": 1_234}
        (folder / "metrics.json").write_text(json.dumps({**metrics, "labels": labels, **changed}))
        rows = [f"{i}.ogg,{i},4,dog,{one},{one}" for i, one in enumerate(decided.split())]
        (folder / "decisions.csv").write_text("\n".join([f"file,source,fold,class,model.h5,{body}", *rows]) + "\n")
        return folder

    page_of(
        [
            told("a", "net_2classes"),
            told("b", f"net_2classes{pruned}"),
            told("c", "net_3_micro", labels=("dog", "rain", "siren")),
            told("d", "xnor_net_2classes", "micro/xnor.c", macs=1_000, binary_products=992, strips={},
                 decided="rain rain rain rain"),
        ],
        results,
    )  # fmt: skip
    rows = [line for line in (results / "xnor.md").read_text().splitlines() if line.startswith("| esc10")]
    accuracy = "75.00 (50.00 to 90.00)"
    assert rows == [
        f"| esc10 | 2 | 4 | net_2classes, float | 7 | {accuracy} | 1,000 |  | 20 |  |",
        f"| esc10 | 2 | 4 | net_2classes{pruned}, pruned, int8 | 7 | {accuracy} | 1,234 | 7,654 | 20 |  |",
        f"| esc10 | 2 | 4 | xnor_net_2classes, XNOR | 7 | {accuracy} | 1,234 | 7,654 | 8 | 992 |",
        # Three of four sources are lost, the fourth was wrong before: of 4 drawn, 2.5 % have all lost and 2.5 % one.
        "| esc10 | 2 | 4 | net_2classes, float | -75.00 (-100.00 to -25.00) | behind |",
        f"| esc10 | 2 | 4 | net_2classes{pruned}, pruned, int8 | -75.00 (-100.00 to -25.00) | behind |",
        "| esc10 | 2 | 20 | 1,000 | 0.02 | 39 | 0.51 |",
    ]
    assert (results / "xnor" / "xnor_net.png").is_file()
