from zoo.backend import keras

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from zoo.errors import ZooError
from zoo.export import tflite
from zoo.export.flatbuffer import append_quantize, concatenate, with_float_ends
from zoo.export.tflm import TFLM
from zoo.runtime.interpreter import LiteRT, quantise


@pytest.fixture(scope="module")
def identity():
    """A float file that gives back what it takes, (256,)."""
    inputs = keras.Input((256,), name="x")
    return tflite.to_float(keras.Model(inputs, keras.layers.Reshape((16, 16))(inputs), name="identity"))


def test_concatenated_float_files_equal_the_two_run_in_turn(files, sounds):
    columns = LiteRT(files["front_float"], "reference").run(sounds)
    joined = concatenate(files["front_float"], files["body_float"])
    np.testing.assert_array_equal(
        LiteRT(joined, "reference").run(sounds), LiteRT(files["body_float"], "reference").run(columns)
    )


def test_concatenated_integer_files_equal_the_two_run_in_turn(files, sounds):
    body = LiteRT(files["body"], "reference")
    front = append_quantize(files["front_int16x8"], body.input.scale, body.input.zero_point)
    joined = concatenate(front, files["body"])
    pcm = quantise(sounds, 1 / 32768, 0, np.int16)
    scores = body.run_raw(LiteRT(front, "reference").run_raw(pcm))
    np.testing.assert_array_equal(LiteRT(joined, "reference").run_raw(pcm), scores)
    scores = TFLM(files["body"]).run_raw(TFLM(front).run_raw(pcm))
    np.testing.assert_array_equal(TFLM(joined).run_raw(pcm), scores)


@pytest.mark.parametrize("name", ["whole_int8", "front_int16x8"])
def test_float_ends_leave_what_an_integer_file_computes(files, sounds, name):
    whole = LiteRT(with_float_ends(files[name]), "reference")
    assert (whole.input.dtype, whole.output.dtype) == (np.float32, np.float32)
    # Before the ends our own arithmetic makes integers of the sounds, and floats of the scores.
    np.testing.assert_array_equal(whole.run(sounds), LiteRT(files[name], "reference").run(sounds))


def test_files_that_do_not_meet_are_refused(files):
    with pytest.raises(ZooError, match=r"gives int16 \(1, 10, 1, 8\), scale .* takes int8 \(1, 10, 1, 8\), scale"):
        concatenate(files["front_int16x8"], files["body"])
    with pytest.raises(ZooError, match=r"gives float32 \(1, 10\), the second takes float32 \(1, 2013\)"):
        concatenate(files["float"], files["float"])


@pytest.mark.parametrize("runner", [lambda model: LiteRT(model, "reference"), TFLM])
def test_appended_quantize_of_floats_equals_numpy_rounding_ties_included(identity, runner):
    model = runner(append_quantize(identity, scale=0.5, zero_point=-3))
    x = np.arange(-128, 128, dtype=np.float32)[None] / 4 * 3  # every fourth one a tie, both ends beyond the range
    steps = x.astype(np.float64) / 0.5
    away_from_zero = np.trunc(steps + np.copysign(0.5, steps))
    np.testing.assert_array_equal(model.run_raw(x).ravel(), np.clip(away_from_zero - 3, -128, 127).ravel())
    assert model.output[1:] == (np.int8, 0.5, -3)


def test_appended_quantize_of_int16_rounds_to_the_nearest_step(files, sounds):
    pcm = quantise(sounds, 1 / 32768, 0, np.int16)
    before = LiteRT(files["front_int16x8"], "reference")
    after = LiteRT(append_quantize(files["front_int16x8"], 0.01, -100), "reference")
    exact = before.run_raw(pcm) * np.float64(before.output.scale) / np.float64(np.float32(0.01)) - 100
    # The kernel rounds twice: to a 64th of a step (for a ratio of scales of 0.01), then to a step.
    assert np.abs(after.run_raw(pcm) - np.clip(exact, -128, 127)).max() <= 0.5 + 1 / 128
    assert exact.max() > 127  # and so the clip was tried


def test_a_rewritten_file_holds_nothing_unused_and_no_name_twice(files):
    for model in (concatenate(files["body_float"], append_quantize(_after_body(), 0.1, 0)), files["seam_int8"]):
        root = schema.ModelT.InitFromPackedBuf(model)
        graph = root.subgraphs[0]
        used = {int(i) for op in graph.operators for i in (*op.inputs, *op.outputs)} - {-1}  # -1: no bias
        assert used == set(range(len(graph.tensors)))
        holders = [*graph.tensors, *root.metadata]
        assert {holder.buffer for holder in holders} | {0} == set(range(len(root.buffers)))
        assert {op.opcodeIndex for op in graph.operators} == set(range(len(root.operatorCodes)))
        names = [tensor.name for tensor in graph.tensors]
        assert len(set(names)) == len(names)


def test_signature_and_runtime_version_survive(files, sounds):
    interpreter = LiteRT(files["seam_int8"])._interpreter
    (scores,) = interpreter.get_signature_runner("serving_default")(input=sounds[:1]).values()
    np.testing.assert_array_equal(scores, LiteRT(files["seam_int8"]).run(sounds[:1]))
    root = schema.ModelT.InitFromPackedBuf(files["seam_int8"])
    (metadata,) = root.metadata
    assert metadata.name == b"min_runtime_version"
    assert bytes(root.buffers[metadata.buffer].data).startswith(b"1.14.0\0")  # int8 needs it; the float front only 1.5


def _after_body():
    """A file whose tensors are named as those of every other converted file are."""
    scores = keras.Input((10,), name="columns")
    return tflite.to_float(keras.Model(scores, keras.layers.Softmax()(scores), name="body"))
