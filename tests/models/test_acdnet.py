"""ACDNet and Micro-ACDNet against the paper's tables 2 and 11, layer by layer, and its counts."""

import os
import subprocess
import sys
from pathlib import Path

from zoo.backend import keras

import numpy as np
import pytest

from zoo.frontends import LogMel
from zoo.measure import counts
from zoo.models import MODELS, acdnet

ROOT = Path(__file__).parents[2]

# (time or height, width, channels), in the paper's order of layers; None where it has no layer of its own.
TABLE_2 = {  # with x = 8, 50 classes, 30,225 samples at 20 kHz
    "spectral_conv1": (15_109, 1, 8), "spectral_conv2": (7_553, 1, 64), "spectral_pool": (151, 1, 64),
    "swap_axes": (64, 151, 1),
    "temporal_conv3": (64, 151, 32), "temporal_pool1": (32, 75, 32),
    "temporal_conv4": (32, 75, 64), "temporal_conv5": (32, 75, 64), "temporal_pool2": (16, 37, 64),
    "temporal_conv6": (16, 37, 128), "temporal_conv7": (16, 37, 128), "temporal_pool3": (8, 18, 128),
    "temporal_conv8": (8, 18, 256), "temporal_conv9": (8, 18, 256), "temporal_pool4": (4, 9, 256),
    "temporal_conv10": (4, 9, 512), "temporal_conv11": (4, 9, 512), "temporal_pool5": (2, 4, 512),
    "temporal_conv12": (2, 4, 50), "average_pool": (1, 1, 50), "flatten": (50,), "dense": (50,), "scores": (50,),
}  # fmt: skip
# The table's heights go on from 32 although conv2 has 20 filters: 20, 10, 5, 2, 1, 1 is what gives its 14.82 M.
TABLE_11 = {
    "spectral_conv1": (15_109, 1, 7), "spectral_conv2": (7_553, 1, 20), "spectral_pool": (151, 1, 20),
    "swap_axes": (20, 151, 1),
    "temporal_conv3": (20, 151, 10), "temporal_pool1": (10, 75, 10),
    "temporal_conv4": (10, 75, 14), "temporal_conv5": (10, 75, 22), "temporal_pool2": (5, 37, 22),
    "temporal_conv6": (5, 37, 31), "temporal_conv7": (5, 37, 35), "temporal_pool3": (2, 18, 35),
    "temporal_conv8": (2, 18, 41), "temporal_conv9": (2, 18, 51), "temporal_pool4": (1, 9, 51),
    "temporal_conv10": (1, 9, 67), "temporal_conv11": (1, 9, 69), "temporal_pool5": (1, 4, 69),
    "temporal_conv12": (1, 4, 48), "average_pool": (1, 1, 48), "flatten": (48,), "dense": (50,), "scores": (50,),
}  # fmt: skip
COUNTS = {  # trainable, with batch normalisation's statistics, multiplies, FLOPs as the paper counts them
    "acdnet": (4_735_378, 4_739_526, 541_869_356, 544_422_040),
    "micro_acdnet": (131_474, 132_304, 14_286_134, 14_822_095),
}


@pytest.fixture(scope="module")
def presets():
    return {name: MODELS[name].model() for name in COUNTS}


@pytest.mark.parametrize("name, table", [("acdnet", TABLE_2), ("micro_acdnet", TABLE_11)])
def test_every_shape_is_the_papers(presets, name, table):
    model = presets[name]
    assert {layer: model.get_layer(layer).output_shape[1:] for layer in table} == table
    beside = {
        "BatchNormalization",
        "ReLU",
        "Dropout",
        "InputLayer",
    }  # what the table does not list, or not with a shape
    assert {layer.name for layer in model.layers if type(layer).__name__ not in beside} == set(table)


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_the_papers(presets, name):
    model = presets[name]
    found = counts.trainable_parameters(model), model.count_params(), counts.macs(model), counts.paper_flops(model)
    assert found == COUNTS[name]


