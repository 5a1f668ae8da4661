"""What holds for every model of the zoo: a new line in MODELS is tested here without another word.

Published counts are those of full size; what runs the model runs it at the widths that MODELS names for tests.
"""

import importlib
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

from zoo.backend import keras, tf

import numpy as np
import pytest

from zoo import assembly
from zoo.assembly import join
from zoo.compress import surgery
from zoo.export import keras_files, seam, tflite
from zoo.measure import counts
from zoo.models import MODELS
from zoo.runtime.interpreter import LiteRT
from zoo.training import Plan

ROOT = Path(__file__).parents[1]
BATCH = 4
MIN_SIGNAL_TO_NOISE_DB = 15  # of int8's logits: an LSTM of random weights has 21, the others 19 (EnvNet-v2) to 39
OPEN_IN_KERAS_3 = """
import sys
import keras, numpy
assert keras.__version__.startswith("3"), keras.__version__
for name in sys.argv[1:]:
    model, known = keras.models.load_model(f"{name}.h5", compile=False), numpy.load(f"{name}.npz")
    numpy.testing.assert_allclose(model(known["x"], training=False), known["scores"], atol=1e-5, err_msg=name)
    print(name)
"""


@pytest.fixture(scope="module", params=MODELS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def recipe(name):
    return importlib.import_module(f"recipes.{name}").RECIPE


@pytest.fixture(scope="module")
def model(name):
    """The model, large ones at a reduced size."""
    return reduced(name)


@pytest.fixture(scope="module")
def inputs(name):
    return np.random.default_rng(0).uniform(-1, 1, (BATCH, *MODELS[name].input_shape)).astype(np.float32)


@pytest.fixture(scope="module")
def scores(model, inputs):
    return scored(model, inputs)


def scored(model, inputs):
    """What `predict` gives, without the seconds that its graph takes to be made."""
    return model(inputs, training=False).numpy()


def reduced(name):
    keras.utils.set_random_seed(0)
    published = MODELS[name]
    return published.build(published.input_shape, published.num_classes, **published.reduced)


def test_it_scores_each_class_with_a_probability(name, scores):
    assert scores.shape == (BATCH, MODELS[name].num_classes) and scores.dtype == np.float32
    assert (scores >= 0).all()
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)  # some tens of float32 shares


