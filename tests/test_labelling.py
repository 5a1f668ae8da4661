"""One class a clip or any number: figures against scikit-learn, thresholds by hand, heads through their files."""

from types import SimpleNamespace

from zoo.backend import keras, tf

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from zoo import assembly, decisions, evaluation, teachers, transfer
from zoo.compress import qat, surgery
from zoo.compress.distill import KINDS, Distillation
from zoo.export import keras_files, tflite
from zoo.labelling import UNSEEN_THRESHOLD, Multiclass, Multilabel, best_threshold
from zoo.models import MODELS
from zoo.open_set import HIGHEST_THRESHOLD
from zoo.runtime.interpreter import LiteRT

LABELS = ("dog", "rain", "siren", "gong", "bell")  # nobody rings the bell
EVERYWHERE = 3  # the gong's number


@pytest.fixture(scope="module")
def clips():
    """300 clips of 100 recordings, and scores as int8 gives them: with many ties."""
    rng = np.random.default_rng(0)
    targets = (rng.random((300, 5)) < [0.5, 0.1, 0.03, 1, 0]).astype(np.uint8)
    scores = np.round(256 * expit(rng.normal(0, 1, (300, 5)) + 1.5 * targets - 1)) / 256
    return SimpleNamespace(targets=targets, scores=scores.astype(np.float32), sources=np.arange(300) // 3)


def test_map_is_scikit_learns_over_the_classes_that_are_there(clips):
    found = evaluation.average_precision(clips.scores, clips.targets)
    expected = average_precision_score(clips.targets[:, :4], clips.scores[:, :4], average=None)
    np.testing.assert_allclose(found[:4], expected, rtol=1e-12)
    assert np.isnan(found[4])
    assert Multilabel(LABELS).measure(clips.scores, clips.targets) == pytest.approx(expected.mean(), rel=1e-12)


def test_d_prime_is_that_of_scikit_learns_mean_area(clips):
    areas = evaluation.roc_auc(clips.scores, clips.targets)
    expected = roc_auc_score(clips.targets[:, :3], clips.scores[:, :3], average=None)
    np.testing.assert_allclose(areas[:3], expected, rtol=1e-12)
    assert np.isnan(areas[EVERYWHERE:]).all()  # there is nothing to tell it from, or nothing to tell
    told = Multilabel(LABELS, (0.5,) * 5).figures(clips.scores, clips.scores, clips.targets, clips.sources, seed=0)
    assert told["d_prime"] == pytest.approx(np.sqrt(2) * norm.ppf(expected.mean()), rel=1e-9)
    assert (evaluation.d_prime(1.0), evaluation.d_prime(0.0), evaluation.d_prime(0.5)) == (np.inf, -np.inf, 0)


def test_the_interval_of_map_draws_whole_recordings(clips):
    low, high = evaluation.mean_average_precision_interval(clips.scores, clips.targets, clips.sources, seed=0)
    rng, drawn = np.random.default_rng(1), []
    for _ in range(400):
        chosen = (3 * rng.integers(0, 100, (100, 1)) + np.arange(3)).ravel()
        there = clips.targets[chosen].any(axis=0)
        drawn.append(average_precision_score(clips.targets[chosen][:, there], clips.scores[chosen][:, there]))
    # 400 draws of an interval some 0.1 wide know its ends within a hundredth.
    np.testing.assert_allclose((low, high), np.quantile(drawn, [0.025, 0.975]), atol=0.015)
    of_one = evaluation.mean_average_precision_interval(clips.scores, clips.targets, ["a"] * 300, 0)
    assert of_one == (None, None)


def test_a_clip_is_changed_where_any_of_its_labels_is(clips):
    labelling = Multilabel(LABELS, (0.5,) * 5)
    other = clips.scores.copy()
    other[[7, 7, 9], [0, 1, 2]] = 1 - other[[7, 7, 9], [0, 1, 2]]
    told = labelling.figures(other, clips.scores, clips.targets, clips.sources, seed=0)
    right = [((scores >= 0.5) == clips.targets).all(axis=1) for scores in (clips.scores, other)]
    assert told["changed_clips"] == 2
    assert told["lost_clips"] == (right[0] & ~right[1]).sum() and told["gained_clips"] == (right[1] & ~right[0]).sum()


@pytest.mark.parametrize(
    ("scores", "has_it", "threshold"),
    [
        ([0.9, 0.7, 0.4, 0.1], [1, 1, 0, 0], 0.55),  # F1 is 1 half-way between 0.7 and 0.4
        ([0.9, 0.7, 0.4, 0.2], [0, 1, 0, 1], 0.1),  # all: 2/3; down to 0.7 it would be a half
        ([0.5, 0.5, 0.5, 0.25], [1, 0, 1, 0], 0.375),  # those of one score go together
        ([0.6, 0.3], [0, 0], UNSEEN_THRESHOLD),
        ([0.0, 0.0], [1, 0], UNSEEN_THRESHOLD),  # no score tells them apart
        ([1.0, 0.9999], [1, 0], HIGHEST_THRESHOLD),  # int8 could not reach a higher one
    ],
)
def test_a_threshold_lies_where_f1_is_highest(scores, has_it, threshold):
    found = best_threshold(np.array(scores, np.float32), np.array(has_it))
    assert found == pytest.approx(threshold, abs=1e-6)


def test_no_other_threshold_has_a_higher_f1(clips):
    tuned = Multilabel(LABELS).tuned(lambda clips: clips.scores, clips)
    decided = tuned.decide(clips.scores)
    table = tuned.tables(clips.scores, clips.targets)["per_class"]
    for i in range(4):
        column, truth = clips.scores[:, i], clips.targets[:, i]
        best = max(f1_score(truth, column >= at, zero_division=0) for at in np.unique(column))
        assert f1_score(truth, decided[:, i]) == pytest.approx(best) == pytest.approx(table["f1"][i])
    assert tuned.thresholds[4] == UNSEEN_THRESHOLD and np.isnan(table["f1"][4])


def test_decisions_are_written_label_by_label(clips, tmp_path):
    labelling, n = Multilabel(LABELS, (0.5,) * 5), len(clips.scores)
    clips.files, clips.folds = np.array([f"{i}.wav" for i in range(n)]), np.ones(n, int)
    decisions.write(tmp_path / "decisions.csv", _Sized(clips), labelling, {"model.h5": clips.scores})
    table = decisions.read([tmp_path / "decisions.csv"])
    assert table["model.h5"][0] == "; ".join(label for label, s in zip(LABELS, clips.scores[0]) if s >= 0.5)
    told = evaluation.figures(table["model.h5"], table["model.h5"], table["class"], table["source"], seed=0)
    decided = clips.scores >= 0.5
    assert told["accuracy"] == (decided == clips.targets).all(axis=1).mean()
    assert [LABELS[i] for i in labelling.present(clips.targets)] == ["dog", "rain", "siren", "gong"]


class _Sized(SimpleNamespace):
    def __init__(self, clips):
        super().__init__(**vars(clips))

    def __len__(self):
        return len(self.targets)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_distillation_compares_each_class_with_its_own_teacher(kind, temperature):
    teacher, student, target = np.random.default_rng(0).normal(0, 2, (3, 16, 5))
    objective = Distillation(kind, 0.1, temperature, Multilabel(LABELS))
    scores = [tf.constant(expit(z), tf.float32) for z in (target, teacher, student)]
    found = objective.loss(objective.labels(*scores[:2]), scores[2])

    def against(p, q, is_divergence):
        loss = -p * np.log(q) - (1 - p) * np.log(1 - q)
        return loss + is_divergence * (p * np.log(p) + (1 - p) * np.log(1 - p))

    soft = against(expit(teacher / temperature), expit(student / temperature), kind != "ce_ce")
    hard = against(expit(target), expit(student), kind == "kl_kl")
    wanted = np.mean(0.9 * temperature**2 * soft + 0.1 * hard, axis=1)
    # float32 knows 1 - p of the surest scores (0.9995) to 1e-4 of itself, and a logarithm softens that.
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(
        objective.accuracy(objective.labels([[0, 0.3, 0]], [[1, 0, 0]]), tf.constant([[0.1, 0.9, 0.2]])), [1]
    )


def test_training_is_by_binary_cross_entropy():
    labels, scores = np.float32([[1, 0.25, 0]]), np.float32([[0.9, 0.5, 0.2]])
    loss = -np.mean(labels * np.log(scores) + (1 - labels) * np.log(1 - scores))
    labelling = Multilabel(LABELS)
    assert labelling.objective.loss(labels, tf.constant(scores)).numpy() == pytest.approx([loss], rel=1e-5)
    assert labelling.accuracy(tf.constant(labels), tf.constant([[0.1, 0.2, 0.3]])).numpy() == [0]


def test_logits_are_those_that_made_the_scores():
    z = np.random.default_rng(0).normal(0, 4, (8, 5))
    np.testing.assert_allclose(Multilabel(LABELS).logits(expit(z)), z, rtol=1e-9)
    assert np.isfinite(Multilabel(LABELS).logits(np.float32([[0, 1]]))).all()
    softmax = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(Multiclass(LABELS).logits(softmax), z - z.mean(axis=1, keepdims=True), rtol=1e-9)


def test_the_teachers_head_is_scikit_learns_one_against_the_rest():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 4)).astype(np.float32)
    labels = (x @ rng.normal(size=(4, 3)) + rng.logistic(size=(400, 3)) > 0.5).astype(np.float32)
    kernel, bias = teachers.fit_head(x, labels, Multilabel(LABELS[:3]))
    found = Multilabel(LABELS[:3]).scores_of(x @ kernel + bias)
    for i in range(3):
        # scikit-learn sums the losses of all clips, ours is their mean: C is 1 / (clips * decay).
        other = LogisticRegression(C=1 / (len(x) * teachers.DECAY), tol=1e-8)
        expected = other.fit((x - x.mean(axis=0)) / x.std(axis=0), labels[:, i] > 0)
        probabilities = expected.predict_proba((x - x.mean(axis=0)) / x.std(axis=0))[:, 1]
        np.testing.assert_allclose(found[:, i], probabilities, atol=2e-3)  # L-BFGS stops at slopes of 1e-5


