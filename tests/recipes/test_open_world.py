"""A model that refuses what it does not know: thresholds of trainings with classes held out, in all files; its card."""

import csv
import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import soundfile
from sklearn.metrics import roc_auc_score

from recipes import ds_cnn
from recipes.run import main
from zoo import open_set
from zoo.models.ds_cnn import build
from zoo.runtime.classifier import Classifier
from zoo.runtime.interpreter import LiteRT

RECIPE = replace(ds_cnn.RECIPE, micro=False, backbone=partial(build, width=8, depth=1))
FLAGS = ("--dataset", "esc10", "--data-dir", "tones", "--quick", "--open-world", "esc50:noises")
UNKNOWN = "cow", "hen"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, write_tones):
    """A working directory, left again: tones that are known, noises that are not, and a model that was told of both."""
    folder = tmp_path_factory.mktemp("open")
    write_tones(folder / "tones", folds=(1, 2, 2, 3, 3))
    (folder / "noises" / "audio").mkdir(parents=True)
    (folder / "noises" / "meta").mkdir()
    rng, rows = np.random.default_rng(0), ["filename,fold,category,src_file"]
    for label in (*UNKNOWN, "wind", "dog"):  # of which the one is for noise, the other known
        for take in range(3):
            soundfile.write(folder / f"noises/audio/{label}{take}.wav", rng.normal(0, 0.1, 20_000), 20_000)
            rows.append(f"{label}{take}.wav,1,{label},{label}{take}")
    (folder / "noises" / "meta" / "esc50.csv").write_text("\n".join(rows) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        main(RECIPE, [*FLAGS, "--epochs", "2", "--fold", "1", "--reject", "2"])
        yield folder


@pytest.fixture(scope="module")
def exported(workplace):
    return workplace / "exported" / "ds_cnn-esc10"


@pytest.fixture(scope="module")
def metrics(exported):
    return json.loads((exported / "metrics.json").read_text())


def test_every_file_refuses_from_the_thresholds_of_the_usual_sensitivity_on(exported, metrics):
    expected = metrics["rejection"]["points"][open_set.USUAL]["thresholds"]
    for file in ("model.tflite", "model_int8.tflite"):
        classifier = Classifier(exported / file)
        assert dict(zip(classifier.labels, classifier.thresholds)) == expected
    assert classifier.decided(np.full(10, min(expected.values()) - 1e-3)) == []


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
    assert "the raw softmax." in card and (exported / "open_set.png").exists()


def test_the_folds_together_have_the_clips_of_each(workplace):
    main(RECIPE, [*FLAGS, "--epochs", "1", "--fold", "all", "--out", "all"])
    folder = workplace / "all" / "ds_cnn-esc10"
    known, unknown = open_set.read(folder / open_set.FILE)["model.h5"]
    assert (len(known), len(unknown)) == (50, 3 * 3 * len(UNKNOWN))
    told = json.loads((folder / "metrics.json").read_text())["open_set"]
    assert told["auroc"] == pytest.approx(open_set.auroc(known, unknown))


@pytest.mark.parametrize("flags, told", [
    (("--reject", "6"), "--reject 6: 2 to 5 trainings deal out 10 classes"),
    (("--open-world", "esc10:tones"), "holds no clip of other classes"),
    (("--open-world", "nothing:tones"), "names no data set"),
])  # fmt: skip
def test_what_cannot_be_is_refused(workplace, flags, told, capsys):
    with pytest.raises(SystemExit) as stop:
        main(RECIPE, [*FLAGS, "--epochs", "1", "--fold", "1", "--out", "refused", *flags])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and told in error and error.count("\n") == 1
    assert not (workplace / "refused" / "ds_cnn-esc10").exists()


def test_int8_is_as_sure_as_float_within_its_steps(exported):
    sounds = np.random.default_rng(0).normal(0, 0.1, (8, 16_000)).astype(np.float32)
    scores = [LiteRT(exported / file).run(sounds) for file in ("model.tflite", "model_int8.tflite")]
    np.testing.assert_allclose(*scores, atol=0.1)
