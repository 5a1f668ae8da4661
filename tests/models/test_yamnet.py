"""YAMNet against the layers and numbers of its release: research/audioset/yamnet of tensorflow/models."""

from zoo.backend import keras

import numpy as np
import pytest

from recipes import yamnet as recipe
from recipes import yamnet_256 as recipe_256
from zoo.measure import counts
from zoo.models import yamnet

SHAPE = (96, 64, 1)
# _YAMNET_LAYER_DEFS of yamnet.py: (stride, filters) of layer1, a convolution, and of layer2 to layer14, separable ones;
# (frames, bands) behind each, from 96 x 64, "same" padding.
LAYERS = [
    (2, 32, (48, 32)),
    (1, 64, (48, 32)),
    (2, 128, (24, 16)),
    (1, 128, (24, 16)),
    (2, 256, (12, 8)),
    (1, 256, (12, 8)),
    (2, 512, (6, 4)),
    (1, 512, (6, 4)),
    (1, 512, (6, 4)),
    (1, 512, (6, 4)),
    (1, 512, (6, 4)),
    (1, 512, (6, 4)),
    (2, 1_024, (3, 2)),
    (1, 1_024, (3, 2)),
]


@pytest.fixture(scope="module")
def model():
    return yamnet.build(SHAPE, 521, classifier_activation="sigmoid")


def test_the_layers_are_those_of_the_release(model):
    last = [layer for layer in model.layers if layer.name.endswith(("_conv_relu", "_pointwise_relu"))]
    assert [layer.output_shape[1:] for layer in last] == [(*size, filters) for _, filters, size in LAYERS]
    convolutions = [layer for layer in model.layers if layer.name.endswith(("_conv", "_depthwise"))]
    assert [layer.strides for layer in convolutions] == [(stride, stride) for stride, _, _ in LAYERS]
    assert {layer.kernel_size for layer in convolutions} == {(3, 3)}
    assert model.get_layer("embedding").output_shape == (None, 1_024)


def test_a_layer_is_a_convolution_without_bias_a_norm_without_scale_and_a_relu(model):
    kinds = [type(layer) for layer in model.layers[1:-3]]
    assert kinds[1::3] == 27 * [keras.layers.BatchNormalization] and kinds[2::3] == 27 * [keras.layers.ReLU]
    assert not any(layer.use_bias for layer in model.layers[1:-3:3])
    # params.py: batchnorm_center, batchnorm_scale, batchnorm_epsilon
    assert {(n.center, n.scale, n.epsilon) for n in model.layers[2:-3:3]} == {(True, False, 1e-4)}


def test_the_published_counts_of_parameters(model):
    headless = counts.trainable_parameters(model) - 521 * (1_024 + 1)
    assert headless == 3_195_456  # "3.2 M parameters"
    kernels, before = 9 * 32, 32  # by hand: depthwise, then pointwise
    for _, filters, _ in LAYERS[1:]:
        kernels, before = kernels + 9 * before + before * filters, filters
    betas = 32 + sum(before + filters for (_, before, _), (_, filters, _) in zip(LAYERS, LAYERS[1:]))
    assert headless == kernels + betas
    assert model.count_params() == 3_195_456 + 521 * 1_025 + 2 * betas == 3_751_369  # with a mean and a variance each


def test_the_multiplies_are_counted(model):
    filters, macs = 32, 48 * 32 * 9 * 32
    for _, wider, (frames, bands) in LAYERS[1:]:
        macs += frames * bands * filters * (9 + wider)
        filters = wider
    assert counts.macs(model) == macs + 1_024 * 521 == 69_165_056  # README of the release: "69.2M multiplies"


@pytest.mark.parametrize(("activation", "sum_is_one"), [("softmax", True), ("sigmoid", False)])
def test_scores_share_one_or_stand_for_themselves(activation, sum_is_one):
    model = yamnet.build(SHAPE, 5, widths=(4, 4), classifier_activation=activation)
    scores = model.predict(np.random.default_rng(0).normal(size=(3, *SHAPE)), verbose=0)
    assert ((scores > 0) & (scores < 1)).all()
    assert np.allclose(scores.sum(axis=1), 1, atol=1e-6) == sum_is_one


def test_yamnet_256_is_the_first_six_layers_and_takes_the_vendors_flash():
    """audio_event_detection/yamnet/README.md of STMicroelectronics/stm32ai-modelzoo.

    It says: an embedding of 256, 130 K parameters, and, for ten classes, 135.91 KiB of weights in int8.
    """
    model = yamnet.build(SHAPE, 10, widths=yamnet.CUT_WIDTHS)
    kernels = sum(layer.count_params() for layer in model.layers if layer.name.endswith(("conv", "wise")))
    betas = sum(layer.count_params() // 3 for layer in model.layers if layer.name.endswith("_norm"))
    assert model.get_layer("embedding").output_shape == (None, 256)
    assert (kernels, betas, counts.trainable_parameters(model)) == (130_688, 1_472, 130_688 + 1_472 + 2_570)
    int8_bytes = kernels + 4 * betas + 256 * 10 + 4 * 10  # a norm folded leaves a bias of 32 bits
    assert round(int8_bytes / 1024, 2) == 135.91


@pytest.mark.parametrize("widths", [(), (8,) * 15])
def test_widths_that_are_no_layers_are_refused(widths):
    with pytest.raises(ValueError, match=f"widths needs 1 to 14 numbers, one a layer; got {len(widths)}"):
        yamnet.build(SHAPE, 10, widths=widths)


def test_the_recipes_front_end_is_the_patch_of_the_release():
    for made in (recipe.RECIPE, recipe_256.RECIPE):
        first, *_ = made.front_ends.values()
        assert first.build().output_shape[1:] == SHAPE
        assert made.backbone(SHAPE, 10).output_shape == (None, 10)
    assert recipe_256.RECIPE.backbone(SHAPE, 10).get_layer("embedding").output_shape == (None, 256)


def test_the_cut_hears_every_20_ms_with_the_same_weights():
    sparse = recipe_256.RECIPE.front_ends["mel_20ms"].build().output_shape[1:]
    assert sparse == (41, 64, 1)
    model = recipe_256.RECIPE.backbone(sparse, 10)
    assert model.count_params() == recipe_256.RECIPE.backbone(SHAPE, 10).count_params()
