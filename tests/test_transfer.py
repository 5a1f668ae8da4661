"""Which layers begin with the weights of an exported folder, which stay as they are, and which folders are refused."""

import json
from functools import partial

from zoo.backend import keras

import numpy as np
import pytest

from zoo import assembly, transfer
from zoo.errors import ZooError
from zoo.export import keras_files
from zoo.frontends import Raw
from zoo.models import acdnet

LABELS = [*"abc"]
METRICS = {"model": "tiny", "dataset": "esc10", "labels": LABELS, "test_fold": 2}
FRONT = Raw(8_000, 4_000)
# As in ACDNet itself, the last convolution is as wide as there are classes.
build = partial(acdnet.build, sample_rate_hz=8_000)


def net(num_classes):
    return build(FRONT.build().output_shape[1:], num_classes, widths=(2, 8, 2, 2, 2, 2, 2, 2, 2, 2, 2, num_classes))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    keras.utils.set_random_seed(1)
    keras_files.save_h5(assembly.join(FRONT.build(), net(3)), folder / "model.h5")
    (folder / "metrics.json").write_text(json.dumps(METRICS))
    return folder


@pytest.fixture
def trained(folder):
    return keras.models.load_model(folder / "model.h5", compile=False).layers[-1]


def test_the_same_classes_give_the_same_scores(folder, trained):
    model = net(3)
    transfer.fill(model, folder, LABELS)
    sounds = np.random.default_rng(0).uniform(-1, 1, (2, 4_000, 1, 1)).astype(np.float32)
    np.testing.assert_array_equal(model(sounds), trained(sounds))


def test_of_other_classes_what_is_as_wide_as_they_are_many_begins_anew_and_trains(folder, trained):
    model = net(5)
    filled = transfer.fill(model, folder, [*"vwxyz"])
    frozen = transfer.freeze(model, filled)
    assert {layer.name for layer in filled} >= {"spectral_conv1", "temporal_conv11"}
    training = {layer.name for layer in model.layers if layer.trainable_weights}
    assert training == {"temporal_conv12", "temporal_conv12_norm", "dense"}
    assert model.get_layer("spectral_conv1") in frozen
    np.testing.assert_array_equal(
        model.get_layer("temporal_conv11").get_weights()[0], trained.get_layer("temporal_conv11").get_weights()[0]
    )


def test_as_many_other_classes_get_a_head_of_their_own(folder, trained):
    model = net(3)
    before = model.get_layer("dense").get_weights()[0]
    assert "dense" not in {layer.name for layer in transfer.fill(model, folder, [*"xyz"])}
    np.testing.assert_array_equal(model.get_layer("dense").get_weights()[0], before)


def test_only_the_fold_that_tested_it_may_test_what_begins_with_it(folder):
    transfer.check(folder, LABELS, [2])
    transfer.check(folder, [*"xyz"], [1, 2, 3])  # other clips
    for folds in ([1], [2, 3]):
        with pytest.raises(ZooError, match="tested on fold 2 and has heard the clips of fold"):
            transfer.check(folder, LABELS, folds)


def test_a_licence_that_an_older_folder_does_not_tell_is_its_data_sets(folder, tmp_path):
    assert transfer.licence(folder) == "that of esc10"
    (tmp_path / "metrics.json").write_text(json.dumps({**METRICS, "licence": "CC0 1.0"}))
    (tmp_path / "model.h5").touch()
    assert transfer.licence(tmp_path) == "CC0 1.0"
    assert transfer.licence("yamnet.tflite") == "Apache-2.0"


@pytest.mark.parametrize("metrics, told", [
    (None, "no metrics.json"),
    ("{", "no metrics.json"),
    (json.dumps({"model": "x"}), "no dataset in its metrics.json"),
    (json.dumps(METRICS), "no model.h5"),
])  # fmt: skip
def test_what_no_recipe_exported_is_refused_in_one_line(tmp_path, metrics, told):
    if metrics:
        (tmp_path / "metrics.json").write_text(metrics)
    with pytest.raises(ZooError, match=told):
        transfer.check(tmp_path, LABELS, [1])
