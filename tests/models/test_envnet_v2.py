"""EnvNet-v2 against its authors' layers and the counts that the ACDNet paper's table 6 gives it."""

from zoo.backend import keras

import pytest

from zoo.assembly import cut
from zoo.compress import surgery
from zoo.frontends import Raw
from zoo.measure import counts
from zoo.models import envnet_v2

FRONT_END = Raw(sample_rate_hz=44_100, num_samples=66_650)
NUM_CLASSES = 50

FILTERS, PARAMETERS_M, SIZE_MB, FLOPS_M = 1_056, 101.25, 386.25, 1_620  # Mohaimenuzzaman et al. 2023, table 6

# models/envnetv2.py of mil-tokyo/bc_learning_sound: kernel, stride; the shapes follow, without padding.
AUTHORS = {
    "spectral_conv1": (33_294, 1, 32), "spectral_conv2": (16_640, 1, 64), "spectral_pool": (260, 1, 64),
    "swap_axes": (64, 260, 1),
    "temporal_conv3": (57, 253, 32), "temporal_conv4": (50, 246, 32), "temporal_pool1": (10, 82, 32),
    "temporal_conv5": (10, 79, 64), "temporal_conv6": (10, 76, 64), "temporal_pool2": (10, 38, 64),
    "temporal_conv7": (10, 37, 128), "temporal_conv8": (10, 36, 128), "temporal_pool3": (10, 18, 128),
    "temporal_conv9": (10, 17, 256), "temporal_conv10": (10, 16, 256), "temporal_pool4": (10, 8, 256),
    "flatten": (20_480,),  # as they write it: 256 x 10 x 8
    "hidden_dense1": (4_096,), "hidden_dense2": (4_096,), "dense": (50,), "scores": (50,),
}  # fmt: skip


def build(num_classes=NUM_CLASSES, **kwargs):
    return envnet_v2.build((FRONT_END.num_samples, 1, 1), num_classes, **kwargs)


@pytest.fixture(scope="module")
def model():
    return build()


def test_every_shape_is_the_authors(model):
    assert {layer: model.get_layer(layer).output_shape[1:] for layer in AUTHORS} == AUTHORS
    beside = {"BatchNormalization", "ReLU", "Dropout", "InputLayer"}
    assert {layer.name for layer in model.layers if type(layer).__name__ not in beside} == set(AUTHORS)


def test_the_published_counts(model):
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert sum(layer.filters for layer in convolutions) == FILTERS
    dense = (20_480 + 1) * 4_096 + (4_096 + 1) * 4_096 + (4_096 + 1) * NUM_CLASSES
    assert counts.trainable_parameters(model) == 372_736 + 2 * FILTERS + dense == 101_251_186
    assert round(counts.trainable_parameters(model) / 1e6, 2) == PARAMETERS_M
    assert round(model.count_params() * 4 / 2**20, 2) == SIZE_MB  # with the statistics
    assert (counts.macs(model), counts.paper_flops(model)) == (1_618_835_456, 1_623_708_740)
    for multiplies in (counts.macs(model), counts.paper_flops(model)):
        assert round(multiplies, -7) == FLOPS_M * 1e6  # the paper's three digits


def test_only_the_dense_layers_have_biases(model):
    for layer in model.layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            assert layer.use_bias == isinstance(layer, keras.layers.Dense)


@pytest.fixture(scope="module")
def reduced():
    return build(10, widths=(2, 24, 4, 4, 4, 4, 4, 4, 4, 4), dense_units=16)


def test_a_reduced_net_has_the_same_layers(model, reduced):
    assert [layer.name for layer in reduced.layers] == [layer.name for layer in model.layers]
    assert reduced.get_layer("temporal_pool1").output_shape[1:] == (2, 82, 4)
    assert reduced.output_shape == (None, 10)


def test_half_of_what_are_no_rows_of_the_image_can_be_pruned(reduced):
    groups = surgery.channels_of(reduced).groups
    rows, scores = groups.pop("spectral_conv2"), groups.pop("dense")
    halved = surgery.remove(reduced, sorted({int(group) for ids in groups.values() for group in ids[::2]}))
    assert halved.get_layer("spectral_conv2").filters == len(rows) and halved.get_layer("dense").units == len(scores)
    assert halved.get_layer("temporal_conv10").filters == 2 and halved.get_layer("hidden_dense1").units == 8


def test_the_seam_divides_a_local_front_from_an_image(reduced):
    front, body = cut(FRONT_END.build(), reduced, envnet_v2.SEAM)
    assert front.output_shape[1:] == (260, 1, 24) == body.input_shape[1:]


@pytest.mark.parametrize("number", [9, 11])
def test_a_wrong_number_of_widths_is_refused(number):
    with pytest.raises(ValueError, match=f"widths needs 10 numbers, one for each convolution; got {number}"):
        build(widths=(32,) * number)
