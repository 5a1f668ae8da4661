"""A model that refuses what it does not know: thresholds of trainings with classes held out, in all files; its card."""

import csv
import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from recipes import cross_validation
from recipes.run import main
from zoo import open_set, robustness
from zoo.errors import ZooError
from zoo.runtime.classifier import Classifier

UNKNOWN = "cow", "hen"  # as tests/recipes/conftest.py has them


@pytest.fixture(scope="module")
def exported(told_of_the_world):
    return told_of_the_world.folder


@pytest.fixture(scope="module")
def metrics(exported):
    return json.loads((exported / "metrics.json").read_text())


def test_a_log_mel_is_exported_as_c_beside_its_body(exported, metrics):
    assert {path.name for path in (exported / "micro").glob("frontend.*")} == {"frontend.h", "frontend.c"}
    assert (metrics["front_end"], metrics["sample_rate_hz"], metrics["num_samples"]) == ("mel", 16_000, 16_000)
    assert {"model_int8.tflite", "micro/frontend.c", "micro/body.tflite"} < set(metrics["files"])
    assert metrics["front_end_decisions"] == {"crops": 30, "changed": 0}  # float32 both, on ten clips of three crops


def test_every_file_refuses_from_the_thresholds_of_the_usual_sensitivity_on(exported, metrics):
    expected = metrics["rejection"]["points"][open_set.USUAL]["thresholds"]
    for file in ("model.tflite", "model_int8.tflite"):
        classifier = Classifier(exported / file)
        assert dict(zip(classifier.labels, classifier.thresholds)) == expected
    assert classifier.decided(np.full(10, min(expected.values()) - 1e-3)) == []


def test_a_folder_has_several_sensitivities_and_a_file_alone_has_none(exported, metrics, tmp_path):
    for sensitivity, point in metrics["rejection"]["points"].items():
        classifier = Classifier(exported, sensitivity=sensitivity)
        assert dict(zip(classifier.labels, classifier.thresholds)) == point["thresholds"]
    shutil.copy(exported / "model_int8.tflite", tmp_path)
    with pytest.raises(ZooError, match="no sensitivity 'high': it has none; recipes with --reject find them"):
        Classifier(tmp_path, sensitivity="high")


def test_each_class_was_held_out_once_and_no_test_clip_had_a_part(metrics):
    rejection = metrics["rejection"]
    # Of each class 4 clips train; all of them are unknown to one training, two are known to the other.
    assert (rejection["trainings"], rejection["unknown_clips"], rejection["known_clips"]) == (2, 40, 20)
    assert rejection["temperature"] > 0


def test_the_figures_are_those_of_the_clips_in_the_table(exported, metrics):
    found = metrics["open_set"]
    assert (found["clips"], found["classes"]) == (3 * len(UNKNOWN), list(UNKNOWN))
    rows = list(csv.DictReader(open(exported / open_set.FILE, newline="")))
    assert {row["class"] for row in rows if row["is_known"] == "0"} == set(UNKNOWN)
    for file, figures in found["files"].items():
        is_known, scores = (np.array([float(row[column]) for row in rows]) for column in ("is_known", file))
        assert figures["auroc"] == pytest.approx(roc_auc_score(is_known, scores), abs=1e-9)
    assert (found["auroc"], found["fpr95"]) == tuple(found["files"]["model.h5"][name] for name in ("auroc", "fpr95"))


def test_the_card_tells_of_it(exported):
    card = " ".join((exported / "card.md").read_text().split())
    assert "## Sounds of no class" in card and "| raw softmax |" in card and "![open set](open_set.png)" in card
    assert "its raw softmax." in card and (exported / "open_set.png").exists()


def test_of_several_trainings_the_first_is_asked_what_the_files_refuse(told_of_the_world, monkeypatch):
    asked, flags = [], [*told_of_the_world.flags, "--reject", "2", "--fold", "all", "--out", "never"]
    monkeypatch.chdir(told_of_the_world.workplace)
    monkeypatch.setattr(cross_validation, "export_fold", lambda task, fold, _: asked.append((fold, task)))
    monkeypatch.setattr(cross_validation, "collect", lambda *_: None)
    main(told_of_the_world.recipe, flags)
    found = [(fold, task.args.reject, bool(task.world)) for fold, task in asked]
    assert found == [(1, 2, True), (2, 0, False), (3, 0, False)]


@pytest.mark.parametrize("flags, told", [
    (("--reject", "6"), "--reject 6: 10 classes are dealt out to 2 to 5 trainings"),
    (("--open-world", "esc10:tones"), "holds no clip of other classes"),
    (("--open-world", "nothing:tones"), "names no data set"),
])  # fmt: skip
def test_what_cannot_be_is_refused(told_of_the_world, monkeypatch, flags, told, refused):
    monkeypatch.chdir(told_of_the_world.workplace)
    world = told_of_the_world
    assert told in refused(partial(main, world.recipe), *world.flags, "--epochs", "1", "--out", "refused", *flags)
    assert not Path("refused").exists()


def test_the_same_command_over_other_sounds_is_another_run(told_of_the_world, metrics, monkeypatch, refused):
    world = told_of_the_world
    monkeypatch.chdir(world.workplace)
    shutil.copytree("noises", "moved")
    shutil.copytree("noises", "others")
    shutil.copy("others/audio/cow0.wav", "others/audio/hen0.wav")
    before = world.folder.stat().st_mtime_ns

    def over(sounds):
        return [*world.flags[:-1], f"esc50:{sounds}", "--epochs", "2", "--reject", "2"]

    main(world.recipe, over("moved"))
    assert "exists; pass --overwrite" in refused(partial(main, world.recipe), *over("others"))
    assert world.folder.stat().st_mtime_ns == before


def test_false_alarms_are_events_in_hours_of_other_sounds(metrics):
    found = metrics["false_alarms"]
    # 1 s each; the last window ends with the last clip, but for a part of a hop
    assert found["hours"] * 3600 == pytest.approx(3 * len(UNKNOWN), abs=0.25)
    for point in found["points"].values():
        assert sum(point["by_class"].values()) == point["alarms"]
        assert point["low"] <= point["per_hour"] <= point["high"] and point["high"] > 0


def test_changed_sounds_are_judged_by_each_file(metrics):
    found = metrics["robustness"]
    judged = {tuple(files) for changes in found.values() for files in changes.values()}
    assert judged == {("model.h5", "model_int8.tflite")}
    assert found["unchanged"][""]["model.h5"]["accuracy"] == metrics["files"]["model.h5"]["accuracy"]
    assert {kind: list(changes) for kind, changes in robustness.CONDITIONS.items()} == {
        kind: list(changes) for kind, changes in found.items() if kind != "unchanged"
    }