@pytest.mark.parametrize("name", COUNTS)
def test_a_convolution_has_no_bias_and_is_followed_by_normalisation_and_relu(presets, name):
    layers = presets[name].layers
    convolutions = [place for place, layer in enumerate(layers) if isinstance(layer, keras.layers.Conv2D)]
    assert len(convolutions) == 12
    for place in convolutions:
        assert not layers[place].use_bias
        assert [type(layer).__name__ for layer in layers[place + 1 : place + 3]] == ["BatchNormalization", "ReLU"]


def test_dropout_is_a_fifth_and_stands_before_conv12(presets):
    for model in presets.values():
        names = [layer.name for layer in model.layers]
        assert names[names.index("dropout") + 1] == "temporal_conv12" and model.get_layer("dropout").rate == 0.2


@pytest.mark.parametrize("sample_rate_hz, seconds, num_classes", [
    (16_000, 1.0, 12), (44_100, 3.0, 2), (20_000, 1.51125, 10), (22_050, 4.0, 10), (8_000, 0.5, 2), (48_000, 5.0, 50),
])  # fmt: skip
@pytest.mark.parametrize("widths", [None, acdnet.MICRO_WIDTHS], ids=["acdnet", "micro_acdnet"])
def test_other_lengths_rates_and_class_counts_build(sample_rate_hz, seconds, num_classes, widths):
    model = acdnet.build((round(sample_rate_hz * seconds), 1, 1), num_classes, sample_rate_hz, widths)
    assert model.output_shape == (None, num_classes)
    assert model.get_layer("temporal_conv12").filters == (num_classes if widths is None else 48)
    # A column for every 10 ms: equation 1's pool is whole samples, so their number is right within half a pool step,
    # and two convolutions of stride 2 shorten the sound by four columns' samples at most.
    columns, pool = model.get_layer(acdnet.SEAM).output_shape[1], model.get_layer(acdnet.SEAM).pool_size[0]
    assert abs(columns - 100 * seconds) <= 100 * seconds / (2 * pool) + 2


def test_a_log_mel_takes_the_temporal_block_alone():
    shape = LogMel(24_180).build().output_shape[1:]
    assert shape == (149, 128, 1)
    model = acdnet.build(shape, 10, 16_000)
    names = {layer.name for layer in model.layers}
    assert acdnet.SEAM not in names and not [name for name in names if name.startswith("spectral")]
    assert model.get_layer("swap_axes").output_shape[1:] == (128, 149, 1)  # frequency is height, time is width
    assert model.get_layer("temporal_conv12").output_shape[1:] == (4, 4, 10)


@pytest.mark.parametrize("widths", [acdnet.WIDTHS, (*acdnet.MICRO_WIDTHS, 50)])
def test_a_wrong_number_of_widths_is_refused(widths):
    with pytest.raises(ValueError, match=f"widths needs 12 numbers, one for each convolution; got {len(widths)}"):
        acdnet.build((30_225, 1, 1), 50, 20_000, widths)


def test_scores_are_probabilities(presets):
    samples = np.random.default_rng(0).uniform(-1, 1, (2, 30_225, 1, 1)).astype(np.float32)
    scores = presets["micro_acdnet"](samples).numpy()
    assert (scores >= 0).all()
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)  # fifty float32 shares


BUILD_UNDER_KERAS_3 = """
import sys, types
import keras
assert keras.__version__.startswith("3"), keras.__version__
sys.modules["zoo.backend"] = types.SimpleNamespace(keras=keras)
from zoo.models import MODELS
for name in sys.argv[1:]:
    model = MODELS[name].model()
    print(model.count_params(), [tuple(layer.output.shape[1:]) for layer in model.layers], sep="; ")
"""


def test_the_backbone_uses_only_what_keras_2_and_3_share(presets):
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    child = subprocess.run(
        [sys.executable, "-c", BUILD_UNDER_KERAS_3, *COUNTS],
        cwd=ROOT,
        env={**environment, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    assert child.returncode == 0, child.stderr
    assert child.stdout.splitlines() == [
        f"{model.count_params()}; {[tuple(layer.output.shape[1:]) for layer in model.layers]}"
        for model in presets.values()
    ]
