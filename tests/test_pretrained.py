"""The reader of published weights against a network with the release's names, and against the published file."""

import csv

from zoo.backend import keras

import h5py
import numpy as np
import pytest

from tools import yamnet_parity
from zoo.errors import ZooError
from zoo.models import yamnet
from zoo.pretrained import load_published

SHAPE, NUM_CLASSES = (96, 64, 1), 521
DEFINED = [
    (2, 32), (1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512),
    (1, 512), (1, 512), (1, 512), (1, 512), (1, 512), (2, 1_024), (1, 1_024),
]  # fmt: skip  # strides and filters, _YAMNET_LAYER_DEFS


def released(head="dense"):
    """A network with the layers and the names of the release's yamnet.py, and numbers as training would leave them."""
    layers, rng = keras.layers, np.random.default_rng(0)

    def activated(convolution, x):
        x = layers.BatchNormalization(name=f"{convolution.name}/bn", scale=False, epsilon=1e-4)(convolution(x))
        return layers.ReLU(name=f"{convolution.name}/relu")(x)

    features = keras.Input(SHAPE)
    (stride, filters), *separable = DEFINED
    conv = layers.Conv2D(filters, 3, stride, "same", use_bias=False, name="layer1/conv")
    x = activated(conv, features)
    for i, (stride, filters) in enumerate(separable, start=2):
        depthwise = layers.DepthwiseConv2D(3, stride, "same", use_bias=False, name=f"layer{i}/depthwise_conv")
        x = activated(depthwise, x)
        x = activated(layers.Conv2D(filters, 1, use_bias=False, name=f"layer{i}/pointwise_conv"), x)
    x = layers.Dense(NUM_CLASSES, name=head)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(features, layers.Activation("sigmoid")(x))
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            beta, mean, variance = rng.normal(0.2, 0.3, (3, layer.weights[0].shape[0]))
            layer.set_weights([beta, mean, 0.5 + variance**2])
    return model


@pytest.fixture(scope="module")
def release():
    return released()


@pytest.fixture(scope="module")
def h5(release, tmp_path_factory):
    path = tmp_path_factory.mktemp("release") / "yamnet.h5"
    release.save_weights(path)
    return path


@pytest.fixture(scope="module")
def patches():
    return np.random.default_rng(1).normal(-3, 2, (4, *SHAPE)).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    """Ours; each test fills all of it."""
    return yamnet.build(SHAPE, NUM_CLASSES, classifier_activation="sigmoid")


def test_the_releases_h5_fills_every_layer(model, release, h5, patches):
    filled = load_published(model, h5)
    assert filled == [layer.name for layer in model.layers if layer.weights] and len(filled) == 55
    np.testing.assert_array_equal(model.predict(patches, verbose=0), release.predict(patches, verbose=0))


def test_a_whole_model_saved_as_h5_and_a_head_of_another_name_are_read_too(model, tmp_path, patches):
    other = released(head="logits")
    other.save(tmp_path / "whole.h5")
    assert len(load_published(model, tmp_path / "whole.h5")) == 55
    np.testing.assert_array_equal(model.predict(patches, verbose=0), other.predict(patches, verbose=0))


def test_a_head_of_other_classes_keeps_its_weights(release, h5, patches):
    model = yamnet.build(SHAPE, 10)
    before = model.get_layer("dense").get_weights()
    assert "dense" not in load_published(model, h5)
    for one, other in zip(before, model.get_layer("dense").get_weights()):
        np.testing.assert_array_equal(one, other)
    embeddings = keras.Model(model.input, model.get_layer("embedding").output)
    theirs = keras.Model(release.input, release.layers[-3].output)
    np.testing.assert_array_equal(embeddings.predict(patches, verbose=0), theirs.predict(patches, verbose=0))


@pytest.mark.parametrize("classes", [10, NUM_CLASSES])
def test_the_cut_takes_the_layers_that_it_keeps(release, h5, patches, classes):
    model = yamnet.build(SHAPE, classes, widths=yamnet.CUT_WIDTHS)
    filled = load_published(model, h5)
    assert filled[-1] == "layer6_pointwise_norm" and len(filled) == 2 * 11  # a convolution, five pairs; each a norm
    embeddings = keras.Model(model.input, model.get_layer("embedding").output).predict(patches, verbose=0)
    image = keras.Model(release.input, release.get_layer("layer6/pointwise_conv/relu").output)
    wanted = image.predict(patches, verbose=0).mean(axis=(1, 2))
    np.testing.assert_allclose(embeddings, wanted, rtol=1e-5, atol=1e-6)  # the same float32 sums in another order


@pytest.mark.parametrize("name", ["nothing.h5", "text.h5", "broken.tflite", "empty.h5"])
def test_what_is_no_such_file_is_told_in_one_line(model, tmp_path, name):
    (tmp_path / "text.h5").write_text("no weights")
    (tmp_path / "broken.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(40))
    h5py.File(tmp_path / "empty.h5", "w").close()
    with pytest.raises(ZooError, match=name) as told:
        load_published(model, tmp_path / name)
    assert "\n" not in str(told.value)


def test_a_layer_that_does_not_fit_is_told_by_name_and_nothing_is_filled(h5):
    narrow = yamnet.build(SHAPE, 10, widths=(32, 48))
    before = narrow.get_weights()
    with pytest.raises(ZooError, match=r"layer2/pointwise_conv has weights of .*, the layer layer2_pointwise takes "):
        load_published(narrow, h5)
    for one, other in zip(before, narrow.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    x = keras.Input(SHAPE)
    other = keras.Model(x, keras.layers.Conv2D(3, 3, name="temporal_conv1")(x))
    with pytest.raises(ZooError, match="no weights for the layer temporal_conv1"):
        load_published(other, h5)


@pytest.fixture(scope="module")
def tflite(real_recordings):
    return real_recordings / "yamnet" / "yamnet.tflite"


@pytest.fixture(scope="module")
def ours(tflite):
    return yamnet_parity.Ours(tflite)


@pytest.fixture(scope="module")
def clips(real_recordings):
    """The windows of the first clip of each class of ESC-10: a list of (windows, samples)."""
    with open(real_recordings / "esc10" / "meta" / "esc10.csv", newline="", encoding="utf-8") as file:
        first = {row["category"]: row["filename"] for row in reversed(list(csv.DictReader(file)))}
    return [yamnet_parity.windows_of(real_recordings / "esc10" / "audio" / name) for name in first.values()]


def test_the_published_tflite_fills_every_layer(model, tflite):
    assert len(load_published(model, tflite)) == 55


def test_in_float_the_published_file_is_our_backbone(tflite, ours, clips):
    published = yamnet_parity.Published(yamnet_parity.in_float(tflite.read_bytes()))
    for windows in clips:
        theirs = published.hear(windows)
        found = ours.judge(theirs.log_mel)
        # Fifty-five layers of the same float32 sums in another order.
        np.testing.assert_allclose(found.scores, theirs.scores, atol=1e-4)
        np.testing.assert_allclose(found.embedding, theirs.embedding, atol=1e-3)


def test_scores_over_the_published_files_log_mel_are_its_own_within_a_fiftieth(tflite, ours, clips):
    """As LiteRT runs it, which rounds to 8 bits what enters a layer of 8-bit weights."""
    published = yamnet_parity.Published(tflite.read_bytes())
    for windows in clips:
        theirs = published.hear(windows)
        _, of_clip = yamnet_parity.apart(theirs, ours.judge(theirs.log_mel))
        assert of_clip <= yamnet_parity.SCORE_TOLERANCE
