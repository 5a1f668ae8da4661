"""Several folds, weights to begin with, and what a model is exported with on request: runs of a recipe in seconds."""

import csv
import json
import shutil
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

from zoo.backend import keras

import numpy as np
import pytest

from recipes import cross_validation, ds_cnn, flags
from recipes.run import main
from zoo import jobs
from zoo.models.ds_cnn import build
from zoo.runtime.interpreter import LiteRT

WIDTH = 8
RECIPE = replace(ds_cnn.RECIPE, micro=False, backbone=partial(build, width=WIDTH, depth=1))
FLAGS = ("--dataset", "esc10", "--data-dir", "tones", "--quick", "--epochs", "1")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, write_tones):
    """A working directory, left again, in which all folds of a recipe have been run."""
    folder = tmp_path_factory.mktemp("folds")
    write_tones(folder / "tones")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        main(RECIPE, [*FLAGS, "--fold", "all", "--embedding"])
        yield folder


@pytest.fixture(scope="module")
def exported(workplace):
    return workplace / "exported" / "ds_cnn-esc10"


@pytest.fixture(scope="module")
def metrics(exported):
    return json.loads((exported / "metrics.json").read_text())


def test_each_fold_tests_a_model_of_its_own(exported):
    weights = [
        keras.models.load_model(exported / "folds" / f"{fold}.h5", compile=False).get_weights() for fold in (1, 2)
    ]
    shipped = keras.models.load_model(exported / "model.h5", compile=False).get_weights()
    assert all((one == other).all() for one, other in zip(weights[0], shipped))
    assert any((one != other).any() for one, other in zip(*weights))


def test_the_accuracy_of_all_folds_is_that_of_the_clips_decisions(exported, metrics):
    rows = [row for fold in (1, 2) for row in csv.DictReader(open(exported / "folds" / f"{fold}.csv", newline=""))]
    assert len(rows) == metrics["cross_validation"]["test_clips"] == 30
    for file, figures in metrics["cross_validation"]["files"].items():
        assert figures["accuracy"] == np.mean([row[file] == row["class"] for row in rows])
        assert figures["changed_clips"] == sum(row[file] != row["model.h5"] for row in rows)
    by_fold = [accuracies["model.h5"] for accuracies in metrics["cross_validation"]["folds"].values()]
    assert by_fold[0] == metrics["files"]["model.h5"]["accuracy"]
    assert np.average(by_fold, weights=[10, 20]) == pytest.approx(figures_of(metrics, "model.h5"))


def figures_of(metrics, file):
    return metrics["cross_validation"]["files"][file]["accuracy"]


def test_the_card_tells_every_fold(exported):
    card = (exported / "card.md").read_text()
    assert "| fold 1 | fold 2 |" in card and "All 30 clips" in card.replace("\n", " ")


def test_what_is_not_for_boards_has_no_micro(exported, metrics):
    assert not (exported / "micro").exists() and metrics["stream"] is None and metrics["sensitivity"] == []


def test_the_embedding_is_what_the_head_makes_the_scores_of(exported):
    model = keras.models.load_model(exported / "embedding.h5", compile=False)
    sounds = np.random.default_rng(0).uniform(-1, 1, (3, 16_000)).astype(np.float32)
    scores, embedding = model.predict(sounds, verbose=0)
    dense = keras.models.load_model(exported / "model.h5", compile=False).layers[-1].get_layer("dense")
    np.testing.assert_allclose(keras.activations.softmax(dense(embedding)), scores, atol=1e-6)
    of_file = LiteRT(exported / "embedding.tflite").run_all
    for i, sound in enumerate(sounds):
        given = {array.shape[-1]: array[0] for array in of_file([sound[None]])}
        # The log-mel's twin sums in another order than Kapre's layers, by up to 1e-3 dB of 80.
        np.testing.assert_allclose(given[10], scores[i], atol=1e-3)
        np.testing.assert_allclose(given[WIDTH], embedding[i], atol=1e-3)


def test_a_finished_command_leaves_its_folder(workplace, exported, capsys):
    before = (exported / "metrics.json").stat().st_mtime_ns
    main(RECIPE, [*FLAGS, "--fold", "all", "--embedding"])
    assert (exported / "metrics.json").stat().st_mtime_ns == before
    assert "finished before by this command" in capsys.readouterr().out


def test_frozen_weights_stay_and_the_head_is_trained(workplace, exported):
    main(RECIPE, [*FLAGS, "--fold", "1", "--init-from", str(exported), "--freeze", "--out", "frozen"])
    before, after = (
        keras.models.load_model(folder / "model.h5", compile=False).layers[-1]
        for folder in (exported, workplace / "frozen" / "ds_cnn-esc10")
    )
    for layer, then in zip(after.layers, before.layers, strict=True):
        for weight, was in zip(layer.get_weights(), then.get_weights()):
            assert (weight == was).all() == (layer.name != "dense"), layer.name
    metrics = json.loads((workplace / "frozen" / "ds_cnn-esc10" / "metrics.json").read_text())
    assert metrics["licence"] == "CC BY 3.0" and "head alone" in metrics["steps"][0]["step"]


def test_weights_that_have_heard_the_test_clips_are_refused(exported, refused):
    told = refused(partial(main, RECIPE), *FLAGS, "--fold", "2", "--init-from", str(exported), "--out", "heard")
    assert "tested on fold 1" in told and "same --fold" in told


def test_freezing_needs_weights_to_keep(refused):
    assert "--init-from, which is not given" in refused(partial(main, RECIPE), *FLAGS, "--freeze", "--out", "other")


