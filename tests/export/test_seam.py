from collections import Counter

from zoo.backend import keras

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from zoo.errors import ZooError
from zoo.export import seam, stream
from zoo.export.tflm import TFLM
from zoo.runtime.interpreter import LiteRT

STRIDE_SAMPLES = 200


def stream_of(files, runner):
    return stream.Stream(runner(files["frontend"]), runner(files["body"]), STRIDE_SAMPLES)


def reference(model):
    return LiteRT(model, "reference")


def constants(model):
    """How often each constant occurs, with its quantisation."""
    root = schema.ModelT.InitFromPackedBuf(model)
    held = [(t, root.buffers[t.buffer].data) for t in root.subgraphs[0].tensors]
    return Counter(
        (t.type, bytes(data), np.asarray(t.quantization and t.quantization.scale, np.float32).tobytes())
        for t, data in held
        if data is not None
    )


def test_geometry_is_the_one_counted_by_hand_and_by_keras(net):
    stride_samples, field_samples = seam.column_geometry(net.front)
    assert (stride_samples, field_samples) == (200, 213)  # 2 * 2 * 50; 9 + 4 * 2 + 49 * 4
    for columns in (1, 5):
        enough = stride_samples * (columns - 1) + field_samples
        assert seam.on_samples(net.front, enough).output_shape[1] == columns
    assert seam.on_samples(net.front, enough - 1).output_shape[1] == columns - 1


def test_geometry_refuses_padding_and_unknown_layers():
    inputs = keras.Input((100, 1, 1))
    padded = keras.Model(inputs, keras.layers.Conv2D(2, (3, 1), padding="same", name="padded")(inputs))
    with pytest.raises(ZooError, match="padded: padding 'same'"):
        seam.column_geometry(padded)
    with pytest.raises(ZooError, match="grown: UpSampling2D before the seam"):
        seam.column_geometry(keras.Model(inputs, keras.layers.UpSampling2D(name="grown")(inputs)))


def test_front_on_fewer_samples_computes_the_columns_of_the_whole_and_leaves_the_front_alone(net, sounds):
    output = net.front.layers[-1].output  # would be ambiguous had the layers been called again
    columns = seam.on_samples(net.front, 613).predict(sounds[:, 400:1013], verbose=0)
    # The same float32 products; only their order may differ with the length.
    np.testing.assert_allclose(columns, net.front.predict(sounds, verbose=0)[:, 2:5], atol=1e-5)
    assert net.front.layers[-1].output is output


def test_frontend_takes_pcm_as_it_is_and_gives_a_column_as_the_body_takes_them(net, files, calibration):
    frontend, body = reference(files["frontend"]), reference(files["body"])
    assert frontend.input == ((213,), np.int16, 1 / 32768, 0)
    assert frontend.output[1:] == body.input[1:]
    for gain in (0.01, 2.0):  # a quiet calibration set, and one that clips at both ends
        waveforms = np.clip(calibration * gain, -1, 1)
        assert reference(seam.micro_frontend(net.front, files["body"], waveforms)).input[2:] == (1 / 32768, 0)


def test_a_clip_that_peaks_beyond_the_range_saturates_and_does_not_wrap(files, sounds):
    for runner in (reference, TFLM):
        heard = stream_of(files, runner)
        clipped = np.clip(8 * sounds, -1, 32767 / 32768)
        np.testing.assert_array_equal(heard.windows_of(8 * sounds), heard.windows_of(clipped))


def test_columns_beyond_the_seams_range_saturate(net, files, calibration):
    exact = net.front.predict(calibration, verbose=0)
    columns, step = stream_of(files, reference).windows_of(calibration), reference(files["body"]).input.scale
    beyond = exact > 257 * step
    assert beyond.any() and (columns[beyond] == 127).all()
    # One step for int8's rounding, one for the front's int8 weights.
    assert np.abs(columns - np.clip(exact / step - 128, -128, 127)).max() <= 2


def test_with_the_kernels_of_8_bits_a_float_front_gives_the_columns_of_the_board(net, files, calibration):
    twin = seam.with_8_bit_kernels(net.front)
    rounded, as_before = (
        {data for kind, data, _ in constants(model) if kind == schema.TensorType.INT8}
        for model in (seam.micro_frontend(twin, files["body"], calibration), files["frontend"])
    )
    assert rounded == as_before and len(rounded) == 2  # the two convolutions: nothing is rounded twice
    board, taken = stream_of(files, reference).windows_of(calibration).astype(int), reference(files["body"]).input
    steps = [np.abs(taken.to_raw(front.predict(calibration, verbose=0)) - board) for front in (net.front, twin)]
    assert steps[1].max() <= 1  # what 16 bits between the layers round
    assert np.mean(steps[1] > 0) < np.mean(steps[0] > 0) / 2


