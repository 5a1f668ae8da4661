"""What holds for every model of the zoo: a new line in MODELS is tested here without another word."""

import importlib
from pathlib import Path

from zoo.backend import keras, tf

import numpy as np
import pytest

from zoo.assembly import join
from zoo.export import keras_files, tflite
from zoo.measure import counts
from zoo.models import MODELS
from zoo.runtime.interpreter import LiteRT
from zoo.training import Plan

ROOT = Path(__file__).parents[1]
BATCH = 4


@pytest.fixture(scope="module", params=MODELS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def model(name):
    """The model at its published settings."""
    keras.utils.set_random_seed(0)
    published = MODELS[name]
    return published.model()


@pytest.fixture(scope="module")
def inputs(name):
    return np.random.default_rng(0).uniform(-1, 1, (BATCH, *MODELS[name].input_shape)).astype(np.float32)


@pytest.fixture(scope="module")
def scores(model, inputs):
    return model.predict(inputs, verbose=0)


def test_it_scores_each_class_with_a_probability(name, scores):
    assert scores.shape == (BATCH, MODELS[name].num_classes) and scores.dtype == np.float32
    assert (scores >= 0).all()
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)  # some tens of float32 shares


def test_the_same_seed_builds_the_same_model(name, model):
    keras.utils.set_random_seed(0)
    published = MODELS[name]
    again = published.model()
    for one, other in zip(model.weights, again.weights, strict=True):
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


def test_it_can_be_counted(model):
    assert counts.macs(model) > 0 and counts.trainable_parameters(model) > 0


def test_the_h5_reloads_with_equal_scores(model, inputs, scores, tmp_path):
    keras_files.save_h5(model, tmp_path / "model.h5")
    reloaded = keras.models.load_model(tmp_path / "model.h5", compile=False)
    np.testing.assert_array_equal(reloaded.predict(inputs, verbose=0), scores)


def test_the_float_tflite_file_agrees(model, inputs, scores):
    # The same float32 sums in another order; scores are at most 1.
    np.testing.assert_allclose(LiteRT(tflite.to_float(model)).run(inputs), scores, atol=1e-5)


def test_it_has_a_recipe_whose_front_ends_it_takes(name):
    recipe = importlib.import_module(f"recipes.{name}").RECIPE
    assert recipe.name == name and "base" in recipe.variants
    for front_end in recipe.front_ends.values():
        front = front_end.build()
        backbone = recipe.backbone(front.output_shape[1:], 3, front_end.sample_rate_hz)
        assert join(front, backbone).output_shape == (None, 3)


def test_its_recipe_builds_the_published_model(name, model):
    recipe, published = importlib.import_module(f"recipes.{name}").RECIPE, MODELS[name]
    built = recipe.backbone(published.input_shape, published.num_classes, published.sample_rate_hz)
    assert [weight.shape for weight in built.weights] == [weight.shape for weight in model.weights]
    front_end = next(iter(recipe.front_ends.values()))
    assert front_end.build().output_shape[1:] == published.input_shape
    assert front_end.sample_rate_hz == published.sample_rate_hz


def test_the_readme_tells_its_source_and_size(name, model):
    rows = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith(f"| `{name}` |")]
    assert len(rows) == 1
    assert f"{counts.trainable_parameters(model):,}" in rows[0] and f"{counts.macs(model):,}" in rows[0]
