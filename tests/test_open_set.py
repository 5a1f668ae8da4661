"""Known sounds against unknown ones: figures against scikit-learn, thresholds and temperature by their definition."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss, roc_auc_score, roc_curve

from zoo import assembly, open_set
from zoo.models import MODELS

FRACTIONS = 256  # scores as int8 has them: with ties


@pytest.fixture(scope="module")
def confidences():
    rng = np.random.default_rng(0)
    known, unknown = rng.beta(4, 2, 80), rng.beta(2, 3, 300)
    return tuple(np.round(scores * FRACTIONS) / FRACTIONS for scores in (known, unknown))


def test_auroc_and_fpr95_are_scikit_learns(confidences):
    known, unknown = confidences
    is_known, scores = np.repeat([1, 0], [80, 300]), np.concatenate(confidences)
    assert open_set.auroc(known, unknown) == pytest.approx(roc_auc_score(is_known, scores), abs=1e-12)
    false_positives, true_positives, _ = roc_curve(is_known, scores, drop_intermediate=False)
    expected = false_positives[np.argmax(true_positives >= 0.95)]
    assert open_set.false_positive_rate(known, unknown) == pytest.approx(expected, abs=1e-12)


def test_figures_of_the_table_that_was_written_hold_in_draws_of_whole_recordings(confidences, tmp_path):
    known, unknown = confidences
    clips = [
        SimpleNamespace(files=[f"{kind}{i}" for i in range(len(of_kind))], sources=np.arange(len(of_kind)) // 4)
        for kind, of_kind in zip("ku", confidences)
    ]
    names = ["dog"] * 80, ["cow, or not"] * 300
    open_set.write(tmp_path / "t.csv", clips, names, {"model.h5": (np.float32(known), np.float32(unknown))})
    table = open_set.read(tmp_path / "t.csv")
    np.testing.assert_array_equal(table["model.h5"][1], unknown)
    assert set(table["class"][1]) == {"cow, or not"}
    found = open_set.figures(table, seed=0)["model.h5"]
    rng, drawn = np.random.default_rng(1), []
    for _ in range(400):
        of_known, of_unknown = ((4 * rng.integers(0, n, (n, 1)) + np.arange(4)).ravel() for n in (20, 75))
        scores = np.concatenate([known[of_known], unknown[of_unknown]])
        drawn.append(roc_auc_score(np.repeat([1, 0], [80, 300]), scores))
    # 400 draws of an interval some 0.1 wide know its ends within a hundredth.
    np.testing.assert_allclose([found["auroc_low"], found["auroc_high"]], np.quantile(drawn, [0.025, 0.975]), atol=0.01)
    assert found["auroc"] == pytest.approx(open_set.auroc(known, unknown))
    assert found["fpr95_low"] < found["fpr95"] < found["fpr95_high"]


def test_the_temperature_makes_the_targets_likeliest():
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 5, 400)
    logits = rng.normal(0, 1, (400, 3, 5)) + 2 * np.eye(5)[targets][:, None]
    scores = softmax(logits / 0.4, axis=-1).astype(np.float32)
    found = open_set.temperature(open_set.logits_of(scores), targets)

    def surprise(temperature):
        return log_loss(targets, open_set.at_temperature(scores, temperature).mean(axis=1).astype(np.float64))

    around = np.geomspace(0.5, 2, 41) * found
    assert min(around, key=surprise) == pytest.approx(found, rel=0.036)  # a step of the grid
    np.testing.assert_allclose(open_set.at_temperature(scores, 2.5), softmax(logits, axis=-1), atol=1e-5)


def test_a_class_is_believed_where_its_share_of_clips_reaches_the_threshold():
    rng = np.random.default_rng(0)
    targets = np.repeat([0, 1], 50)
    scores = softmax(rng.normal(0, 1, (100, 3)) + 2 * np.eye(3)[targets], axis=1)
    for share in (0.6, 0.95):
        found = open_set.thresholds(scores, targets, share)
        right = scores.argmax(axis=1) == targets
        for number in (0, 1):
            own = scores[right & (targets == number), number]
            assert np.mean(own >= found[number]) >= share > np.mean(own > found[number])
        assert found[2] == max(found[:2])  # nobody has heard it
        expected = [any(score >= found[i] for i, score in enumerate(row)) for row in scores]
        np.testing.assert_array_equal(open_set.accepted(np.float32(scores), np.float32(found)), expected)


@pytest.mark.parametrize("name", ["ds_cnn", "aclnet", "mobilenet_v3", "bilstm"])
def test_a_temperature_divides_the_logits_of_any_head(name):
    model = MODELS[name]
    backbone = model.build(model.input_shape, 7, **model.reduced)
    for variable in backbone.weights:  # norms and biases as training leaves them
        variable.assign(np.random.default_rng(len(variable.shape)).uniform(0.02, 0.2, variable.shape))
    sounds = np.random.default_rng(0).uniform(-1, 1, (3, *model.input_shape)).astype(np.float32)
    scores = backbone(sounds, training=False).numpy()
    cooler = assembly.with_temperature(backbone, 2.5)
    expected = open_set.at_temperature(scores, 2.5)
    np.testing.assert_allclose(cooler(sounds, training=False), expected, atol=1e-5)  # float32 through many layers
    np.testing.assert_array_equal(backbone(sounds, training=False), scores)  # which is not changed by it
