"""The same net with weights that 8 bits hold better: the channels of a tensor get one range, and no score changes.

An int8 tensor has one scale for all of its channels, and those of a small range share few of its 255 steps. What makes
a channel can be multiplied by any number above 0, and what takes it divided by the same: a ReLU, a pool or a reshape in
between lets it pass. A depthwise kernel or a norm has a scale for each channel and takes all of it for nothing. In
other kernels, whose scales are their filters', weights lose what the tensor wins: as much is done as lowers the sum.

Source: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", section 4.1, with
the ranges of calibration crops in place of those that norms tell; how far: Xiao et al. 2023, "SmoothQuant", whose
migration strength is found here for each tensor.
"""

from typing import NamedTuple

from zoo.backend import keras, tf

import numpy as np

from zoo.calls import ids_of, nodes_of
from zoo.export.tflite import MOVES

layers = keras.layers

MOST = 2.0**12  # that a channel is scaled by: one that hardly ever sounds would get any factor
SHARES = np.linspace(0, 1, 9)  # of the factors' logarithms, tried where weights pay for them
BATCH = 32  # crops run at once
KERNELS = ("Conv1D", "Conv2D", "DepthwiseConv2D", "Dense")
PASSES = (*MOVES, layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D)  # what a factor above 0 goes through
CLUSTERS = 32  # values at most of a kernel that counts as clustered
SHARED_BY = 2  # weights that have each value, at least and in the mean
LINEAR = (keras.activations.linear, keras.activations.relu)  # above 0, which is all that factors are
MOVES_CHANNELS = (layers.Flatten, layers.Permute, layers.Reshape)


class _Stretch(NamedTuple):
    """From the weights that make channels to the layer that takes them; between them lies a tensor that int8 stores."""

    makers: tuple  # weights; what is made grows with all of them
    stored: keras.layers.Layer
    taker: keras.layers.Layer
    channel_of: np.ndarray  # of each channel of the taker: that of the maker


def equalised(model, inputs):
    """A twin of `model`, a flat functional one, with the same scores: channels are scaled where they can be.

    inputs: what ranges are taken of, (n, *input_shape).
    """
    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    stretches = _stretches(twin)
    # All are heard first: a tensor stays as it is while others are scaled.
    for stretch, heard in zip(stretches, _listen(twin, [stretch.stored for stretch in stretches], inputs)):
        factors = _factors(stretch, heard)
        for weight in stretch.makers:  # the last axis, or of a depthwise kernel the last two
            of_weight = factors if weight.shape[-1] == len(factors) else factors.reshape(weight.shape[-2:])
            weight.assign(weight * of_weight)
        _divide(stretch.taker, factors[stretch.channel_of])
    return twin


def _stretches(model):
    """Every `_Stretch` of the model, in order."""
    nodes = nodes_of(model)
    maker_of = {key: node.layer for node in nodes for key in node.flat_output_ids}
    readers = {node.layer.name: [] for node in nodes}
    for node in nodes:
        for key in node.flat_input_ids:
            readers[maker_of[key].name].append(node.layer)
    for key in ids_of(model.outputs):
        readers[maker_of[key].name].append(None)

    def only_reader(layer):
        return readers[layer.name][0] if len(readers[layer.name]) == 1 else None

    found, fused = [], set()
    for node in nodes:
        stored, reader = node.layer, only_reader(node.layer)
        if stored.name in fused:
            continue
        norm = reader if type(stored).__name__ in KERNELS and isinstance(reader, layers.BatchNormalization) else None
        makers, passed = _makers(stored, norm), []
        if norm:
            fused.add(norm.name)
            stored, reader = norm, only_reader(norm)
        while _is_relu(reader) or isinstance(reader, PASSES):
            stored = reader if _is_relu(reader) else stored
            passed.append(reader)
            reader = only_reader(reader)
        channel_of = _channels_behind(node.layer, passed) if makers else None
        if channel_of is not None and _taken(reader) == len(channel_of):
            found.append(_Stretch(makers, stored, reader, channel_of))
    return found


def _makers(layer, norm):
    """The weights with which all grows that a layer, and the norm fused into it, makes; () where it does not."""
    if isinstance(layer, layers.BatchNormalization):
        weights = (layer.gamma, layer.beta) if layer.scale else ()
    elif type(layer).__name__ in KERNELS and layer.activation in LINEAR:
        weights = (_kernel(layer), layer.bias, *((norm.moving_mean, norm.beta) if norm else ()))
    else:
        weights = ()
    return tuple(weight for weight in weights if weight is not None)


def _is_relu(layer):
    if isinstance(layer, layers.ReLU):
        return layer.max_value is None and not layer.negative_slope and not layer.threshold
    return isinstance(layer, layers.Activation) and layer.activation is keras.activations.relu


