import os
import subprocess
import sys

from zoo.backend import keras

import kapre
import numpy as np
import pytest

from zoo.errors import ZooError
from zoo.export.keras_files import Keras3, load, save_h5, save_keras3

RELOAD = """
import sys, kapre, numpy as np, tensorflow as tf
folder, legacy, *names = sys.argv[1:]
for name in names:
    model = tf.keras.models.load_model(f"{folder}/{name}", compile=False)
    np.save(f"{folder}/{legacy}-{name}.npy", model.predict(np.load(f"{folder}/waveforms.npy"), verbose=0))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """model.h5 and model.keras of a net with Kapre layers, waveforms.npy and the scores that the net gives them."""
    folder = tmp_path_factory.mktemp("keras")
    keras.utils.set_random_seed(0)
    waveform = keras.Input((1024,), name="waveform")
    x = keras.layers.Reshape((-1, 1))(waveform)
    x = kapre.Magnitude()(kapre.STFT(n_fft=128, hop_length=64, name="stft")(x))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="relu")(x))
    net = keras.Model(waveform, keras.layers.Dense(3, activation="softmax")(x))
    waveforms = np.random.default_rng(1).uniform(-1, 1, (4, 1024)).astype(np.float32)
    np.save(folder / "waveforms.npy", waveforms)
    np.save(folder / "scores.npy", net.predict(waveforms, verbose=0))
    save_h5(net, folder / "model.h5")
    save_keras3(folder / "model.h5", folder / "model.keras")
    return folder


def test_files_open_with_tensorflow_and_kapre_alone(folder):
    """In fresh processes: .h5 in Keras 2 and in Keras 3, .keras in Keras 3."""

    def reload(legacy, *names):
        environment = {**os.environ, "TF_USE_LEGACY_KERAS": legacy}
        return subprocess.Popen([sys.executable, "-c", RELOAD, folder, legacy, *names], env=environment)

    children = [reload("1", "model.h5"), reload("0", "model.h5", "model.keras")]
    assert [child.wait() for child in children] == [0, 0]
    for name in ("1-model.h5", "0-model.h5", "0-model.keras"):
        # Float32 sums of two Keras versions, perhaps in another order; scores are at most 1.
        np.testing.assert_allclose(np.load(folder / f"{name}.npy"), np.load(folder / "scores.npy"), atol=1e-5)


def test_a_file_that_keras_3_cannot_open_is_told_in_one_line(tmp_path):
    (tmp_path / "model.h5").write_bytes(b"no HDF5")
    with pytest.raises(ZooError, match=r"model\.h5: Keras 3 could not open or save it: \w+: .+$") as error:
        Keras3(tmp_path / "model.h5").run(np.zeros((1, 16), np.float32))
    assert "\n" not in str(error.value)


def test_keras_3_process_scores_any_number_of_batches(folder):
    model, waveforms = Keras3(folder / "model.keras"), np.load(folder / "waveforms.npy")
    twice = np.concatenate([model.run(waveforms[:1]), model.run(waveforms[1:])])
    np.testing.assert_allclose(twice, np.load(folder / "scores.npy"), atol=1e-5)  # as above


FOREIGN = """
import sys, keras, numpy as np
from keras import layers
keras.utils.set_random_seed(0)
inputs = x = keras.Input((400, 1))
x = layers.MaxPooling1D(4)(layers.ReLU()(layers.BatchNormalization()(layers.Conv1D(6, 16, strides=4)(x))))
branch = keras.Sequential([keras.Input(x.shape[1:]), layers.SeparableConv1D(6, 3, padding="same", activation="relu")])
x = layers.Add()([x, branch(x)])
x = layers.Concatenate()([layers.GlobalAveragePooling1D()(x), layers.GlobalMaxPooling1D()(x)])
model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x), name="theirs")
for layer in model.layers:
    layer.set_weights([np.abs(weight) + 0.1 for weight in layer.get_weights()])
x = np.random.default_rng(0).normal(0, 1, (4, 400, 1)).astype("float32")
np.savez(sys.argv[1] + "/scores.npz", x=x, scores=model.predict(x, verbose=0))
model.save(sys.argv[1] + "/theirs.keras")
model.save(sys.argv[1] + "/theirs.h5")
bad = keras.Sequential([keras.Input((8,)), layers.Lambda(lambda x: x + 1, name="odd")])
bad.save(sys.argv[1] + "/odd.keras")
"""


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """Files that Keras 3 wrote of a model with branches and a model inside, and what it gives for four inputs."""
    folder = tmp_path_factory.mktemp("theirs")
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    subprocess.run([sys.executable, "-c", FOREIGN, folder], env=environment, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("name", ["theirs.keras", "theirs.h5"])
def test_a_model_that_keras_3_wrote_is_rebuilt_and_flat(theirs, name):
    model, expected = load(theirs / name), np.load(theirs / "scores.npz")
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    # Float32 sums of two Keras versions; scores are at most 1.
    np.testing.assert_allclose(model.predict(expected["x"], verbose=0), expected["scores"], atol=1e-5)


@pytest.mark.parametrize("name", ["model.h5", "model.keras"])
def test_a_model_with_kapres_layers_loads_from_either(folder, name):
    scores = load(folder / name).predict(np.load(folder / "waveforms.npy"), verbose=0)
    np.testing.assert_allclose(scores, np.load(folder / "scores.npy"), atol=1e-5)  # as above


def test_what_cannot_be_loaded_is_told_in_one_line_with_its_layer(theirs, tmp_path):
    (tmp_path / "text.h5").write_text("no model")
    for path, reason in (
        (theirs / "odd.keras", "odd"),
        (tmp_path / "text.h5", "no Keras model"),
        (tmp_path / "none.h5", "not there"),
    ):
        with pytest.raises(ZooError, match=reason) as error:
            load(path)
        assert "\n" not in str(error.value) and path.name in str(error.value)
