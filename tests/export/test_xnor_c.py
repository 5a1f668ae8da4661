"""xnor.c against sums of NumPy and against the Keras layers; for a Cortex-M4 it is compiled, run and counted."""

import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

from zoo.backend import keras

import numpy as np
import pytest

from zoo import assembly
from zoo.compress import binary
from zoo.export import c99, seam, signs, tflite, xnor, xnor_c
from zoo.export.folder import Quantisation, write_models
from zoo.export.metadata import About
from zoo.export.tflm import TFLM
from zoo.frontends import LogMel, Raw
from zoo.labelling import Multiclass
from zoo.models import acdnet, xnor_acdnet
from zoo.runtime.interpreter import LiteRT, Tensor

layers = keras.layers
COLUMNS = Tensor((21, 1, 9), np.int8, 0.05, -7)  # of a small net: image rows are channels, columns are time


def small_net(seed, swaps=True, stride=1, padding="same"):
    """Columns -> scores in layers of `zoo.compress.binary`: widths that fill no word, a pool that leaves a rest."""
    keras.utils.set_random_seed(seed)
    x = inputs = keras.Input(COLUMNS.shape, name="columns")
    x = layers.Permute((3, 1, 2), name="swap")(x) if swaps else layers.Reshape((21, 9, 1), name="image")(x)
    x = layers.Conv2D(5, 3, padding=padding, use_bias=seed % 2 == 1, name="conv1")(x)
    x = layers.MaxPooling2D((1, 2), name="pool1")(x)
    x = binary.convolution(x, "conv2", 7, 3, padding="same")
    x = binary.convolution(x, "conv3", 33, 3, padding=padding, strides=stride)
    x = layers.Dropout(0.1, name="dropout")(layers.MaxPooling2D(2, name="pool3")(x))
    x = binary.convolution(x, "conv4", 13, (1, 2), padding="same")
    x = layers.BatchNormalization(name="dense_norm")(x)
    x = layers.Flatten(name="flatten")(layers.AveragePooling2D(x.shape[1:3], name="mean")(x))
    scores = layers.Softmax(name="scores")(layers.Dense(4, name="dense")(x))
    net = keras.Model(inputs, scores, name="small")
    rng = np.random.default_rng(seed)
    for layer in net.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.beta.assign(rng.normal(0, 0.5, layer.beta.shape))
    for _ in range(40):
        net(COLUMNS.from_raw(windows(8, rng)), training=True)
    return binary.folded(net)


def windows(count, rng):
    return rng.integers(-128, 128, (count, *COLUMNS.shape), np.int8)


def slow_scores(net, window):
    """What a `Net` makes of a window, sum by sum."""
    image = np.zeros((net.layers[0].shape.rows, net.layers[0].shape.columns, 1))
    values = window.ravel().astype(int) - net.columns.zero_point
    for y, x, _ in np.ndindex(*image.shape):
        image[y, x] = values[y * net.row_stride + x * net.column_stride]
    for layer in net.layers:
        shape = layer.shape
        sums = np.zeros((shape.out_rows * shape.pool_rows, shape.out_columns * shape.pool_columns, shape.filters))
        for y, x, filter in np.ndindex(*sums.shape):
            for i, j, channel in np.ndindex(*layer.kernel.shape[:3]):
                row, column = y * shape.stride_rows + i - shape.top, x * shape.stride_columns + j - shape.left
                if 0 <= row < shape.rows and 0 <= column < shape.columns:
                    sums[y, x, filter] += image[row, column, channel] * layer.kernel[i, j, channel, filter]
        if layer is not net.layers[-1]:
            signs = np.where(sums >= layer.thresholds, 1, -1)
            pooled = signs.reshape(shape.out_rows, shape.pool_rows, shape.out_columns, shape.pool_columns, -1)
            image = pooled.max(axis=(1, 3))
    logits = net.dense @ sums.sum(axis=(0, 1)) + net.bias
    scores = np.exp(logits - logits.max())
    return scores / scores.sum()


@pytest.mark.parametrize(
    "seed, settings",
    [(0, {}), (1, {"swaps": False}), (2, {"stride": 2}), (3, {"padding": "valid", "stride": 2}), (4, {"swaps": False})],
)
def test_the_c_code_scores_as_slow_sums_and_as_the_keras_layers(seed, settings, tmp_path):
    body = small_net(seed, **settings)
    if settings.get("swaps") is False:  # the reshape is the user's: a log-mel is an image already
        body = without_reshape(body)
    columns = COLUMNS._replace(shape=body.input_shape[1:])
    net = xnor.net_of(body, columns)
    xnor_c.write_xnor(net, tmp_path)
    c = xnor_c.XnorC(tmp_path)
    assert c.input == columns._replace(scale=float(np.float32(columns.scale)))
    given = windows(12, np.random.default_rng(100 + seed)).reshape(-1, *columns.shape)
    scores = c.output.from_raw(c.run_raw(given))
    # Scores come in steps of 1 / 32768, and float32 sums differ in order.
    np.testing.assert_allclose(scores[:2], [slow_scores(net, window) for window in given[:2]], atol=3e-5)
    np.testing.assert_allclose(scores, body.predict(columns.from_raw(given), verbose=0), atol=3e-5)
    assert len(np.unique(scores.argmax(axis=1))) > 1 or scores.std() > 0.01


