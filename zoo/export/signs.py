"""A folded XNOR-Net in 8 bits: TFLite has no operator that counts bits, so int8 kernels multiply -127 and 127.

Each layer of signs becomes one convolution that saturates: the same decisions as bits, at the cost of int8.
"""

from zoo.backend import keras, tf

import numpy as np

from zoo.compress.binary import int8_step
from zoo.export import flatbuffer, graph, tflite
from zoo.export.xnor import is_sign

# What a step of the first layer's sums makes of its output: at 127 it saturates. XNNPACK takes less than 256, and
# TFLM's kernels shift sums to the left by it, in 32 bits.
STEPS_PER_STEP = 128
LIMITS = (-128 / 127, 1.0)  # the range whose scale is 1 / 127: -1 and 1 are whole steps then


class Clip(keras.layers.Layer):
    """What lies beyond -1 and 1 becomes -1 and 1: one operator with the convolution before it."""

    def call(self, inputs):
        return tf.clip_by_value(inputs, -1.0, 1.0)


def int8_body(body, columns, low, high) -> bytes:
    """The folded body as an int8 file, its input's range from low to high.

    Shape: columns is (n, *input_shape), what the last layers' ranges are taken of
    """
    clipped = _clipped(body, column_scale=(high - low) / 255)
    calibrated = tflite.calibrated(clipped, np.clip(columns, low, high).astype(np.float32))
    root = graph.load(calibrated)
    for tensor in root.subgraphs[0].tensors:
        range_ = tensor.quantization
        if range_ is not None and range_.min is not None and (range_.min[0], range_.max[0]) == (-1, 1):
            range_.min, range_.max = [LIMITS[0]], [LIMITS[1]]
    return tflite.quantised(flatbuffer.dump(root))


def _clipped(body, column_scale):
    x = inputs = keras.Input(body.input_shape[1:], name="columns")
    is_first = True
    for layer in body.layers[1:]:
        config, weights = layer.get_config(), layer.get_weights()
        if is_sign(layer):
            config["activation"] = "linear"
            if is_first:
                sum_step = int8_step(weights[0]) * column_scale
                weights = [weight * (STEPS_PER_STEP / 127 / sum_step) for weight in weights]
                is_first = False
        twin = type(layer).from_config(config)
        x = twin(x)
        twin.set_weights(weights)
        if is_sign(layer):
            x = Clip(name=f"{layer.name}_sign")(x)
    return keras.Model(inputs, x, name=body.name)
