"""Surgery on nets with random weights and statistics: masked channels are zero, and go without a change in scores."""

from zoo.backend import keras, tf

import numpy as np
import pytest

from zoo.compress import surgery
from zoo.errors import ZooError
from zoo.models import acdnet

layers = keras.layers

# Scores and maps are of the order of 1. Sums over fewer terms are added in another order: float32's rounding (6e-8) of
# some hundred terms through ten layers stays below this; a wrong channel anywhere moves them by 1e-2 and more.
CLOSE = dict(rtol=0, atol=2e-5)


def conv(x, filters, name, kernel=3, activation="relu", norm=True, **kwargs):
    """Convolution, norm, activation as layers of their own."""
    x = layers.Conv2D(filters, kernel, padding="same", use_bias=not norm, name=name, **kwargs)(x)
    if norm:
        x = layers.BatchNormalization(name=f"{name}_norm")(x)
    return layers.Activation(activation, name=f"{name}_act")(x) if activation else x


def depthwise(x, name, **kwargs):
    x = layers.DepthwiseConv2D(3, padding="same", name=name, **kwargs)(x)
    return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_norm")(x))


def head(inputs, x, name):
    """Logits: a softmax would hide differences."""
    x = layers.GlobalAveragePooling2D(name="mean")(x) if len(x.shape) == 4 else x
    return keras.Model(inputs, layers.Dense(3, name="scores")(x), name=name)


def plain():
    inputs = keras.Input((8, 6, 1))
    x = layers.Conv2D(6, 3, activation="relu", name="conv1")(inputs)
    x = layers.SpatialDropout2D(0.1)(layers.MaxPooling2D((2, 1))(x))
    x = layers.Flatten(name="flatten")(conv(x, 8, "conv2", activation="tanh"))
    x = layers.Dropout(0.1)(layers.Dense(10, activation="relu", name="hidden")(x))
    return head(inputs, x, "plain")


def acdnet_small():
    return acdnet.build((3000, 1, 1), 3, 20_000, (4, 9, 6, 7, 5, 6, 7, 5, 6, 7, 5, 8))


def residual():
    inputs = keras.Input((8, 6, 2))
    x = stem = conv(inputs, 6, "stem")
    x = conv(x, 4, "inner1")
    x = layers.ReLU()(layers.Add(name="add1")([conv(x, 6, "outer1", activation=None), stem]))
    shortcut = conv(x, 8, "projection", 1, activation=None, strides=2)
    x = conv(conv(x, 5, "inner2", strides=2), 8, "outer2", activation=None)
    return head(inputs, layers.ReLU()(layers.Add(name="add2")([x, shortcut])), "residual")


def depthwise_separable():
    inputs = keras.Input((8, 6, 1))
    x = conv(inputs, 6, "stem")
    x = conv(depthwise(x, "depthwise1"), 8, "pointwise1", 1)
    x = conv(depthwise(x, "depthwise2", depth_multiplier=2), 7, "pointwise2", 1)
    x = layers.SeparableConv2D(9, 3, depth_multiplier=2, activation="relu", name="separable")(x)
    return head(inputs, x, "depthwise_separable")


def concatenation():
    inputs = keras.Input((8, 6, 2))
    left, right = conv(inputs, 5, "left"), conv(inputs, 6, "right", 1)
    x = layers.Concatenate(name="joined")([left, inputs, right])  # an input's channels stay between them
    x = layers.ReLU()(layers.BatchNormalization(name="joined_norm")(x))
    x = layers.Concatenate(axis=1, name="stacked")([conv(x, 4, "upper"), conv(x, 4, "lower")])  # in height: tied
    return head(inputs, x, "concatenation")


def squeeze_and_excite():
    inputs = keras.Input((8, 6, 1))
    x = conv(inputs, 8, "expanded")
    gate = layers.Reshape((1, 1, 8), name="as_image")(layers.GlobalAveragePooling2D()(x))
    gate = layers.Conv2D(5, 1, activation="relu", name="squeeze")(gate)
    gate = layers.Conv2D(8, 1, activation="sigmoid", name="excite")(gate)
    return head(inputs, conv(layers.Multiply(name="gated")([x, gate]), 6, "last"), "squeeze_and_excite")


