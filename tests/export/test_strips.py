"""Strips change the memory and nothing else: every test that rewrites a file compares all bytes that it gives."""

from zoo.backend import keras, tf

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from zoo.errors import ZooError
from zoo.export import flatbuffer, graph, strips, tflite
from zoo.export.stretches import Stretch, calls_of, peak_bytes
from zoo.export.tflm import TFLM
from zoo.runtime.interpreter import LiteRT

layers = keras.layers
KINDS = ["convolution", "dilated", "depthwise", "max", "mean", "relu", "pad", "residual", "leaky", "constants"]
KINDS += ["gate", "concatenate", "transpose", "reshape"]


def random_net(rng, kinds):
    """A chain of layers of these kinds over an image or a sequence."""
    is_sequence = rng.random() < 0.25
    sizes = rng.integers(14, 26, 1 if is_sequence else 2)
    inputs = x = keras.Input((*map(int, sizes), int(rng.integers(1, 5))))
    for number in range(rng.integers(3, 7)):
        x = random_layer(rng, x, f"layer{number}", kinds)
    return keras.Model(inputs, x)


def random_layer(rng, x, name, kinds):
    rank = len(x.shape) - 2
    convolution, max_pool, mean_pool, pad = (
        (layers.Conv1D, layers.MaxPooling1D, layers.AveragePooling1D, layers.ZeroPadding1D)
        if rank == 1
        else (layers.Conv2D, layers.MaxPooling2D, layers.AveragePooling2D, layers.ZeroPadding2D)
    )
    smallest = min(x.shape[1:-1])
    padding = str(rng.choice(["same", "valid"]))
    size = tuple(int(n) for n in rng.integers(1, min(5, smallest) + 1, rank))
    kind = rng.choice(kinds)
    if kind == "relu":
        return layers.ReLU(name=name)(x)
    if kind == "pad" and smallest < 20:
        pads = [tuple(map(int, rng.integers(0, 3, 2))) for _ in range(rank)]
        return pad(pads[0] if rank == 1 else pads, name=name)(x)
    if kind == "residual":
        branch = convolution(x.shape[-1], 3, padding="same", name=name)(x)
        return layers.Add(name=f"{name}_sum")([x, branch])
    if kind == "leaky":
        return layers.LeakyReLU(name=name)(x)
    if kind == "prelu":
        alphas = keras.initializers.RandomUniform(-1, 1, seed=1)
        return layers.PReLU(alphas, shared_axes=list(range(1, rank + int(rng.integers(1, 3)))), name=name)(x)
    if kind == "constants":
        shift = keras.initializers.RandomUniform(-1, 1, seed=1)
        return layers.BatchNormalization(beta_initializer=shift, name=name)(layers.ReLU(name=f"{name}_relu")(x))
    if kind == "gate":  # a tensor that is no constant, and the same for all strips
        pool = layers.GlobalAveragePooling1D if rank == 1 else layers.GlobalAveragePooling2D
        gate = layers.Dense(x.shape[-1], activation="sigmoid", name=f"{name}_dense")(pool(keepdims=True)(x))
        return layers.Multiply(name=name)([x, gate])
    if kind == "concatenate":
        branch = convolution(x.shape[-1], 3, padding="same", name=f"{name}_branch")(x)
        return layers.Concatenate(int(rng.integers(1, rank + 2)), name=name)([branch, x])
    if kind == "transpose" and rank == 2:
        return layers.Permute((2, 1, 3), name=name)(x)
    if kind == "reshape":
        y = layers.Reshape((1, *x.shape[1:]), name=f"{name}_longer")(x)
        return layers.Reshape(x.shape[1:], name=name)(layers.LeakyReLU(name=f"{name}_leaky")(y))
    if smallest < 6:
        return convolution(3, 1, name=name)(x)
    if kind == "max":
        return max_pool(size, int(rng.integers(1, 4)), padding, name=name)(x)
    if kind == "mean":
        return mean_pool(size, int(rng.integers(1, 3)), padding, name=name)(x)
    if kind == "depthwise" and rank == 2:
        return layers.DepthwiseConv2D(size, int(rng.integers(1, 3)), padding, use_bias=False, name=name)(x)
    if kind == "dilated" and smallest > 10:
        return convolution(4, 3, dilation_rate=2, padding=padding, name=name)(x)
    strides = int(rng.integers(1, 4)) if rank == 1 else tuple(int(n) for n in rng.integers(1, 4, rank))
    return convolution(int(rng.integers(2, 12)), size, strides, padding, activation="relu", name=name)(x)


