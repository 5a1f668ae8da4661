"""The README's table of shipped models: from their metrics.json and peers.csv, between its marks alone."""

import json

import pytest

from zoo.errors import ZooError
from zoo.report import runs, shipped

ROW = {"accuracy": 0.9, "low": 0.8, "high": 0.95, "bytes": 1_000}
TEXT = f"# Zoo\n\n{shipped.BEGIN}stale\n{shipped.END}\nbehind\n"


@pytest.fixture
def shop(tmp_path):
    """A function that exports models and writes the table: (exported folder, README's text)."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "peers.csv").write_text(
        "model,dataset,split,int8_accuracy,float_accuracy,bytes,arena_bytes,source\n"
        "Other,esc50,fold 4,74.00,84.50,156288,311072,somewhere\n"
    )

    def write(text=TEXT, **models):
        for folder, changed in models.items():
            metrics = {
                "model": folder, "dataset": "esc10", "test_fold": 5, "stream": {"total_bytes": 35_734},
                "files": dict.fromkeys((shipped.KERAS_FILE, shipped.APP_FILE, "micro/body.tflite"), ROW),
            }  # fmt: skip
            (tmp_path / "exported" / folder).mkdir(parents=True)
            (tmp_path / "exported" / folder / "metrics.json").write_text(json.dumps(metrics | changed))
        readme = tmp_path / "README.md"
        readme.write_text(text)
        shipped.write(tmp_path / "docs", tmp_path / "exported", readme)
        return readme.read_text()

    return write


def test_each_model_and_each_peer_has_a_row_and_the_rest_stays(shop, tmp_path):
    text = shop(tiny={}, bell={"dataset": "synth10"})
    assert text.startswith("# Zoo\n") and text.endswith("\nbehind\n") and "stale" not in text
    assert (
        "| [tiny](exported/tiny-esc10/card.md) | esc10, fold 5 | 90.00 (80.00 to 95.00) | 90.00 (80.00 to 95.00) "
        "| 90.00 (80.00 to 95.00) | 1,000 | 35,734 |" in text
    )
    assert "| Other | esc50, fold 4 | 84.50 | 74.00 |  | 156,288 | 311,072 of arena |" in text
    assert "bell" not in text  # made by `make demo`, and not kept
    assert (tmp_path / "docs" / shipped.PICTURE).exists()


def test_what_the_zoo_exports_without_a_test_by_accuracy_has_no_row(shop, tmp_path):
    tagger = {"metric": "mAP", "files": {shipped.APP_FILE: {"mAP": 0.3}}}
    text = shop(tiny={}, tagger=tagger, mine={"dataset": "folder"})
    foreign = tmp_path / "exported" / "foreign"
    foreign.mkdir()
    (foreign / "metrics.json").write_text(json.dumps({"command": "python -m zoo export net.h5", "files": {}}))
    shipped.write(tmp_path / "docs", tmp_path / "exported", tmp_path / "README.md")
    assert (tmp_path / "README.md").read_text() == text and "tagger" not in text
    with pytest.raises(ZooError, match="give the folder that a recipe exported"):
        runs.add_runs([foreign], tmp_path / "docs")


def test_of_several_folds_the_pooled_figures_stand(shop):
    pooled = {
        "folds": {"1": {}, "2": {}},
        "files": {"model.h5": ROW | {"accuracy": 0.5}, "micro/frontend.c + micro/body.tflite": ROW | {"accuracy": 0.4}},
    }
    text = shop(tiny={"cross_validation": pooled})
    assert "| esc10, 2 folds | 50.00 (80.00 to 95.00) | 90.00 (80.00 to 95.00) | 40.00 (80.00 to 95.00) |" in text


def test_a_model_without_a_stream_and_one_that_nothing_tested(shop):
    files = {shipped.KERAS_FILE: ROW, shipped.APP_FILE: ROW}
    text = shop(large={"stream": None, "files": files}, enrolled={"files": None})
    assert "| 90.00 (80.00 to 95.00) | 90.00 (80.00 to 95.00) |  | 1,000 |  |" in text


def test_without_marks_or_models_the_readme_stays(shop):
    assert shop() == TEXT
    assert shop("# Zoo\n", tiny={}) == "# Zoo\n"
