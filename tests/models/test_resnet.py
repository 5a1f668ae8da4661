"""ResNet against Keras's own ResNet-152, layer by layer and number by number, and ResNet-18 counted by hand."""

from functools import partial

from zoo.backend import keras

import numpy as np
import pytest

from zoo.compress import surgery
from zoo.measure import counts
from zoo.models import resnet

SHAPE = (40, 33, 1)
APPLICATION = 58_370_944  # parameters of keras.applications.ResNet152 without its top, statistics among them
COLOURS = 7 * 7 * 2 * 64  # weights of its first convolution for two colours more than a spectrogram has


@pytest.fixture(scope="module")
def resnet152():
    return resnet.build(SHAPE, 10, **resnet.RESNET_152)


def theirs(name):
    """Keras's name of a layer of ours."""
    name, is_norm = name.removesuffix("_norm"), name.endswith("_norm")
    if name == "stem":
        place = "conv1"
    else:
        stage, block, layer = name.split("_")
        number = 0 if layer == "shortcut" else layer.removeprefix("conv")
        place = f"conv{int(stage.removeprefix('stage')) + 1}_{block}_{number}"
    return f"{place}_{'bn' if is_norm else 'conv'}"


def weighted(model):
    return {layer.name: layer for layer in model.layers if layer.weights and layer.name != "dense"}


def assert_same_layers(model, application):
    ours, others = weighted(model), weighted(application)
    assert {theirs(name) for name in ours} == set(others)
    for name, layer in ours.items():
        other = others[theirs(name)]
        assert type(layer) is type(other) and layer.output_shape == other.output_shape
        assert [weight.shape for weight in layer.weights] == [weight.shape for weight in other.weights]


def test_resnet152_is_the_application_layer_by_layer(resnet152):
    application = keras.applications.ResNet152(include_top=False, weights=None, input_shape=SHAPE)
    assert_same_layers(resnet152, application)
    assert application.count_params() == APPLICATION - COLOURS
    assert sum("conv" in layer or "stem" in layer for layer in weighted(resnet152) if "norm" not in layer) == 151


def test_resnet152_has_the_studys_58_4_million_parameters(resnet152):
    head = 2048 * 10 + 10
    assert resnet152.count_params() == APPLICATION - COLOURS + head == 58_385_162
    statistics = 2 * 75_712  # of as many channels
    assert counts.trainable_parameters(resnet152) == 58_385_162 - statistics == 58_233_738
    # Table 1: 116 MB in fp16 and 59 in dynamic range are 58 million numbers of two bytes and of one; 256 MB are not.
    assert round(58_385_162 * 2 / 1e6) == 117 and round(58_385_162 / 1e6) == 58


def test_a_bottleneck_net_computes_what_keras_computes():
    ours = resnet.build(SHAPE, 10, blocks=(3, 4, 6, 3), bottleneck=True, use_bias=True)
    application = keras.applications.ResNet50(include_top=False, weights=None, input_shape=SHAPE)
    assert_same_layers(ours, application)
    rng = np.random.default_rng(0)
    for name, layer in weighted(ours).items():
        values = [rng.uniform(0.5, 1.0, weight.shape) / np.sqrt(np.prod(weight.shape[:-1])) *
                  rng.choice([-1, 1], weight.shape) if weight.shape.rank == 4 else rng.uniform(0.5, 1.0, weight.shape)
                  for weight in layer.weights]  # fmt: skip
        layer.set_weights(values)
        application.get_layer(theirs(name)).set_weights(values)
    sound = rng.normal(size=(2, *SHAPE)).astype(np.float32)
    found = keras.Model(ours.input, ours.get_layer("stage4_block3_relu3").output)(sound).numpy()
    # The same sums, maybe in another order: float32 through fifty layers.
    np.testing.assert_allclose(found, application(sound), rtol=1e-3, atol=1e-4 * np.abs(found).max())


RESNET_18 = {  # He et al., table 1, at an input of 224 x 224
    "stem": (112, 112, 64), "stem_pool": (56, 56, 64), "stage1_block2_relu2": (56, 56, 64),
    "stage2_block2_relu2": (28, 28, 128), "stage3_block2_relu2": (14, 14, 256), "stage4_block2_relu2": (7, 7, 512),
    "average_pool": (512,), "dense": (1000,),
}  # fmt: skip


def test_resnet18_has_the_published_shapes_and_counts():
    build = partial(resnet.build, **resnet.RESNET_18)
    published = build((224, 224, 3), 1000)
    assert {name: published.get_layer(name).output_shape[1:] for name in RESNET_18} == RESNET_18
    assert counts.trainable_parameters(published) == 11_689_512  # as PyTorch's torchvision states for its resnet18
    # Two 3x3 convolutions a block; from one stage to the next the first of them widens, and so does a 1x1 shortcut.
    parameters = 49 * 64 + 2 * 64 + 4 * (9 * 64 * 64 + 2 * 64)
    for width in (128, 256, 512):
        parameters += 9 * width // 2 * width + 3 * 9 * width * width + width // 2 * width + 5 * 2 * width
    model = build((148, 64, 1), 10)
    assert counts.trainable_parameters(model) == parameters + 512 * 10 + 10 == 11_175_370
    assert model.get_layer("dropout").rate == 0.5


def test_channels_go_where_no_shortcut_holds_them_and_elsewhere_with_it():
    net = resnet.build((40, 33, 1), 3, (1, 2), True, False, widths=(4, 6))
    channels = surgery.channels_of(net)
    assert set(channels.fixed) == {"dense"}
    np.testing.assert_array_equal(channels.groups["stage2_block1_shortcut"], channels.groups["stage2_block2_conv3"])
    gone = np.arange(0, max(groups.max() for groups in channels.groups.values()) + 1, 2)  # every other one of a layer
    surgery.mask(net, gone)
    cut = surgery.remove(net, gone)
    assert cut.get_layer("stage2_block2_conv2").filters == 3 and cut.get_layer("stage2_block2_conv3").filters == 12
    sound = np.random.default_rng(0).normal(size=(2, 40, 33, 1)).astype(np.float32)
    np.testing.assert_allclose(cut(sound), net(sound), atol=1e-5)  # float32 sums of fewer terms
