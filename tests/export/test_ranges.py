"""Ranges without their rarest values: what an int8 body wins by it, and what must not go."""

from zoo.backend import keras

import numpy as np

from zoo.export import ranges, seam, tflite
from zoo.runtime.interpreter import LiteRT

layers = keras.layers


def with_peaks():
    """(model, its inputs): inside it one value in thirty thousand reaches far beyond the others."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((20, 10, 8))
    beyond_four = layers.ReLU()(layers.Rescaling(100.0, -400.0)(inputs))
    x = layers.Add()([inputs, beyond_four])
    model = keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3)(x))))
    return model, np.random.default_rng(0).normal(size=(128, 20, 10, 8)).astype(np.float32)


def noise_db(model, file, sounds):
    exact = model.predict(sounds, verbose=0)
    return 10 * np.log10(np.mean((LiteRT(file).run(sounds) - exact) ** 2) / np.var(exact))


def test_without_its_peaks_a_body_is_closer_to_float_where_there_are_none():
    model, sounds = with_peaks()
    usual = sounds[sounds.max(axis=(1, 2, 3)) < 4]
    whole, narrowed = (noise_db(model, tflite.to_int8(model, sounds, tail=tail), usual) for tail in (0, ranges.TAIL))
    assert narrowed < whole - 10


def test_a_body_without_peaks_is_as_close_as_it_was(net, calibration):
    columns = seam.columns_of(net.front, calibration)
    logits = keras.Model(net.body.input, net.body.layers[-1].input)
    whole = noise_db(logits, tflite.to_int8(logits, columns), columns)
    assert noise_db(logits, tflite.to_int8(logits, columns, tail=ranges.TAIL), columns) < whole + 1


def test_ends_leave_out_the_tail_and_hold_zero():
    assert ranges.ends(np.arange(1, 10_002), 0.01) == (0, 9_901)
    assert ranges.ends(-np.arange(1, 10_002), 0.01) == (-9_901, 0)


def test_a_tensor_that_is_nearly_always_zero_keeps_its_range():
    inputs = keras.Input((100, 100, 1))
    model = keras.Model(inputs, layers.Dense(1, kernel_initializer="ones")(layers.ReLU()(inputs)))
    sounds = np.full((128, 100, 100, 1), -1, np.float32)
    sounds[0, 0, 0] = 5
    found = LiteRT(tflite.to_int8(model, sounds, tail=0.001)).run(sounds[:1])
    np.testing.assert_allclose(found[0, 0, 0], 5, atol=0.05)


def test_an_lstm_whose_file_keeps_room_for_nothing_is_narrowed_too():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((30, 8))
    model = keras.Model(inputs, layers.Dense(4)(layers.LSTM(6)(inputs)))
    sounds = np.random.default_rng(0).normal(size=(64, 30, 8)).astype(np.float32)
    assert noise_db(model, tflite.to_int8(model, sounds, tail=ranges.TAIL), sounds) < -10