def _taken(layer):
    """How many channels a layer takes that it can divide; None for one that cannot."""
    if isinstance(layer, layers.BatchNormalization):
        return layer.moving_mean.shape[0] if layer.scale else None
    return _kernel(layer).shape[-2] if type(layer).__name__ in KERNELS else None


def _channels_behind(maker, passed):
    """Of each channel behind these layers, that of the maker; None where channels mix with places."""
    number = np.broadcast_to(np.arange(maker.output_shape[-1]), maker.output_shape[1:])
    for layer in passed:
        if isinstance(layer, MOVES_CHANNELS):
            number = layer(number[None]).numpy()[0]
        elif layer.output_shape[1:] != number.shape:  # a pool: places go, channels stay
            if not _is_alike(number):
                return None
            number = np.broadcast_to(number.reshape(-1, number.shape[-1])[0], layer.output_shape[1:])
    return number.reshape(-1, number.shape[-1])[0] if _is_alike(number) else None


def _is_alike(number):
    """Whether the last axis reads the same at every place."""
    lines = number.reshape(-1, number.shape[-1])
    return (lines == lines[0]).all()


class _Heard(NamedTuple):
    """What a tensor's channels reach: their largest magnitudes, and the means of their squares."""

    peaks: np.ndarray
    powers: np.ndarray


def _listen(model, stored, inputs):
    """`_Heard` of each layer's output."""
    if not stored:
        return []
    watched = keras.Model(model.input, [layer.output for layer in stored])
    peaks, powers = [], []
    for start in range(0, len(inputs), BATCH):
        batch = inputs[start : start + BATCH]
        outputs = map(np.array, tf.nest.flatten(watched(batch, training=False)))
        lines = [output.reshape(-1, output.shape[-1]) for output in outputs]
        peaks.append([np.abs(line).max(axis=0) for line in lines])
        powers.append([len(batch) / len(inputs) * np.square(line, dtype=np.float64).mean(axis=0) for line in lines])
    return [_Heard(np.max(peak, axis=0), np.sum(power, axis=0)) for peak, power in zip(zip(*peaks), zip(*powers))]


def shares_values(kernel, axis):
    """Whether the weights of each channel, along `axis` of an array, are a few values over and over, as clusters are.

    Those that came out of 8 bits, as YAMNet's published ones, are not: a table of theirs would win next to nothing.
    """
    channels = [channel[channel != 0] for channel in np.moveaxis(kernel, axis, 0)]
    return all(len(np.unique(weights)) <= min(CLUSTERS, len(weights) // SHARED_BY) for weights in channels)


def _factors(stretch, heard):
    """What each channel is multiplied by: 1 for the one of the widest range, and for one that is never heard."""
    wanted = np.divide(heard.peaks.max(), heard.peaks, out=np.ones_like(heard.peaks), where=heard.peaks > 0)
    wanted = np.minimum(wanted, MOST)
    if isinstance(stretch.taker, (layers.BatchNormalization, layers.DepthwiseConv2D)):
        return wanted
    kernel = np.abs(_kernel(stretch.taker).numpy())
    if shares_values(kernel, axis=-1):  # no longer, if its channels were divided each by its own
        return np.ones_like(wanted)
    kernel = kernel.reshape(-1, *kernel.shape[-2:])  # (taps, taken, filters)
    heard = _Heard(*(values[stretch.channel_of] for values in heard))
    return min(
        (wanted**share for share in SHARES), key=lambda factors: _noise(kernel, heard, factors[stretch.channel_of])
    )


def _noise(kernel, heard, factors):
    """The share of rounding, of the tensor that a kernel takes and of its weights, in what it makes; summed by filter.

    Shape: kernel (taps, taken, filters), without signs; heard and factors (taken,)
    """
    kernel = kernel / factors[:, None]
    powers = heard.powers * factors**2
    steps = kernel.max(axis=(0, 1)) / 127  # of each filter's weights
    of_tensor = np.square(kernel).sum(axis=(0, 1)) * ((heard.peaks * factors).max() / 255) ** 2
    of_weights = powers.sum() * len(kernel) * steps**2
    signal = (np.square(kernel) * powers[:, None]).sum(axis=(0, 1))
    return ((of_tensor + of_weights) / np.maximum(signal, np.finfo(np.float32).tiny)).sum()


def _divide(layer, factors):
    if isinstance(layer, layers.BatchNormalization):
        layer.moving_mean.assign(layer.moving_mean * factors)
        layer.gamma.assign(layer.gamma / factors)
    else:
        _kernel(layer).assign(_kernel(layer) / factors[:, None])


def _kernel(layer):
    return layer.depthwise_kernel if isinstance(layer, layers.DepthwiseConv2D) else layer.kernel
