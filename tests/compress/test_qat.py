from zoo.backend import keras, tf

import numpy as np
import pytest

from zoo import training
from zoo.compress import qat
from zoo.errors import ZooError
from zoo.export import seam, tflite
from zoo.runtime.interpreter import LiteRT

layers = keras.layers
PLAN = training.Plan(epochs=2, batch_size=16, learning_rate=0.01, warmup_epochs=0, weight_decay=0.0)


def make_examples(n, seed=0):
    """Noise over three patterns, and their labels."""
    rng = np.random.default_rng(seed)
    patterns = np.random.default_rng(9).normal(0, 1, (3, 8, 8, 2))
    targets = np.arange(n) % 3
    examples = patterns[targets] + rng.normal(0, 1, (n, 8, 8, 2))
    return examples.astype(np.float32), keras.utils.to_categorical(targets).astype(np.float32)


def build_net():
    keras.utils.set_random_seed(0)
    inputs = x = keras.Input((8, 8, 2), name="input")
    x = layers.ReLU(name="sound_relu")(layers.Conv2D(4, 3, name="sound")(x))
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Permute((3, 2, 1), name="swap_axes")(x)
    x = layers.Conv2D(5, 3, padding="same", use_bias=False, name="conv")(x)
    x = layers.ReLU(name="conv_relu")(layers.BatchNormalization(momentum=0.9, name="conv_norm")(x))
    x = layers.ReLU(name="bare_relu")(layers.Conv2D(4, 1, name="bare")(x))  # TF-MOT's own scheme leaves it float
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Dense(3, name="dense")(layers.Flatten(name="flatten")(x))
    return keras.Model(inputs, layers.Softmax(name="scores")(x), name="net")