def inverted_residual():
    inputs = keras.Input((8, 6, 1))
    x = stem = conv(inputs, 5, "stem", activation=None)
    x = depthwise(conv(x, 12, "expand", 1, activation="relu6"), "depthwise")
    x = layers.Add()([stem, conv(x, 5, "project", 1, activation=None)])
    return head(inputs, conv(x, 7, "last", 1, activation="swish"), "inverted_residual")


def broadcast_residual():
    """A BC-ResNet block: frequency is averaged away, filtered over time, and repeated over the frequencies."""
    inputs = keras.Input((8, 6, 1))  # (frequency, time, 1)
    x = conv(inputs, 6, "stem")
    y = layers.AveragePooling2D((8, 1))(depthwise(x, "over_frequency"))
    y = conv(depthwise(y, "over_time"), 6, "pointwise", 1)
    return head(inputs, layers.ReLU()(layers.Add()([x, y])), "broadcast_residual")


def sub_spectral():
    """Each pair of a sub-band and a channel becomes a channel of a norm, as in a BC-ResNet block, and back."""
    inputs = keras.Input((4, 6, 1))  # (time, frequency, 1)
    x = layers.Reshape((4, 3, 2, 5))(conv(inputs, 5, "stem", norm=False, activation=None))
    x = layers.Reshape((4, 2, 15), name="pairs")(layers.Permute((1, 3, 2, 4))(x))
    x = layers.Reshape((4, 2, 3, 5))(layers.BatchNormalization(name="sub_spectral_norm")(x))
    x = layers.Reshape((4, 6, 5), name="bands")(layers.Permute((1, 3, 2, 4))(x))
    return head(inputs, conv(x, 7, "last"), "sub_spectral")


def hard_swish_gated():
    """MobileNetV3's block: its hard swish is made of layers, one of which is not 0 at 0."""
    inputs = keras.Input((8, 6, 1))
    x = conv(inputs, 8, "expanded", activation=None)
    gate = layers.Rescaling(1 / 6)(layers.ReLU(6.0)(layers.Rescaling(1.0, 3.0)(x)))
    x = depthwise(layers.Multiply(name="hard_swish")([x, gate]), "depthwise")
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(4, 1, activation="relu", name="squeeze")(gate)
    gate = layers.Conv2D(8, 1, activation="sigmoid", name="excite")(gate)
    return head(inputs, conv(layers.Multiply(name="gated")([x, gate]), 6, "last"), "hard_swish_gated")


def gated_linear():
    inputs = keras.Input((8, 6, 1))
    gate = layers.Activation("sigmoid")(conv(inputs, 6, "gate", activation=None))
    x = layers.Multiply()([conv(inputs, 6, "value", activation=None), gate])
    # A sigmoid before a norm: gamma and beta silence it.
    x = layers.BatchNormalization(name="after_norm")(conv(x, 5, "squashed", norm=False, activation="sigmoid"))
    x = layers.BatchNormalization(scale=False, name="unscaled_norm")(conv(x, 6, "unscaled", norm=False))
    return head(inputs, layers.PReLU(shared_axes=(1, 2), name="prelu")(x), "gated_linear")


def grown():
    inputs = keras.Input((4, 3, 1))
    x = layers.Conv2DTranspose(6, 3, strides=2, activation="elu", name="transposed")(inputs)
    x = conv(layers.ZeroPadding2D()(layers.UpSampling2D()(x)), 5, "conv")
    x = layers.Maximum()([layers.LeakyReLU()(conv(x, 4, "one", norm=False)), conv(x, 4, "other")])
    return head(inputs, layers.Cropping2D(2)(x), "grown")


