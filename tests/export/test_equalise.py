"""Equalised nets: the same scores, and int8 that hears channels of a small range."""

from zoo.backend import keras

import numpy as np
import pytest

from zoo.export import equalise, tflite
from zoo.models import bc_resnet, yamnet
from zoo.runtime.interpreter import LiteRT

layers = keras.layers


def uneven(model, spread, seed=0):
    """`model`, with norms that make channels as uneven as a factor of `spread`, and statistics that are not 0 and 1."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.moving_mean.assign(rng.normal(0, 0.1, layer.moving_mean.shape))
            layer.moving_variance.assign(
                rng.uniform(0.5, 2, layer.moving_variance.shape)
                * spread ** rng.uniform(-1, 1, layer.moving_variance.shape)
            )
    return model


def signal_to_noise_db(model, inputs):
    """Of the int8 file's logits."""
    logits = keras.Model(model.input, model.layers[-1].input)
    exact = logits.predict(inputs, verbose=0)
    noise = LiteRT(tflite.to_int8(logits, inputs)).run(inputs) - exact
    return 10 * np.log10(np.var(exact, axis=0).mean() / np.mean(noise**2))


@pytest.fixture(scope="module")
def inputs():
    return np.random.default_rng(1).normal(0, 1, (8, 20, 40, 1)).astype(np.float32)


def nets():
    keras.utils.set_random_seed(0)
    yield "bc_resnet", bc_resnet.build((20, 40, 1), 5, blocks=(1, 2, 1, 1))
    x = inputs = keras.Input((20, 40, 1))
    for number, (width, strides) in enumerate(((16, 1), (24, 2))):
        x = layers.Conv2D(width, 3, strides=strides, padding="same", use_bias=False, name=f"conv{number}")(x)
        x = layers.BatchNormalization(scale=number == 0, name=f"norm{number}")(x)
        x = layers.ReLU(name=f"relu{number}")(x)
        x = layers.DepthwiseConv2D(3, depth_multiplier=1 + number, activation="relu", name=f"depthwise{number}")(x)
        x = layers.MaxPooling2D(2, name=f"pool{number}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(12, activation="relu", name="hidden")(x)
    yield "plain", keras.Model(inputs, layers.Softmax(name="scores")(layers.Dense(5, name="dense")(x)))


@pytest.mark.parametrize("name", ["bc_resnet", "plain"])
def test_scores_and_the_model_that_was_given_stay_and_8_bits_hold_uneven_channels_better(name, inputs):
    model = uneven(dict(nets())[name], 300)
    before = model.get_weights()
    twin = equalise.equalised(model, inputs)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    # float32, over some tens of layers, each weight rounded once more
    np.testing.assert_allclose(twin.predict(inputs, verbose=0), model.predict(inputs, verbose=0), atol=2e-5)
    assert signal_to_noise_db(twin, inputs) > signal_to_noise_db(model, inputs) + 3  # half a bit more of each value


def test_channels_are_left_alone_where_others_need_them_as_they_are(inputs):
    x = given = keras.Input((20, 40, 1))
    x = layers.Conv2D(8, 3, padding="same", name="first")(x)
    ceiling = layers.ReLU(max_value=6.0, name="ceiling")(x)  # does not pass a factor on
    swapped = layers.Permute((1, 3, 2), name="swap")(layers.Conv2D(40, 1, name="as_many_as_places")(x))
    mixed = layers.Conv2D(4, (1, 8), name="over_places")(swapped)  # 40 channels in, which were places
    rest = layers.Conv2D(4, 3, padding="same", name="behind")(ceiling)
    x = layers.Add(name="add")([layers.GlobalAveragePooling2D()(mixed), layers.GlobalAveragePooling2D()(rest)])
    model = keras.Model(given, layers.Softmax(name="scores")(layers.Dense(3, name="dense")(x)))
    twin = equalise.equalised(model, inputs)
    for one, other in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_all_that_yamnet_makes_is_scaled_but_its_scores():
    model = yamnet.build((96, 64, 1), 10, widths=yamnet.CUT_WIDTHS)
    assert len(equalise._stretches(model)) == 11  # a convolution, and five times a depthwise and a pointwise one


def test_weights_that_came_out_of_8_bits_are_divided_and_clusters_are_not():
    rng = np.random.default_rng(0)
    heard = equalise._Heard(np.geomspace(1, 300, 256), np.geomspace(1, 300, 256) ** 2)
    x = keras.Input((4, 4, 256))
    taker = layers.Conv2D(256, 1, use_bias=False)
    taker(x)
    stretch = equalise._Stretch((), None, taker, np.arange(256))
    for values, is_scaled in ((255, True), (16, False)):  # YAMNet's published weights have 71 to 171 in a filter
        steps = values // 2
        taker.kernel.assign(np.round(rng.normal(0, steps / 4, (1, 1, 256, 256)).clip(-steps, steps)) / steps)
        assert (equalise._factors(stretch, heard).max() > 1) == is_scaled
