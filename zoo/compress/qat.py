"""Quantisation-aware training: what follows the seam is trained as int8 will round it, sound before it stays float.

TF-MOT's wrapper and quantisers' protocol, with rules of our own where its 8-bit scheme leaves the grid on which our
files compute: its moving averages start at (-6, 6) and keep 0.999 of that a step (half is left after 138 epochs of 320
clips), it takes the widest column ever seen for the range at the seam, leaves the kernel of a layer float whose ReLU
follows without a norm, and gives all channels of a depthwise kernel one range.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from zoo.backend import keras, tf

import tensorflow_model_optimization as tfmot

from zoo.compress import check_backbone
from zoo.errors import ZooError
from zoo.export.tflite import stored_tensors
from zoo.measure.counts import KERNELS

quantization = tfmot.quantization.keras


@dataclass(frozen=True)
class QuantizeAware:
    """The step: fine-tunes with every kernel, and every tensor that an int8 file stores, rounded to 8 bits.

    The backbone that it gives back is a plain float one. Int8 is made of it as of every other: the same per-channel
    grid lies on a kernel before the norm as after the norm is folded into it, and the ranges of tensors were those
    that calibration finds.
    """

    plan: Any  # of the fine-tuning: a zoo.training.Plan
    seam: str = ""  # name of the layer after which int8 begins; without it the input is rounded

    lowers: ClassVar = ()

    def __call__(self, backbone, finetune):
        """A new backbone. Raises: ZooError naming a layer that cannot be trained so (a recurrent one)."""
        check_backbone(backbone)
        quantized, weights = quantize(backbone, self.seam)
        finetune(quantized, self.plan, "fine_tune")
        trained = keras.models.clone_model(backbone)
        for layer in trained.layers:
            layer.set_weights([weight.numpy() for weight in weights.get(layer.name, ())])
        return trained

    def quick(self):
        """The same step over one epoch."""
        return replace(self, plan=self.plan.with_epochs(1))


def quantize(backbone, seam=""):
    """(model, weights): the backbone with its int8's rounding in it, and {layer name: its float variables}.

    Raises: ZooError naming a layer whose kernels are not known.
    """
    sounds = set()
    if seam in [layer.name for layer in backbone.layers]:
        sounds = {layer.name for layer in keras.Model(backbone.input, backbone.get_layer(seam).output).layers} - {seam}
    stored = {*stored_tensors(backbone), seam} - sounds
    weights = {}

    def wrap(layer):
        twin = type(layer).from_config(layer.get_config())
        twin.build(layer.input_shape)
        twin.set_weights(layer.get_weights())
        weights[layer.name] = list(twin.weights)
        kernels = () if layer.name in sounds | {seam} else _kernels(layer)
        if not kernels and layer.name not in stored:
            return twin
        tail = 0.1 if layer.name == seam else 0
        wrapper = quantization.QuantizeWrapperV2(twin, _Int8(kernels, layer.name in stored, tail))
        wrapper.float_weights = weights[layer.name]  # a checkpoint would miss the kernel, which the wrapper replaces
        return wrapper

    quantized = keras.models.clone_model(backbone, clone_function=wrap)
    if not sounds:
        columns = keras.layers.Activation("linear", name="columns")
        columns = quantization.QuantizeWrapperV2(columns, _Int8((), True, tail_percent=0.1))
        inputs = keras.Input(backbone.input_shape[1:])
        quantized = keras.Model(inputs, quantized(columns(inputs)), name=backbone.name)
    return quantized, weights


def _kernels(layer):
    kind = type(layer).__name__
    if layer.weights and kind not in KERNELS:
        raise ZooError(f"{layer.name}: {kind} cannot be trained for int8; leave quantisation-aware training out")
    return KERNELS.get(kind, ())


class _Int8(quantization.QuantizeConfig):
    """What the wrapper asks: which of a layer's tensors are rounded, and how."""

    def __init__(self, kernels, rounds_output, tail_percent):
        self.kernels, self.rounds_output, self.tail_percent = kernels, rounds_output, tail_percent

    def get_weights_and_quantizers(self, layer):
        return [(getattr(layer, kernel), KernelRounding("depthwise" in kernel)) for kernel in self.kernels]

    def set_quantize_weights(self, layer, quantize_weights):
        for kernel, rounded in zip(self.kernels, quantize_weights, strict=True):
            setattr(layer, kernel, rounded)

    def get_activations_and_quantizers(self, layer):
        return []

    def set_quantize_activations(self, layer, quantize_activations):
        pass

    def get_output_quantizers(self, layer):
        return [TensorRounding(self.tail_percent)] if self.rounds_output else []

    def get_config(self):
        return {"kernels": self.kernels, "rounds_output": self.rounds_output, "tail_percent": self.tail_percent}


class KernelRounding(quantization.quantizers.Quantizer):
    """A kernel rounded as TFLite rounds it: symmetric, -127 to 127, each output channel in its own range."""

    def __init__(self, depthwise=False):
        self.channel_axes = 2 if depthwise else 1

    def build(self, tensor_shape, name, layer):
        return {}

    def __call__(self, inputs, training, weights, **kwargs):
        channels = tf.math.reduce_prod(inputs.shape[-self.channel_axes :])
        kernel = tf.reshape(inputs, (-1, channels))
        peak = tf.stop_gradient(tf.reduce_max(tf.abs(kernel), axis=0))
        rounded = tf.quantization.fake_quant_with_min_max_vars_per_channel(kernel, -peak, peak, narrow_range=True)
        return tf.reshape(rounded, inputs.shape)

    def get_config(self):
        return {"depthwise": self.channel_axes == 2}


class TensorRounding(quantization.quantizers.Quantizer):
    """A tensor rounded to 8 bits over the range of recent batches, the first one's to begin with.

    tail_percent: share of the values that saturates at either end.
    """

    MOMENTUM = 0.9  # as the zoo's batch norms

    def __init__(self, tail_percent=0):
        self.tail_percent = tail_percent

    def build(self, tensor_shape, name, layer):
        return {end: layer.add_weight(f"{name}_{end}", initializer="zeros", trainable=False) for end in ("low", "high")}

    def __call__(self, inputs, training, weights, **kwargs):
        low, high = weights["low"], weights["high"]
        if training:
            is_first = tf.equal(low, high)
            ends = (
                tf.minimum(self._percentile(inputs, self.tail_percent), 0.0),
                tf.maximum(self._percentile(inputs, 100 - self.tail_percent), 0.0),
            )
            low, high = (
                old.assign(tf.where(is_first, new, self.MOMENTUM * old + (1 - self.MOMENTUM) * new))
                for old, new in zip((low, high), ends)
            )
        return tf.quantization.fake_quant_with_min_max_vars(inputs, low, high)

    def _percentile(self, x, percent):
        x = tf.stop_gradient(tf.reshape(x, (-1,)))
        if percent in (0, 100):
            return tf.reduce_min(x) if percent == 0 else tf.reduce_max(x)
        return tf.sort(x)[tf.cast(percent / 100 * tf.cast(tf.size(x) - 1, tf.float32), tf.int32)]

    def get_config(self):
        return {"tail_percent": self.tail_percent}