def finetune_in(folder, examples=None):
    """A finetune(backbone, plan, stage) as recipes give it: joined to a front end, resumable."""
    examples, labels = examples or make_examples(48)

    def finetune(backbone, plan, stage, callbacks=(), objective=None):
        waveform = keras.Input(backbone.input_shape[1:], name="waveform")
        steps = len(labels) // plan.batch_size
        dataset = tf.data.Dataset.from_tensor_slices((examples, labels)).batch(plan.batch_size)
        join = keras.Model(waveform, backbone(waveform))
        return training.fit(join, plan, lambda first, last: dataset.repeat(last - first), steps, folder / stage, 0)

    return finetune


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(the net, its weights before, what the step gave, its folder)."""
    net, folder = build_net(), tmp_path_factory.mktemp("qat")
    before = net.get_weights()
    return net, before, qat.QuantizeAware(PLAN, "pool")(net, finetune_in(folder)), folder


def test_step_gives_a_plain_model_with_trained_weights_and_leaves_the_one_handed_in(trained):
    net, before, result, _ = trained
    assert [(type(a), a.name) for a in result.layers] == [(type(a), a.name) for a in net.layers]
    assert [a.name for a in result.weights] == [a.name for a in net.weights]
    for old, now, new in zip(before, net.get_weights(), result.get_weights(), strict=True):
        np.testing.assert_array_equal(now, old)
        assert not np.array_equal(new, old)  # front, kernels, biases and statistics alike


def test_a_run_that_was_done_gives_the_same_weights_again(trained):
    net, _, result, folder = trained
    again = qat.QuantizeAware(PLAN, "pool")(
        net, finetune_in(folder, (np.full((48, 8, 8, 2), np.nan), np.ones((48, 3))))
    )
    for a, b in zip(result.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["pool", ""])
def test_what_follows_the_seam_is_rounded_its_first_input_included_and_the_front_is_not(name):
    net = build_net()
    model, _ = qat.quantize(net, name)
    examples, labels = make_examples(32)
    model.compile("sgd", "kl_divergence")
    model.fit(examples, labels, verbose=0)  # finds the ranges
    wrapped = {layer.name: layer for layer in model._flatten_layers() if type(layer).__name__ == "QuantizeWrapperV2"}
    sounds = {"quant_sound", "quant_sound_relu"} if name == "" else set()
    body = {"quant_conv", "quant_conv_relu", "quant_bare", "quant_bare_relu", "quant_depthwise", "quant_dense"}
    first = "quant_pool" if name else "quant_columns"
    assert wrapped.keys() == sounds | body | {first}
    values = [x for x in [examples] if not name]
    if name:
        values = [keras.Model(model.input, model.get_layer("sound_relu").output).predict(examples, verbose=0)]
        values = [layers.MaxPooling2D(2)(values[0]).numpy()]
    columns = np.asarray(wrapped[first](values[0], training=False))
    assert len(np.unique(values[0])) > 1_000 and len(np.unique(columns)) <= 256
    low, high = (float(weight) for weight in wrapped[first].weights if "output" in weight.name)
    step = (high - low) / 255  # the ends are moved, by half a step at most, until 0 is one
    assert columns.min() >= low - step and columns.max() <= high + step
    assert high < values[0].max()  # the rare peaks saturate, as in the exported file


@pytest.mark.parametrize("shape, depthwise", [((3, 3, 4, 5), False), ((3, 3, 4, 2), True), ((6, 5), False)])
def test_kernels_are_rounded_channel_by_channel_and_zeros_stay(shape, depthwise):
    kernel = np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)
    kernel[..., 0, 0] = 0
    rounded = qat.KernelRounding(depthwise)(tf.constant(kernel), True, {}).numpy()
    channels = [(..., i, j) for i in range(shape[-2]) for j in range(shape[-1])] if depthwise else None
    for channel in channels or [(..., j) for j in range(shape[-1])]:
        step = np.abs(kernel[channel]).max() / 127
        expected = np.round(kernel[channel] / step) * step if step else 0
        # Float32; and a value that lies half way may go either way.
        np.testing.assert_allclose(rounded[channel], expected, atol=1e-6 + (step if step else 0) * 1e-3)


def test_rounding_a_kernel_before_its_norm_is_rounding_the_folded_one():
    rng = np.random.default_rng(0)
    kernel, scales = rng.normal(0, 1, (3, 3, 4, 8)).astype(np.float32), rng.normal(0, 2, 8).astype(np.float32)
    rounding = qat.KernelRounding()
    before = rounding(tf.constant(kernel), True, {}).numpy() * scales
    folded = rounding(tf.constant(kernel * scales), True, {}).numpy()
    np.testing.assert_allclose(before, folded, rtol=1e-5, atol=1e-6)  # float32's own rounding, twice


def test_range_of_a_tensor_is_the_first_batchs_and_then_follows():
    rounding = qat.TensorRounding()
    low, high = tf.Variable(0.0), tf.Variable(0.0)
    for peak, expected in ((100.0, 100.0), (50.0, 95.0)):  # a tenth of the way
        rounding(tf.constant([-1.0, peak]), True, {"low": low, "high": high})
        assert high.numpy() == pytest.approx(expected) and low.numpy() == pytest.approx(-1)
    before = low.numpy(), high.numpy()
    rounding(tf.constant([-7.0, 7000.0]), False, {"low": low, "high": high})
    assert (low.numpy(), high.numpy()) == before


def test_int8_accuracy_of_badly_scaled_activations_is_won_back(tmp_path):
    """One channel a thousand times too large, and the next layer's weights for it as much too small."""
    keras.utils.set_random_seed(0)
    inputs = x = keras.Input((8, 8, 2), name="input")
    x = layers.ReLU(name="wide_relu")(layers.Conv2D(6, 3, name="wide")(x))
    x = layers.Dense(3, name="dense")(layers.Flatten(name="flatten")(x))
    net = keras.Model(inputs, layers.Softmax(name="scores")(x), name="net")
    examples, labels = make_examples(96)
    net.compile(keras.optimizers.Adam(0.01), "kl_divergence")
    net.fit(examples, labels, epochs=10, verbose=0)
    kernel, bias = net.get_layer("wide").get_weights()
    net.get_layer("wide").set_weights([kernel * [1000, 1, 1, 1, 1, 1], bias * [1000, 1, 1, 1, 1, 1]])
    taken, offset = net.get_layer("dense").get_weights()
    net.get_layer("dense").set_weights([taken / np.tile([1000, 1, 1, 1, 1, 1], 36)[:, None], offset])

    def int8_accuracy(model):
        scores = LiteRT(seam.int8_body(model, examples)).run(examples)
        return np.mean(scores.argmax(axis=1) == labels.argmax(axis=1))

    plan = training.Plan(epochs=30, batch_size=16, learning_rate=1e-3, warmup_epochs=0, weight_decay=0.0)
    result = qat.QuantizeAware(plan)(net, finetune_in(tmp_path, (examples, labels)))
    assert int8_accuracy(net) < 0.8
    assert int8_accuracy(result) > int8_accuracy(net) + 0.1


def test_a_recurrent_layer_is_refused_by_name():
    inputs = keras.Input((8, 4), name="input")
    x = layers.Bidirectional(layers.LSTM(3), name="memory")(inputs)
    net = keras.Model(inputs, layers.Dense(2, name="dense")(x), name="net")
    with pytest.raises(ZooError, match="^memory: Bidirectional cannot be trained for int8"):
        qat.QuantizeAware(PLAN)(net, None)


def test_quick_is_one_epoch_and_no_lower_cost_is_claimed():
    step = qat.QuantizeAware(PLAN, "pool")
    assert step.quick() == qat.QuantizeAware(PLAN.with_epochs(1), "pool") and step.lowers == ()


def test_stored_tensors_are_those_of_the_file():
    assert tflite.stored_tensors(build_net()) == ["input", "sound_relu", "conv_relu", "bare_relu", "depthwise", "dense"]