def over_time():
    inputs = keras.Input((20, 4))
    x = layers.Conv1D(6, 3, padding="causal", activation="relu", name="conv1")(inputs)
    x = layers.MaxPooling1D(2)(layers.BatchNormalization()(x))
    x = layers.SeparableConv1D(7, 3, activation="relu", name="separable")(x)
    x = layers.Dense(6, activation="gelu", name="each_frame")(x)
    return head(inputs, layers.GlobalMaxPooling1D()(x), "over_time")


def _frames(inputs):
    x = layers.MaxPooling2D((1, 2))(conv(inputs, 5, "conv"))
    return layers.Reshape((6, 10), name="frames")(x)  # mels times channels


def recurrent():
    inputs = keras.Input((6, 5, 1))  # (frames, mels, 1)
    x = layers.LSTM(4, return_sequences=True, name="lstm")(_frames(inputs))
    x = layers.GRU(4, return_sequences=True, name="gru")(layers.Dense(6, activation="relu", name="dense1")(x))
    x = layers.SimpleRNN(5, name="simple")(layers.Dense(6, activation="relu", name="dense2")(x))
    return head(inputs, x, "recurrent")


def bidirectional():
    inputs = keras.Input((6, 5, 1))
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True), name="lstm")(_frames(inputs))
    x = layers.Bidirectional(layers.GRU(3), name="gru")(layers.Dense(6, activation="relu", name="dense1")(x))
    return head(inputs, layers.Dense(5, activation="relu", name="dense2")(x), "bidirectional")


NETS = {
    builder.__name__: builder
    for builder in (
        plain, acdnet_small, residual, depthwise_separable, concatenation, squeeze_and_excite, inverted_residual,
        broadcast_residual, sub_spectral, hard_swish_gated, gated_linear, grown, over_time, recurrent, bidirectional,
    )
}  # fmt: skip


