"""Scores, intervals and confusion, judged by scipy, scikit-learn and slow loops."""

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from zoo.errors import ZooError
from zoo.evaluation import (
    clip_scores,
    confusion,
    figures,
    interval,
    mcnemar,
    mcnemar_p,
    per_class,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_a_clip_scores_the_mean_of_its_crops_from_an_array_or_clip_by_clip(rng):
    crops = rng.random((5, 10, 7), np.float32)
    expected = crops[..., :3].mean(axis=1)
    np.testing.assert_array_equal(clip_scores(lambda x: x[:, :3], crops), expected)
    np.testing.assert_array_equal(clip_scores(lambda x: x[:, :3], iter(crops)), expected)


def test_scores_that_are_not_numbers_are_refused_by_file_and_clip(rng):
    crops = rng.random((4, 2, 3), np.float32)
    crops[2, 1, 0] = np.nan
    with pytest.raises(ZooError, match="model_int8.tflite: scores of 1 of 4 clips are not finite, first clip 2"):
        clip_scores(lambda x: x, crops, name="model_int8.tflite")


def test_accuracy_is_the_share_of_right_decisions():
    decided = np.eye(4).argmax(axis=1)
    assert figures(decided, decided, np.array([0, 1, 2, 0]), np.arange(4), seed=0)["accuracy"] == 0.75


def test_with_one_clip_a_source_the_interval_is_scipys(rng):
    correct = rng.random(400) < 0.84
    expected = bootstrap((correct,), np.mean, method="percentile", rng=1).confidence_interval
    # Two sets of 10,000 draws: the ends differ by the bootstrap's own error, about one clip in 400.
    np.testing.assert_allclose(interval(correct, np.arange(400), seed=0), expected, atol=1.5 / 400)


def test_clips_of_one_source_stay_together(rng):
    groups = rng.integers(0, 60, 200)  # of unlike sizes
    correct = rng.random(60)[groups] < 0.7
    sources = [correct[groups == group] for group in np.unique(groups)]
    draws = rng.integers(0, len(sources), (4_000, len(sources)))
    slow = np.quantile([np.concatenate([sources[i] for i in draw]).mean() for draw in draws], [0.025, 0.975])
    low, high = interval(correct, groups, seed=0)
    # 4,000 draws of an interval some 0.2 wide know its ends within 0.01.
    np.testing.assert_allclose((low, high), slow, atol=0.01)
    independent_low, independent_high = interval(correct, np.arange(200), seed=0)
    assert high - low > 1.3 * (independent_high - independent_low)


def test_sources_may_be_named_by_text_and_a_seed_repeats(rng):
    correct, numbers = rng.random(100) < 0.5, rng.integers(0, 30, 100)
    names = np.array([f"source {number:02}" for number in numbers])
    assert interval(correct, names, seed=3) == interval(correct, numbers, seed=3)


def test_without_an_error_the_interval_is_one_to_one():
    assert interval(np.ones(40, bool), np.arange(40) // 2, seed=0) == (1.0, 1.0)


def test_one_source_has_no_interval():
    assert interval(np.array([True, False]), ["a", "a"], seed=0) == (None, None)


def test_confusion_and_class_scores_are_scikit_learns_and_absent_classes_nan(rng):
    targets = rng.integers(0, 6, 300)
    scores = rng.random((300, 8)) * (np.arange(8) != 2)  # class 2 is never decided; 6 and 7 have no clip
    counts = confusion(scores, targets, 8)
    decisions = scores.argmax(axis=1)
    np.testing.assert_array_equal(counts, confusion_matrix(targets, decisions, labels=range(8)))
    precision, recall, f1, clips = precision_recall_fscore_support(targets, decisions, labels=range(8), zero_division=0)
    for name, expected in (("precision", precision), ("recall", recall), ("f1", f1)):
        np.testing.assert_allclose(per_class(counts)[name], np.where(clips > 0, expected, np.nan), rtol=1e-12)


def test_changed_decisions_counts_clips_not_scores():
    a = np.array([[0.6, 0.4], [0.6, 0.4], [0.1, 0.9]])
    b = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    told = figures(a.argmax(axis=1), b.argmax(axis=1), np.array([0, 0, 1]), np.arange(3), seed=0)
    assert told["changed_clips"] == 1


@pytest.mark.parametrize("only_a", [0, 1, 4, 11, 300])
@pytest.mark.parametrize("only_b", [0, 1, 4, 12, 700])
def test_mcnemars_p_is_scipys_binomial(only_a, only_b):
    n = only_a + only_b
    expected = binomtest(only_a, n, 0.5).pvalue if n else 1.0
    # Whole numbers until the last division here; scipy's binomial is good to some 1e-12 of itself.
    np.testing.assert_allclose(mcnemar_p(only_a, only_b), expected, rtol=1e-9)


def test_mcnemar_counts_what_one_model_alone_gets_right(rng):
    a, b = rng.random(400) < 0.85, rng.random(400) < 0.75
    only_a = sum(1 for x, y in zip(a, b) if x and not y)
    only_b = sum(1 for x, y in zip(a, b) if y and not x)
    found_a, found_b, p = mcnemar(a, b)
    assert (found_a, found_b) == (only_a, only_b) and only_a > only_b
    assert mcnemar(b, a) == (only_b, only_a, p)
    np.testing.assert_allclose(p, binomtest(only_a, only_a + only_b).pvalue, rtol=1e-9)


def test_models_that_are_right_on_the_same_clips_do_not_differ():
    correct = np.array([True, False, True])
    assert mcnemar(correct, correct) == (0, 0, 1.0)


def test_mcnemar_refuses_other_clips():
    with pytest.raises(ZooError, match=r"the same clips; got \(3,\) and \(2,\)"):
        mcnemar([True, False, True], [True, False])