def random_stretches(rng, model, count):
    """Stretches that can be computed in strips, drawn from all there are."""
    read = graph.read(model)
    found = []
    while len(found) < count:
        first, last = sorted(rng.integers(0, len(read.operators), 2))
        axis = int(rng.integers(1, len(read.tensors[read.operators[last].outputs[0]].shape)))
        stretch = Stretch(int(first), int(last), axis, int(rng.integers(2, 14)), bool(rng.integers(2)))
        try:
            found.append((stretch, strips.rewrite(model, [stretch])))
        except ZooError:
            count -= 0.05  # a net may have few
    return found


def random_inputs(rng, model, count):
    shape, dtype = model.input_shape, model.input.dtype
    if dtype is np.float32:
        return rng.normal(0, 1, (count, *shape)).astype(np.float32)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, (count, *shape), dtype, endpoint=True)


@pytest.mark.parametrize("seed", range(16))
def test_no_byte_differs_whatever_the_stretch_its_axis_and_its_strips(seed):
    rng = np.random.default_rng(seed)
    net = random_net(rng, KINDS + ["prelu"] * (seed % 3 != 1))  # TFLM has none in 16 bits
    calibration = rng.normal(0, 1, (4, *net.input_shape[1:])).astype(np.float32)
    convert = (tflite.to_int8, tflite.to_int16x8, lambda net, _: tflite.to_float(net))[seed % 3]
    model = convert(net, calibration)
    whole = TFLM(model)
    x = random_inputs(rng, whole, 3)
    exact = whole.run_raw(x)
    assert len(np.unique(exact)) > 1  # it says something
    found = random_stretches(rng, model, 12)
    assert found
    for stretch, rewritten in found:
        assert TFLM(rewritten).run_raw(x).tobytes() == exact.tobytes(), stretch


@pytest.mark.parametrize("seed", (100, 104, 209, 228))
def test_memory_is_reckoned_as_the_rewritten_file_has_it(seed):
    rng = np.random.default_rng(seed)
    model = tflite.to_float(random_net(rng, KINDS))
    root = graph.load(model)
    read = graph.of(root)
    for stretch, rewritten in random_stretches(rng, model, 12):
        calls = calls_of(root, read, stretch)
        live = graph.live_bytes(graph.read(rewritten))[stretch.first :][: len(calls)]
        assert peak_bytes(read, stretch, calls) == max(live), stretch


