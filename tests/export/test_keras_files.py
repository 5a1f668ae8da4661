import os
import subprocess
import sys

from zoo.backend import keras

import kapre
import numpy as np
import pytest

from zoo.errors import ZooError
from zoo.export.keras_files import Keras3, save_h5, save_keras3

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
