"""xnor.c against sums of NumPy and against the Keras layers; for a Cortex-M4 it is compiled, run and counted."""

import re
import subprocess
from types import SimpleNamespace

from zoo.backend import keras, tf

import numpy as np
import pytest

from tests.export.board.programs import BOARD, compiled, require, run
from tools.cortex_m import COUNTING, WITH_FLOAT_UNIT
from zoo import assembly, corpus
from zoo.compress import binary, copy_of
from zoo.export import c99, graph, seam, signs, xnor, xnor_c
from zoo.frontends import Raw
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


def test_on_real_clips_it_decides_as_the_keras_layers(micro, esc10_clips):
    sounds, _ = corpus.unmixed_crops(esc10_clips, 30_225, 50, 0)
    columns = micro.net.columns.to_raw(seam.columns_of(micro.front, sounds))
    c = xnor_c.XnorC(micro.folder)
    scores, expected = c.output.from_raw(c.run_raw(columns)), micro.body.predict(micro.net.columns.from_raw(columns))
    assert len(np.unique(expected.argmax(axis=1))) > 1
    np.testing.assert_array_equal(scores.argmax(axis=1), expected.argmax(axis=1))
    np.testing.assert_allclose(scores, expected, atol=3e-5)


def test_the_int8_emulation_multiplies_the_same_signs(micro):
    """Each layer of signs is one convolution, whose output saturates at -127 and 127."""
    model = signs.int8_body(micro.body, micro.columns, *micro.range)
    names = [operator.name for operator in graph.read(model).operators]
    assert names.count("CONV_2D") == 10 and "TANH" not in names and "QUANTIZE" not in names
    interpreter = tf.lite.Interpreter(model_content=model, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    window, twin = micro.net.columns.to_raw(micro.columns[4:5]), copy_of(micro.body)
    signs_of = [layer.output for layer in twin.layers if xnor.is_sign(layer)]
    expected = keras.Model(twin.input, signs_of).predict(micro.net.columns.from_raw(window))
    taken = LiteRT(model).input
    assert taken.zero_point == micro.net.columns.zero_point
    assert taken.scale == pytest.approx(micro.net.columns.scale, rel=1e-6)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], window)
    interpreter.invoke()
    made = [operator.outputs[0] for operator in graph.read(model).operators if operator.name == "CONV_2D"]
    first, *others = (interpreter.get_tensor(tensor) for tensor in made[:-1])
    # Of the first layer a sum may lie on its threshold: 0.
    assert (np.sign(first) != expected[0]).mean() < 2e-3 and set(np.unique(first)) <= {-127, 0, 127}
    for layer in others:
        assert set(np.unique(layer)) == {-127, 127}


def test_weights_of_the_binary_layers_take_a_thirtieth_of_float32_in_the_file(micro):
    source = (micro.folder / "xnor.c").read_text()
    tables = re.findall(r"uint32_t weights\d+\[\] = \{\n(.*?)\n\};", source, re.DOTALL)
    stored = 4 * sum(text.count("0x") for text in tables)
    weights = sum(layer.kernel.size for layer in micro.net.layers[1:])
    assert weights == 127_341  # of table 11's layers from conv4 to conv12, by hand
    assert 4 * weights / stored >= 30  # 30.7: each filter is filled up to a word


def test_the_bytes_of_tables_are_those_counted_by_hand(micro):
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


def called(object):
    """Names that an object takes from elsewhere."""
    command = ["arm-none-eabi-nm", "--undefined-only", object]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {line.split()[-1] for line in told.splitlines()}


def test_binary_layers_use_no_float(objects):
    floats = ("__aeabi_f", "__aeabi_d", "__aeabi_i2f", "__aeabi_ui2f", "__aeabi_i2d")
    assert not [name for name in called(objects["xnor_layers"]) if name.startswith(floats)]
    assert [name for name in called(objects["xnor"]) if name.startswith(floats)]  # the dense layer: the check can fail


