"""The layer-wise hybrid: sensitivity as an independent loop measures it, and which ranking chose in which layer."""

from zoo.backend import keras

import numpy as np
import pytest

from zoo.compress import layerwise
from zoo.compress.layerwise import Row, SparsifyLayerwise, hybrid_zeros, insensitive_layers, sensitivity_curve
from zoo.compress.magnitude import prunable_kernels
from zoo.errors import ZooError
from zoo.training import Plan

layers = keras.layers

PLAN = Plan(epochs=2, batch_size=6, learning_rate=0.05, warmup_epochs=0, momentum=0.9, weight_decay=0.01)
FEATURES = 12
DEAF = [1, 5, 9]  # features that are always zero
LABELS = np.arange(12) % 3


def sounds():
    rng = np.random.default_rng(0)
    x = rng.normal(0, 0.3, (12, FEATURES))
    x[np.arange(12), LABELS * 2] += 2
    x[:, DEAF] = 0
    return x.astype(np.float32)


def net():
    """Two branches, of which one is next to silent: it may be pruned as hard as one likes.

    In both, the weights that listen to the features that are always zero are the largest, and worth nothing.
    """
    rng = np.random.default_rng(1)
    inputs = keras.Input((FEATURES, 1), name="input")
    x = layers.Flatten(name="flatten")(inputs)
    quiet, loud = layers.Dense(6, name="quiet")(x), layers.Dense(6, name="loud")(x)
    x = layers.Dropout(0.1, name="dropout")(layers.Add(name="add")([quiet, loud]))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax", name="head")(x), name="branches")
    for name, level in (("quiet", 1e-4), ("loud", 1.0)):
        kernel = rng.choice([-1, 1], (FEATURES, 6)) * rng.uniform(0.01, 0.1, (FEATURES, 6))
        kernel[[0, 2, 4], [0, 1, 2]] = 1  # what tells the classes apart
        kernel[DEAF] *= 200
        model.get_layer(name).set_weights([level * kernel, np.zeros(6)])
    model.get_layer("head").set_weights([np.tile(np.eye(3), (2, 1)) + rng.normal(0, 0.1, (6, 3)), np.zeros(3)])
    return model


@pytest.fixture(scope="module")
def examples():
    return lambda num_samples: (sounds(), LABELS)


def kernels_of(model):
    return {name: kernel.numpy() for name, kernel in prunable_kernels(model).items()}


def number_of_zeros(model):
    return sum((kernel == 0).sum() for kernel in kernels_of(model).values())


def lowest(scores, count):
    """bool array: True at the `count` lowest scores."""
    return np.argsort(np.argsort(scores.ravel(), kind="stable")).reshape(scores.shape) < count


def slow_curve(model):
    """As `sensitivity_curve`, in NumPy: the mean over all clips of -log of the right class's score."""

    def loss(kernels):
        x = sounds()
        scores = (x @ kernels["quiet"] + x @ kernels["loud"]) @ kernels["head"]
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        return -np.log(scores[np.arange(12), LABELS] / scores.sum(axis=1)).mean()

    kernels = kernels_of(model)
    for name, kernel in kernels.items():
        for share in layerwise.SHARES:
            pruned = np.where(lowest(np.abs(kernel), round(share * kernel.size)), 0, kernel)
            yield Row(name, share, loss({**kernels, name: pruned}))


def test_the_curve_is_that_of_a_slow_loop_and_leaves_the_net_alone(trainer, tmp_path):
    model = net()
    before = model.get_weights()
    curve, expected = sensitivity_curve(model, PLAN, trainer(tmp_path)), list(slow_curve(model))
    assert [row[:2] for row in curve] == [row[:2] for row in expected]
    # Sums of 12 features and 6 branches in float32, and Keras's clip of scores at 1e-7, which no score here reaches.
    np.testing.assert_allclose([row.loss for row in curve], [row.loss for row in expected], rtol=1e-4)
    for kept, found in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, kept)
    assert insensitive_layers(curve) == ["quiet"]

    def restored(backbone, plan, stage, callbacks=(), objective=None):
        """The epoch is done: nothing is fitted."""
        monkey = pytest.MonkeyPatch()
        monkey.setattr(keras.Model, "fit", None)
        trainer(tmp_path)(backbone, plan, stage, callbacks, objective)
        monkey.undo()

    assert sensitivity_curve(model, PLAN, restored) == curve


def test_a_layer_is_insensitive_below_the_median_rise():
    rises = {"a": 0.5, "b": 0.1, "c": 0.3, "d": 0.2}
    curve = [Row(name, share, 1 + rise * share) for name, rise in rises.items() for share in (0, 0.5, 1)]
    assert insensitive_layers(curve) == ["b", "d"]
    assert insensitive_layers([Row("alone", 0, 1.0), Row("alone", 0.9, 2.0)]) == []


