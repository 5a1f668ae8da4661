"""A head of prototypes: what it decides against the definition, and what judges its thresholds was left out."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.covariance import LedoitWolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from zoo import open_set, prototypes

WIDTH, CLASSES, CROPS = 6, 3, 4


@pytest.fixture(scope="module")
def embeddings():
    """Crops of three known classes, and five recordings of a new one, around means of their own."""
    rng = np.random.default_rng(0)
    means, targets = rng.normal(0, 2, (CLASSES + 1, WIDTH)), np.repeat(np.arange(CLASSES), 40)
    known = means[targets] + rng.normal(0, 1, (len(targets), WIDTH))
    examples = [means[CLASSES] + rng.normal(0, 1, WIDTH) + rng.normal(0, 0.5, (CROPS, WIDTH)) for _ in range(5)]
    return known, targets, examples


@pytest.fixture(scope="module")
def head(embeddings):
    return prototypes.head(*embeddings)


def test_it_is_linear_discriminant_analysis_but_for_its_temperature(embeddings, head):
    known, targets, examples = embeddings
    x, y = np.concatenate([known, *examples]), np.concatenate([targets, np.full(5 * CROPS, CLASSES)])
    priors = np.full(CLASSES + 1, 1 / (CLASSES + 1))
    oracle = LinearDiscriminantAnalysis(solver="lsqr", priors=priors, covariance_estimator=LedoitWolf()).fit(x, y)
    expected, found = oracle.decision_function(x), x @ head.kernel + head.bias
    expected, found = (logits - logits.mean(axis=1, keepdims=True) for logits in (expected, found))
    temperature = np.sum(expected**2) / np.sum(expected * found)
    np.testing.assert_allclose(found * temperature, expected, rtol=1e-2, atol=1e-2)  # which has no smallest spread
    np.testing.assert_allclose(head.scores(x), softmax(x @ head.kernel + head.bias, axis=1))


def test_what_8_bits_change_counts_as_spread(embeddings, head):
    noise = np.zeros(WIDTH)
    noise[2] = 1e6
    deaf = prototypes.head(*embeddings, noise)
    assert np.abs(deaf.kernel[2]).max() < 1e-3 * np.abs(head.kernel[2]).max()


def test_an_example_is_judged_by_the_others(embeddings, head):
    known, targets, examples = embeddings
    strange = [*examples[:4], known[targets == 0][:CROPS]]  # one that is of another class
    left_out = prototypes.head(known, targets, strange).left_out
    assert left_out.shape == (5, CLASSES + 1)
    assert left_out[4].argmax() == 0 and (left_out[:4].argmax(axis=1) == CLASSES).all()


def test_thresholds_rise_as_sensitivity_falls(head):
    low, medium, high = (np.array(head.points[name]) for name in ("low", "medium", "high"))
    assert ((low >= medium) & (medium >= high)).all() and (low > high).any()
    assert high[CLASSES] == pytest.approx(min(head.left_out[head.left_out.argmax(axis=1) == CLASSES, CLASSES]))


def test_one_recording_has_the_strictest_threshold(embeddings):
    known, targets, examples = embeddings
    found = prototypes.head(known, targets, examples[:1])
    assert found.left_out.shape[0] == 0
    for each in found.points.values():
        assert each[CLASSES] == max(each[:CLASSES])
    assert set(found.points) == set(open_set.SENSITIVITIES)
