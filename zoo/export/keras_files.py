"""Keras files: .h5, which Keras 2 and 3 open, and .keras, which only the Keras that wrote it opens: Keras 3's here."""

import inspect
import itertools
import os
import pickle
import re
import subprocess
import sys
import warnings
from contextlib import suppress
from pathlib import Path

from zoo.backend import keras

import numpy as np

import zoo.frontends  # noqa: F401  (a model may hold Kapre's layers: they are to be known before it is opened)
from zoo.errors import ZooError
from zoo.measure.counts import nodes_of

# Kernels may differ between the two, and nothing else: the scores of softmax are at most 1.
SCORE_TOLERANCE = 1e-5


def load(path):
    """The model of an .h5 or a .keras that Keras 2 or 3 wrote, as a Keras 2 model without models inside.

    Raises: ZooError for what is no such file, and by name for layers that are not Keras's own or Kapre's.
    """
    try:
        model = keras.models.load_model(path, compile=False)
    except OSError as error:
        raise ZooError(f"{path}: not there, or no Keras model: {_first_line(error)}") from error
    except Exception as error:  # Keras 2 raises whatever the other's format makes it stumble over
        model = _from_keras3(path, error)
    if len(model.inputs) != 1 or len(model.outputs) != 1 or None in (*model.input_shape[1:], *model.output_shape[1:]):
        raise ZooError(f"{path}: one input and one output of fixed shapes are understood, got {model.input_shape} to "
                       f"{model.output_shape}")  # fmt: skip
    x = keras.Input(model.input_shape[1:], name="input")
    return keras.Model(x, called(model, x), name=re.sub(r"\W", "_", model.name))


def called(model, x):
    """The model's output for x, from copies of its layers; models inside it are opened, so that none is left."""
    tensors = {str(id(model.inputs[0])): x}
    for node in nodes_of(model):
        if node.is_input:
            continue
        given = {i: [tensors[i]] * len(node.flat_input_ids) for i in node.flat_input_ids}
        args, kwargs = node.map_arguments(given)
        if isinstance(node.layer, keras.Model):
            made = called(node.layer, args[0])
        else:
            layer = type(node.layer).from_config(node.layer.get_config())
            made = layer(*args, **kwargs)
            layer.set_weights(node.layer.get_weights())
        tensors[node.flat_output_ids[0]] = made
    return tensors[str(id(model.outputs[0]))]


def _from_keras3(path, error):
    """The model rebuilt from what Keras 3 tells of it: its layers' settings, its graph and its weights."""
    try:
        config, weights = Keras3(path, "--describe").read()
    except ZooError as other:
        raise ZooError(f"{path}: neither Keras 2 opens it ({_first_line(error)}) nor Keras 3: {other}") from other
    return _rebuilt(config, weights, path)


def _rebuilt(config, weights, path):
    tensors, output = {}, None
    for spec in config["layers"]:
        kind, settings = spec["class_name"], spec["config"]
        name = settings["name"]
        try:
            if kind == "InputLayer":
                output = inputs = keras.Input(settings["batch_shape"][1:], name=name)
            else:
                given = [tensors[i] for i in _inbound(spec)] if "inbound_nodes" in spec else [output]
                layer = _layer(spec, weights[name], path)
                output = layer(given[0] if len(given) == 1 else given)
                if not isinstance(layer, keras.Model):
                    layer.set_weights(weights[name])
        except ZooError:
            raise  # of a model inside
        except Exception as reason:  # whatever Keras 2 stumbles over
            raise ZooError(
                f"{path}: was written by Keras 3, and {name}, a {kind}, is not understood here "
                f"({_first_line(reason)}); save the model with TF_USE_LEGACY_KERAS=1 as .h5"
            ) from reason
        tensors[name] = output
    if "output_layers" in config:
        output = tensors[np.ravel(config["output_layers"])[0]]
    return keras.Model(inputs, output, name=config["name"])


def _layer(spec, weights, path):
    kind, settings = spec["class_name"], spec["config"]
    if kind in ("Functional", "Sequential"):
        return _rebuilt(settings, weights, path)
    layer = getattr(keras.layers, kind, None) or keras.utils.get_registered_object(spec["registered_name"])
    return layer(**_settings(layer, settings))


def _settings(kind, settings):
    """What Keras 2's layer of this kind takes of Keras 3's settings, without what only begins or limits training."""
    taken = {"name", *itertools.chain(*(inspect.signature(base.__init__).parameters for base in kind.__mro__))}
    training = ("_initializer", "_regularizer", "_constraint")
    return {key: value for key, value in settings.items() if key in taken - {"dtype"} and not key.endswith(training)}


def _inbound(spec):
    """Names of the layers whose outputs a layer of Keras 3 takes."""
    found, (node,) = [], spec["inbound_nodes"]

    def visit(item):
        if isinstance(item, dict) and item.get("class_name") == "__keras_tensor__":
            found.append(item["config"]["keras_history"][0])
        elif isinstance(item, (list, tuple)):
            for part in item:
                visit(part)

    visit(node["args"])
    return found


def _first_line(error):
    return str(error).strip().partition("\n")[0]


def save(model, folder):
    """Writes model.h5 and model.keras.

    Raises: ZooError when Keras 3 cannot open the .h5: model.h5 is there then, model.keras is not.
    """
    save_h5(model, Path(folder) / "model.h5")
    save_keras3(Path(folder) / "model.h5", Path(folder) / "model.keras")


def save_h5(model, path):
    """Writes the model and its weights, without the optimiser."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "This file format is considered legacy": it is the one that both open
        model.save(path, include_optimizer=False, save_format="h5")


def save_keras3(h5_path, keras_path):
    """Writes the .keras of Keras 3 from the .h5, in a process of its own.

    Raises: ZooError when Keras 3 cannot open the .h5, or scores two random waveforms otherwise than Keras 2.
    """
    model = keras.models.load_model(h5_path, compile=False)
    waveforms = np.random.default_rng(0).uniform(-1, 1, (2, *model.input_shape[1:])).astype(np.float32)
    difference = np.abs(Keras3(h5_path, keras_path).run(waveforms) - model(waveforms, training=False)).max()
    if difference > SCORE_TOLERANCE:
        raise ZooError(f"{keras_path}: scores differ from those of {h5_path} by {difference:.2g}")


class Keras3:
    """A model file opened by plain Keras 3, in a process of its own; `keras3.py` says what the arguments do."""

    def __init__(self, path, *arguments):
        self.path = path
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("keras3.py"), path, *arguments],
            env={name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, waveforms):
        """Scores, float32.

        Shape: (n, samples) -> (n, classes)
        Raises: ZooError when Keras 3 cannot open or save the file.
        """
        with suppress(BrokenPipeError):  # the process has gone: told below
            pickle.dump(waveforms, self._process.stdin)
            self._process.stdin.flush()
        return self.read()

    def read(self):
        """What the process says next."""
        try:
            return pickle.load(self._process.stdout)
        except EOFError as error:  # the process has gone
            reason = self._process.communicate()[1].decode().strip().rpartition("\n")[2]
            raise ZooError(f"{self.path}: Keras 3 could not open or save it: {reason}") from error

    def __del__(self):
        self._process.kill()
        self._process.communicate()


def open_h5(path, front_end_only=False):
    """A function of waveforms (n, samples), float32, to scores (n, classes), or to what the backbone takes: Keras 2."""
    model = keras.models.load_model(path, compile=False)
    if front_end_only:  # the backbone is the last layer of a join
        model = keras.Model(model.input, model.layers[-2].output)
    return lambda waveforms: model(waveforms, training=False).numpy()
