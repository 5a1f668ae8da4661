import hashlib
import subprocess
import sys
from pathlib import Path

from zoo.backend import keras, tf

import numpy as np
import pytest

from zoo.errors import ZooError
from zoo.export import graph as graphs
from zoo.export import seam, tflite
from zoo.runtime.interpreter import LiteRT

CONVERT_AGAIN = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
import conftest
from zoo.export import seam
net = conftest.build_net()
columns = seam.columns_of(net.front, conftest.make_sounds(8, seed=1))
print(hashlib.sha256(seam.seam_int8(net.front, seam.int8_body(net.body, columns))).hexdigest())
"""


def test_float_file_scores_as_keras(net, files, sounds):
    # Float32 sums of a few hundred products, in another order; scores are at most 1.
    np.testing.assert_allclose(LiteRT(files["float"]).run(sounds), net.whole.predict(sounds, verbose=0), atol=1e-5)


def test_no_file_holds_a_flex_or_custom_operator(files):
    for name, model in files.items():
        ops = {op["op_name"] for op in LiteRT(model, "reference")._interpreter._get_ops_details()}
        assert "CONV_2D" in ops and not [op for op in ops if op.startswith("Flex") or "CUSTOM" in op.upper()], name


def test_an_operator_that_is_no_builtin_is_named_in_one_line():
    waveform = keras.Input((64,), name="waveform")
    model = keras.Model(waveform, tf.signal.inverse_stft(tf.signal.stft(waveform, 64, 64), 64, 64), name="vocoder")
    with pytest.raises(ZooError) as error:
        tflite.to_float(model)
    assert str(error.value) == "vocoder: IRFFT is no TFLite builtin; build the model without it"


def test_float16_file_is_half_as_long_and_dynamic_range_a_quarter_and_both_score_as_keras():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((64,), name="columns")
    x = keras.layers.Dense(256, activation="relu", name="hidden")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(10, activation="softmax", name="scores")(x), name="net")
    columns = np.random.default_rng(0).normal(0, 1, (8, 64)).astype(np.float32)
    sizes = {"float": len(tflite.to_float(model))}
    # float16 has steps of 2^-11; int8 weights and activations of a hundredth of the range, over 64 products.
    for name, convert, tolerance in (("float16", tflite.to_float16, 1e-3), ("dynamic", tflite.to_dynamic, 0.02)):
        converted = convert(model)
        assert converted == convert(model)
        runner = LiteRT(converted)
        assert runner.input.dtype is np.float32 and runner.output.dtype is np.float32
        np.testing.assert_allclose(runner.run(columns), model.predict(columns, verbose=0), atol=tolerance)
        sizes[name] = len(converted)
    # What is not weights takes some 2 kB of 78.
    assert 0.45 < sizes["float16"] / sizes["float"] < 0.6 and 0.2 < sizes["dynamic"] / sizes["float"] < 0.35


@pytest.mark.parametrize("name, dtype", [("whole_int8", np.int8), ("front_int16x8", np.int16), ("float", np.float32)])
def test_ends_have_the_dtype_asked_for(files, name, dtype):
    model = LiteRT(files[name], "reference")
    assert model.input.dtype is dtype and model.output.dtype is dtype


def test_every_file_takes_a_batch_of_one(files):
    for name, model in files.items():
        assert LiteRT(model, "reference")._interpreter.get_input_details()[0]["shape_signature"][0] == 1, name


def test_the_same_model_gives_the_same_bytes_in_another_process(files):
    here = Path(__file__)
    child = subprocess.run(
        [sys.executable, "-c", CONVERT_AGAIN, here.parent],
        cwd=here.parents[2],
        capture_output=True,
        text=True,
    )
    assert child.stdout.split() == [hashlib.sha256(files["seam_int8"]).hexdigest()], child.stderr


def test_conversion_is_quiet(net, calibration, capfd, recwarn):
    tflite.to_int8(net.body, np.ones((1, *net.body.input_shape[1:]), np.float32))
    assert capfd.readouterr() == ("", "") and not recwarn.list


@pytest.mark.parametrize("samples", [(0, 2013), (3, 2012)])
def test_calibration_that_is_empty_or_of_another_shape_is_refused(net, samples):
    calibration = np.zeros(samples, np.float32)
    for convert in (
        lambda: tflite.to_int8(net.whole, calibration),
        lambda: tflite.to_int16x8(net.whole, calibration),
        lambda: seam.columns_of(net.front, calibration),
    ):
        with pytest.raises(ZooError, match=r"calibration needs shape \(n, 2013\), n > 0; got"):
            convert()


def recurrent(unroll):
    inputs = keras.Input((6, 4), name="input")
    x = keras.layers.GRU(3, unroll=unroll, name="gru")(inputs)
    return keras.Model(inputs, keras.layers.Dense(2, name="dense")(x), name="recurrent")


def test_a_loop_is_refused_in_int8_by_name_for_the_converter_dies_of_it():
    sounds = np.random.default_rng(0).normal(0, 1, (4, 6, 4)).astype(np.float32)
    with pytest.raises(ZooError, match="gru becomes a loop.*unroll"):
        tflite.to_int8(recurrent(unroll=False), sounds)
    assert LiteRT(tflite.to_int8(recurrent(unroll=True), sounds)).run(sounds).shape == (4, 2)


def test_a_layer_of_zeros_is_refused_in_int8_by_name_for_the_kernels_die_of_it():
    inputs = keras.Input((6,), name="input")
    model = keras.Model(inputs, keras.layers.Dense(2, kernel_initializer="zeros", name="dead")(inputs))
    with pytest.raises(ZooError, match="only zeros are left in dead"):
        tflite.to_int8(model, np.ones((4, 6), np.float32))


def test_what_the_converter_refuses_is_one_line(net, monkeypatch):
    def refused(_):
        raise RuntimeError("Quantization to 16x8-bit not yet supported\nfor op: 'CUMSUM'.")

    monkeypatch.setattr(tf.lite.TFLiteConverter, "convert", refused)
    with pytest.raises(ZooError, match="^body: TFLite's converter refuses it: .* not yet supported for op: 'CUMSUM'"):
        tflite.to_float(net.body)


@pytest.mark.parametrize("per_channel, scales", [(True, 8), (False, 1)])
def test_a_kernel_has_a_scale_for_each_channel_or_one(per_channel, scales):
    x = inputs = keras.Input((6, 6, 3))
    net = keras.Model(inputs, keras.layers.Conv2D(8, 3, name="conv")(x), name="net")
    samples = np.random.default_rng(0).normal(size=(4, 6, 6, 3)).astype(np.float32)
    (graph,) = graphs.load(tflite.to_int8(net, samples, per_channel=per_channel)).subgraphs
    (kernel,) = (tensor for tensor in graph.tensors if list(tensor.shape) == [8, 3, 3, 3])
    assert len(kernel.quantization.scale) == scales
