"""XNOR-Net: layers whose weights and inputs are signs, and a filter's scale, as they train and as files hold them.

    batch norm -> [sign, convolution by signs] -> pool -> batch norm -> [sign, convolution by signs] -> ...

In such a chain a sign takes no notice of a scale: norms before it have none, and each becomes a threshold to the sum of
the convolution before it. `folded` writes that in plain Keras layers, for files that anyone opens; `zoo.export.xnor`
makes a program of them that counts bits.

Source: Rastegari et al. 2016, "XNOR-Net", sections 3 and 4. The gradient of its equation 4 is printed with a factor
that the authors' code, Courbariaux et al. 2016 and this module leave out.
"""

from dataclasses import dataclass
from typing import ClassVar

from zoo.backend import keras, tf

import numpy as np

from zoo.compress import check_backbone
from zoo.errors import ZooError

layers = keras.layers

# A folded layer gives tanh(STEEP * (sum - threshold)), of which float32 makes -1 or 1 from 20 on: sums are whole
# numbers, thresholds lie half-way between two.
STEEP = 40.0
# Of a layer whose sums are real numbers: what it takes for float32 to have nothing between.
STEEP_REAL = 2.0**40
PASSED = (layers.MaxPooling1D, layers.MaxPooling2D, layers.Dropout)  # by a threshold, as none of them changes an order


@tf.custom_gradient
def sign(x):
    """1 where x is 0 or more, else -1. A gradient passes where x lies in [-1, 1].

    Shape: that of x
    """
    return tf.where(x >= 0, 1.0, -1.0), lambda upstream: tf.where(tf.abs(x) <= 1, upstream, 0.0)


def alpha(kernel):
    """The scale of each filter: the mean magnitude of its weights.

    Shape: (..., filters) -> (filters,)
    """
    return tf.reduce_mean(tf.abs(kernel), axis=list(range(len(kernel.shape) - 1)))


def approximation(kernel):
    """The kernel of `alpha` and signs that is closest to a kernel. Shape: the same"""
    return alpha(kernel) * sign(kernel)


class WithinOne(keras.constraints.Constraint):
    """Weights in [-1, 1]: beyond, no gradient would reach them."""

    def __call__(self, w):
        return tf.clip_by_value(w, -1.0, 1.0)


class _Binary:
    """A layer that multiplies the signs of what it takes by the `approximation` of its kernel, which trains.

    scale_inputs: multiply also by K, the mean magnitude of what each output hears: the paper's second factor, which
    its authors' code leaves out. There is no bias.
    """

    def __init__(self, *args, scale_inputs=False, **kwargs):
        super().__init__(*args, **{**kwargs, "use_bias": False, "kernel_constraint": WithinOne()})
        self.scale_inputs = scale_inputs

    def call(self, inputs):
        outputs = self._multiplied(sign(inputs), approximation(self.kernel))
        if self.scale_inputs:
            magnitude = tf.reduce_mean(tf.abs(inputs), axis=-1, keepdims=True)  # A
            window = tf.ones((*self.kernel.shape[:-2], 1, 1))
            outputs *= self._multiplied(magnitude, window / tf.size(window, tf.float32))  # K
        return outputs

    def _multiplied(self, inputs, kernel):
        return self.convolution_op(inputs, kernel)

    def get_config(self):
        return {**super().get_config(), "scale_inputs": self.scale_inputs}


class BinaryConv1D(_Binary, layers.Conv1D):
    """`_Binary` convolution. Shape: (batch, time, channels) -> (batch, time, filters)"""


class BinaryConv2D(_Binary, layers.Conv2D):
    """`_Binary` convolution. Shape: (batch, rows, columns, channels) -> (batch, rows, columns, filters)"""


class BinaryDense(_Binary, layers.Dense):
    """`_Binary` dense layer. Shape: (batch, values) -> (batch, units)"""

    def _multiplied(self, inputs, kernel):
        return tf.matmul(inputs, kernel)


BINARY = {BinaryConv1D: layers.Conv1D, BinaryConv2D: layers.Conv2D, BinaryDense: layers.Dense}  # and what they fold to


def convolution(x, name, filters, kernel_size, **kwargs):
    """A block of XNOR-Net: batch norm, and a `BinaryConv2D` of its signs."""
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, scale=False, name=f"{name}_norm")(x)
    return BinaryConv2D(filters, kernel_size, kernel_initializer="glorot_normal", name=name, **kwargs)(x)


