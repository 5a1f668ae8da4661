"""A small net of ACDNet's shape, sounds to calibrate and to judge it with, and its files, each converted once."""

from types import SimpleNamespace

from zoo.backend import keras, tf

import numpy as np
import pytest

from zoo.export import seam, tflite

SAMPLES, COLUMNS = 2013, 10  # 200 samples to a column and 13 more


def build_net():
    """front and body, with the statistics of a trained net: neither dead nor saturated."""
    layers = keras.layers
    keras.utils.set_random_seed(0)

    def convolution(x, name, filters, *args, **kwargs):
        # Named, because Keras counts its own names up from net to net, and names go into the files.
        x = layers.Conv2D(filters, *args, use_bias=False, name=name, **kwargs)(x)
        return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_norm")(x))

    waveform = keras.Input((SAMPLES,), name="waveform")
    x = layers.Reshape((SAMPLES, 1, 1), name="samples")(waveform)  # time in full: the hop model has to shorten it
    x = convolution(x, "conv1", 4, (9, 1), strides=(2, 1))
    x = convolution(x, "conv2", 8, (5, 1), strides=(2, 1))
    front = keras.Model(waveform, layers.MaxPooling2D((50, 1), name="pool1")(x), name="front")

    columns = keras.Input(front.output_shape[1:], name="columns")
    x = layers.Permute((3, 1, 2), name="swap_axes")(columns)
    x = layers.MaxPooling2D(2, name="pool2")(convolution(x, "conv3", 6, 3, padding="same"))
    x = layers.Dense(10, name="dense")(layers.GlobalAveragePooling2D(name="mean")(x))
    body = keras.Model(columns, layers.Softmax(name="scores")(x), name="body")

    rng = np.random.default_rng(0)
    for layer in (*front.layers, *body.layers):
        if isinstance(layer, layers.BatchNormalization):
            n = layer.gamma.shape[0]
            gamma, variance = rng.uniform(0.5, 1.5, n), rng.uniform(0.02, 0.1, n)
            layer.set_weights([gamma, rng.normal(0, 0.2, n), rng.normal(0, 0.1, n), variance])
    return SimpleNamespace(front=front, body=body, whole=keras.Model(waveform, body(front.output), name="whole"))


def make_sounds(n, seed):
    """Decaying bursts of many levels, as 16-bit PCM holds them; the first one reaches the top of the range."""
    rng = np.random.default_rng(seed)
    decay = np.exp(-np.arange(SAMPLES) / rng.uniform(100, 2000, (n, 1)))
    x = rng.normal(0, 1, (n, SAMPLES)) * np.roll(decay, 300, axis=1)
    x *= np.geomspace(1, 1e-3, n)[:, None] / np.abs(x).max(axis=1, keepdims=True)
    return (np.round(x * 32767) / 32768).astype(np.float32)


@pytest.fixture(scope="session")
def net():
    return build_net()


@pytest.fixture(scope="session")
def calibration():
    return make_sounds(8, seed=1)


@pytest.fixture(scope="session")
def sounds():
    """Judged with: real-like ones, silence, noise at full scale, and one square wave between the two ends."""
    noise = np.random.default_rng(3).uniform(-1, 1, (2, SAMPLES))
    square = np.sign(np.sin(np.arange(SAMPLES) / 7))
    return np.concatenate([make_sounds(6, seed=2), noise, square[None], np.zeros((1, SAMPLES))]).astype(np.float32)


@pytest.fixture(scope="session")
def run_in_tensorflow():
    """run(model, raw) with the reference kernels of TensorFlow 2.16, which round as microcontrollers do.

    LiteRT 2.3's FULLY_CONNECTED rounds its int8 once, whatever its resolver; TensorFlow 2.16 and TFLM round twice.
    """

    def run(model, raw):
        reference = tf.lite.experimental.OpResolverType.BUILTIN_REF
        interpreter = tf.lite.Interpreter(model_content=model, experimental_op_resolver_type=reference)
        interpreter.allocate_tensors()
        outputs = []
        for sample in raw:
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], sample[None])
            interpreter.invoke()
            outputs.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
        return np.stack(outputs)

    return run


@pytest.fixture(scope="session")
def files(net, calibration):
    """Every file of the net, by name."""
    columns = seam.columns_of(net.front, calibration)
    body = seam.int8_body(net.body, columns)
    frontend = seam.micro_frontend(net.front, body, calibration)
    return {
        "float": tflite.to_float(net.whole),
        "front_float": tflite.to_float(net.front),
        "body_float": tflite.to_float(net.body),
        "seam_int8": seam.seam_int8(net.front, body),
        "whole_int8": tflite.to_int8(net.whole, calibration),
        "front_int16x8": tflite.to_int16x8(net.front, seam.as_loud_as_pcm(calibration)),
        "frontend": frontend,
        "body": body,
    }
