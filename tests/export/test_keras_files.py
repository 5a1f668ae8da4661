import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from zoo.backend import keras

import kapre
import numpy as np
import pytest

from zoo.errors import ZooError
from zoo.export import keras_files
from zoo.export.keras_files import Keras3, load, save_h5, save_keras3
from zoo.measure.counts import trainable_parameters

layers = keras.layers

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
        Keras3(tmp_path / "model.h5")
    assert "\n" not in str(error.value)


def test_one_keras_3_process_scores_any_number_of_batches_and_models_and_may_die(folder, monkeypatch):
    waveforms, scores = np.load(folder / "waveforms.npy"), np.load(folder / "scores.npy")
    monkeypatch.chdir(folder)  # whatever folder the process was begun in
    model, other = Keras3(Path("model.keras")), Keras3(folder / "model.h5")
    twice = np.concatenate([model.run(waveforms[:1]), other.run(waveforms[1:])])
    np.testing.assert_allclose(twice, scores, atol=1e-5)  # as above
    process = Keras3._process
    process.kill()
    with pytest.raises(ZooError, match="model.keras: Keras 3 could not open or save it: "):
        model.run(waveforms)
    np.testing.assert_allclose(Keras3(folder / "model.keras").run(waveforms), scores, atol=1e-5)
    assert Keras3._process is not process


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

def kinds():
    # What Keras 2 spells otherwise, or has under a name of its own.
    i = keras.Input((12, 4), name="ein Ton")
    x = layers.Conv1D(4, 3, padding="same", name="Fäl tung")(i)
    x = x - layers.LeakyReLU(negative_slope=0.01)(x)
    x = layers.TimeDistributed(layers.Dense(4))(x)
    x = layers.MultiHeadAttention(2, 4)(query=x, value=x)
    twice = layers.Conv1D(4, 3, padding="same", activation="tanh")
    x = layers.Bidirectional(layers.LSTM(3, unroll=True))(twice(twice(x)))
    return keras.Model(i, [layers.Dense(3)(x)])

def operator():
    i = keras.Input((12, 4))
    return keras.Model(i, layers.Dense(3)(layers.Flatten()(keras.ops.softmax(i, axis=1))))

def two():
    i = keras.Input((12, 4))
    return keras.Model(i, [layers.Dense(3)(layers.Flatten()(i)), layers.Dense(3)(layers.Flatten()(i))])

import pickle
from keras import tree
described, weights = {}, lambda m: {l.name: weights(l) if hasattr(l, "layers") else l.get_weights() for l in m.layers}
sounds = np.random.default_rng(0).uniform(-1, 1, (2, 12, 4)).astype("float32")  # which load() compares
for make in (kinds, operator, two):
    net = make()
    net.save(f"{sys.argv[1]}/{make.__name__}.keras")
    described[make.__name__] = (net.get_config(), weights(net)), np.asarray(tree.flatten(net(sounds))[0])
pickle.dump(described, open(sys.argv[1] + "/described", "wb"))
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


@pytest.fixture
def described(theirs, monkeypatch):
    """As if Keras 3 told of the other models in `theirs`: its process, which takes seconds, told it there."""

    class Told:
        def __init__(self, path, *_):
            self.told, self.scores = pickle.loads((theirs / "described").read_bytes())[path.stem]

        def describe(self):
            return self.told

        def run(self, _):
            return self.scores

    monkeypatch.setattr(keras_files, "Keras3", Told)
    return theirs


def test_what_keras_2_spells_otherwise_scores_the_same(described):
    model = load(described / "kinds.keras")  # which refuses scores that differ
    assert [layer.alpha for layer in model.layers if isinstance(layer, layers.LeakyReLU)] == pytest.approx([0.01])
    assert "F_l_tung" in [layer.name for layer in model.layers]