def test_nothing_is_called_but_memset_and_arithmetic(objects):
    names = called(objects["xnor"]) | called(objects["xnor_layers"])
    library = {name for name in names if not name.startswith(("__aeabi", "xnor_"))}
    assert library <= {"memset", "memcpy"}


def c_array(kind, name, values):
    return f"static const {kind} {name}[] = {{\n{c99.rows(map(str, np.ravel(values)))}\n}};\n"


def float_body(net, window):
    """float_body.h: the same network in float32, the window as it takes it, and the sums that it has to end with."""
    first, *_, last = net.layers
    image = np.empty((first.shape.rows, first.shape.columns))
    for y, x in np.ndindex(*image.shape):
        image[y, x] = int(window.ravel()[y * net.row_stride + x * net.column_stride]) - net.columns.zero_point
    text = '#pragma once\n#include <cstdint>\n#include "float_layers.h"\n'
    text += "struct FloatLayer { xnor_shape shape; const float* weights; const float* thresholds; };\n"
    text += c_array("std::int8_t", "g_columns", window) + c_array("float", "g_image", image)
    rows = []
    for number, layer in enumerate(net.layers):
        kernel = layer.kernel.reshape(-1, layer.shape.filters).T
        text += c_array("float", f"g_weights{number}", kernel)
        thresholds = "nullptr"
        if len(layer.thresholds):
            text += c_array("float", thresholds := f"g_thresholds{number}", layer.thresholds)
        rows.append(f"{{{{{', '.join(map(str, layer.shape))}}}, g_weights{number}, {thresholds}}}")
    maps = [layer.shape.out_rows * layer.shape.out_columns * layer.shape.filters for layer in net.layers]
    text += f"static const FloatLayer g_float_layers[] = {{{', '.join(rows)}}};\n"
    return text + f"constexpr unsigned kFloatMap = {max(maps)}, kSums = {maps[-1]};\n"


def sums_of(body, columns, window):
    """What the last binary layer of the Keras body makes, as whole numbers."""
    last = [layer for layer in body.layers if isinstance(layer, layers.Conv2D)][-1]
    twin = copy_of(body)
    made = keras.Model(twin.input, twin.get_layer(last.name).output).predict(columns.from_raw(window[None]), verbose=0)
    return np.round(made[0] / np.abs(last.kernel.numpy()).max(axis=(0, 1, 2)))


def test_on_a_cortex_m4_it_gives_the_hosts_bytes_for_a_fifth_of_floats_instructions(micro, tmp_path):
    window = micro.net.columns.to_raw(micro.columns[3])
    text = float_body(micro.net, window) + c_array("float", "g_sums", sums_of(micro.body, micro.net.columns, window))
    (tmp_path / "float_body.h").write_text(text)
    require("arm-none-eabi-gcc")
    sources = [BOARD / "float_layers.c", *(micro.folder / name for name in ("xnor.c", "xnor_layers.c"))]
    paths = [f"-I{micro.folder}", f"-I{BOARD}", f"-I{tmp_path}"]
    objects = []
    for source in sources:
        objects.append(tmp_path / f"{source.stem}.o")
        command = ["arm-none-eabi-gcc", "-std=c99", "-O2", *WITH_FLOAT_UNIT, *paths, "-c", source, "-o", objects[-1]]
        subprocess.run(command, check=True)
    program = compiled("cortex-m4", tmp_path / "count", [BOARD / "xnor_count.cc", *objects], *paths)
    ran = run("cortex-m4", program, *COUNTING)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    scores, counted, in_float, unlike = ran.stdout.splitlines()
    c = xnor_c.XnorC(micro.folder)
    assert [int(score) for score in scores.split()] == c.run_raw(window[None])[0].tolist()
    assert int(unlike) == 0  # the float loops compute the same network
    print(f"{int(counted):,} instructions, in float32 {int(in_float):,}: {int(in_float) / int(counted):.1f} times")
    assert int(in_float) > 5 * int(counted)
