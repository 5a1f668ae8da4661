"""XNOR-Net's layers against slow sums of NumPy, and a folded net against the one that it was."""

from zoo.backend import keras, tf

import numpy as np
import pytest

from zoo.compress import binary, copy_of
from zoo.errors import ZooError
from zoo.models import xnor_acdnet

layers = keras.layers


def slow_sign(x):
    return np.where(x >= 0, 1.0, -1.0)


def slow_convolution(x, kernel, stride, pad):
    """Sum by sum. Shape: x (rows, columns, channels), kernel (rows, columns, channels, filters)"""
    x = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
    rows, columns = ((size - taps) // stride + 1 for size, taps in zip(x.shape[:2], kernel.shape))
    made = np.zeros((rows, columns, kernel.shape[-1]))
    for y, column, filter in np.ndindex(*made.shape):
        heard = x[stride * y :, stride * column :][: kernel.shape[0], : kernel.shape[1]]
        made[y, column, filter] = (heard * kernel[..., filter]).sum()
    return made


def slow_alpha(kernel):
    return np.array([np.mean([abs(weight) for weight in filter.ravel()]) for filter in np.moveaxis(kernel, -1, 0)])


def randomised(layer, shape, seed=0):
    """The layer, built, with weights of which some lie beyond -1 and 1 and one is 0."""
    layer.build((None, *shape))
    kernel = np.random.default_rng(seed).normal(0, 0.8, layer.kernel.shape).astype(np.float32)
    kernel.flat[3] = 0
    layer.kernel.assign(kernel)
    return layer, kernel.astype(np.float64)


@pytest.mark.parametrize("scale_inputs", [False, True])
@pytest.mark.parametrize("padding, pad", [("valid", 0), ("same", 1)])
def test_a_convolution_is_that_of_signs_times_its_filters_scales(scale_inputs, padding, pad):
    x = np.random.default_rng(1).normal(0, 1, (7, 5, 3)).astype(np.float32)
    layer, kernel = randomised(
        binary.BinaryConv2D(4, 3, padding=padding, strides=1 if padding == "same" else 2, scale_inputs=scale_inputs),
        x.shape,
    )
    stride = layer.strides[0]
    expected = slow_convolution(slow_sign(x), slow_sign(kernel), stride, pad) * slow_alpha(kernel)
    if scale_inputs:  # K: the means over channels of magnitudes, then over the window; zeros are heard at the border
        magnitude = np.abs(x).mean(axis=-1, keepdims=True)
        expected = expected * slow_convolution(magnitude, np.full((3, 3, 1, 1), 1 / 9), stride, pad)
    np.testing.assert_allclose(layer(x[None])[0], expected, rtol=1e-5, atol=1e-5)  # sums of float32


def test_convolutions_in_time_and_dense_layers_do_the_same():
    rng = np.random.default_rng(2)
    x = rng.normal(0, 1, (6, 5)).astype(np.float32)
    layer, kernel = randomised(binary.BinaryConv1D(2, 3), x.shape)
    expected = slow_convolution(slow_sign(x)[:, None], slow_sign(kernel)[:, None], 1, 0)[:, 0]
    np.testing.assert_allclose(layer(x[None])[0], expected * slow_alpha(kernel), rtol=1e-5)
    layer, kernel = randomised(binary.BinaryDense(3, scale_inputs=True), (5,))
    expected = slow_sign(x) @ slow_sign(kernel) * slow_alpha(kernel) * np.abs(x).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5)


def test_a_gradient_passes_a_sign_where_its_input_lies_within_one():
    x = tf.constant([-2.0, -1.0, -0.3, 0.0, 0.7, 1.0, 1.1])
    with tf.GradientTape() as tape:
        tape.watch(x)
        signs = binary.sign(x)
        value = tf.reduce_sum(signs * tf.range(1.0, 8.0))
    np.testing.assert_array_equal(signs, [-1, -1, -1, 1, 1, 1, 1])
    np.testing.assert_array_equal(tape.gradient(value, x), [0, 2, 3, 4, 5, 6, 0])


def test_the_gradient_of_a_kernel_goes_through_its_scale_and_its_signs():
    kernel = np.random.default_rng(3).normal(0, 0.8, (2, 3, 2)).astype(np.float32)
    upstream = np.random.default_rng(4).normal(0, 1, kernel.shape)
    variable = tf.constant(kernel)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        value = tf.reduce_sum(binary.approximation(variable) * tf.constant(upstream, tf.float32))
    expected = np.zeros_like(kernel)
    for i, j, filter in np.ndindex(*kernel.shape):
        signs, of_filter = slow_sign(kernel[..., filter]), upstream[..., filter]
        through_scale = (of_filter * signs).sum() * signs[i, j] / signs.size
        through_sign = of_filter[i, j] * slow_alpha(kernel)[filter] * (abs(kernel[i, j, filter]) <= 1)
        expected[i, j, filter] = through_scale + through_sign
    np.testing.assert_allclose(tape.gradient(value, variable), expected, rtol=1e-4, atol=1e-6)