@pytest.mark.parametrize(
    "name, reason",
    [("operator", r"softmax\w*, a Softmax of keras.src.ops.nn, is no layer"), ("two", "one input and one output")],
)
def test_what_is_no_layer_and_a_second_output_are_refused(described, name, reason):
    with pytest.raises(ZooError, match=reason):
        load(described / f"{name}.keras")


def test_a_copy_that_scores_otherwise_is_refused(tmp_path, monkeypatch):
    sound = keras.Input((8,), name="sound")
    save_h5(keras.Model(sound, layers.Dense(3)(sound)), tmp_path / "net.h5")
    monkeypatch.setattr(keras_files, "called", lambda model, x: [1.01 * model(x)])
    with pytest.raises(ZooError, match="net.h5: rebuilt here its scores are .* off"):
        load(tmp_path / "net.h5")


def test_models_inside_of_several_inputs_and_equal_names_become_one(tmp_path):
    def block(name):
        x = keras.Input((9, 4))
        return keras.Model(x, layers.ReLU(name="relu")(layers.Conv1D(4, 3, padding="same", name="conv")(x)), name=name)

    one, other = keras.Input((9, 4)), keras.Input((9, 4))
    difference = keras.Model([one, other], layers.Subtract(name="difference")([one, other]))
    sound = keras.Input((9, 4), name="sound")
    x = difference([block("a")(sound), block("b")(sound)])
    net = keras.Model(sound, layers.Flatten(name="input")(x), name="waveform")  # names that are put before it later
    save_h5(net, tmp_path / "net.h5")
    model, sounds = load(tmp_path / "net.h5"), np.random.default_rng(1).normal(0, 1, (3, 9, 4)).astype(np.float32)
    names = [layer.name for layer in model.layers]
    assert names.count("input") == 1 and {"conv", "conv_2", "relu", "relu_2", "difference", "input_2"} < set(names)
    np.testing.assert_array_equal(model.predict(sounds, verbose=0), net.predict(sounds, verbose=0))


def test_a_layer_that_is_called_twice_stays_one(tmp_path):
    sound = keras.Input((9, 4), name="sound")
    twice = layers.Conv1D(4, 3, padding="same", name="twice")
    save_h5(keras.Model(sound, layers.Flatten()(twice(twice(sound)))), tmp_path / "net.h5")
    assert trainable_parameters(load(tmp_path / "net.h5")) == 4 * 3 * 4 + 4


def test_a_sequential_of_kapres_inside_another_loads(tmp_path):
    """Keras 2 writes its layers there without their package."""
    mel = keras.Sequential([keras.Input((1024, 1)), kapre.STFT(n_fft=128, hop_length=64), kapre.Magnitude()])
    keras.Sequential([keras.Input((1024, 1)), mel, layers.Flatten(), layers.Dense(3)]).save(tmp_path / "net.h5")
    assert load(tmp_path / "net.h5").output_shape == (None, 3)


def test_large_scores_are_held_against_their_largest_and_what_differs_leaves_no_file(tmp_path, monkeypatch):
    scores = SimpleNamespace(off=0.0)

    class Other:
        def __init__(self, path, save_as):
            save_as.write_text("saved")
            self.model = keras.models.load_model(path, compile=False)

        def run(self, waveforms):
            return self.model(waveforms).numpy() + scores.off

    monkeypatch.setattr(keras_files, "Keras3", Other)
    sound = keras.Input((8,), name="sound")
    net = keras.Model(sound, layers.Dense(3)(sound))
    net.set_weights([1e4 * weight for weight in net.get_weights()])
    save_h5(net, tmp_path / "model.h5")
    scores.off = 1e-2  # float32 holds scores of 1e4 to 1e-3
    save_keras3(tmp_path / "model.h5", tmp_path / "model.keras")
    assert (tmp_path / "model.keras").exists()
    scores.off = 10.0
    with pytest.raises(ZooError, match="Keras 3 scores otherwise"):
        save_keras3(tmp_path / "model.h5", tmp_path / "model.keras")
    assert not (tmp_path / "model.keras").exists()
