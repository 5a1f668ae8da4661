"""Sounds of none of the classes train too: towards doubt, or as a class of their own."""

import csv
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from recipes import ds_cnn
from recipes.outliers import Outliers
from recipes.run import main
from zoo import corpus, pipeline
from zoo.labelling import Multiclass
from zoo.models.ds_cnn import build
from zoo.runtime.classifier import Classifier


def clips_of(targets, length, rate_hz=100):
    """Clips whose samples are their number."""
    count = len(targets)
    starts = np.arange(count) * length
    names = np.array([f"{length}-{i}" for i in range(count)])
    folds = np.ones(count, int)
    samples = np.repeat(np.arange(count, dtype=np.int16), length)
    return corpus.Clips(samples, starts, starts + length, np.array(targets), folds, names, names, rate_hz)


@pytest.fixture
def known():
    return clips_of([0, 0, 1, 1, 1, 2], 30)


@pytest.fixture
def outliers():
    return Outliers("noises", "print", "CC0", clips_of([0, 1, 2, 3, 4, 5, 6, 7], 50), tuple("abcdefgh"))


def test_outliers_are_as_many_as_there_are_clips_and_as_a_class_as_many_as_one_has(known, outliers):
    drawn = outliers.drawn(known, False, seed=0)
    assert len(drawn) == 6 and len(outliers.drawn(known, True, seed=0)) == 2
    both = known.with_others(drawn, corpus.NO_CLASS)
    assert both.targets.tolist() == [corpus.NO_CLASS] * 6 + [0, 0, 1, 1, 1, 2]
    for i, name in enumerate(both.files):  # each is heard as itself
        length, number = map(int, name.split("-"))
        assert len(both.waveform(i)) == length and (both.waveform(i) * 32_768 == number).all()


def test_an_outlier_trains_towards_scores_that_are_all_the_same(known, outliers):
    both = known.with_others(outliers.drawn(known, False, seed=0), corpus.NO_CLASS)
    waveforms = pipeline.Waveforms(mix="none")
    batches = pipeline.mixed_crops(both, 10, 3, waveforms, 0, 6, 0, 1)
    labels = np.concatenate([labels for _, labels in batches])
    np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-6)
    assert (labels.max(axis=1) == np.float32(1 / 3)).sum() == 6 and (labels.max(axis=1) == 1).sum() == 6
    mixed = np.concatenate(
        [labels for _, labels in pipeline.mixed_crops(both, 10, 3, pipeline.Waveforms(), 0, 6, 0, 1)]
    )
    assert (mixed.min(axis=1) > 0).any()  # an outlier has a part in it


def test_the_background_is_no_class_to_be_sure_of():
    scores = np.array([[0.1, 0.2, 0.7], [0.5, 0.4, 0.1]])
    np.testing.assert_array_equal(Multiclass(("dog", "rain", "background")).confidence(scores), [0.2, 0.5])
    np.testing.assert_array_equal(Multiclass(("dog", "rain", "sea")).confidence(scores), [0.7, 0.5])


@pytest.fixture(scope="module")
def run(told_of_the_world):
    """A function (flags) -> the folder that a tiny net is exported to."""
    recipe = replace(ds_cnn.RECIPE, backbone=partial(build, width=8, depth=1), micro=False)
    flags = "--dataset esc10 --data-dir tones --fold 1 --front-end mel --quick --epochs 2".split()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(told_of_the_world.workplace)

        def export(*more, out):
            main(recipe, [*flags, "--out", out, *more])
            (folder,) = Path(out).absolute().iterdir()
            return folder

        yield export


def test_what_trained_is_told(run):
    folder = run("--outliers", "esc50:noises", out="exposed")
    told = json.loads((folder / "provenance.json").read_text())
    assert told["outliers"] == "esc50" and len(told["labels"]) == 10
    assert "esc50:DIR" in told["command"] and "NC" in told["licence"]  # that of the outliers, too
    rows = list(csv.DictReader(open(folder / "clips.csv", newline="")))
    assert {row["class"] for row in rows if row["part"] == "outliers"} == {"cow", "hen", "wind"}  # the dog is known


def test_a_background_is_the_last_label_and_no_sound_is_accepted_as_it(run):
    folder = run("--outliers", "esc50:noises", "--background", "--reject", "2", out="background")
    classifier = Classifier(folder)
    assert classifier.labels[-1] == "background" and len(classifier.labels) == 11
    assert classifier.thresholds[-1] == 1.0
    assert not (folder / "embeddings.npz").exists()  # prototypes of sounds of all kinds are none


@pytest.mark.parametrize("flags, told", [
    (("--background",), "--background is of --outliers, which is not given"),
    (("--outliers", "esc50:noises", "--open-world", "esc50:noises"), "what trains is no unknown sound"),
    (("--outliers", "esc10:tones"), "holds no clip of other classes"),
])  # fmt: skip
def test_what_cannot_be_is_refused(run, refused, flags, told):
    assert told in refused(lambda argv: run(*argv, out="refused"), *flags)
