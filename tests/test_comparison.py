"""Two exported folders on the same clips, judged by scipy and by statistics over pairs."""

import csv
import json

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap

from zoo import comparison
from zoo.__main__ import main
from zoo.errors import ZooError

LABELS = ("dog", "rain", "rooster")


@pytest.fixture
def clips():
    """200 clips, each of a source of its own: (name, class)."""
    rng = np.random.default_rng(0)
    return [(f"{i}.wav", LABELS[rng.integers(3)]) for i in range(200)]


def exported(folder, clips, accuracy, seed, folds=1):
    """A folder whose model.h5 is right on about a share of the clips; what is right of each clip, by name."""
    rng, folder = np.random.default_rng(seed), folder
    right = {name: bool(rng.random() < accuracy) for name, _ in clips}
    (folder / "folds").mkdir(parents=True)
    (folder / "labels.txt").write_text("\n".join(LABELS))
    paths = [folder / "folds" / f"{fold}.csv" for fold in range(folds)] if folds > 1 else [folder / "decisions.csv"]
    for fold, path in enumerate(paths):
        with open(path, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("file", "source", "fold", "class", "model.h5", "model.tflite"))
            for name, label in rng.permutation(clips[fold::folds]):  # in an order of its own
                other = LABELS[(LABELS.index(label) + 1) % 3]
                writer.writerow((name, name, fold, label, label if right[name] else other, label))
    return np.array([right[name] for name, _ in clips])


def test_clips_are_paired_by_name_and_told_by_mcnemars_counts(tmp_path, clips):
    a = exported(tmp_path / "a", clips, 0.7, seed=1)
    b = exported(tmp_path / "b", clips, 0.85, seed=2, folds=5)
    found = comparison.compare(tmp_path / "a", tmp_path / "b")
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    assert found["mcnemar"]["b"] == only_a and found["mcnemar"]["c"] == only_b and found["clips"] == 200
    np.testing.assert_allclose(found["mcnemar"]["p"], binomtest(only_a, only_a + only_b).pvalue, rtol=1e-9)
    assert (found["a"]["accuracy"], found["b"]["accuracy"]) == (a.mean(), b.mean())


def test_the_interval_of_the_difference_is_that_of_the_pairs(tmp_path, clips):
    a, b = exported(tmp_path / "a", clips, 0.7, seed=1), exported(tmp_path / "b", clips, 0.85, seed=2)
    found = comparison.compare(tmp_path / "a", tmp_path / "b")["difference"]
    pairs = b.astype(int) - a
    expected = bootstrap((pairs,), np.mean, method="percentile", rng=1).confidence_interval
    assert found["accuracy"] == pairs.mean()
    # Two sets of 10,000 draws of steps of 1/200: ends differ by the bootstrap's own error.
    np.testing.assert_allclose((found["low"], found["high"]), expected, atol=0.01)


def test_a_model_does_not_differ_from_itself(tmp_path, clips):
    exported(tmp_path / "a", clips, 0.7, seed=1)
    found = comparison.compare(tmp_path / "a", tmp_path / "a")
    assert found["mcnemar"] == {"b": 0, "c": 0, "p": 1.0}
    assert list(found["difference"].values()) == [0, 0, 0]


def test_other_clips_truths_and_classes_are_refused(tmp_path, clips):
    exported(tmp_path / "a", clips, 0.7, seed=1)
    exported(tmp_path / "fewer", clips[:150], 0.7, seed=1)
    with pytest.raises(ZooError, match=r"different clips \(200 and 150, 50 of them on one side alone\)"):
        comparison.compare(tmp_path / "a", tmp_path / "fewer")
    exported(tmp_path / "truth", [(name, "dog" if name == "0.wav" else label) for name, label in clips], 0.7, seed=1)
    with pytest.raises(ZooError, match="differ in what 0.wav is: rooster and dog"):
        comparison.compare(tmp_path / "a", tmp_path / "truth")
    (tmp_path / "truth" / "labels.txt").write_text("dog\nrain\nrooster\nsiren")
    with pytest.raises(ZooError, match="different classes .siren is of one alone"):
        comparison.compare(tmp_path / "a", tmp_path / "truth")


def test_the_command_line_tells_it_in_words_and_as_json_and_refuses_in_one_line(tmp_path, clips, capsys):
    exported(tmp_path / "a", clips, 0.7, seed=1)
    exported(tmp_path / "b", clips, 0.85, seed=2)
    folders = [str(tmp_path / name) for name in "ab"]
    main(["compare", *folders, "--json"])
    found = json.loads(capsys.readouterr().out)
    main(["compare", *folders])
    told = capsys.readouterr().out
    assert f"b = {found['mcnemar']['b']}, B alone: c = {found['mcnemar']['c']}" in told
    assert f"{100 * found['b']['accuracy']:.2f} %" in told and "B minus A" in told
    main(["compare", *folders, "--file", "model.tflite"])
    assert "p = 1.0000" in capsys.readouterr().out
    for flags, said in (
        ((*folders, "--file", "x.tflite"), "no decisions of x.tflite; it has those of model.h5, model.tflite"),
        ((folders[0], str(tmp_path)), "no decisions.csv; pass a folder that a recipe exported"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(["compare", *flags])
        error = capsys.readouterr().err
        assert stop.value.code == 2 and error.count("\n") == 1 and said in error
