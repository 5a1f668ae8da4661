from zoo.backend import keras, tf

import numpy as np
import pytest

from zoo.errors import ZooError
from zoo.export import tflite
from zoo.export.tflm import TFLM
from zoo.runtime.interpreter import LiteRT, dequantise, quantise


def test_quantise_rounds_halves_away_from_zero_and_clips():
    x = [0.25, -0.25, 0.24, -0.24, 0.75, 0.5 * 0.49999997, 100.0, -100.0]
    np.testing.assert_array_equal(quantise(x, 0.5, 0, np.int8), [1, -1, 0, 0, 2, 0, 127, -128])
    np.testing.assert_array_equal(quantise([0.25, -0.25, 64.0], 0.5, 3, np.int8), [4, 2, 127])
    np.testing.assert_array_equal(quantise([1.0, -1.0], 1 / 32768, 0, np.int16), [32767, -32768])


def test_dequantise_undoes_quantise_on_every_int8():
    q = np.arange(-128, 128).astype(np.int8)
    x = dequantise(q, 0.0173, -128)
    assert x.dtype == np.float32 and x[0] == 0
    np.testing.assert_array_equal(quantise(x, 0.0173, -128, np.int8), q)


@pytest.mark.parametrize("kernels", ["xnnpack", "reference"])
def test_run_is_run_raw_between_quantise_and_dequantise(files, sounds, kernels):
    model = LiteRT(files["whole_int8"], kernels)
    assert model.kernels == f"litert-{kernels}" and model.input_shape == sounds.shape[1:]
    raw = model.run_raw(quantise(sounds, model.input.scale, model.input.zero_point, np.int8))
    assert raw.dtype == np.int8
    np.testing.assert_array_equal(model.run(sounds), dequantise(raw, model.output.scale, model.output.zero_point))


def test_the_kernels_by_name_are_the_kernels_that_run(files):
    """XNNPACK takes the nodes over: they then show as one DELEGATE."""

    def op_names(kernels):
        return {op["op_name"] for op in LiteRT(files["whole_int8"], kernels)._interpreter._get_ops_details()}

    assert "DELEGATE" in op_names("xnnpack") and "DELEGATE" not in op_names("reference")


def test_a_file_and_its_bytes_run_alike_and_no_sample_gives_no_score(files, sounds, tmp_path):
    (tmp_path / "model.tflite").write_bytes(files["float"])
    np.testing.assert_array_equal(LiteRT(tmp_path / "model.tflite").run(sounds), LiteRT(files["float"]).run(sounds))
    assert LiteRT(files["float"]).run(sounds[:0]).shape == (0, 10)


@pytest.mark.parametrize("runner", [LiteRT, TFLM])
def test_a_waveform_of_another_length_is_refused(files, sounds, runner):
    with pytest.raises(ZooError, match=r"takes float32 of shape \(n, 2013\), got float32 of shape \(10, 2012\)"):
        runner(files["float"]).run(sounds[:, 1:])


def test_tflm_gives_the_bytes_of_tensorflows_reference_kernels(files, sounds, run_in_tensorflow):
    model = TFLM(files["whole_int8"])
    raw = model.input.to_raw(sounds)
    np.testing.assert_array_equal(model.run_raw(raw), run_in_tensorflow(files["whole_int8"], raw))


def test_arena_holds_the_two_largest_neighbours_and_little_else(files):
    """In whole_int8 conv1's output (1,003 x 4) and conv2's (500 x 8) are held together. Beside them: what persists."""
    neighbours_bytes = 1003 * 4 + 500 * 8
    assert neighbours_bytes < TFLM(files["whole_int8"]).arena_bytes < neighbours_bytes + 8_000


def test_tflm_names_the_operator_that_it_lacks(capfd):
    waveform = keras.Input((64,), name="waveform")
    model = tflite.to_float(keras.Model(waveform, tf.abs(tf.signal.stft(waveform, 64, 64, 64)), name="spectrum"))
    with pytest.raises(ZooError, match="TFLM lacks the operator RFFT2D, which makes spectrum/.*stft"):
        TFLM(model)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("runner", [LiteRT, TFLM])
def test_a_recurrent_layer_has_forgotten_the_sample_before(runner):
    sound = keras.Input((12, 4), name="sound")
    model = keras.Model(sound, keras.layers.LSTM(3, name="lstm")(sound), name="recurrent")
    sounds = np.random.default_rng(0).normal(0, 1, (4, 12, 4)).astype(np.float32)
    scores = runner(tflite.to_float(model)).run(sounds)
    np.testing.assert_allclose(scores, model.predict(sounds, verbose=0), atol=1e-5)  # float32, other kernels
