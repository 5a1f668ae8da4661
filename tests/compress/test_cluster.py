"""Clustering: how many values kernels have, that training moves them, and what a file for TFLM wins of it."""

from zoo.backend import keras

import numpy as np
import pytest

from zoo import __main__ as cli
from zoo.compress.cluster import Cluster
from zoo.errors import ZooError
from zoo.export import equalise, seam, slim, strips, tflite
from zoo.export.tflm import TFLM
from zoo.training import Plan

layers = keras.layers
PLAN = Plan(epochs=2, batch_size=6, learning_rate=0.05, warmup_epochs=0)


def net():
    keras.utils.set_random_seed(1)
    x = inputs = keras.Input((64, 8, 1), name="input")
    for number, filters in enumerate((16, 48, 64), start=1):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv{number}")(x)
        x = layers.ReLU(name=f"conv{number}_relu")(layers.BatchNormalization(name=f"conv{number}_norm")(x))
    x = layers.GlobalAveragePooling2D(name="average_pool")(x)
    return keras.Model(inputs, layers.Dense(4, activation="softmax", name="dense")(x), name="net")


def finetune(model, plan, stage):
    rng = np.random.default_rng(0)
    sounds, labels = rng.normal(size=(24, 64, 8, 1)).astype(np.float32), np.eye(4)[rng.integers(4, size=24)]
    model.compile(keras.optimizers.SGD(plan.learning_rate), "categorical_crossentropy")
    model.fit(sounds, labels, batch_size=plan.batch_size, epochs=plan.epochs, verbose=0)


@pytest.fixture(scope="module")
def before():
    return net()


@pytest.fixture(scope="module")
def clustered(before):
    return Cluster(16, PLAN)(before, finetune)


@pytest.fixture(scope="module")
def crops():
    return np.random.default_rng(2).normal(size=(32, 64, 8, 1)).astype(np.float32)


def values_of(model, name):
    return len(np.unique(model.get_layer(name).kernel))


def test_kernels_that_are_large_enough_have_sixteen_values_and_others_stay_free(before, clustered):
    assert [layer.name for layer in clustered.layers] == [layer.name for layer in before.layers]
    for name in ("conv1", "conv2", "conv3", "dense"):
        assert 8 < values_of(clustered, name) <= 16  # a value that no weight is nearest to is gone
    small = Cluster(64, PLAN)(before, lambda *_: None)
    assert values_of(small, "conv1") == 144 and values_of(small, "conv2") <= 64  # of 9 x 16 weights


def test_training_moves_the_values_and_leaves_what_was_given_alone(before, clustered):
    untrained = Cluster(16, PLAN)(before, lambda *_: None)
    for name in ("conv2", "conv3"):
        assert not np.array_equal(clustered.get_layer(name).kernel, untrained.get_layer(name).kernel)
        # Each weight begins at the nearest of its kernel's values.
        kernel, shared = before.get_layer(name).kernel.numpy(), untrained.get_layer(name).kernel.numpy()
        nearest = np.abs(kernel[..., None] - np.unique(shared)).min(-1)
        np.testing.assert_allclose(np.abs(kernel - shared), nearest, atol=1e-7)  # float32
    assert values_of(before, "conv3") > 20_000


def test_equalisation_keeps_the_values(before, clustered, crops):
    twin = equalise.equalised(clustered, crops)
    for name in ("conv2", "conv3"):
        assert equalise.shares_values(twin.get_layer(name).kernel.numpy(), axis=-1)
    np.testing.assert_allclose(twin(crops), clustered(crops), atol=1e-5)  # float32 sums of other terms
    sparse = before.get_layer("conv3").kernel.numpy()
    sparse[np.abs(sparse) < np.quantile(np.abs(sparse), 0.95)] = 0
    assert not equalise.shares_values(sparse, axis=-1)  # its zeros stay zeros, whatever divides them


def test_a_clustered_file_in_tables_is_smaller_and_gives_the_same_bytes(clustered, crops):
    model = seam.best_int8(clustered, crops)
    kept, tabled = slim.slim(model, tables=False), slim.slim(model)
    assert set(tabled.tables.values()) == {4} and len(tabled.tables) == 2  # conv1 has too few weights
    kernels = 9 * 16 * 48 + 9 * 48 * 64
    # Half of each kernel goes, 16 values for each channel come; the two operators take a tenth of that.
    assert len(kept.model) - len(tabled.model) > 0.85 * (kernels / 2 - 16 * (48 + 64))
    given = np.random.default_rng(3).integers(-128, 128, (1, 64, 8, 1)).astype(np.int8)
    ours, theirs = (TFLM(file).run_all([given])[0] for file in (tabled.model, model))
    np.testing.assert_array_equal(ours, theirs)
    assert (tabled.bytes_before, tabled.arena_bytes_before) == (len(model), TFLM(model).arena_bytes)
    assert tabled.arena_bytes == TFLM(tabled.model).arena_bytes > tabled.arena_bytes_before


def test_a_file_in_strips_whose_operators_share_kernels_is_tabled_too(clustered, crops):
    stripped = strips.rewrite(tflite.to_int8(clustered, crops), [strips.Stretch(1, 2, axis=1, strips=4)])
    tabled = slim.slim(stripped)
    assert len(tabled.tables) == 2 and len(tabled.model) < len(stripped)


def test_parameters_that_tflm_does_not_read_go_and_no_kernel_with_them(before, crops):
    model = tflite.to_int8(before, crops)
    slimmed = slim.slim(model)
    assert not slimmed.tables and slimmed.arena_bytes == slimmed.arena_bytes_before
    channels = 16 + 48 + 64
    # Of the bias a scale and a zero point, of the kernel a zero point: 4 + 8 + 8 bytes for each channel.
    assert len(model) - len(slimmed.model) == pytest.approx(20 * channels, rel=0.15)
    given = np.random.default_rng(3).integers(-128, 128, (1, 64, 8, 1)).astype(np.int8)
    ours, theirs = (TFLM(file).run_all([given])[0] for file in (slimmed.model, model))
    np.testing.assert_array_equal(ours, theirs)
    once_more = slim.slim(slimmed.model)
    assert once_more.model == slimmed.model and "stays as it is" in once_more.told()


def test_the_command_writes_the_file_and_says_what_it_won(before, crops, tmp_path, capsys):
    model, out = tmp_path / "model.tflite", tmp_path / "slim.tflite"
    model.write_bytes(tflite.to_int8(before, crops))
    cli.main(["slim", str(model), "--out", str(out)])
    assert f"{model.stat().st_size:,} -> {out.stat().st_size:,} bytes" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(["slim", str(model), "--out", str(out)])
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.parametrize("clusters", [1, 129])
def test_a_table_that_no_place_reaches_is_refused(clusters):
    with pytest.raises(ZooError, match="2 to 128"):
        Cluster(clusters, PLAN)


def test_a_net_without_a_large_kernel_is_refused():
    inputs = keras.Input((3,))
    tiny = keras.Model(inputs, layers.Dense(3, name="dense")(inputs), name="tiny")
    with pytest.raises(ZooError, match="tiny: no kernel has 128 weights"):
        Cluster(16, PLAN)(tiny, finetune)
