"""AclNet and Micro-AclNet against the ACDNet paper's counts, and layer by layer against a public reimplementation."""

import math
from dataclasses import replace

from zoo.backend import keras

import pytest

from zoo.assembly import cut
from zoo.compress import surgery, units
from zoo.compress.taylor import count_channels
from zoo.frontends import Raw
from zoo.measure import counts
from zoo.models import aclnet

COMPARED = Raw(sample_rate_hz=20_000, num_samples=30_225)  # ACDNet's, section 3.2.1
OWN = Raw(sample_rate_hz=44_100, num_samples=56_448)  # AclNet's: 1.28 s, an image of 128 columns of 10 ms

# Mohaimenuzzaman et al. 2023.
FILTERS = 3_050  # table 6, section 3.1
PARAMETERS_M, SIZE_MB = 10.63, (40.57, 40.54)  # table 6; tables 6 and 12
FLOPS_M = (1_070, 1_806.57)  # tables 6 and 12
MICRO_WIDTHS = (7, 26, 10, 20, 26, 41, 22, 48, 55, 64, 58, 50)  # section 4.4.3
MICRO_FLOPS_M, MICRO_SIZE_REDUCED = 21.50, 0.9879  # table 12

# (height, width, channels): model.py of HwanWoongLee/Pytorch_AclNet_AudioClassification, whose last pool is (2, 4),
# with conv3 to conv11 half as wide again.
REIMPLEMENTED = {
    "low_level_pool": (128, 1, 64), "swap_axes": (64, 128, 1),
    "high_level_conv3": (64, 128, 48), "high_level_pool1": (32, 64, 48),
    "high_level_conv4": (32, 64, 96), "high_level_conv5": (32, 64, 96), "high_level_pool2": (16, 32, 96),
    "high_level_conv6": (16, 32, 192), "high_level_conv7": (16, 32, 192), "high_level_pool3": (8, 16, 192),
    "high_level_conv8": (8, 16, 384), "high_level_conv9": (8, 16, 384), "high_level_pool4": (4, 8, 384),
    "high_level_conv10": (4, 8, 768), "high_level_conv11": (4, 8, 768), "high_level_pool5": (2, 4, 768),
    "class_conv12": (2, 4, 50), "average_pool": (1, 1, 50), "flatten": (50,), "scores": (50,),
}  # fmt: skip


def build(front_end, num_classes=50, **kwargs):
    return aclnet.build((front_end.num_samples, 1, 1), num_classes, front_end.sample_rate_hz, **kwargs)


@pytest.fixture(scope="module")
def base():
    return build(COMPARED)


@pytest.fixture(scope="module")
def micro():
    return build(COMPARED, widths=aclnet.MICRO_WIDTHS)


def widths_of(model):
    return tuple(layer.filters for layer in model.layers if isinstance(layer, keras.layers.Conv2D))


@pytest.fixture(scope="module")
def own():
    return build(OWN)


def test_every_shape_is_that_of_the_reimplementation(own):
    assert {layer: own.get_layer(layer).output_shape[1:] for layer in REIMPLEMENTED} == REIMPLEMENTED


def test_the_published_counts_of_filters_and_parameters(base):
    assert sum(widths_of(base)) == FILTERS
    # By hand: kernels, then the two trained numbers that normalisation has for each filter.
    high_level = (1, *aclnet.WIDTHS[2:])
    kernels = 9 * 8 + 5 * 8 * 64 + 9 * sum(map(math.prod, zip(high_level, high_level[1:]))) + 768 * 50
    assert counts.trainable_parameters(base) == kernels + 2 * FILTERS == 10_622_924
    # The statistics are the other two, and the paper counts them.
    assert base.count_params() == 10_629_024
    assert round(base.count_params() / 1e6, 2) == PARAMETERS_M
    assert base.count_params() * 4 / 2**20 == pytest.approx(SIZE_MB[1], abs=0.01)  # cut off, not rounded


def test_the_multiplies_of_each_input(base, own):
    assert (counts.macs(base), counts.paper_flops(base)) == (1_191_429_992, 1_194_714_786)
    assert (counts.macs(own), counts.paper_flops(own)) == (1_061_210_336, 1_065_133_330)
    assert round(counts.paper_flops(own), -7) == FLOPS_M[0] * 1e6  # 1.07 G, in three digits


@pytest.mark.parametrize("front_end", [COMPARED, OWN], ids=["20 kHz", "44.1 kHz"])
def test_no_length_takes_the_multiplies_of_table_12(front_end):
    # The 224th column fills a seventh window of the last pool, and the work steps over 1,806.57 M.
    pool = front_end.sample_rate_hz // 400  # 10 ms behind two strides of 2
    shortest = 224 * 4 * pool + 13  # a pool's step is 4 x pool samples, and 13 more are the fewest that fill the last
    flops = []
    for num_samples, columns in ((shortest - 1, 223), (shortest, 224)):
        model = build(replace(front_end, num_samples=num_samples))
        assert model.get_layer("swap_axes").output_shape[2] == columns
        flops.append(counts.paper_flops(model) / 1e6)
    assert flops[0] + 1 < FLOPS_M[1] < flops[1] - 1


def test_micro_aclnet_has_the_published_widths_and_counts(base, micro):
    assert widths_of(micro) == MICRO_WIDTHS
    assert (counts.macs(micro), counts.paper_flops(micro)) == (20_822_149, 21_495_080)
    assert round(counts.paper_flops(micro) / 1e6, 2) == MICRO_FLOPS_M
    assert (counts.trainable_parameters(micro), micro.count_params()) == (127_361, 128_215)
    assert round(1 - micro.count_params() / base.count_params(), 4) == MICRO_SIZE_REDUCED


@pytest.mark.parametrize("widths", [aclnet.WIDTHS, aclnet.MICRO_WIDTHS], ids=["aclnet", "micro_aclnet"])
def test_the_last_convolution_has_a_filter_for_each_class(widths):
    model = build(COMPARED, num_classes=10, widths=widths)
    assert model.output_shape == (None, 10) and model.get_layer("class_conv12").filters == 10


def test_pruning_may_take_every_filter_but_those_of_the_classes(micro):
    channels = surgery.channels_of(micro)
    assert channels.fixed == {"class_conv12": units.MAKES_THE_OUTPUT}
    assert count_channels(micro) == sum(aclnet.MICRO_WIDTHS)


def test_the_seam_divides_a_local_front_from_an_image(micro):
    front, body = cut(Raw(COMPARED.sample_rate_hz, COMPARED.num_samples).build(), micro, aclnet.SEAM)
    assert front.output_shape[1:] == (151, 1, 26) == body.input_shape[1:]


@pytest.mark.parametrize("widths", [aclnet.WIDTHS[:-1], MICRO_WIDTHS])
def test_a_wrong_number_of_widths_is_refused(widths):
    with pytest.raises(ValueError, match=f"widths needs 11 numbers, of conv1 to conv11; got {len(widths)}"):
        build(COMPARED, widths=widths)