def test_body_of_the_stream_is_the_body_of_the_one_file(files):
    body, whole = constants(files["body"]), constants(files["seam_int8"])
    assert sum(body.values()) > 4 and body <= whole


def test_int8_files_and_stream_score_as_keras(net, files, calibration):
    exact = net.whole.predict(calibration, verbose=0)
    # int8 steps through four layers; scores run from 0 to 1, and a wrong scale anywhere moves them by far more.
    for runner in (LiteRT(files["seam_int8"]), reference(files["seam_int8"]), stream_of(files, reference)):
        np.testing.assert_allclose(runner.run(calibration), exact, atol=0.05)


def test_range_at_the_seam_is_clipped_at_its_percentiles(net, files, calibration):
    columns = net.front.predict(calibration, verbose=0)
    low, high = seam.seam_range(columns)
    assert low == 0 and high < columns.max()
    assert reference(files["body"]).input.scale == pytest.approx(high / 255, rel=1e-6)  # the rounding of float32


@pytest.mark.parametrize("low", [0, -1])
def test_least_squares_range_is_the_best_of_a_slow_search_and_no_worse_than_the_others(low):
    columns = np.random.default_rng(0).exponential(1, (20, 50)) ** 2 + low
    columns[3, 3] = 400
    columns = columns.astype(np.float32)

    def error(ends):
        scale = (ends[1] - ends[0]) / 255
        zero_point = round(-128 - ends[0] / scale)
        held = np.clip(np.round(columns / scale) + zero_point, -128, 127)
        return np.mean(((held - zero_point) * scale - columns) ** 2)

    best = min(error((low * a, 400 * b)) for a in np.linspace(0, 1, 11)[-low:] for b in np.linspace(0.01, 1, 200))
    found = {method: error(seam.seam_range(columns, method)) for method in ("mse", "percentile", "max")}
    assert found["mse"] <= 1.01 * best  # two grids, of which neither holds the other
    assert found["mse"] <= min(found.values())


@pytest.mark.parametrize("method", ["percentile", "mse", "max"])
def test_zero_lies_in_every_range_and_the_file_has_the_range_asked_for(net, calibration, method):
    assert seam.seam_range(np.full((2, 3), 5.0), method) == (0, pytest.approx(5, rel=0.01))
    assert seam.seam_range(np.full((2, 3), -5.0), method) == (pytest.approx(-5, rel=0.01), 0)
    assert seam.seam_range(np.zeros((2, 3)), method) == (0, 0)
    columns = seam.columns_of(net.front, calibration)
    low, high = seam.seam_range(columns, method)
    scale = reference(seam.int8_body(net.body, columns, ranges=method)).input.scale
    assert scale == pytest.approx((high - low) / 255, rel=1e-6)  # the rounding of float32


def test_a_range_of_no_known_kind_is_refused():
    with pytest.raises(ZooError, match="no range 'median' at the seam; choose of percentile, mse, max"):
        seam.seam_range(np.zeros(3), "median")


def test_body_alone_serves_a_model_with_a_mel_front():
    log_mel = keras.Input((20, 16, 1), name="log_mel")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="relu")(log_mel))
    body = keras.Model(log_mel, keras.layers.Dense(3, activation="softmax")(x), name="body")
    columns = np.random.default_rng(0).normal(30, 10, (20, 20, 16, 1)).astype(np.float32)
    model = TFLM(seam.int8_body(body, columns))
    # Levels of 30 through int8 steps of a quarter, and softmax.
    np.testing.assert_allclose(model.run(columns), body.predict(columns, verbose=0), atol=0.05)


def test_a_net_that_died_is_refused(calibration):
    inputs = keras.Input(calibration.shape[1:])
    silent = keras.layers.Dense(4, activation="relu", bias_initializer=keras.initializers.Constant(-1e6))(inputs)
    body = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(silent), name="dead")
    with pytest.raises(ZooError, match="dead: gives the same whatever it hears"):
        seam.best_int8(body, calibration)