def randomise(model, seed=0):
    """He's scale for kernels, and norms that move and scale every channel otherwise; few enough ReLUs are dead."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        shape, name = weight.shape, weight.name
        if "variance" in name or "gamma" in name:
            weight.assign(rng.uniform(0.5, 1.5, shape))
        elif "kernel" in name:
            fan_in = np.prod(shape[:2]) if "depthwise" in name else np.prod(shape[:-1])
            weight.assign(rng.normal(0, np.sqrt(2 / fan_in), shape))
        else:
            weight.assign(rng.normal(-0.2 if "mean" in name else 0.3, 0.4, shape))
    return model


def inputs_of(model, seed=1):
    return np.random.default_rng(seed).normal(size=(4, *model.input_shape[1:])).astype(np.float32)


def half_of(channels, exact=True, seed=2):
    """Half of the groups, drawn at random; each layer keeps one at least."""
    drawn = np.random.default_rng(seed)
    kept = {group for name, groups in channels.groups.items() for group in groups[:1]}
    if exact:
        kept |= {group for name in channels.inexact for group in channels.groups[name]}
    everything = np.unique(np.concatenate(list(channels.groups.values())))
    free = [group for group in everything if group >= 0 and group not in kept]
    return sorted(drawn.choice(free, min(len(free), (everything.max() + 1) // 2), replace=False))


@pytest.fixture(params=NETS)
def net(request):
    keras.backend.clear_session()
    return randomise(NETS[request.param]())


def test_masked_channels_are_zero_and_go_without_a_change_in_scores(net):
    channels, x = surgery.channels_of(net), inputs_of(net)
    assert not set(channels.fixed) - {"scores", "dense", "lstm", "gru", "simple"}  # all but the last and the recurrent
    groups, whole = half_of(channels), net(x).numpy()
    before = net.get_weights()
    cut_unmasked = surgery.remove(net, groups)
    np.testing.assert_array_equal(net(x), whole)
    for was, weight in zip(before, net.weights):
        np.testing.assert_array_equal(weight, was)

    surgery.mask(net, groups)
    ends = [net.output, *(net.get_layer(channels.feature_maps[name]).output for name in channels.groups)]
    masked, *maps = (end.numpy() for end in keras.Model(net.input, ends)(x))
    assert np.abs(masked - whole).max() > 1e-3  # what went had a say
    cut = surgery.remove(net, groups)
    np.testing.assert_allclose(cut(x), masked, **CLOSE)
    for (name, its), feature_map in zip(channels.groups.items(), maps):
        gone = np.isin(its, groups)
        assert gone.any() or name in (*channels.fixed, *channels.inexact)
        assert cut.get_layer(name).output_shape[-1] == (~gone).sum()
        if name not in ("gate", "excite", "squashed"):  # sigmoid(0) is a half: the product, the norm is zero
            assert (feature_map[..., gone] == 0).all() and np.abs(feature_map[..., ~gone]).max() > 0
    for one, other in zip(cut.get_weights(), cut_unmasked.get_weights()):  # what is left does not depend on the mask
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("build", [acdnet_small, bidirectional])
def test_a_cut_net_is_saved_and_opened_with_the_same_scores(build, tmp_path):
    net = randomise(build())
    cut = surgery.remove(net, half_of(surgery.channels_of(net), exact=False))
    cut.save(tmp_path / "cut.h5")
    x = inputs_of(net)
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "cut.h5", compile=False)(x), cut(x))


def convolve(x, kernel):
    """Same padding, stride 1, in loops. Shapes: (height, width, in), (3, 3, in, out) -> (height, width, out)."""
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    y = np.zeros((*x.shape[:2], kernel.shape[-1]))
    for row in range(x.shape[0]):
        for column in range(x.shape[1]):
            y[row, column] = np.tensordot(padded[row : row + 3, column : column + 3], kernel, 3)
    return y


def normalise(x, weights):
    gamma, beta, mean, variance = weights
    return gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta


def test_cut_residual_net_equals_one_cut_and_computed_by_hand():
    inputs = keras.Input((4, 3, 2))
    stem = conv(inputs, 4, "stem")
    x = depthwise(stem, "depthwise", use_bias=False)
    x = layers.Add()([conv(conv(x, 5, "inner"), 4, "outer", activation=None), stem])
    net = randomise(head(inputs, x, "net"))
    groups = surgery.channels_of(net).groups
    cut = surgery.remove(net, [groups["stem"][1], groups["inner"][0], groups["inner"][3]])

    weights = {layer.name: [weight.numpy().astype(float) for weight in layer.weights] for layer in net.layers}
    outside, inside = [0, 2, 3], [1, 2, 4]  # the channels that are left
    kernel = {name: weights[name][0] for name in ("stem", "depthwise", "inner", "outer")}
    norm = {
        name: [w[left] for w in weights[f"{name}_norm"]]
        for name, left in dict(stem=outside, depthwise=outside, inner=inside, outer=outside).items()
    }
    for sound, scores in zip(inputs_of(net), cut(inputs_of(net)).numpy()):
        stem = np.maximum(normalise(convolve(sound, kernel["stem"][..., outside]), norm["stem"]), 0)
        filters = [convolve(stem[..., [i]], kernel["depthwise"][..., [left], :]) for i, left in enumerate(outside)]
        x = np.maximum(normalise(np.concatenate(filters, axis=-1), norm["depthwise"]), 0)
        x = np.maximum(normalise(convolve(x, kernel["inner"][:, :, outside][..., inside]), norm["inner"]), 0)
        x = normalise(convolve(x, kernel["outer"][:, :, inside][..., outside]), norm["outer"]) + stem
        matrix, bias = weights["scores"]
        np.testing.assert_allclose(scores, x.mean(axis=(0, 1)) @ matrix[outside] + bias, **CLOSE)


def test_tied_channels_share_a_group_and_others_do_not():
    groups = surgery.channels_of(residual()).groups
    ties = {"stem": "outer1", "projection": "outer2"}
    for one, other in ties.items():
        np.testing.assert_array_equal(groups[one], groups[other])
    apart = np.concatenate([groups[name] for name in groups if name not in (*ties.values(), "scores")])
    assert sorted(apart) == list(range(6 + 4 + 8 + 5)) and (groups["scores"] == -1).all()

    channels = surgery.channels_of(depthwise_separable())  # a depthwise filter belongs to the channel that it filters
    assert {name: len(set(its)) for name, its in channels.groups.items() if name != "scores"} == {
        "stem": 6, "pointwise1": 8, "pointwise2": 7, "separable": 9,
    }  # fmt: skip
    groups = surgery.channels_of(concatenation()).groups
    np.testing.assert_array_equal(groups["upper"], groups["lower"])
    assert not set(groups["left"]) & set(groups["right"])
    for build in (squeeze_and_excite, hard_swish_gated):
        groups = surgery.channels_of(build()).groups
        np.testing.assert_array_equal(groups["expanded"], groups["excite"])


def test_a_removed_channel_takes_its_filters_norms_and_rows_along():
    net = randomise(depthwise_separable())
    group = surgery.channels_of(net).groups["pointwise1"][2]
    cut = surgery.remove(net, [group])
    left, twice = [0, 1, 3, 4, 5, 6, 7], [0, 1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]  # two filters a channel
    cuts = {  # layer -> each weight as it is left, by hand
        "pointwise1": lambda kernel: [kernel[..., left]],
        "pointwise1_norm": lambda *weights: [weight[left] for weight in weights],
        "depthwise2": lambda kernel, bias: [kernel[:, :, left], bias[twice]],
        "depthwise2_norm": lambda *weights: [weight[twice] for weight in weights],
        "pointwise2": lambda kernel: [kernel[:, :, twice]],
    }
    for layer in net.layers:
        expected = cuts.get(layer.name, lambda *weights: weights)(*layer.get_weights())
        for found, weight in zip(cut.get_layer(layer.name).get_weights(), expected, strict=True):
            np.testing.assert_array_equal(found, weight)


def test_a_channel_takes_its_norm_in_every_sub_band_along():
    net = randomise(sub_spectral())
    cut = surgery.remove(net, [surgery.channels_of(net).groups["stem"][3]])
    gone = [3, 5 + 3, 10 + 3]  # three sub-bands of five channels
    left, whole = (model.get_layer("sub_spectral_norm").get_weights() for model in (cut, net))
    for found, weight in zip(left, whole, strict=True):
        np.testing.assert_array_equal(found, np.delete(weight, gone))
    assert cut.get_layer("pairs").target_shape == (4, 2, 12) and cut.get_layer("bands").target_shape == (4, 6, 4)


def test_feature_map_is_behind_the_norms_and_activations_that_alone_follow():
    assert surgery.channels_of(residual()).feature_maps == {
        "stem": "stem_act",  # read twice
        "inner1": "inner1_act",
        "outer1": "outer1_norm",  # an Add follows
        "projection": "projection_norm",
        "inner2": "inner2_act",
        "outer2": "outer2_norm",
        "scores": "scores",
    }


def test_names_order_dtypes_and_what_trains_stay():
    keras.backend.clear_session()
    net = residual()
    net.get_layer("inner1").trainable = net.get_layer("inner1_norm").trainable = False
    half = keras.mixed_precision.Policy("mixed_float16")
    net = keras.models.clone_model(
        net, clone_function=lambda layer: type(layer).from_config({**layer.get_config(), "dtype": half})
    )
    cut = surgery.remove(net, half_of(surgery.channels_of(net)))
    assert cut.name == "residual" and cut.count_params() < net.count_params()
    for one, other in zip(cut.layers, net.layers, strict=True):
        assert (type(one), one.name, one.trainable, one.dtype_policy.name) == (
            type(other), other.name, other.trainable, other.dtype_policy.name,
        )  # fmt: skip
    assert [weight.name for weight in cut.weights] == [weight.name for weight in net.weights]
    assert [weight.name for weight in cut.trainable_weights] == [weight.name for weight in net.trainable_weights]


def test_nothing_removed_leaves_the_same_net():
    net = randomise(squeeze_and_excite())
    cut = surgery.remove(net, [])
    assert cut.get_config() == net.get_config()
    np.testing.assert_array_equal(cut(inputs_of(net)), net(inputs_of(net)))


def test_masks_are_what_mask_multiplies_by():
    net = randomise(inverted_residual())
    groups = half_of(surgery.channels_of(net))
    before, masks = [weight.numpy() for weight in net.weights], surgery.weight_masks(net, groups)
    surgery.mask(net, groups)
    assert {mask.dtype for mask in masks} == {np.dtype(np.float32)}
    for was, weight, mask in zip(before, net.weights, masks, strict=True):
        np.testing.assert_array_equal(weight, was * mask)
    assert all(mask.all() for mask in surgery.weight_masks(net, []))


def test_masked_channels_stay_zero_in_training_mode():
    net = randomise(residual())
    channels = surgery.channels_of(net)
    groups = half_of(channels)
    surgery.mask(net, groups)
    for name, its in channels.groups.items():
        feature_map = keras.Model(net.input, net.get_layer(channels.feature_maps[name]).output)
        assert not feature_map(inputs_of(net), training=True).numpy()[..., np.isin(its, groups)].any()


# What stays, and why.


def test_no_layer_falls_to_zero_channels():
    net = residual()
    groups = surgery.channels_of(net).groups["inner2"]
    assert surgery.remove(net, groups[1:]).get_layer("inner2").filters == 1
    with pytest.raises(ZooError, match="inner2: all of its 5 channels would be removed"):
        surgery.remove(net, groups)


@pytest.mark.parametrize("groups, shown", [([0, 23], 23), ([-1], -1), ([99, 1], 99)])
def test_a_number_of_no_group_is_refused(groups, shown):
    for refuses in (surgery.remove, surgery.mask, surgery.weight_masks):
        with pytest.raises(ZooError, match=f"group {shown}: the model has 23 groups"):
            refuses(residual(), groups)


REFUSED = {
    "is a Lambda, a layer that surgery does not know": lambda x: layers.Lambda(tf.abs, name="odd")(x),
    "is a LayerNormalization, a layer": lambda x: layers.LayerNormalization(name="odd")(x),
    "is a TFOpLambda, a layer": lambda x: tf.math.add(x, 1.0, name="odd"),
    "convolves in 2 groups": lambda x: layers.Conv2D(4, 3, groups=2, name="odd")(x),
    "normalises another axis than the last": lambda x: layers.BatchNormalization(axis=1, name="odd")(x),
    "scales or shifts each channel by a number of its own": lambda x: layers.Rescaling([1.0, 2, 3, 4], name="odd")(x),
    "applies softmax, which may mix channels": lambda x: layers.Activation("softmax", name="odd")(x),
    "spreads its channels over several axes": lambda x: layers.Reshape((6, 6, 2, 2), name="odd")(x)[..., 0],
    "is called on 3 tensors": lambda x: layers.LSTM(4, name="odd")(
        layers.Reshape((36, 4))(x), initial_state=[keras.Input(4), keras.Input(4)]
    )[:, None, None],
    "reaches sigmoided through what is not 0 at 0": lambda x: layers.Conv2D(4, 3, name="sigmoided")(
        layers.Activation("sigmoid")(x)
    ),
    "a softmax over all of its channels": lambda x: layers.Softmax(name="odd")(x),
    "meets channels that stay, in odd": lambda x: layers.Add(name="odd")([x, layers.Input((6, 6, 4))]),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_surgery_does_not_know_is_refused_by_name_and_the_rest_is_cut(why):
    keras.backend.clear_session()
    inputs = keras.Input((6, 6, 1))
    end = REFUSED[why](conv(conv(inputs, 4, "conv1"), 4, "conv2", norm=False))
    others = [tensor for tensor in _inputs_behind(end) if tensor is not inputs]
    x = layers.GlobalAveragePooling2D()(conv(end, 5, "conv3"))
    net = randomise(keras.Model([inputs, *others], layers.Dense(3, name="scores")(x)))

    channels = surgery.channels_of(net)
    assert why in channels.fixed["conv2"] and (channels.groups["conv2"] == -1).all()
    assert not {"conv1", "conv3"} & set(channels.fixed)
    groups = half_of(channels)
    surgery.mask(net, groups)
    cut, rng = surgery.remove(net, groups), np.random.default_rng(0)
    assert cut.get_layer("conv1").filters < 4 and cut.get_layer("conv2").filters == 4
    x = [rng.normal(size=(2, *tensor.shape[1:])).astype(np.float32) for tensor in net.inputs]
    np.testing.assert_allclose(cut(x), net(x), **CLOSE)


def _inputs_behind(tensor):
    found, left = {}, [tensor]
    while left:
        node = left.pop().node
        found.update({id(node.outputs): node.outputs} if node.is_input else {})
        left += node.keras_inputs
    return found.values()


def test_refused_layers_with_weights_are_named_themselves():
    inputs = keras.Input((6, 6, 1))
    x = layers.Conv2D(4, 3, groups=2, name="grouped")(conv(inputs, 4, "conv"))
    net = head(inputs, layers.LayerNormalization(name="odd")(x), "net")
    assert surgery.channels_of(net).fixed == {
        "conv": "feeds grouped, which convolves in 2 groups",
        "grouped": "convolves in 2 groups",
        "odd": "is a LayerNormalization, a layer that surgery does not know",
        "scores": "makes the model's output",
    }
    fixed = surgery.channels_of(bidirectional()).fixed
    assert fixed["lstm"] == fixed["gru"] == "is recurrent: each of its units feeds all of them"
    assert surgery.channels_of(acdnet_small()).fixed == {"dense": "makes the model's output"}


def test_an_activation_that_is_a_layer_is_refused_and_left_as_it_is():
    inputs = keras.Input((6, 6, 1))
    x = layers.Conv2D(4, 3, activation=layers.PReLU(), name="conv")(inputs)
    net = randomise(head(inputs, conv(x, 5, "last"), "net"))
    before = net.get_weights()
    assert surgery.channels_of(net).fixed["conv"] == "ends in PReLU, which may mix channels"
    for was, weight in zip(before, net.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, was)


def test_a_layer_called_twice_is_refused_by_name():
    inputs = keras.Input((6, 6, 1))
    shared, relu = layers.Conv2D(4, 3, padding="same", name="shared"), layers.ReLU(name="relu")
    x = relu(shared(relu(layers.Conv2D(4, 3, name="before")(inputs))))
    net = randomise(head(inputs, conv(shared(x), 5, "after"), "net"))
    channels = surgery.channels_of(net)
    assert channels.fixed["shared"] == "is called 2 times"
    assert channels.fixed["before"] == "feeds shared, which is called 2 times"
    groups = half_of(channels)
    surgery.mask(net, groups)
    cut = surgery.remove(net, groups)
    assert len(cut.get_layer("shared").inbound_nodes) == 2 and cut.get_layer("after").filters < 5
    np.testing.assert_allclose(cut(inputs_of(net)), net(inputs_of(net)), **CLOSE)


def test_a_channel_tied_to_one_that_stays_says_so():
    inputs = keras.Input((6, 6, 1))
    first, second = conv(inputs, 3, "first"), conv(inputs, 3, "second")
    net = keras.Model(inputs, layers.Add()([first, second]))
    assert surgery.channels_of(net).fixed == {
        "first": "makes the model's output",
        "second": "is tied to a layer that makes the model's output",
    }


def test_where_only_some_channels_must_stay_the_others_can_go():
    inputs = keras.Input((6, 6, 1))
    left, right = conv(inputs, 3, "left"), conv(inputs, 2, "right", norm=False, activation="sigmoid")
    x = layers.Add()([layers.Concatenate()([left, right]), conv(inputs, 5, "tied")])
    net = randomise(head(inputs, conv(x, 4, "last"), "net"))
    channels = surgery.channels_of(net)
    np.testing.assert_array_equal(channels.groups["tied"], [0, 1, 2, -1, -1])
    assert list(channels.fixed) == ["right", "scores"]
    surgery.mask(net, [1])
    np.testing.assert_allclose(surgery.remove(net, [1])(inputs_of(net)), net(inputs_of(net)), **CLOSE)


def test_what_is_not_functional_is_refused():
    class Odd(keras.Model):
        pass

    with pytest.raises(ZooError, match="odd: not a functional model"):
        surgery.channels_of(Odd(name="odd"))


# Channels that become the rows of an image.


def test_acdnet_cut_to_widths_is_acdnet_built_with_these_widths():
    keras.backend.clear_session()
    net = acdnet.build((30_225, 1, 1), 50, 20_000)
    names = [layer.name for layer in net.layers if isinstance(layer, layers.Conv2D)]
    cut = surgery.remove(net, to_widths(net, dict(zip(names, acdnet.MICRO_WIDTHS))))
    assert cut.get_config() == acdnet.build((30_225, 1, 1), 50, 20_000, acdnet.MICRO_WIDTHS).get_config()
    heights = [cut.get_layer(f"temporal_conv{number}").output_shape[1] for number in (3, 4, 6, 8, 10, 12)]
    assert heights == [20, 10, 5, 2, 1, 1]  # table 11 gives the widths; its multiplies give these


@pytest.mark.parametrize("samples, rows", [(900, 1), (3000, 5), (3000, 31)])
def test_pools_over_fewer_rows_are_those_that_acdnet_builds(samples, rows):
    keras.backend.clear_session()
    widths = (2, 33, 3, 2, 2, 2, 2, 2, 2, 2, 2, 3)
    net = acdnet.build((samples, 1, 1), 3, 20_000, widths)
    cut = surgery.remove(net, to_widths(net, {"spectral_conv2": rows}))
    expected = acdnet.build((samples, 1, 1), 3, 20_000, (2, rows, *widths[2:]))
    assert cut.get_config() == expected.get_config()
    assert [weight.shape for weight in cut.weights] == [weight.shape for weight in expected.weights]


def to_widths(net, widths):
    """Groups whose removal leaves these widths, each layer's first channels."""
    groups = surgery.channels_of(net).groups
    return np.concatenate([groups[name][width:] for name, width in widths.items()])


