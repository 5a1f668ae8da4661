"""`--search`: trials of a tiny net, judged on clips that neither train nor test, as data that the report reads."""

import json
from dataclasses import replace

import pytest

from recipes import ds_cnn, run
from zoo.report import search

# A few filters: each trial takes seconds.
RECIPE = replace(
    ds_cnn.RECIPE, name="tiny_ds_cnn", search={"width": (4, 8, 12, 96), "depth": (1, 2), "num_mels": (10, 20)}
)
BUDGET = ("--flash", "24kB", "--sram", "14KiB", "--macs", "1M")


def searched(*flags):
    run.main(RECIPE, ["--dataset", "esc10", "--data-dir", "sounds", "--fold", "1", "--epochs", "1", "--quick",
                      "--front-end", "mel_20", *flags])  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory, write_tones):
    folder = tmp_path_factory.mktemp("search")
    write_tones(folder / "sounds", folds=(1, 2, 2, 3, 3, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        searched("--search", "--trials", "2", *BUDGET)
    return folder


def rows_of(folder):
    return search.read(folder / "exported" / "tiny_ds_cnn-esc10-search")


def test_each_trial_has_a_row_with_its_settings_accuracy_and_measured_sizes(folder):
    rows = rows_of(folder)
    trained = [row for row in rows if not row["refused"]]
    assert len(trained) == 2 and [row["trial"] for row in rows] == [str(n) for n in range(1, len(rows) + 1)]
    for row in trained:
        assert "width=" in row["settings"] and "num_mels=" in row["settings"] and row["epochs"] == "1"
        assert 0 < int(row["arena_bytes"]) < int(row["ram_bytes"]) <= 14 * 1024
        assert 0 < int(row["flash_bytes"]) <= 24_000 and 0 < int(row["macs"]) <= 1_000_000
        assert 0 <= float(row["low"]) <= float(row["accuracy"]) <= float(row["high"]) <= 1


def test_trials_are_judged_on_the_first_fold_that_trains_and_never_on_the_one_that_tests(folder):
    assert {row["clips"] for row in rows_of(folder) if not row["refused"]} == {"20"}  # 10 test, 30 train


def test_a_search_that_was_made_is_read_again_and_not_trained(folder, monkeypatch):
    monkeypatch.chdir(folder)
    before = rows_of(folder)
    monkeypatch.setattr("zoo.training.fit", None)
    searched("--search", "--trials", "2", *BUDGET, "--overwrite")
    assert [{**row, "command": ""} for row in rows_of(folder)] == [{**row, "command": ""} for row in before]


def test_what_was_found_is_trained_by_set_into_a_folder_of_its_own(folder, monkeypatch):
    monkeypatch.chdir(folder)
    found = next(row for row in rows_of(folder) if not row["refused"])
    searched("--set", found["settings"])
    metrics = json.loads((folder / "exported" / "tiny_ds_cnn_mel_20_set-esc10" / "metrics.json").read_text())
    assert metrics["parameters"] == int(found["parameters"]) and metrics["macs"] == int(found["macs"])
    assert metrics["test_fold"] == 1 and found["settings"] in metrics["command"]


def test_the_page_shows_what_no_other_trial_beats_with_the_command_that_made_it(folder, tmp_path):
    search.add(folder / "exported" / "tiny_ds_cnn-esc10-search", tmp_path)
    search.add(folder / "exported" / "tiny_ds_cnn-esc10-search", tmp_path)  # once more: a command's rows are replaced
    assert len(search.read(tmp_path)) == len(rows_of(folder))
    page = "\n".join(search.page(tmp_path))
    assert "--flash 24kB" in page and "2 trials" in page
    assert (tmp_path / "search" / "tiny_ds_cnn-esc10-1.png").stat().st_size > 10_000


def test_the_front_is_what_fits_and_nothing_beats():
    def trial(number, accuracy, flash_bytes, **more):
        costs = {"flash_bytes": flash_bytes, "ram_bytes": 1, "macs": 1, "arena_bytes": 1, "parameters": 1}
        limits = {"flash_bytes_budget": 50, "ram_bytes_budget": "", "macs_budget": ""}
        return {"trial": number, "settings": f"a={number}", "accuracy": accuracy, **costs, **limits, **more}

    rows = [trial(1, 0.8, 20), trial(2, 0.7, 30), trial(3, 0.9, 40), trial(4, 0.95, 60), trial(5, "", 0, refused="big")]
    lines = search.table(rows).splitlines()[2:]
    assert [line.split("|")[1].strip() for line in lines] == ["3", "1"]  # 2 is beaten by 1, 4 and 5 do not fit


@pytest.mark.parametrize(
    "flags, told",
    [
        (["--search", "--flash", "tiny"], "'tiny' is no amount"),
        (["--search", "--study", "pruning"], "unrecognized arguments"),
        (["--search", "--fold", "all"], "pass --fold N"),
        (["--search", "--seeds", "2"], "of one seed"),
        (["--set", "wdith=3"], "no setting 'wdith'; choose of width, depth"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_one_line(folder, flags, told, monkeypatch, refused):
    monkeypatch.chdir(folder)
    assert told in refused(lambda argv: searched(*argv), *flags)