@pytest.fixture(scope="module", params=["ds_cnn", "yamnet"])  # their last layers are of two kinds
def sigmoid_model(request):
    """(softmax model, the same as `Multilabel` has it, inputs): random weights, logits as spread as trained ones."""
    keras.utils.set_random_seed(0)
    published = MODELS[request.param]
    softmax = published.build(published.input_shape, 5, **published.reduced)
    inputs = np.random.default_rng(0).uniform(-1, 1, (4, *published.input_shape)).astype(np.float32)
    inputs += np.float32([0, 0.5, 1, 2])[:, None, None, None]  # or they would all sound alike
    head, logits = assembly.head(softmax), keras.Model(softmax.input, softmax.layers[-1].input)
    kernel, bias = head.get_weights()
    head.set_weights([2 * kernel / logits.predict(inputs, verbose=0).std(), bias])
    return softmax, Multilabel(LABELS).with_head(softmax), inputs


def test_until_thresholds_are_chosen_half_decides():
    decided = Multilabel(("a", "b")).decide(np.float32([[0.4, 0.5], [0.6, 0.1]]))
    np.testing.assert_array_equal(decided, [[False, True], [True, False]])


def test_the_head_makes_sigmoids_of_the_same_logits(sigmoid_model):
    softmax, model, inputs = sigmoid_model
    shares, scores = (np.float64(net.predict(inputs, verbose=0)) for net in (softmax, model))
    centred = logit(scores) - logit(scores).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(Multiclass(LABELS).logits(shares), centred, atol=1e-4)  # float32 scores near 1
    assert [layer.name for layer in model.layers] == [layer.name for layer in softmax.layers]
    assert assembly.head(model) is assembly.head(softmax)