def convolutions(padding="same", classes=3):
    """A net whose memory peaks in its first two layers."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((40, 24, 1), name="image")
    x = layers.Conv2D(8, 3, padding=padding, activation="relu", name="wide")(inputs)
    x = layers.Conv2D(12, 3, padding=padding, activation="relu", name="wider")(x)
    x = layers.MaxPooling2D(4, name="pool")(x)
    x = layers.Conv2D(8, 3, name="small")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax", name="scores")(x))


@pytest.fixture(scope="module")
def peaked():
    net = convolutions()
    return tflite.to_int8(net, np.random.default_rng(0).normal(0, 1, (4, 40, 24, 1)).astype(np.float32))


@pytest.fixture(scope="module")
def stripped(peaked):
    return strips.in_strips(peaked)


def test_arena_shrinks_in_the_interpreter_and_the_file_runs_the_same_in_litert(peaked, stripped):
    assert stripped.measured and stripped.stretches
    assert stripped.arena_bytes_before == TFLM(peaked).arena_bytes
    assert stripped.arena_bytes == TFLM(stripped.model).arena_bytes < 2 / 3 * stripped.arena_bytes_before
    x = random_inputs(np.random.default_rng(1), LiteRT(peaked), 5)
    for kernels in ("reference", "xnnpack"):
        whole, rewritten = (LiteRT(model, kernels).run_raw(x) for model in (peaked, stripped.model))
        np.testing.assert_array_equal(rewritten, whole)


def test_weights_are_shared_and_dead_tensors_dropped(peaked, stripped):
    before, after = graph.read(peaked), graph.read(stripped.model)
    weights = [sorted(t.name for t in read.tensors if t.is_constant and t.dtype == "int8") for read in (before, after)]
    assert weights[0] == weights[1]
    used = {i for operator in after.operators for i in (*operator.inputs, *operator.outputs)}
    assert used - {-1} | set(after.inputs) == set(range(len(after.tensors)))  # -1: a bias left out
    assert len(stripped.model) < 1.5 * len(peaked) + 4000  # operators, no second copy of a weight


def test_extra_multiplies_are_those_counted_by_hand(peaked):
    # 20 rows of "wider" before the pool, half of 40: its strip needs one row more of "wide" on the inner side alone.
    stretch = Stretch(0, 2, axis=1, strips=2)
    rewritten = graph.read(strips.rewrite(peaked, [stretch]))
    assert [operator.name for operator in graph.read(peaked).operators[:3]] == ["CONV_2D", "CONV_2D", "MAX_POOL_2D"]
    extra = sum(o.macs for o in rewritten.operators) - sum(o.macs for o in graph.read(peaked).operators)
    assert extra == 2 * 24 * 9 * 8


def test_what_may_be_computed_twice_is_limited(peaked):
    macs = sum(operator.macs for operator in graph.read(peaked).operators)
    thrifty, free = strips.in_strips(peaked, max_extra=0.005), strips.in_strips(peaked, max_extra=1)
    assert thrifty.macs <= 1.005 * macs == 1.005 * thrifty.macs_before
    assert free.arena_bytes <= thrifty.arena_bytes
    for stripped in (thrifty, free):
        assert stripped.macs == sum(operator.macs for operator in graph.read(stripped.model).operators)


def test_more_than_ten_strips_are_joined_by_nested_concatenations(peaked):
    rewritten = graph.read(strips.rewrite(peaked, [Stretch(0, 1, axis=1, strips=37)]))
    joins = [operator for operator in rewritten.operators if operator.name == "CONCATENATION"]
    assert len(joins) == 5 and max(len(operator.inputs) for operator in joins) == 10


def test_a_file_that_cannot_win_comes_back_as_it_is():
    inputs = keras.Input((8,))
    net = keras.Model(inputs, layers.Dense(4, activation="relu")(layers.Dense(16)(inputs)))
    model = tflite.to_int8(net, np.random.default_rng(0).normal(0, 1, (4, 8)).astype(np.float32))
    stripped = strips.in_strips(model)
    assert stripped.model == model and stripped.stretches == ()
    assert stripped.told().startswith(f"no strips make the arena of {TFLM(model).arena_bytes:,} bytes smaller")


@pytest.mark.parametrize("name", ["frontend", "seam_int8"])
def test_files_of_16_bits_and_of_floats_before_int8_run_through(files, name):
    stripped = strips.in_strips(files[name])  # which compares the bytes
    assert stripped.arena_bytes <= stripped.arena_bytes_before


def test_a_file_that_tflm_cannot_run_is_reckoned_and_keeps_its_bytes():
    waveform = keras.Input((2_000,), name="waveform")
    spectrum = tf.abs(tf.signal.stft(waveform, 128, 64, 128))[..., None]  # RFFT2D: TFLM has none
    x = layers.Conv2D(32, 3, padding="same", name="wide")(spectrum)
    x = layers.MaxPooling2D(4, name="pool")(x)
    model = tflite.to_float(keras.Model(waveform, x))
    stripped = strips.in_strips(model)
    assert not stripped.measured and stripped.stretches
    assert stripped.arena_bytes < stripped.arena_bytes_before and "reckoned" in stripped.told()


def test_a_pool_that_pads_and_takes_the_mean_is_left_alone():
    inputs = keras.Input((16, 9, 1))
    net = keras.Model(inputs, layers.AveragePooling2D(3, 1, "same")(inputs))
    model = tflite.to_int8(net, np.random.default_rng(0).normal(0, 1, (4, 16, 9, 1)).astype(np.float32))
    with pytest.raises(ZooError, match="not local"):
        strips.rewrite(model, [Stretch(0, 0, 1, 2)])


def test_hybrid_convolutions_are_left_alone():
    inputs = keras.Input((40, 24, 16))
    model = tflite.to_dynamic(keras.Model(inputs, layers.Conv2D(32, 3)(inputs)))  # 4,608 weights: in 8 bits
    (convolution,) = (operator for operator in graph.read(model).operators if operator.name == "CONV_2D")
    assert graph.read(model).tensors[convolution.inputs[1]].dtype == "int8"
    with pytest.raises(ZooError, match="not local"):  # the scale of its whole input is found as it runs
        strips.rewrite(model, [Stretch(0, 0, 1, 2)])


def padded(*pads):
    """The root of a file that does nothing but pad 4 rows."""
    inputs = keras.Input((4, 3, 2))
    net = keras.Model(inputs, layers.ZeroPadding2D((pads, (0, 0)))(inputs))
    return graph.load(tflite.to_float(net))


def test_a_strip_that_is_the_whole_input_or_padding_alone_is_left_alone():
    model = flatbuffer.dump(padded(0, 4))
    for count in (2, 8):
        with pytest.raises(ZooError, match="not local, or too short"):
            strips.rewrite(model, [Stretch(0, 0, 1, count)])
    assert strips.in_strips(model).model == model


@pytest.mark.parametrize("constant", [True, False], ids=["64 bits", "computed"])
def test_a_padding_that_is_not_known_as_int32_is_left_alone(constant):
    root = padded(1, 1)
    pads = root.subgraphs[0].tensors[root.subgraphs[0].operators[0].inputs[1]]
    data = np.frombuffer(bytes(root.buffers[pads.buffer].data), np.int32).astype(np.int64)
    root.buffers[pads.buffer].data = np.frombuffer(data.tobytes(), np.uint8) if constant else None
    pads.type = schema.TensorType.INT64 if constant else schema.TensorType.INT32
    with pytest.raises(ZooError, match="not local"):
        strips.rewrite(flatbuffer.dump(root), [Stretch(0, 0, 1, 2)])


def test_a_squeeze_of_all_axes_of_one_is_left_alone_and_one_of_named_axes_is_not():
    inputs = keras.Input((8, 1, 3))
    root = graph.load(tflite.to_float(keras.Model(inputs, layers.Reshape((8, 3))(layers.LeakyReLU()(inputs)))))
    code, reshape = root.operatorCodes[-1], root.subgraphs[0].operators[-1]
    assert reshape.opcodeIndex == len(root.operatorCodes) - 1 and graph.name_of(root, reshape) == "RESHAPE"
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.SQUEEZE
    reshape.inputs, reshape.builtinOptionsType = reshape.inputs[:1], schema.BuiltinOptions.SqueezeOptions
    reshape.builtinOptions = schema.SqueezeOptionsT()
    reshape.builtinOptions.squeezeDims = [2]
    model = flatbuffer.dump(root)
    x = random_inputs(np.random.default_rng(0), LiteRT(model), 2)
    rewritten = strips.rewrite(model, [Stretch(0, 1, 1, 8)])
    np.testing.assert_array_equal(LiteRT(rewritten).run_raw(x), LiteRT(model).run_raw(x))
    reshape.builtinOptions.squeezeDims = []
    with pytest.raises(ZooError, match="not local"):
        strips.rewrite(flatbuffer.dump(root), [Stretch(0, 1, 1, 8)])


def test_a_changed_byte_is_noticed(peaked):
    other = tflite.to_int8(convolutions("valid"), np.ones((2, 40, 24, 1), np.float32))
    with pytest.raises(AssertionError, match="strips changed the output"):
        strips.assert_same_bytes(peaked, other)


def test_a_changed_byte_of_a_second_output_is_noticed_and_a_second_input_is_fed():
    one, two = keras.Input((4,), name="one"), keras.Input((4,), name="two")

    def file(sign):
        # Named: files give their outputs in the order of these names.
        ends = [layers.Add(name="sum")([one, two]), layers.Multiply(name="product")([one, two * sign])]
        return tf.lite.TFLiteConverter.from_keras_model(keras.Model([one, two], ends)).convert()

    strips.assert_same_bytes(file(1.0), file(1.0))
    with pytest.raises(AssertionError, match="changed the output"):
        strips.assert_same_bytes(file(1.0), file(-1.0))