def without_reshape(body):
    x = inputs = keras.Input((21, 9, 1), name="columns")
    for layer in body.layers[2:]:
        twin = type(layer).from_config(layer.get_config())
        x = twin(x)
        twin.set_weights(layer.get_weights())
    return keras.Model(inputs, x, name=body.name)


def test_a_bit_is_one_where_a_weight_is_positive_and_filters_begin_with_a_word():
    kernel = np.where(np.random.default_rng(0).normal(size=(3, 3, 5, 2)) > 0, 1, -1)
    packed = xnor_c.packed(kernel)
    assert packed.dtype == np.uint32 and packed.shape == (4,)  # 45 bits each
    for filter in range(2):
        bits = kernel[..., filter].ravel()
        for place, weight in enumerate(bits):
            assert packed[2 * filter + place // 32] >> (place % 32) & 1 == (weight > 0)
        assert packed[2 * filter + 1] >> 13 == 0


@pytest.fixture(scope="module")
def micro_net():
    """XNOR-Micro-ACDNet at its size for ten classes, untrained, with norms that heard noise of many levels."""
    keras.utils.set_random_seed(0)
    net = xnor_acdnet.build((30_225, 1, 1), 10, widths=acdnet.MICRO_WIDTHS)
    rng = np.random.default_rng(0)
    for _ in range(8):
        net((rng.normal(0, 1, (8, 30_225, 1, 1)) * np.geomspace(0.01, 0.3, 8).reshape(-1, 1, 1, 1)), training=True)
    return binary.folded(net)


@pytest.fixture(scope="module")
def micro(micro_net, tmp_path_factory):
    """Its body, columns, and the folder with its C."""
    front, body = assembly.cut(Raw(20_000, 30_225).build(), micro_net, acdnet.SEAM)
    rng = np.random.default_rng(1)
    sounds = rng.normal(0, 1, (6, 30_225)) * np.geomspace(0.01, 0.3, 6)[:, None]
    columns = seam.columns_of(front, sounds.astype(np.float32))
    low, high = seam.seam_range(columns)
    tensor = Tensor(columns.shape[1:], np.int8, (high - low) / 255, round(-128 - 255 * low / (high - low)))
    folder = tmp_path_factory.mktemp("micro")
    net = xnor.net_of(body, tensor)
    xnor_c.write_xnor(net, folder)
    return SimpleNamespace(front=front, body=body, columns=columns, range=(low, high), net=net, folder=folder)


def test_weights_of_the_binary_layers_take_a_thirtieth_of_float32_in_the_file(micro):
    source = (micro.folder / "xnor.c").read_text()
    tables = re.findall(r"uint32_t weights\d+\[\] = \{\n(.*?)\n\};", source, re.DOTALL)
    stored = 4 * sum(text.count("0x") for text in tables)
    weights = sum(layer.kernel.size for layer in micro.net.layers[1:])
    assert weights == 127_341  # of table 11's layers from conv4 to conv12, by hand
    assert 4 * weights / stored >= 30  # 30.7: each filter is filled up to a word


def test_the_c_code_takes_what_its_header_says_of_tables(micro):
    first, *others = micro.net.layers
    by_hand = first.kernel.size + 4 * first.shape.filters  # int8 and their thresholds
    by_hand += sum(4 * layer.shape.words * layer.shape.filters + 2 * len(layer.thresholds) for layer in others)
    by_hand += 4 * (micro.net.dense.size + micro.net.bias.size) + 14 * 2 * len(micro.net.layers)  # and of each shape
    assert c99.table_bytes((micro.folder / "xnor.c").read_text()) == by_hand


@pytest.fixture(scope="module")
def objects(micro, tmp_path_factory):
    """{source: object} for a Cortex-M4 without float unit, where each use of a float is a call; strict warnings."""
    found = {}
    for name in ("xnor", "xnor_layers"):
        found[name] = tmp_path_factory.mktemp("objects") / f"{name}.o"
        strict = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Wno-sign-conversion", "-pedantic", "-Werror"]
        target = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=soft", "-c"]
        command = ["arm-none-eabi-gcc", *strict, *target, micro.folder / f"{name}.c", "-o", found[name]]
        subprocess.run(command, check=True)
    return found


def symbols(object):
    told = subprocess.run(["arm-none-eabi-nm", object], check=True, capture_output=True, text=True).stdout
    return {line.split()[-1] for line in told.splitlines()}


def test_binary_layers_use_no_float(objects):
    floats = ("__aeabi_f", "__aeabi_d", "__aeabi_i2f", "__aeabi_ui2f", "__aeabi_i2d")
    assert not [name for name in symbols(objects["xnor_layers"]) if name.startswith(floats)]
    assert [name for name in symbols(objects["xnor"]) if name.startswith(floats)]  # the dense layer: the check can fail


def test_nothing_is_called_but_memset_and_arithmetic(objects):
    undefined = [name for name in symbols(objects["xnor"]) | symbols(objects["xnor_layers"]) if "xnor" not in name]
    library = {name for name in undefined if not name.startswith("__aeabi") and name not in ("memset", "memcpy")}
    assert library <= {"$t", "$d", "shapes", "dense", "bias", "score", "exp_of"} | local(objects)


def local(objects):
    """Names that the objects define themselves."""
    told = [
        subprocess.run(["arm-none-eabi-nm", "--defined-only", path], check=True, capture_output=True, text=True).stdout
        for path in objects.values()
    ]
    return {line.split()[-1] for text in told for line in text.splitlines()}