def test_the_head_goes_through_the_files(sigmoid_model, tmp_path):
    _, model, sounds = sigmoid_model
    scores = model.predict(sounds, verbose=0)
    keras_files.save_h5(model, tmp_path / "model.h5")
    reloaded = keras.models.load_model(tmp_path / "model.h5", compile=False)
    np.testing.assert_array_equal(reloaded.predict(sounds, verbose=0), scores)
    np.testing.assert_allclose(LiteRT(tflite.to_float(model)).run(sounds), scores, atol=1e-5)
    body = LiteRT(tflite.to_int8(model, sounds))
    assert (body.output.scale, body.output.zero_point) == (1 / 256, -128)  # as the thresholds count on
    noise = Multilabel(LABELS).logits(body.run(sounds)) - logit(np.float64(scores))
    assert 10 * np.log10(np.var(logit(scores)) / np.mean(noise**2)) > 10  # of random weights; int8 all the way


def test_the_head_can_be_pruned_and_trained_for_int8(sigmoid_model):
    _, model, inputs = sigmoid_model
    free = np.unique(np.concatenate([groups[groups >= 0] for groups in surgery.channels_of(model).groups.values()]))
    smaller = surgery.remove(model, {free[0]})
    assert smaller.count_params() < model.count_params() and smaller.output_shape == (None, 5)
    quantised, _ = qat.quantize(model)
    assert np.isfinite(quantised(inputs, training=True)).all()


def test_what_begins_with_a_net_of_the_other_kind_gets_a_head_of_its_own(sigmoid_model, tmp_path):
    softmax, model, _ = sigmoid_model
    inputs = keras.Input(softmax.input_shape[1:])
    keras_files.save_h5(keras.Model(inputs, softmax(inputs)), tmp_path / "model.h5")
    (tmp_path / "metrics.json").write_text(
        '{"model": "m", "dataset": "d", "labels": ["dog", "rain", "siren", "gong", "bell"], "test_fold": 1}'
    )
    head = assembly.head(model)
    assert head in transfer.fill(softmax, tmp_path, [*LABELS])
    filled = transfer.fill(model, tmp_path, [*LABELS])
    assert head not in filled and filled
