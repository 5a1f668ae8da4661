"""BC-ResNet against bcresnet.py of github.com/Qualcomm-AI-research/bcresnet: shapes, counts, and its norm by hand."""

from zoo.backend import keras

import numpy as np
import pytest

from zoo.compress import surgery
from zoo.export import tflite
from zoo.measure import counts
from zoo.models import bc_resnet
from zoo.runtime.interpreter import LiteRT

# (frames, mels, channels) at the end of each stage over 101 frames of 40 mels, tau 1; frames and mels for any tau.
SHAPES = {
    "stem_relu": (101, 20, 16),
    "stage1_block2_relu": (101, 20, 8),
    "stage2_block2_relu": (101, 10, 12),
    "stage3_block4_relu": (101, 5, 16),
    "stage4_block4_relu": (101, 5, 20),
    "head_depthwise": (101, 1, 20),
    "head_relu": (101, 1, 32),
    "average_pool": (32,),
    "scores": (12,),
}


@pytest.fixture(scope="module")
def model():
    return bc_resnet.build((101, 40, 1), 12)


def test_every_stage_has_the_sources_shape(model):
    assert {name: model.get_layer(name).output_shape[1:] for name in SHAPES} == SHAPES


@pytest.mark.parametrize("tau, published, widths", [
    (1, 9_232, (16, 8, 12, 16, 20, 32)),  # the paper: 9.2 k
    (3, 54_168, (48, 24, 36, 48, 60, 96)),  # the paper: 54.2 k
])  # fmt: skip
def test_parameters_are_those_counted_by_hand(tau, published, widths):
    stem, *stages, head = widths
    parameters = 25 * stem + 2 * stem
    for before, width, blocks in zip(widths, stages, (2, 2, 4, 4)):
        parameters += before * width + 2 * width  # transition
        # 3 weights over frequency, 5 sub-bands of gamma and beta, 3 weights over time, gamma and beta, pointwise
        parameters += blocks * width * (3 + 5 * 2 + 3 + 2 + width)
    parameters += 25 * stages[-1] + stages[-1] * head + 2 * head + head * 12 + 12
    assert parameters == published == counts.trainable_parameters(bc_resnet.build((101, 40, 1), 12, tau))


def test_multiplies_are_those_counted_by_hand(model):
    multiplies = 101 * 20 * 25 * 16
    before = 16
    for width, blocks, bands in ((8, 2, 20), (12, 2, 10), (16, 4, 5), (20, 4, 5)):
        halves = width in (12, 16)  # there the transition and the first convolution over frequency run on all bands
        multiplies += 101 * bands * (1 + halves) * before * width
        multiplies += 101 * width * (bands * (blocks + halves) * 3 + blocks * (3 + width))
        before = width
    multiplies += 101 * (25 * 20 + 20 * 32) + 32 * 12
    assert counts.macs(model) == multiplies == 2_542_756


def test_dilation_over_time_doubles_from_stage_to_stage(model):
    for stage, blocks in enumerate((2, 2, 4, 4), start=1):
        for block in range(1, blocks + 1):
            layer = model.get_layer(f"stage{stage}_block{block}_over_time")
            assert layer.dilation_rate == (2 ** (stage - 1), 1) and layer.kernel_size == (3, 1)


def test_only_a_transition_has_no_shortcut(model):
    for stage, blocks in enumerate((2, 2, 4, 4), start=1):
        for block in range(1, blocks + 1):
            terms = model.get_layer(f"stage{stage}_block{block}_add").input
            # What was averaged over frequency has one band left, and is added to all of them.
            assert len(terms) == (2 if block == 1 else 3) and terms[-1].shape[2] == 1 and terms[0].shape[2] >= 5


@pytest.mark.parametrize("name", ["stage1_block1_over_frequency", "stage3_block1_over_frequency"])
def test_a_sub_band_is_normalised_by_its_own_statistics(name):
    net = bc_resnet.build((30, 40, 1), 3)
    before = "stage3_block1_halved" if name.startswith("stage3") else name
    ends = [net.get_layer(layer).output for layer in (before, f"{name}_bands")]
    sound = np.random.default_rng(0).normal(size=(4, 30, 40, 1)).astype(np.float32)
    x, found = (end.numpy().astype(float) for end in keras.Model(net.input, ends)(sound, training=True))
    rows = x.shape[2] // 5
    for band in range(5):
        its = slice(band * rows, (band + 1) * rows)
        mean, variance = x[:, :, its].mean(axis=(0, 1, 2)), x[:, :, its].var(axis=(0, 1, 2))
        # Values of the order of 1; float32 sums some hundred of them.
        np.testing.assert_allclose(found[:, :, its], (x[:, :, its] - mean) / np.sqrt(variance + 1e-5), atol=1e-4)


def test_half_of_the_channels_go_with_their_sub_bands_and_what_is_left_runs_in_tflite():
    net = bc_resnet.build((12, 40, 1), 3, blocks=(1, 2, 1, 1))
    rng = np.random.default_rng(0)
    for layer in net.layers:
        if isinstance(layer, keras.layers.BatchNormalization):  # as trained ones: those of the sub-bands are not fused
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
    channels = surgery.channels_of(net)
    assert set(channels.fixed) == {"dense"}
    first, last = (channels.groups[f"stage2_block{layer}"] for layer in ("1_transition", "2_pointwise"))
    np.testing.assert_array_equal(first, last)
    gone = np.arange(0, max(groups.max() for groups in channels.groups.values()) + 1, 2)  # every other one of a layer
    surgery.mask(net, gone)
    cut = surgery.remove(net, gone)
    assert [cut.get_layer(f"stage{stage}_block1_relu").output_shape[-1] for stage in (1, 2, 3, 4)] == [4, 6, 8, 10]
    assert cut.get_layer("stage4_block1_over_frequency_norm").input_shape[-1] == 5 * 10
    sound = rng.normal(size=(2, 12, 40, 1)).astype(np.float32)
    scores = cut(sound).numpy()
    np.testing.assert_allclose(scores, net(sound), atol=1e-5)  # float32 sums of fewer terms
    np.testing.assert_allclose(LiteRT(tflite.to_float(cut)).run(sound), scores, atol=1e-5)


def test_other_numbers_of_mels_and_frames_build_and_some_are_refused():
    assert bc_resnet.build((300, 80, 1), 10).output_shape == (None, 10)
    with pytest.raises(ValueError, match="needs a multiple of 40 mels for its sub-bands; got 64"):
        bc_resnet.build((100, 64, 1), 10)
