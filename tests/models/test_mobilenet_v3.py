"""MobileNetV3 against models/mn of github.com/fschmid56/EfficientAT: widths written out, counts from its README."""

from zoo.backend import keras

import numpy as np
import pytest

from zoo.compress import surgery
from zoo.export import graph, tflite
from zoo.measure import counts
from zoo.models import mobilenet_v3

# Kernel, expanded channels, channels, units of squeeze-and-excitation (0: none) of each block, as the source's
# InvertedResidualConfig makes them of its table; stem, last convolution and hidden layer beside.
BLOCKS = {
    1.0: [
        (3, 16, 16, 0), (3, 64, 24, 0), (3, 72, 24, 0), (5, 72, 40, 24), (5, 120, 40, 32), (5, 120, 40, 32),
        (3, 240, 80, 0), (3, 200, 80, 0), (3, 184, 80, 0), (3, 184, 80, 0), (3, 480, 112, 120), (3, 672, 112, 168),
        (5, 672, 160, 168), (5, 960, 160, 240), (5, 960, 160, 240),
    ],
    0.4: [
        (3, 8, 8, 0), (3, 24, 16, 0), (3, 32, 16, 0), (5, 32, 16, 8), (5, 48, 16, 16), (5, 48, 16, 16),
        (3, 96, 32, 0), (3, 80, 32, 0), (3, 72, 32, 0), (3, 72, 32, 0), (3, 192, 48, 48), (3, 272, 48, 72),
        (5, 272, 64, 72), (5, 384, 64, 96), (5, 384, 64, 96),
    ],
}  # fmt: skip
ENDS = {1.0: (16, 960, 1280), 0.4: (8, 384, 512)}
STRIDES = (1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1)
LABELS = 527  # AudioSet's


@pytest.fixture(scope="module", params=BLOCKS)
def width(request):
    return request.param


@pytest.fixture(scope="module")
def model(width):
    return mobilenet_v3.build((1_000, 128, 1), LABELS, width)


def test_every_block_has_the_sources_shape(model, width):
    frames, mels = 500, 64
    assert model.get_layer("stem").output_shape[1:] == (frames, mels, ENDS[width][0])
    for number, ((kernel, expanded, channels, squeezed), stride) in enumerate(zip(BLOCKS[width], STRIDES), start=1):
        frames, mels = -(-frames // stride), -(-mels // stride)
        depthwise = model.get_layer(f"block{number}_depthwise")
        assert depthwise.kernel_size == (kernel, kernel) and depthwise.output_shape[1:] == (frames, mels, expanded)
        assert model.get_layer(f"block{number}_project_norm").output_shape[1:] == (frames, mels, channels)
        names = {layer.name for layer in model.layers}
        assert (f"block{number}_squeeze" in names) == bool(squeezed)
        if squeezed:
            assert model.get_layer(f"block{number}_squeeze").filters == squeezed
        # The source multiplies by x * ReLU6(x + 3) / 6 from the seventh block on.
        assert (f"block{number}_depthwise_swish" in names) == (number >= 7)
    assert (frames, mels) == (32, 4)
    assert model.get_layer("last").output_shape[1:] == (32, 4, ENDS[width][1])
    assert model.get_layer("hidden").filters == ENDS[width][2]


def test_parameters_are_those_counted_by_hand(model, width):
    stem, last, hidden = ENDS[width]
    parameters, before = 9 * stem + 2 * stem, stem
    for kernel, expanded, channels, squeezed in BLOCKS[width]:
        if expanded != before:
            parameters += before * expanded + 2 * expanded
        parameters += kernel**2 * expanded + 2 * expanded
        if squeezed:
            parameters += 2 * expanded * squeezed + squeezed + expanded
        parameters += expanded * channels + 2 * channels
        before = channels
    parameters += before * last + 2 * last + last * hidden + hidden + hidden * LABELS + LABELS
    published = {1.0: 4_876_831, 0.4: 983_599}[width]  # the README's table: 4.88 and 0.983 million
    assert counts.trainable_parameters(model) == parameters == published


def test_multiplies_round_to_the_readmes_billions(model, width):
    # Its count adds a bias where there is one: too few to show in two digits.
    assert round(counts.macs(model) / 1e9, 2) == {1.0: 0.54, 0.4: 0.11}[width]


@pytest.mark.parametrize("channels, nearest", [(6.4, 8), (9.6, 16), (25.6, 24), (44.8, 48), (18, 24), (30, 32)])
def test_channels_are_eights_and_never_less_by_more_than_a_tenth(channels, nearest):
    assert mobilenet_v3.to_eights(channels) == nearest


def test_hard_swish_is_its_definition():
    x = np.linspace(-5, 5, 41, dtype=np.float32)[:, None]
    inputs = keras.Input((1,))
    swish = keras.Model(inputs, mobilenet_v3._hard_swish(inputs, "swish"))
    np.testing.assert_allclose(swish(x), x * np.clip(x + 3, 0, 6) / 6, atol=1e-6)  # float32 at 5


def test_half_of_the_expanded_channels_go_with_their_gates_and_leave_the_scores():
    net = mobilenet_v3.build((32, 32, 1), 3, 0.4)
    channels = surgery.channels_of(net)
    assert set(channels.fixed) == {"dense"}
    expanded = [name for name in channels.groups if name.endswith("_expand")]
    assert len(expanded) == 14  # of all blocks but the first
    squeezing = [name.replace("_squeeze", "_expand") for name in channels.groups if name.endswith("_squeeze")]
    for name in squeezing:
        np.testing.assert_array_equal(channels.groups[name], channels.groups[name.replace("_expand", "_excite")])
    gone = np.concatenate([channels.groups[name][::2] for name in expanded])
    surgery.mask(net, gone)
    cut = surgery.remove(net, gone)
    for name in expanded:
        block, kept = name.removesuffix("_expand"), net.get_layer(name).filters // 2
        assert cut.get_layer(name).filters == cut.get_layer(f"{block}_depthwise").output_shape[-1] == kept
        assert name not in squeezing or cut.get_layer(f"{block}_excite").filters == kept
        assert cut.get_layer(f"{block}_project").filters == net.get_layer(f"{block}_project").filters
    sound = np.random.default_rng(0).normal(size=(2, 32, 32, 1)).astype(np.float32)
    np.testing.assert_allclose(cut(sound), net(sound), atol=1e-5)  # float32 sums of fewer terms


def test_the_file_holds_each_kernel_once():
    net = mobilenet_v3.build((32, 32, 1), 3, 0.2)
    kernels = sum(int(np.prod(layer.kernel.shape)) for layer in net.layers if hasattr(layer, "kernel"))
    read = graph.read(tflite.to_int8(net, np.random.default_rng(0).normal(size=(4, 32, 32, 1)).astype(np.float32)))
    filters = [tensor for tensor in read.tensors if tensor.is_constant and tensor.dtype == "int8" and tensor.shape]
    depthwise = sum(int(np.prod(la.depthwise_kernel.shape)) for la in net.layers if hasattr(la, "depthwise_kernel"))
    assert sum(tensor.bytes for tensor in filters) == kernels + depthwise
