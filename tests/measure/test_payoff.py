"""What a step pays, on small nets: against files, counts and arenas measured by other means."""

import gzip
import re

from zoo.backend import keras, tf

import numpy as np
import pytest

from zoo.export import tflite
from zoo.measure import counts
from zoo.measure.payoff import Cost, cost_of, unpaid

layers = keras.layers
ALL = Cost._fields


def net(filters=32, body=None):
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((40, 4, 1), name="input")
    if body is not None:
        x = body(layers.Reshape((40, 4), name="frames")(x))
    else:
        x = layers.Conv2D(filters, 3, use_bias=False, name="conv1")(x)
        x = layers.ReLU(name="conv1_relu")(layers.BatchNormalization(name="conv1_norm")(x))
        x = layers.Conv2D(filters, (3, 2), activation="relu", name="conv2")(x)
        x = layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(inputs, layers.Dense(5, activation="softmax", name="scores")(x), name="net")


@pytest.fixture(scope="module")
def wide():
    return net()


@pytest.fixture(scope="module")
def wide_cost(wide):
    return cost_of(wide)


def with_zeros(model, share):
    """A copy whose convolutions hold zeros in place of `share` of their weights, the smallest ones."""
    sparse = keras.models.clone_model(model)
    sparse.set_weights(model.get_weights())
    for layer in sparse.layers:
        if isinstance(layer, layers.Conv2D):
            kernel = layer.get_weights()[0]
            kernel[np.abs(kernel) < np.quantile(np.abs(kernel), share)] = 0
            layer.set_weights([kernel, *layer.get_weights()[1:]])
    return sparse


def test_sparse_weights_lower_the_packed_file_and_a_claim_of_raw_bytes_is_told(wide, wide_cost):
    cost = cost_of(with_zeros(wide, 0.9))
    assert cost.gzip_bytes < 0.5 * wide_cost.gzip_bytes
    assert unpaid(wide_cost, cost, ("gzip_bytes",)) == []
    assert unpaid(wide_cost, cost, ALL) == [
        f"bytes stayed at {wide_cost.bytes:,}",
        f"macs stayed at {wide_cost.macs:,}",
        f"arena_bytes stayed at {wide_cost.arena_bytes:,}",
    ]


def test_a_narrower_net_lowers_every_figure(wide_cost):
    narrow = cost_of(net(filters=16))
    assert all(new < old for new, old in zip(narrow, wide_cost))
    assert unpaid(wide_cost, narrow, ALL) == []


def test_an_unchanged_net_pays_nothing_and_a_wider_one_is_told_with_both_numbers(wide, wide_cost):
    assert cost_of(wide) == wide_cost  # nothing is left to chance, or a claim could be met by luck
    assert len(unpaid(wide_cost, wide_cost, ALL)) == len(ALL)
    assert unpaid(Cost(9_000, 1, 1, 1), Cost(12_345, 0, 0, 0), ALL) == ["bytes rose from 9,000 to 12,345"]


def test_a_step_that_claims_nothing_owes_nothing(wide_cost):
    assert unpaid(wide_cost, wide_cost, ()) == []


def test_what_was_not_measured_is_not_held_against_a_step():
    assert unpaid(Cost(9, 9, None, 9), Cost(9, 9, 9, None), ("macs", "arena_bytes")) == []


def test_bytes_are_those_of_the_float_file_and_of_gzip(wide, wide_cost):
    file = tflite.to_float(wide)
    assert (wide_cost.bytes, wide_cost.gzip_bytes) == (len(file), len(gzip.compress(file, 9, mtime=0)))
    assert wide_cost.macs == counts.macs(wide)


def test_the_arena_is_the_one_that_tflm_prints_for_a_file_calibrated_on_other_data(wide, wide_cost, capfd):
    from tflite_micro import runtime

    sounds = np.random.default_rng(1).normal(0, 30, (20, 40, 4, 1)).astype(np.float32)
    interpreter = runtime.Interpreter.from_bytes(tflite.to_int8(wide, sounds))
    interpreter.print_allocations()
    (printed,) = re.findall(r"Arena allocation total (\d+) bytes", capfd.readouterr().err)
    assert wide_cost.arena_bytes == int(printed)


def test_layers_of_which_nothing_is_left_but_zeros_are_measured(wide, wide_cost):
    dead = keras.models.clone_model(wide)
    dead.set_weights([np.zeros_like(weight) for weight in wide.get_weights()])
    assert cost_of(dead).arena_bytes == wide_cost.arena_bytes


def test_a_loop_has_no_arena_and_the_process_lives(capfd):
    cost = cost_of(net(body=layers.GRU(4, name="memory")))
    assert cost.bytes and cost.gzip_bytes and cost.arena_bytes is None
    assert capfd.readouterr().out == ""


def test_an_lstm_is_one_operator_that_tflm_has():
    assert cost_of(net(body=layers.LSTM(4, name="memory"))).arena_bytes > 0


def test_an_operator_that_tflm_lacks_leaves_the_arena_open():
    largest = layers.Lambda(lambda x: tf.math.top_k(tf.reduce_sum(x, axis=2), 8)[0], name="largest")
    cost = cost_of(net(body=largest))
    assert cost.bytes and cost.macs and cost.arena_bytes is None