def test_the_same_seed_builds_the_same_model(name, model):
    for one, other in zip(model.weights, reduced(name).weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_trainable_weight_gets_a_gradient(name, model, inputs):
    labels = np.random.default_rng(1).dirichlet(np.ones(MODELS[name].num_classes), BATCH).astype(np.float32)
    loss = keras.losses.get(Plan().loss)
    statistics = [weight.numpy() for weight in model.non_trainable_weights]
    with tf.GradientTape() as tape:
        value = tf.reduce_mean(loss(labels, model(inputs, training=True)))
    for weight, before in zip(model.non_trainable_weights, statistics):  # other tests want the model as it was built
        weight.assign(before)
    for weight, gradient in zip(model.trainable_weights, tape.gradient(value, model.trainable_weights)):
        assert gradient is not None, weight.name
        assert np.isfinite(gradient).all() and np.any(gradient), weight.name


def test_every_layer_is_named_by_its_role(model):
    generic = {"conv2d", "dense_1", "batch_normalization", "re_lu", "max_pooling2d", "depthwise_conv2d", "add"}
    for layer in model.layers:
        assert layer.name.rstrip("0123456789").rstrip("_") not in generic, layer.name


def test_the_h5_reloads_with_equal_scores(model, inputs, scores, tmp_path):
    keras_files.save_h5(model, tmp_path / "model.h5")
    reloaded = keras.models.load_model(tmp_path / "model.h5", compile=False)
    np.testing.assert_array_equal(scored(reloaded, inputs), scores)


def test_keras_3_opens_every_h5_and_scores_as_keras_2(tmp_path):
    for name, published in MODELS.items():
        model = reduced(name)
        keras_files.save_h5(model, tmp_path / f"{name}.h5")
        x = np.random.default_rng(0).uniform(-1, 1, (2, *published.input_shape)).astype(np.float32)
        np.savez(tmp_path / f"{name}.npz", x=x, scores=scored(model, x))
    finished = subprocess.run(
        [sys.executable, "-c", OPEN_IN_KERAS_3, *MODELS],
        cwd=tmp_path,
        env={variable: value for variable, value in os.environ.items() if variable != "TF_USE_LEGACY_KERAS"},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr[-2_000:]
    assert finished.stdout.split() == [*MODELS]


def test_the_float_tflite_file_agrees(model, inputs, scores):
    # The same float32 sums in another order; scores are at most 1.
    np.testing.assert_allclose(LiteRT(tflite.to_float(model)).run(inputs), scores, atol=1e-5)


def test_the_int8_tflite_file_agrees(model, inputs):
    logits = keras.Model(model.input, model.layers[-1].input)  # scores of random weights are all alike
    sounds = inputs + np.float32([0, 0.5, 1, 2])[:, None, None, None]  # so that logits are not
    expected = scored(logits, sounds)
    noise = LiteRT(seam.best_int8(logits, sounds)).run(sounds) - expected  # as it is exported
    assert 10 * np.log10(np.var(expected) / np.mean(noise**2)) > MIN_SIGNAL_TO_NOISE_DB


def test_its_embedding_is_a_second_output_of_which_the_head_makes_the_scores(model, inputs, scores):
    both = assembly.with_embedding(keras.Sequential([keras.Input(model.input_shape[1:])]), model)
    same, embedding = (made.numpy() for made in both(inputs, training=False))
    np.testing.assert_array_equal(same, scores)
    assert embedding.ndim == 2 and embedding.shape[1] == assembly.head(model).input_shape[-1]


def test_half_of_its_channels_can_be_removed_or_are_refused_by_name(model, inputs):
    channels = surgery.channels_of(model)
    free = {name: np.unique(groups[groups >= 0]) for name, groups in channels.groups.items()}
    gone, widths = set(), {}
    for name, groups in free.items():
        if name not in channels.inexact:  # rows of an image: where they go, what follows may run out of rows
            gone.update(groups[len(groups) // 2 :])
            widths[name] = len(channels.groups[name])
    if not any(len(groups) for groups in free.values()):
        assert "is recurrent" in "".join(channels.fixed.values())
        return
    half = surgery.remove(model, gone)
    assert counts.trainable_parameters(half) < 0.75 * counts.trainable_parameters(model)
    assert np.isfinite(scored(half, inputs)).all()


def test_it_has_a_recipe_whose_front_ends_it_takes(name, recipe):
    assert recipe.name == name and "base" in recipe.variants and recipe.paper
    for front_end in recipe.front_ends.values():
        front = front_end.build()
        backbone = recipe.backbone(front.output_shape[1:], 3, **MODELS[name].reduced)
        assert join(front, backbone).output_shape == (None, 3)


def test_its_recipe_builds_the_published_model(name, recipe):
    published = MODELS[name]
    front_end = next(iter(recipe.front_ends.values()))
    assert _call(recipe.backbone) == _call(published.build)
    assert front_end.build().output_shape[1:] == published.input_shape
    assert front_end.sample_rate_hz == published.sample_rate_hz


def test_it_says_where_it_comes_from(name):
    module = importlib.import_module(_call(MODELS[name].build)[0].__module__)
    assert "Source: " in module.__doc__


def test_its_size_is_what_the_table_and_the_readme_tell(name):
    published = MODELS[name]
    full = published.model()
    assert (counts.trainable_parameters(full), counts.macs(full)) == (published.parameters, published.macs)
    rows = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith(f"| `{name}` |")]
    assert len(rows) == 1 and f"| {published.parameters:,} | {published.macs:,} |" in rows[0]


def _call(build):
    """(function, arguments) of a build that may be a partial."""
    return (build.func, build.keywords) if isinstance(build, partial) else (build, {})
