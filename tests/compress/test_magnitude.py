"""Sparsity by TF-MOT: which weights become zero, and that they stay so through momentum, decay and a kill."""

import gzip
from types import SimpleNamespace

from zoo.backend import keras, tf

import numpy as np
import pytest

from zoo.compress import magnitude
from zoo.compress.magnitude import Sparsify, least, prunable_kernels
from zoo.errors import ZooError
from zoo.export import tflite
from zoo.models import acdnet
from zoo.training import Plan

layers = keras.layers

# Every step moves every weight, and decay pulls strongly.
PLAN = Plan(epochs=2, batch_size=6, learning_rate=0.05, warmup_epochs=0, momentum=0.9, weight_decay=0.01)
SAMPLES = 40


def small_net():
    keras.utils.set_random_seed(4)
    x = inputs = keras.Input((SAMPLES, 1, 1), name="input")
    x = layers.Conv2D(6, (5, 1), strides=(2, 1), use_bias=False, name="conv")(x)
    x = layers.ReLU(name="conv_relu")(layers.BatchNormalization(name="conv_norm")(x))
    x = layers.SeparableConv2D(5, (3, 1), strides=(2, 2), name="separable")(x)
    x = layers.Dropout(0.2, name="dropout")(layers.Flatten(name="flatten")(x))
    return keras.Model(inputs, layers.Dense(3, activation="softmax", name="dense")(x), name="small")


def net_of_every_kind():
    """Each kind of kernel that is pruned, and others that are not."""
    keras.utils.set_random_seed(5)
    x = inputs = keras.Input((SAMPLES, 1, 1), name="input")
    x = layers.Conv2D(4, (5, 1), strides=(2, 1), activation="relu", name="conv2d")(x)
    x = layers.DepthwiseConv2D((3, 1), name="depthwise")(x)
    x = layers.SeparableConv2D(5, (3, 1), name="separable2d")(x)
    x = layers.Conv2DTranspose(4, (2, 1), name="transpose")(x)
    x = layers.Reshape((-1, 4), name="rows")(x)
    x = layers.SeparableConv1D(6, 3, name="separable1d")(x)
    x = layers.SimpleRNN(4, return_sequences=True, name="recurrent")(layers.Conv1D(7, 3, name="conv1d")(x))
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax", name="dense")(x), name="every_kind")


def small_acdnet():
    keras.utils.set_random_seed(6)
    return acdnet.build((1_600, 1, 1), 3, 8_000, (3, 4, 3, 4, 4, 5, 5, 4, 4, 5, 5, 4))


def kernels_of(model):
    return {name: kernel.numpy() for name, kernel in prunable_kernels(model).items()}


def flat(kernels):
    return np.concatenate([kernel.ravel() for kernel in kernels.values()])


