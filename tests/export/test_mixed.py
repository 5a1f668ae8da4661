from zoo.backend import keras

import numpy as np
import pytest

from zoo.errors import ZooError
from zoo.export import mixed, seam, stream
from zoo.export.tflm import TFLM
from zoo.labelling import Multiclass
from zoo.runtime.interpreter import LiteRT

layers = keras.layers
LABELLING = Multiclass("abc")


def peaky_body(peak):
    """Three channels decide, a fourth that nobody hears reaches `peak` in a rare crop: between `peaky` and `after`."""
    inputs = x = keras.Input((2, 1, 4), name="columns")
    for name, kernel in (
        ("before", np.eye(4)),
        ("peaky", np.diag([1, 1, 1, peak])),
        ("after", np.diag([1, 1, 1, 0])),
    ):
        conv = layers.Conv2D(4, 1, use_bias=False, name=name)
        x = layers.ReLU(name=f"{name}_relu")(conv(x))
        conv.set_weights([kernel[None, None].astype(np.float32)])
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(inputs, layers.Softmax(name="scores")(x), name="body")


@pytest.fixture(scope="module")
def columns():
    x = np.random.default_rng(0).uniform(0, 1, (64, 2, 1, 4)).astype(np.float32)
    x[np.arange(64), :, 0, np.arange(64) % 3] += 1  # the winner is clear by more than a few steps of int8
    x[..., 3] = 0
    x[7, ..., 3] = 1
    return x


@pytest.fixture(scope="module")
def rows(columns):
    return mixed.sensitivity(peaky_body(1_000), columns, np.arange(64) % 3, LABELLING)


def test_the_tensor_with_a_rare_peak_is_the_worst_by_far(rows):
    assert [row.tensor for row in rows][0] == "peaky_relu"
    assert {row.tensor for row in rows} == {"seam", "before_relu", "peaky_relu", "after_relu", "mean"}
    assert rows[0].snr_db < rows[1].snr_db - 20 and rows[0].changed > 0.3 and rows[0].metric < 0.7
    assert all(row.changed == 0 and row.metric == 1 for row in rows[1:])


def test_sensitivity_of_a_tensor_equals_a_slow_independent_count(columns, rows):
    (row,) = (row for row in rows if row.tensor == "peaky_relu")
    peak, rounded = columns * [1, 1, 1, 1000], np.empty_like(columns)
    for place in np.ndindex(columns.shape):
        rounded[place] = min(max(round(float(peak[place]) / (1000 / 255)), 0), 255) * (1000 / 255)

    def logits(x):  # the mean of log softmax is constant: the centred logarithms are the centred logits
        x = (x * [1, 1, 1, 0]).mean(axis=(1, 2))
        return x - x.mean(axis=1, keepdims=True)

    signal, noise = logits(peak), logits(rounded) - logits(peak)
    assert row.snr_db == pytest.approx(10 * np.log10((signal**2).sum() / (noise**2).sum()), abs=1e-3)  # float32's log
    assert row.changed == np.mean(signal.argmax(axis=1) != (signal + noise).argmax(axis=1))


def test_int8_fails_and_the_worst_tensor_alone_made_wide_cures_it_in_litert_and_in_tflm(columns, rows):
    body, targets = peaky_body(1_000), np.arange(64) % 3
    assert np.mean(LiteRT(seam.int8_body(body, columns)).run(columns).argmax(axis=1) == targets) < 0.7
    found = mixed.widen(body, columns, rows, 0.01, LABELLING)
    assert (found.wide, found.changed) == (("peaky_relu",), 0)
    for runner in (LiteRT(found.body), LiteRT(found.body, "reference"), TFLM(found.body)):
        np.testing.assert_array_equal(runner.run(columns).argmax(axis=1), targets)
    np.testing.assert_array_equal(LiteRT(found.body, "reference").run(columns), TFLM(found.body).run(columns))


def test_nothing_is_widened_where_int8_is_good_enough(columns, rows):
    body = peaky_body(1)
    found = mixed.widen(body, columns, rows, 0, LABELLING)
    assert found == mixed.Mixed(seam.int8_body(body, columns), (), 0)


def test_a_drop_that_16_bits_cannot_hold_is_refused(columns, rows):
    with pytest.raises(ZooError, match=r"every tensor in 16 bits .*%.* more than max_drop 0.00%; allow more"):
        mixed.widen(peaky_body(6e4), columns, rows, 0, LABELLING)


@pytest.mark.parametrize("wide", [("seam",), ("dense",), ("conv3_relu",), ("seam", "conv3_relu", "mean", "dense")])
def test_mixed_files_score_as_keras_in_both_forms(net, calibration, wide):
    columns, exact = seam.columns_of(net.front, calibration), net.whole.predict(calibration, verbose=0)
    body = mixed.mixed_body(net.body, columns, wide)
    cpu = LiteRT(seam.seam_int8(net.front, body))
    assert cpu.input.dtype is np.float32 and cpu.output.dtype is np.float32
    # int8 in the other tensors and in the weights; a wrong scale anywhere moves scores by far more.
    for scores in (cpu.run(calibration), LiteRT(body).run(columns), TFLM(body).run(columns)):
        np.testing.assert_allclose(scores, exact, atol=0.05)


def test_a_wide_seam_joins_a_frontend_that_gives_16_bits(net, calibration):
    body = mixed.mixed_body(net.body, seam.columns_of(net.front, calibration), ("seam",))
    frontend = seam.micro_frontend(net.front, body, calibration)
    heard = stream.Stream(TFLM(frontend), TFLM(body), 200)
    assert heard.windows_of(calibration).dtype == np.int16
    np.testing.assert_allclose(heard.run(calibration), net.whole.predict(calibration, verbose=0), atol=0.05)  # as above


def test_tensors_inside_a_branch_widen_all_between_its_ends():
    inputs = x = keras.Input((4, 1, 3), name="columns")
    x = layers.Conv2D(3, 1, name="one")(x)
    inner = layers.ReLU(name="inner_relu")(layers.Conv2D(3, 1, name="inner")(x))
    x = layers.ReLU(name="sum_relu")(layers.Add(name="sum")([x, inner]))
    x = layers.GlobalAveragePooling2D(name="mean")(layers.Conv2D(3, 1, name="last")(x))
    body = keras.Model(inputs, layers.Softmax(name="scores")(x), name="body")
    columns = np.random.default_rng(0).normal(0, 1, (8, 4, 1, 3)).astype(np.float32)
    rows = mixed.sensitivity(body, columns, np.zeros(8), LABELLING)
    assert {row.tensor for row in rows} == {"seam", "one", "inner_relu", "sum_relu", "last", "mean"}
    model = mixed.mixed_body(body, columns, ("inner_relu",))
    details = LiteRT(model, "reference")._interpreter.get_tensor_details()
    wide = [row["name"] for row in details if row["dtype"] is np.int16]
    assert any("inner" in name for name in wide) and not any("last" in name for name in wide)
    np.testing.assert_allclose(TFLM(model).run(columns), body.predict(columns, verbose=0), atol=0.05)  # as above


def test_a_tensor_that_is_not_there_is_refused(columns):
    with pytest.raises(ZooError, match="body: no tensor 'peaky'; its tensors are seam, before_relu"):
        mixed.mixed_body(peaky_body(1), columns, ("peaky",))