def test_magnitude_chooses_in_the_insensitive_layer_and_taylor_in_the_others(trainer, tmp_path):
    model = net()
    before = kernels_of(model)
    after = kernels_of(SparsifyLayerwise(0.6, PLAN, rounds=1)(model, trainer(tmp_path)))
    gone = {name: kernel == 0 for name, kernel in after.items()}
    assert sum(mask.sum() for mask in gone.values()) == round(0.6 * 162)
    # By magnitude: what listens to nothing stays, since it is largest.
    np.testing.assert_array_equal(gone["quiet"], lowest(np.abs(before["quiet"]), gone["quiet"].sum()))
    assert not gone["quiet"][DEAF].any()
    # By Taylor saliency: it goes first.
    assert gone["loud"][DEAF].all()
    # 0.4 x 162 weights stay, 72 / 2 + 90 to one.
    assert gone["loud"].sum() + gone["head"].sum() == round((1 - 0.4 * 162 / 126) * 90)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9, 0.97, 0.999])
@pytest.mark.parametrize("insensitive", [[], ["a"], ["a", "b"], ["a", "b", "c"]])
def test_exactly_the_share_goes_and_insensitive_layers_are_pruned_harder(share, insensitive):
    rng = np.random.default_rng(3)
    scores = {name: rng.uniform(size=shape) for name, shape in (("a", (5, 7)), ("b", (40,)), ("c", (6, 6, 2)))}
    zeros = hybrid_zeros(scores, {name: 1 - values for name, values in scores.items()}, insensitive, share)
    assert {name: mask.shape for name, mask in zeros.items()} == {name: kernel.shape for name, kernel in scores.items()}
    assert sum(mask.sum() for mask in zeros.values()) == min(round(share * 147), 147 - 3)
    assert not any(mask.all() for mask in zeros.values())
    hard = [mask.ravel() for name, mask in zeros.items() if name in insensitive]
    soft = [mask.ravel() for name, mask in zeros.items() if name not in insensitive]
    if hard and soft and share < 0.97:  # above, a layer's last weight weighs more
        assert np.concatenate(hard).mean() > np.concatenate(soft).mean()


def test_rounds_end_at_exactly_the_share_killed_or_not(trainer, tmp_path):
    model, step = net(), SparsifyLayerwise(0.8, PLAN, rounds=2)
    straight = step(model, trainer(tmp_path / "straight"))
    assert number_of_zeros(straight) == round(0.8 * 162)
    with pytest.raises(KeyboardInterrupt):
        step(model, trainer(tmp_path / "resumed", kill={"round2_fine_tune": 1}))
    resumed = step(model, trainer(tmp_path / "resumed"))
    for wanted, found in zip(straight.get_weights(), resumed.get_weights(), strict=True):
        assert found.tobytes() == wanted.tobytes()
    assert [layer.name for layer in straight.layers] == [layer.name for layer in model.layers]


def test_each_round_leaves_the_same_fraction_of_what_was_left(tmp_path, monkeypatch):
    shares = []
    monkeypatch.setattr(layerwise, "sensitivity_curve", lambda *args: [])
    monkeypatch.setattr(layerwise, "insensitive_layers", lambda curve: [])
    monkeypatch.setattr(layerwise, "saliency_of", lambda *args: {})
    monkeypatch.setattr(layerwise, "hybrid_zeros", lambda *args: shares.append(args[-1]))
    monkeypatch.setattr(layerwise, "fine_tune_sparse", lambda backbone, *args: backbone)
    SparsifyLayerwise(0.875, PLAN, rounds=3)(net(), None)
    np.testing.assert_allclose(shares, [0.5, 0.75, 0.875], rtol=1e-12)  # cube roots in float64


def test_a_loss_that_is_no_number_is_told(trainer, tmp_path):
    model = net()
    kernel = prunable_kernels(model)["loud"]
    kernel.assign(kernel * np.nan)
    with pytest.raises(ZooError, match="not finite") as error:
        sensitivity_curve(model, PLAN, trainer(tmp_path))
    assert "\n" not in str(error.value)


def test_no_rounds_and_no_plan_are_refused():
    with pytest.raises(ZooError, match="0 rounds"):
        SparsifyLayerwise(0.5, PLAN, rounds=0)
    with pytest.raises(ZooError, match="pass a plan"):
        SparsifyLayerwise(0.5, None)


def test_quick_is_two_rounds_of_one_epoch():
    assert SparsifyLayerwise.lowers == ("gzip_bytes",)
    assert SparsifyLayerwise(0.9, PLAN, rounds=5).quick() == SparsifyLayerwise(0.9, PLAN.with_epochs(1), rounds=2)