def test_rows_that_go_move_their_neighbours_so_scores_change():
    net = randomise(acdnet_small())
    channels = surgery.channels_of(net)
    assert channels.inexact == {"spectral_conv2"}
    gone = channels.groups["spectral_conv2"][2:4]
    surgery.mask(net, gone)
    x = inputs_of(net)
    image = keras.Model(net.input, net.get_layer("swap_axes").output)
    cut = surgery.remove(net, gone)
    left = keras.Model(cut.input, cut.get_layer("swap_axes").output)
    # Zero rows went, and no other value of the image changed; but rows 1 and 4 are neighbours now, and are pooled.
    assert not image(x).numpy()[:, 2:4].any()
    np.testing.assert_allclose(left(x), np.delete(image(x), [2, 3], axis=1), **CLOSE)
    assert np.abs(cut(x) - net(x)).max() > 1e-3


def rows_into(x):
    return layers.Permute((3, 1, 2), name="swap_axes")(x)


def test_no_layer_is_left_with_rows_it_cannot_read():
    inputs = keras.Input((6, 1, 1))
    x = rows_into(layers.Conv2D(6, (3, 1), name="makes_rows")(inputs))
    flat = layers.Flatten()(layers.Conv2D(2, 1, name="conv")(x))
    net = keras.Model(inputs, layers.Dense(3, name="dense")(flat))
    with pytest.raises(ZooError, match=r"dense: its dense/kernel:0 would be \(40, 3\), but \(48, 3\)"):
        surgery.remove(net, [0])
    inputs = keras.Input((6, 1, 1))
    x = rows_into(layers.Conv2D(6, (3, 1), name="makes_rows")(inputs))
    net = head(inputs, layers.Conv2D(2, (5, 1), name="tall")(x), "net")
    assert surgery.remove(net, [0]).get_layer("tall").output_shape[1] == 1
    with pytest.raises(ZooError, match=r"tall: cannot read \(4, 4, 1\), what is left before it"):
        surgery.remove(net, [0, 1])