@dataclass(frozen=True)
class Fold:
    """Step: the backbone's binary layers as plain Keras layers, which decide as they do."""

    lowers: ClassVar = ()

    def __call__(self, backbone, finetune):
        return folded(backbone)

    def quick(self):
        """The same: it trains nothing."""
        return self


def folded(backbone):
    """The backbone in plain Keras layers, with the same scores but for the int8 rounding of the first kernel.

    A sign is a tanh so steep that it gives -1 and 1 alone. It stands with the layer that makes what it takes, before
    any pool: a maximum of signs is the sign of the maximum. Where that layer is binary its kernel holds STEEP and
    -STEEP; else its kernel is rounded to int8's grid, so that an int8 file has no other.

    Raises: ZooError, by layer, where the backbone is no chain, for inputs with a scale of their own (`scale_inputs`),
    and where a binary layer does not stand behind a norm without scale, and that, but for pools, behind a convolution
    or dense layer.
    """
    check_backbone(backbone)
    chain = _chain(backbone)
    thresholds = _thresholds(chain)
    norms = {norm.name for norm, _ in thresholds.values()}
    x = inputs = keras.Input(backbone.input_shape[1:], name=chain[0].name)
    for layer in chain[1:]:
        if layer.name in norms:
            continue
        kind = BINARY.get(type(layer), type(layer))
        config = {key: value for key, value in layer.get_config().items() if key != "scale_inputs"}
        weights = layer.get_weights()
        if layer.name in thresholds:
            config |= {"activation": "tanh", "use_bias": True}
            weights = _steep(layer, thresholds[layer.name][1])
        elif type(layer) in BINARY:
            weights = [approximation(layer.kernel).numpy()]
        plain = kind.from_config({**config, "kernel_constraint": None} if type(layer) in BINARY else config)
        x = plain(x)
        plain.set_weights(weights)
    return keras.Model(inputs, x, name=backbone.name)


def _chain(model):
    chain = model.layers
    for before, layer in zip(chain, chain[1:]):
        if layer.input is not before.output:
            raise ZooError(
                f"{layer.name}: XNOR files are made of a chain of layers; this one does not take the one before"
            )
    return chain


def _thresholds(chain):
    """{layer whose outputs become signs: (the norm between, the threshold of each channel)}."""
    found, maker = {}, None
    for before, layer in zip(chain, chain[1:]):
        if type(layer) in BINARY:
            if layer.scale_inputs:
                raise ZooError(f"{layer.name}: scale_inputs needs real inputs; a file of bits is made without")
            if not (isinstance(before, layers.BatchNormalization) and not before.scale and maker):
                raise ZooError(
                    f"{layer.name}: a binary layer stands behind a norm without scale, and that behind a convolution or"
                    f" dense layer, pools between; here it is {before.name}"
                )
            deviation = np.sqrt(before.moving_variance.numpy() + before.epsilon)
            found[maker.name] = before, before.moving_mean.numpy() - before.beta.numpy() * deviation
        if hasattr(layer, "kernel") and layer.activation is keras.activations.linear:
            maker = layer
        elif not isinstance(layer, (*PASSED, layers.BatchNormalization)):
            maker = None
    return found


def int8_step(kernel):
    """The step of int8's grid for each filter: the kernel of the first layer lies on it, and every file has the same.

    Shape: (..., filters) -> (filters,)
    """
    largest = np.abs(kernel).max(axis=tuple(range(kernel.ndim - 1)))
    return np.maximum(largest, np.finfo(np.float32).tiny) / 127  # a filter of zeros has any


def _steep(layer, threshold):
    """[kernel, bias] of which a tanh makes the sign of what the layer makes over a threshold."""
    kernel = layer.kernel.numpy()
    if type(layer) in BINARY:
        whole = np.ceil(threshold / alpha(kernel).numpy()) - 0.5
        return [STEEP * sign(kernel).numpy(), -STEEP * whole]
    step = int8_step(kernel)
    bias = layer.bias.numpy() if layer.use_bias else 0
    return [STEEP_REAL * step * np.round(kernel / step), STEEP_REAL * (bias - threshold)]
