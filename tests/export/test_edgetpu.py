"""The Edge TPU's file: int8 from end to end, clipped at the seam by its scale alone, and what that chip refuses."""

import re

from zoo.backend import keras

import numpy as np
import pytest

from zoo import assembly
from zoo.errors import ZooError
from zoo.export import edgetpu, flatbuffer, graph, seam, tflite
from zoo.frontends import LogMel, Raw
from zoo.runtime.interpreter import LiteRT

layers = keras.layers
SAMPLES = 2_013  # as the net of conftest.py has them


@pytest.fixture(scope="module")
def join(net):
    """The net as recipes have it: a front end, and a backbone nested behind it."""
    columns = keras.Input((SAMPLES, 1, 1), name="input")
    x = columns
    for layer in (*net.front.layers[2:], *net.body.layers[1:]):
        twin = type(layer).from_config(layer.get_config())  # a layer that is called twice has no one output
        x = twin(x)
        twin.set_weights(layer.get_weights())
    return assembly.join(Raw(20_000, SAMPLES).build(), keras.Model(columns, x, name="net"))


@pytest.fixture(scope="module")
def one_call(join, calibration):
    return edgetpu.one_call(join, calibration)


def quantised(model):
    """{name of an operator: (scales of its outputs)} of a file, in order."""
    root = graph.load(model)
    (described,) = root.subgraphs
    return [
        (graph.name_of(root, operator), *described.tensors[operator.outputs[0]].quantization.scale.tolist())
        for operator in described.operators
    ]


def test_the_file_is_int8_at_both_ends_and_refused_nowhere(one_call):
    runner = LiteRT(one_call)
    assert runner.input.dtype == runner.output.dtype == np.int8 and runner.input.shape == (SAMPLES,)
    assert edgetpu.unsupported(one_call) == []


def test_the_range_at_the_seam_is_that_of_the_body_and_no_operator_is_added(net, join, one_call, calibration):
    naive = tflite.to_int8(join, calibration)
    low, high = seam.seam_range(seam.columns_of(net.front, calibration))
    names, scales = zip(*((name, scale) for name, scale, *_ in quantised(one_call)))
    assert names == tuple(name for name, *_ in quantised(naive))
    pool = names.index("MAX_POOL_2D")
    # The converter reads the range off clipped columns, in float32.
    assert scales[pool] == scales[pool - 1] == pytest.approx((high - low) / 255, rel=1e-5)


def test_what_the_front_gives_saturates_at_the_ceiling(net, one_call, calibration):
    """Cut behind the pool, the int8 front is the float front with its peaks cut off."""
    root = graph.load(one_call)
    (described,) = root.subgraphs
    last = [graph.name_of(root, operator) for operator in described.operators].index("MAX_POOL_2D")
    described.operators = described.operators[: last + 1]
    described.outputs = [described.operators[last].outputs[0]]
    root.signatureDefs = None
    front = LiteRT(flatbuffer.dump(root))
    low, high = seam.seam_range(seam.columns_of(net.front, calibration))
    loud = calibration[:3]  # down to an eighth of full scale; other sounds leave the other ranges
    exact = net.front.predict(loud, verbose=0)
    found, wanted = front.run(loud), np.clip(exact, low, high)
    assert exact.max() > high and found.max() == pytest.approx(high, rel=0.01)
    # The waveform and what the first convolution makes are rounded to 8 bits too, and a pool takes the largest of them.
    assert np.abs(found - wanted).mean() < 3 * (high - low) / 255


def test_decisions_are_those_of_the_float_model_more_often_than_by_chance(join, one_call, sounds):
    exact, found = join.predict(sounds, verbose=0), LiteRT(one_call).run(sounds)
    assert np.mean(exact.argmax(axis=1) == found.argmax(axis=1)) >= 0.5  # of ten classes, and sounds down to silence


def test_a_log_mel_is_refused_with_the_way_out():
    front = LogMel(4_000, num_mels=20).build_tflite_twin()
    columns = keras.Input(front.output_shape[1:], name="input")
    backbone = keras.Model(columns, layers.Softmax()(layers.GlobalAveragePooling2D()(columns)), name="net")
    with pytest.raises(ZooError, match="net: the Edge TPU has no .*LOG.*micro/body.tflite") as error:
        edgetpu.one_call(assembly.join(front, backbone), np.zeros((2, 4_000), np.float32))
    assert "\n" not in str(error.value)


def test_a_net_without_a_pool_is_converted_as_it_is():
    columns = keras.Input((64, 1, 1), name="input")
    x = layers.Dense(3, activation="softmax")(layers.Flatten()(columns))
    join = assembly.join(Raw(20_000, 64).build(), keras.Model(columns, x, name="net"))
    sounds = np.random.default_rng(0).uniform(-1, 1, (4, 64)).astype(np.float32)
    assert edgetpu.one_call(join, sounds) == tflite.to_int8(join, sounds)


def small(build, *shape):
    """The int8 file of the layers that `build` puts on an input."""
    inputs = keras.Input(shape, name="input")
    model = keras.Model(inputs, build(inputs), name="small")
    return tflite.to_int8(model, np.random.default_rng(0).uniform(-1, 1, (4, *shape)).astype(np.float32))


def test_a_float_file_is_refused_at_both_ends_and_in_each_operator(join):
    lines = edgetpu.unsupported(tflite.to_float(join))
    assert [line.split()[0] for line in lines[:2]] == ["input", "output"]
    assert any(line.startswith("CONV_2D, which makes") and "float32, not int8" in line for line in lines)


@pytest.mark.parametrize(
    "build, shape, reason",
    [
        (lambda x: layers.Conv2D(2, 3, activation="elu")(x), (8, 8, 2), "ELU, which makes .*: it has no such operator"),
        (lambda x: layers.Conv3D(2, 3)(x), (8, 8, 8, 1), "CONV_3D|innermost sizes must be 1"),
        (lambda x: layers.Conv2D(2, 3, dilation_rate=(1, 2))(x), (8, 8, 2), "dilation 1 by 2"),
        (lambda x: layers.Softmax()(layers.Dense(4)(x)), (8, 8, 2), "not of one dimension"),
        (lambda x: layers.ReLU()(layers.Permute((2, 1, 3, 4))(x)), (2, 3, 4, 5), "all but the three innermost"),
        (lambda x: x[:, ::2] * 2.0, (8, 8, 2), "its strides are not 1"),
    ],
    ids=["elu", "conv3d", "dilation", "softmax", "rank", "strides"],
)
def test_what_coral_does_not_list_is_named_with_its_reason(build, shape, reason):
    lines = edgetpu.unsupported(small(build, *shape))
    assert any(re.search(reason, line) for line in lines), lines
