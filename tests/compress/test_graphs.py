"""Residual, depthwise and recurrent nets go the whole way on real recordings: half of the channels, fine-tuned, run."""

from zoo.backend import keras

import numpy as np
import pytest

from zoo import assembly, corpus
from zoo.compress import surgery
from zoo.compress.channels import PruneChannels
from zoo.compress.taylor import count_channels
from zoo.export import tflite
from zoo.export.tflm import TFLM
from zoo.frontends import LogMel
from zoo.measure import payoff
from zoo.runtime.interpreter import LiteRT
from zoo.training import Plan

layers = keras.layers
FRONT_END = LogMel(
    num_samples=20_000, sample_rate_hz=20_000, num_mels=32, n_fft=1024, window_samples=800, hop_samples=400
)
EPOCHS = 25
PRUNING = PruneChannels(share=0.5, plan=Plan(batch_size=25), channels_per_step=4, epochs_per_step=2, rounds=2)


def convolution(x, name, filters, kernel=3, strides=1):
    x = layers.Conv2D(filters, kernel, strides=strides, padding="same", use_bias=False, name=name)(x)
    return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x))


def scored(inputs, x):
    return keras.Model(inputs, layers.Softmax(name="scores")(layers.Dense(10, name="dense")(x)))


def residual(shape):
    inputs = keras.Input(shape, name="input")
    x = convolution(inputs, "stem", 12, strides=2)
    for stage, (filters, strides) in enumerate([(12, 1), (16, 2)], start=1):
        y = convolution(x, f"stage{stage}_conv1", filters, strides=strides)
        y = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"stage{stage}_conv2")(y)
        y = layers.BatchNormalization(momentum=0.9, name=f"stage{stage}_conv2_norm")(y)
        if x.shape != y.shape:
            x = layers.Conv2D(filters, 1, strides=strides, use_bias=False, name=f"stage{stage}_shortcut")(x)
        x = layers.ReLU(name=f"stage{stage}_relu")(layers.Add(name=f"stage{stage}_add")([x, y]))
    return scored(inputs, layers.GlobalAveragePooling2D(name="pool")(x))


def depthwise(shape):
    inputs = keras.Input(shape, name="input")
    x = convolution(inputs, "stem", 16, strides=2)
    for stage in (1, 2):
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"stage{stage}_depthwise")(x)
        x = layers.ReLU(name=f"stage{stage}_relu")(
            layers.BatchNormalization(momentum=0.9, name=f"stage{stage}_norm")(x)
        )
        x = convolution(x, f"stage{stage}_pointwise", 16, kernel=1)
    return scored(inputs, layers.GlobalAveragePooling2D(name="pool")(x))


def recurrent(shape):
    inputs = keras.Input(shape, name="input")
    x = convolution(inputs, "conv1", 12, strides=2)
    x = layers.MaxPooling2D((2, 2), name="pool1")(convolution(x, "conv2", 16))
    x = layers.Reshape((x.shape[1], x.shape[2] * x.shape[3]), name="columns")(x)
    return scored(inputs, layers.LSTM(12, unroll=True, name="lstm")(x))


@pytest.fixture(scope="module")
def heard(esc10_clips):
    """(a crop of each of 50 clips, its columns, its class)."""
    waveforms, targets = corpus.unmixed_crops(esc10_clips, FRONT_END.num_samples, 50, seed=1)
    return waveforms, FRONT_END.build_tflite_twin().predict(waveforms, verbose=0), targets


@pytest.mark.parametrize("build", [residual, depthwise, recurrent])
def test_half_of_the_channels_go_and_the_fine_tuned_net_runs_as_a_file(heard, build):
    waveforms, columns, targets = heard

    def finetune(backbone, plan, stage, callbacks=(), objective=None):
        backbone.compile(keras.optimizers.Adam(0.01), "categorical_crossentropy")
        labels = np.eye(10, dtype=np.float32)[targets]
        fitted = backbone.fit(columns, labels, plan.batch_size, plan.epochs, verbose=0, callbacks=list(callbacks))
        return fitted.history["loss"]

    keras.utils.set_random_seed(0)
    net, plan = build(columns.shape[1:]), PRUNING.plan.with_epochs(EPOCHS)
    finetune(net, plan, "base")
    pruned = PRUNING(net, finetune)
    left, groups = -(-count_channels(net) // 2), np.concatenate([*surgery.channels_of(net).groups.values()])
    assert left <= count_channels(pruned) < left + np.bincount(groups[groups >= 0]).max()  # tied ones go together
    assert payoff.unpaid(payoff.cost_of(net), payoff.cost_of(pruned), PRUNING.lowers) == []
    losses = finetune(pruned, plan, "fine_tune")
    assert np.mean(losses[-5:]) < np.mean(losses[:5])

    wanted = pruned.predict(columns, verbose=0)
    assert (wanted.argmax(axis=1) == targets).mean() > 0.3  # chance is 0.1; these crops were trained on
    found = LiteRT(tflite.to_float(assembly.join(FRONT_END.build_tflite_twin(), pruned))).run(waveforms)
    np.testing.assert_allclose(found, wanted, atol=1e-4)  # float32 in another order, through a logarithm
    eight_bits = tflite.to_int8(pruned, columns)
    for runner in (LiteRT(eight_bits), TFLM(eight_bits)):
        assert (runner.run(columns).argmax(axis=1) == wanted.argmax(axis=1)).mean() >= 0.8
