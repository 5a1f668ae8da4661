"""DS-CNN against keras_model.py of github.com/mlcommons/tiny, layer by layer, and its counts."""

from zoo.backend import keras

import pytest

from zoo.compress import surgery
from zoo.measure import counts
from zoo.models import ds_cnn

# (frames, coefficients, channels) of its layers over 49 frames of ten coefficients; the pool is (24, 5).
SHAPES = {
    "stem": (25, 5, 64),
    **{f"block{block}_{kind}": (25, 5, 64) for block in (1, 2, 3, 4) for kind in ("depthwise", "pointwise")},
    "average_pool": (1, 1, 64), "flatten": (64,), "dense": (12,), "scores": (12,),
}  # fmt: skip


@pytest.fixture(scope="module")
def model():
    return ds_cnn.build((49, 10, 1), 12)


def test_every_shape_is_the_sources(model):
    assert {name: model.get_layer(name).output_shape[1:] for name in SHAPES} == SHAPES
    beside = {"BatchNormalization", "ReLU", "Dropout", "InputLayer"}
    assert {layer.name for layer in model.layers if type(layer).__name__ not in beside} == set(SHAPES)
    assert model.get_layer("stem").kernel_size == (10, 4) and model.get_layer("average_pool").pool_size == (24, 5)
    assert model.get_layer("stem_dropout").rate == 0.2 and model.get_layer("dropout").rate == 0.4


def test_the_published_24_908_parameters_hold_the_statistics_of_the_norms(model):
    # Stem and its norm, four blocks of two convolutions (with biases) and their norms, the dense layer.
    trainable = (10 * 4 * 64 + 64 + 128) + 4 * (9 * 64 + 64 + 128 + 64 * 64 + 64 + 128) + 64 * 12 + 12
    assert trainable == 23_756 and trainable + 9 * 128 == 24_908
    assert (counts.trainable_parameters(model), model.count_params()) == (23_756, 24_908)


def test_multiplies_are_those_counted_by_hand(model):
    assert counts.macs(model) == 25 * 5 * (10 * 4 * 64 + 4 * (9 * 64 + 64 * 64)) + 64 * 12 == 2_656_768


@pytest.mark.parametrize("frames, mels, width, depth", [(98, 40, 16, 2), (150, 64, 8, 4), (24, 5, 8, 1)])
def test_other_lengths_and_sizes_build(frames, mels, width, depth):
    model = ds_cnn.build((frames, mels, 1), 3, width, depth)
    assert model.output_shape == (None, 3) and model.get_layer("average_pool").output_shape[1:] == (1, 1, width)
    assert sum(isinstance(layer, keras.layers.DepthwiseConv2D) for layer in model.layers) == depth


def test_all_channels_but_the_classes_can_go(model):
    assert set(surgery.channels_of(model).fixed) == {"dense"}