def test_no_other_scale_and_signs_come_closer_to_a_kernel():
    """Equation 6 of the paper: alpha and the signs are the least squares."""
    kernel = np.random.default_rng(5).normal(0, 1, (4, 1)).astype(np.float32)
    best = np.square(kernel - binary.approximation(kernel)).sum()
    for signs in np.ndindex(2, 2, 2, 2):
        for scale in np.linspace(0, 3, 61):
            assert np.square(kernel[:, 0] - scale * (2 * np.array(signs) - 1)).sum() >= best - 1e-6


def test_training_moves_weights_and_keeps_them_within_one():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 2))
    x = binary.convolution(inputs, "conv", 8, 3)
    net = keras.Model(inputs, layers.Dense(2, activation="softmax")(layers.Flatten()(x)))
    rng = np.random.default_rng(0)
    sounds, targets = rng.normal(0, 1, (64, 6, 6, 2)), rng.integers(2, size=64)
    sounds[targets == 1, :, :3] += 1
    before = net.get_layer("conv").get_weights()[0]
    net.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = net.fit(sounds, targets, epochs=10, verbose=0).history
    assert history["accuracy"][-1] > 0.9
    kernel = net.get_layer("conv").get_weights()[0]
    assert np.any(np.sign(kernel) != np.sign(before)) and np.abs(kernel).max() <= 1


@pytest.fixture(scope="module")
def net():
    """A small XNOR-ACDNet whose norms have heard something."""
    return trained_like(xnor_acdnet.build((4_000, 1, 1), 3, widths=(4, 6, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)))


def trained_like(net):
    rng = np.random.default_rng(1)
    for layer in net.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.beta.assign(rng.normal(0, 0.3, layer.beta.shape))
    for _ in range(60):
        net(rng.normal(0, 0.3, (16, *net.input_shape[1:])).astype(np.float32), training=True)
    return net


@pytest.fixture(scope="module")
def sounds():
    return np.random.default_rng(6).normal(0, 0.3, (24, 4_000, 1, 1)).astype(np.float32)


def with_kernel_on_int8(net):
    """The net with its first kernel rounded as a folded one's is."""
    twin = copy_of(net)
    kernel = twin.get_layer("temporal_conv3").kernel
    step = np.abs(kernel).max(axis=(0, 1, 2)) / 127
    kernel.assign(np.round(kernel / step) * step)
    return twin


def test_a_folded_net_scores_as_the_one_that_trained(net, sounds):
    folded = binary.folded(net)
    # All signs are the same, so only the last layers' float32 sums differ.
    np.testing.assert_allclose(folded.predict(sounds), with_kernel_on_int8(net).predict(sounds), atol=1e-5)


def test_a_folded_net_is_of_plain_keras_layers_that_give_signs_alone(net, sounds, tmp_path):
    folded = binary.folded(net)
    assert {type(layer).__module__.split(".")[0] for layer in folded.layers} == {"tf_keras"}
    signs = [layer.output for layer in folded.layers if getattr(layer, "activation", None) is keras.activations.tanh]
    assert len(signs) == 9  # conv3 to conv11
    for made in keras.Model(folded.input, signs).predict(sounds):
        assert set(np.unique(made)) == {-1, 1}
    folded.save(tmp_path / "model.h5")
    reopened = keras.models.load_model(tmp_path / "model.h5", compile=False)
    np.testing.assert_array_equal(reopened.predict(sounds), folded.predict(sounds))


def test_half_a_sum_lies_between_each_threshold_and_the_sums_around_it(net):
    folded = binary.folded(net)
    for layer in folded.layers[folded.layers.index(folded.get_layer("temporal_conv4")) :]:
        if getattr(layer, "activation", None) is keras.activations.tanh:
            assert set(np.unique(np.abs(layer.kernel))) == {binary.STEEP}
            np.testing.assert_array_equal(layer.bias / binary.STEEP % 1, 0.5)


def changed(x, **settings):
    x = layers.BatchNormalization(scale=settings.get("scale", False), name="norm")(x)
    return binary.BinaryConv2D(2, 3, scale_inputs=settings.get("scale_inputs", False), name="bits")(x)


@pytest.mark.parametrize(
    "build, told",
    [
        (lambda x: changed(layers.Conv2D(2, 3)(x), scale_inputs=True), "bits: scale_inputs needs real inputs"),
        (lambda x: changed(layers.Conv2D(2, 3)(x), scale=True), "bits: a binary layer stands behind a norm without"),
        (lambda x: changed(layers.ReLU()(layers.Conv2D(2, 3)(x))), "bits: a binary layer stands behind a norm without"),
        (lambda x: changed(layers.Add(name="sum")([layers.Conv2D(1, 1)(x), x])), "sum: XNOR files are made of a chain"),
    ],
)
def test_what_has_no_threshold_is_refused_by_layer(build, told):
    inputs = keras.Input((9, 9, 1))
    with pytest.raises(ZooError, match=told):
        binary.folded(keras.Model(inputs, build(inputs)))