def test_weights_of_another_model_are_refused(workplace, refused):
    folder = workplace / "other"
    folder.mkdir()
    model = keras.Sequential([keras.Input((4,)), keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])])
    model.save(folder / "model.h5", save_format="h5")
    (folder / "metrics.json").write_text(json.dumps({"model": "tiny", "dataset": "dots", "labels": [], "test_fold": 1}))
    told = refused(partial(main, RECIPE), *FLAGS, "--init-from", folder, "--out", "never")
    assert "no layer of tiny fits" in told


def test_a_fold_that_is_not_there_is_refused(refused):
    assert "no fold 7" in refused(partial(main, RECIPE), *FLAGS, "--fold", "7", "--out", "seventh")


def test_a_fold_in_a_process_of_its_own_is_the_fold_of_a_single_process(workplace, exported, tmp_path, monkeypatch):
    for name in ("tones", "runs"):
        shutil.copytree(workplace / name, tmp_path / name)
    (staged,) = (tmp_path / "runs" / "folds").iterdir()
    shutil.rmtree(staged / "seed0-fold2")
    (trained,) = (tmp_path / "runs").glob("*-fold2-*")
    shutil.rmtree(trained)
    cores = jobs.machine.cores()
    monkeypatch.setattr(jobs.machine, "cores", lambda: 2 * cores)  # as many threads: sums may depend on them
    monkeypatch.chdir(tmp_path)
    main(RECIPE, [*FLAGS, "--fold", "all", "--embedding", "--jobs", "2"])
    assert {path.name for path in staged.glob("*.log")} == {"seed0-fold2.log"}  # fold 1 was finished
    found = tmp_path / "exported" / "ds_cnn-esc10"
    assert (found / "folds" / "2.csv").read_bytes() == (exported / "folds" / "2.csv").read_bytes()
    weights = [
        keras.models.load_model(folder / "folds" / "2.h5", compile=False).get_weights() for folder in (found, exported)
    ]
    assert all((one == other).all() for one, other in zip(*weights, strict=True))
    told = [json.loads((folder / "metrics.json").read_text()) for folder in (found, exported)]
    assert told[0]["command"] == told[1]["command"]  # how many at a time is no part of what a run is
    assert told[0]["cross_validation"] == told[1]["cross_validation"]


def test_several_seeds_are_one_folder_with_the_mean_and_both_ends_over_them(workplace, tmp_path):
    (staged,) = (workplace / "runs" / "folds").iterdir()
    folders, rows = {}, {}
    for seed in (3, 4, 5):
        for fold in (1, 2):
            folder = tmp_path / f"{seed}-{fold}"
            shutil.copytree(staged / f"seed0-fold{fold}" / "ds_cnn-esc10", folder)
            table = list(csv.DictReader(open(folder / "decisions.csv", newline="")))
            for i, row in enumerate(table):  # seed 3 is right on every third clip, seed 4 on every fourth, ...
                row["model.h5"] = row["class"] if i % seed == 0 else "none"
            with open(folder / "decisions.csv", "w", newline="") as file:
                writer = csv.DictWriter(file, table[0])
                writer.writeheader()
                writer.writerows(table)
            folders[seed, fold], rows[seed, fold] = folder, table
    builder = SimpleNamespace(HOMEPAGE="", LICENCE="none", CITATION="nobody")
    args = SimpleNamespace(seed=3, command="the whole command", overwrite=False)
    cross_validation.collect(folders, tmp_path / "all", builder, args)
    metrics = json.loads((tmp_path / "all" / "metrics.json").read_text())
    found, file = metrics["cross_validation"], "model.h5"
    # Of 10 clips and of 20: 4 + 7, 3 + 5 and 2 + 4 are right.
    assert {seed: accuracies[file] for seed, accuracies in found["seeds"].items()} == pytest.approx(
        {"3": 11 / 30, "4": 8 / 30, "5": 6 / 30}
    )
    assert found["folds"]["1"][file] == pytest.approx(9 / 30) and found["test_clips"] == 30
    figures = found["files"][file]
    assert (figures["accuracy"], figures["lowest"], figures["highest"]) == pytest.approx((25 / 90, 6 / 30, 11 / 30))
    assert metrics["command"] == "the whole command" and metrics["seed"] == 0  # that of the folder's own files
    kept = {path.relative_to(tmp_path / "all").as_posix() for path in (tmp_path / "all").glob("folds*/*.csv")}
    assert kept == {f"folds{suffix}/{fold}.csv" for suffix in ("", "-seed4", "-seed5") for fold in (1, 2)}
    card = (tmp_path / "all" / "card.md").read_text()
    assert "| model.h5 | 27.78 | 20.00 | 36.67 | 36.67 | 26.67 | 20.00 |" in card and "3 seeds" in card


def test_the_command_of_one_training_is_the_whole_one_restricted_to_it():
    argv = [*FLAGS, "--fold=all", "--seeds", "3", "--seed=7", "--jobs=2", "--out", "here", "--forms", "fp16"]
    _, args = flags.parse(RECIPE, argv)
    one = flags.for_one(RECIPE, args, 8, 2, "there")
    assert (one.seed, one.seeds, one.fold, one.jobs, str(one.out)) == (8, 1, 2, 1, "there")
    assert one.argv == [*FLAGS, "--forms", "fp16", "--fold", "2", "--seed", "8", "--out", "there"]
    assert "--jobs" not in args.command and "--seeds 3 --seed=7" in args.command


def test_no_seeds_and_jobs_beside_other_machines_are_refused(monkeypatch, refused):
    assert "'0' is no number from 1 on" in refused(partial(main, RECIPE), *FLAGS, "--seeds", "0", "--out", "never")
    monkeypatch.setenv("TF_CONFIG", "{}")
    monkeypatch.setattr("recipes.run.distribution.strategy", lambda: None)
    assert "TF_CONFIG joins several" in refused(partial(main, RECIPE), *FLAGS, "--jobs", "2", "--out", "never")