@pytest.fixture(autouse=True)
def without_graphs():
    """Four steps take less time than the graph of one; test_layerwise.py trains with graphs."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def examples():
    def noise(num_samples):
        """Of three levels."""
        targets = np.arange(12) % 3
        x = np.random.default_rng(0).normal(size=(12, num_samples)) * (1 + targets[:, None])
        return x.astype(np.float32), targets

    return noise


def untrained(backbone, plan, stage, callbacks=(), objective=None):
    """A finetune that trains nothing."""


@pytest.fixture(scope="module")
def pair(trainer, tmp_path_factory):
    """A net with what it was before the step was called, and what came back."""
    dense = small_net()
    before, nodes = dense.get_weights(), [len(layer._inbound_nodes) for layer in dense.layers]
    sparse = Sparsify(0.8, PLAN, by="taylor")(dense, trainer(tmp_path_factory.mktemp("pair")))
    return SimpleNamespace(dense=dense, before=before, nodes=nodes, sparse=sparse)


# Which weights


def assert_zeros_are_the_global_rankings(dense, sparse, share):
    before, after = flat(kernels_of(dense)), flat(kernels_of(sparse))
    lowest = np.argsort(np.abs(before))[: round(share * before.size)]
    np.testing.assert_array_equal(np.flatnonzero(after == 0), np.sort(lowest))
    assert (after != before)[after != 0].mean() > 0.9  # what is left was trained


def test_zeros_are_those_of_the_global_ranking_in_acdnet(trainer, tmp_path):
    net = small_acdnet()
    assert_zeros_are_the_global_rankings(net, Sparsify(0.8, PLAN)(net, trainer(tmp_path)), 0.8)


def test_zeros_are_those_of_the_global_ranking_in_every_kind_of_layer(trainer, tmp_path):
    net = net_of_every_kind()
    sparse = Sparsify(0.3, PLAN)(net, trainer(tmp_path))
    assert list(kernels_of(net)) == ["conv2d", "separable2d", "transpose", "separable1d", "conv1d", "dense"]
    assert_zeros_are_the_global_rankings(net, sparse, 0.3)
    for kept in ("depthwise", "recurrent"):
        assert all(weight.numpy().any() for weight in sparse.get_layer(kept).trainable_weights)


def test_the_masks_are_tfmots_own_at_targets_made_of_the_global_threshold(trainer, tmp_path):
    """The weights are handed back as they were: TF-MOT ranks them within each layer, and arrives at the same zeros."""
    net = small_net()
    kernels = kernels_of(net)
    count = round(0.6 * flat(kernels).size)
    threshold = np.sort(np.abs(flat(kernels)))[count]
    wrapped, wrappers = magnitude.wrap(net, least(magnitude.magnitudes(net), count))
    for name, wrapper in wrappers.items():
        wrapper.pruning_vars[0][0].assign(kernels[name])
    trainer(tmp_path)(wrapped, PLAN, "fine_tune", [magnitude.tfmot.UpdatePruningStep()])
    masks = {name: wrapper.pruning_vars[0][1].numpy() for name, wrapper in wrappers.items()}
    assert len({mask.mean() for mask in masks.values()}) == 3  # each layer has a target of its own
    for name, mask in masks.items():
        np.testing.assert_array_equal(mask, np.abs(kernels[name]) >= threshold)


def test_of_equal_weights_exactly_so_many_go_as_the_share_says(trainer, tmp_path):
    net = small_net()
    rng = np.random.default_rng(1)
    for kernel in prunable_kernels(net).values():
        kernel.assign(rng.choice([-0.3, -0.1, 0.1, 0.2], kernel.shape))
    before = flat(kernels_of(net))
    after = flat(kernels_of(Sparsify(0.35, PLAN)(net, trainer(tmp_path))))
    assert (after == 0).sum() == round(0.35 * before.size)
    assert set(np.abs(before[after == 0])) == {np.float32(0.1)}
    assert (np.abs(before[after != 0]) == np.float32(0.1)).any()  # the threshold lies among equals


def test_a_net_with_more_zeros_than_asked_for_gets_its_share_all_the_same(trainer, tmp_path):
    net = small_net()
    for kernel in prunable_kernels(net).values():
        kernel.assign(np.where(np.abs(kernel) < np.quantile(np.abs(kernel), 0.6), 0, kernel))
    after = flat(kernels_of(Sparsify(0.3, PLAN)(net, trainer(tmp_path))))
    assert (after == 0).sum() == round(0.3 * after.size)


def test_a_layer_that_the_ranking_would_empty_keeps_its_largest_weight(trainer, tmp_path):
    net = small_net()
    kernel = prunable_kernels(net)["separable"]
    kernel.assign(kernel * 1e-4)
    before = kernels_of(net)
    after = kernels_of(Sparsify(0.6, PLAN)(net, trainer(tmp_path)))
    assert np.flatnonzero(after["separable"]) == np.argmax(np.abs(before["separable"]))
    assert (flat(after) == 0).sum() == round(0.6 * flat(before).size)


def test_the_largest_share_leaves_a_weight_in_each_layer():
    saliency = {"a": np.array([[1.0, 2.0], [3.0, 2.5]]), "b": np.array([9.0, 8.0, 7.0])}
    zeros = least(saliency, 7)
    np.testing.assert_array_equal(zeros["a"], [[True, True], [False, True]])
    np.testing.assert_array_equal(zeros["b"], [False, True, True])


def test_uniform_takes_the_same_share_of_each_layer(trainer, tmp_path):
    net = small_net()
    before = kernels_of(net)
    after = kernels_of(Sparsify(0.7, PLAN, uniform=True)(net, trainer(tmp_path)))
    for name, kernel in after.items():
        lowest = np.argsort(np.abs(before[name].ravel()))[: round(0.7 * kernel.size)]
        np.testing.assert_array_equal(np.flatnonzero(kernel.ravel() == 0), np.sort(lowest), name)


def test_kernels_are_those_that_tfmot_prunes():
    net = net_of_every_kind()
    kernels = prunable_kernels(net)
    for layer in net.layers:
        if (
            layer.weights and layer.name != "recurrent"
        ):  # TF-MOT prunes a bare recurrent layer, and none that is bidirectional
            wrapper = magnitude.tfmot.prune_low_magnitude(type(layer).from_config(layer.get_config()))
            wrapper.build(layer.input_shape)
            pruned = [weight.shape for weight in wrapper.prunable_weights]
            assert pruned == ([kernels[layer.name].shape] if layer.name in kernels else []), layer.name


@pytest.mark.parametrize("by", ["taylor", "fisher"])
def test_taylor_takes_the_weights_of_least_saliency_not_of_least_magnitude(trainer, tmp_path, by):
    # Two inputs are always zero: their weights, the largest of all, move no score.
    inputs = keras.Input((6, 1, 1), name="input")
    x = layers.Rescaling(np.array([1, 0, 1, 1, 0, 1.0]), name="deaf")(layers.Flatten(name="flatten")(inputs))
    net = keras.Model(inputs, layers.Dense(3, activation="softmax", name="dense")(x), name="deaf")
    rng = np.random.default_rng(2)
    kernel = rng.choice([-1, 1], (6, 3)) * rng.uniform(0.1, 0.3, (6, 3))
    kernel[[1, 4]] *= 50
    net.get_layer("dense").set_weights([kernel, np.zeros(3)])
    ranked = Sparsify(6 / 18, PLAN, by=by)(net, trainer(tmp_path / by)).get_layer("dense").kernel.numpy()
    np.testing.assert_array_equal(np.flatnonzero(ranked == 0), [3, 4, 5, 12, 13, 14])
    largest = Sparsify(6 / 18, PLAN)(net, trainer(tmp_path / "magnitude")).get_layer("dense").kernel.numpy()
    assert largest[[1, 4]].all()


# That they stay


@pytest.mark.parametrize("by, epoch", [("magnitude", 2), ("taylor", 1)])
def test_a_step_that_was_killed_ends_as_one_that_was_not(trainer, tmp_path, by, epoch):
    net, step = small_net(), Sparsify(0.5, PLAN.with_epochs(3), by=by)
    straight = step(net, trainer(tmp_path / "straight"))
    with pytest.raises(KeyboardInterrupt):
        step(net, trainer(tmp_path / "resumed", kill={"fine_tune": epoch}))
    resumed = step(net, trainer(tmp_path / "resumed"))
    again = step(net, trainer(tmp_path / "resumed"))  # all epochs are done: nothing is trained, masks included
    assert (flat(kernels_of(straight)) == 0).sum() == round(0.5 * flat(kernels_of(net)).size)
    for wanted, *found in zip(straight.get_weights(), resumed.get_weights(), again.get_weights(), strict=True):
        assert [weight.tobytes() for weight in found] == [wanted.tobytes()] * 2


def test_zeros_that_come_back_are_told(trainer, tmp_path):
    def forgetful(backbone, plan, stage, callbacks=(), objective=None):
        trainer(tmp_path)(backbone, plan, stage, callbacks, objective)
        kernel = backbone.get_layer("prune_low_magnitude_dense").layer.kernel
        kernel.assign(tf.where(kernel == 0, 1e-6, kernel))

    with pytest.raises(RuntimeError, match="small: dense lost zeros in fine_tune"):
        Sparsify(0.5, PLAN)(small_net(), forgetful)


def test_a_mask_that_was_never_made_is_told():
    with pytest.raises(RuntimeError, match="small: conv lost zeros in fine_tune"):
        Sparsify(0.5, PLAN)(small_net(), untrained)


def test_weights_that_break_in_training_are_told():
    def breaking(backbone, plan, stage, callbacks=(), objective=None):
        kernel = backbone.get_layer("prune_low_magnitude_conv").layer.kernel
        kernel.assign(kernel * np.nan)

    with pytest.raises(ZooError, match="small: conv is not finite after fine_tune") as error:
        Sparsify(0.5, PLAN)(small_net(), breaking)
    assert "\n" not in str(error.value)


# What comes back


def test_the_net_handed_in_is_left_as_it_was(pair):
    for kept, found in zip(pair.before, pair.dense.get_weights(), strict=True):
        np.testing.assert_array_equal(found, kept)
    assert [len(layer._inbound_nodes) for layer in pair.dense.layers] == pair.nodes


def test_a_plain_net_of_its_own_comes_back(pair):
    dense, sparse = pair.dense.layers, pair.sparse.layers
    assert [(layer.name, type(layer)) for layer in sparse] == [(layer.name, type(layer)) for layer in dense]
    assert not {id(layer) for layer in sparse} & {id(layer) for layer in dense}
    assert [len(layer._inbound_nodes) for layer in sparse] == pair.nodes  # it stands in one graph
    weights = flat(kernels_of(pair.sparse))
    assert (weights == 0).any() and not np.signbit(weights[weights == 0]).any()


def test_the_packed_file_falls_and_the_raw_one_does_not(pair):
    dense, sparse = tflite.to_float(pair.dense), tflite.to_float(pair.sparse)
    assert Sparsify.lowers == ("gzip_bytes",)
    assert len(gzip.compress(sparse)) < len(gzip.compress(dense))
    assert len(sparse) >= len(dense)


# Bad input


def test_an_unknown_ranking_is_refused():
    with pytest.raises(ZooError, match="cannot rank by 'size'; choose of magnitude, taylor, fisher"):
        Sparsify(0.5, PLAN, by="size")


def test_taylor_without_a_plan_is_refused():
    Sparsify(0.5, None)
    with pytest.raises(ZooError, match="pass a plan"):
        Sparsify(0.5, None, by="taylor")


def test_a_model_without_kernels_is_refused():
    inputs = keras.Input((8, 2, 1))
    model = keras.Model(inputs, layers.DepthwiseConv2D(2)(inputs), name="deep")
    with pytest.raises(ZooError, match="deep: no kernel to make sparse; TF-MOT prunes those of Conv1D"):
        Sparsify(0.5, PLAN)(model, untrained)


def test_weights_that_are_no_numbers_are_refused():
    net = small_net()
    kernel = prunable_kernels(net)["separable"]
    kernel.assign(kernel * np.nan)
    with pytest.raises(ZooError, match="small: separable cannot be ranked by magnitude") as error:
        Sparsify(0.5, PLAN)(net, untrained)
    assert "\n" not in str(error.value)


def test_a_kernel_that_tfmot_does_not_count_right_is_refused(monkeypatch):
    monkeypatch.setattr(magnitude, "counted_by_tfmot", lambda zeros: 7)
    with pytest.raises(ZooError, match="stay; TF-MOT, in float32, counts 7"):
        Sparsify(0.5, PLAN)(small_net(), untrained)


# The fourth is ACDNet's largest kernel at 95 %, the fifth AclNet's.
@pytest.mark.parametrize(
    "size, zeros", [(2**22, 1), (2**22, 2_000_001), (2**26, 1), (2_359_296, 2_241_331), (5_308_416, 5_042_995)]
)
def test_what_tfmot_counts_is_reckoned_as_it_does(size, zeros):
    mask = np.arange(size) < zeros
    sparsity = tf.constant(zeros / size, tf.float32)
    counted = int(tf.round(tf.cast(size, tf.float32) * (1 - sparsity)))  # as pruning_impl.py has it
    assert magnitude.counted_by_tfmot(mask) == counted
    assert (counted == size - zeros) == (size < 2**24)  # beyond float32 has no odd numbers


def test_quick_is_the_same_step_with_two_epochs():
    long = PLAN.with_epochs(100)
    assert Sparsify(0.9, long, "taylor", True).quick() == Sparsify(0.9, long.with_epochs(2), "taylor", True)
    assert Sparsify(0.9, None).quick() == Sparsify(0.9, None)
