"""Keras files: .h5, which Keras 2 and 3 open, and .keras, which only the Keras that wrote it opens: Keras 3's here."""

import inspect
import itertools
import json
import os
import pickle
import re
import subprocess
import sys
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path

from zoo.backend import keras, tf

import h5py
import numpy as np

from zoo.calls import arguments_of, ids_of, nodes_of
from zoo.errors import ZooError, first_line
from zoo.frontends import KAPRE_LAYERS

# Kernels may differ between the two, and nothing else: the scores of softmax are at most 1, others are held against
# their largest.
SCORE_TOLERANCE = 1e-5
COPY_TOLERANCE = 1e-3  # of the largest score: a model of float16 becomes one of float32
TAKEN = ("input", "waveform", "samples", "log_mel", "reference", "spectrogram")  # names of layers put before a copy
# Settings of Keras 2's layers that Keras 3's refuse, at the default that is left when they are not written.
REFUSED_BY_KERAS_3 = {
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN"), {"time_major": False}),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D", "Conv1DTranspose", "Conv2DTranspose"), {"groups": 1}),
    **dict.fromkeys(("SpatialDropout1D", "SpatialDropout2D"), {"noise_shape": None, "trainable": True}),
}
MERGES = ("Add", "Maximum", "Minimum", "Multiply", "Subtract")  # what Keras 3 has for operators, and layers besides


def load(path):
    """The model of an .h5 or a .keras that Keras 2 or 3 wrote, as a Keras 2 model, named "model", with none inside.

    Raises: ZooError for what is no such file, by name for layers that are not Keras's own or Kapre's, and where the
    copy does not score as the model does in the Keras that wrote it.
    """
    try:
        model = keras.models.load_model(path, custom_objects=KAPRE_LAYERS, compile=False)
        theirs = model
    except OSError as error:
        raise ZooError(f"{path}: not there, or no Keras model: {first_line(error)}") from error
    except Exception as error:  # Keras 2 raises whatever the other's format makes it stumble over
        model, theirs = _from_keras3(path, error)
    shapes = [tuple(tensor.shape[1:]) for tensor in (*model.inputs, *model.outputs)]
    if (len(model.inputs), len(model.outputs)) != (1, 1) or None in itertools.chain(*shapes):
        raise ZooError(f"{path}: one input and one output of fixed shapes are understood, got {model.input_shape} to "
                       f"{model.output_shape}")  # fmt: skip
    x = keras.Input(shapes[0], name="input")
    try:
        (y,) = called(model, x)
    except ZooError as error:
        raise ZooError(f"{path}: {error}") from error
    copy = keras.Model(x, y, name="model")
    sounds = np.random.default_rng(0).uniform(-1, 1, (2, *shapes[0])).astype(np.float32)
    (expected,) = tf.nest.flatten(theirs(sounds))  # some give it in a list or by name
    difference = _difference(copy(sounds), np.asarray(expected, np.float32))
    if not difference <= COPY_TOLERANCE:
        raise ZooError(
            f"{path}: rebuilt here its scores are {difference:.2g} of the largest off: a setting of a layer is not "
            "known; save the model with TF_USE_LEGACY_KERAS=1 as .h5"
        )
    return copy


def called(model, *given, copies=None):
    """What the model makes of `given`, a list, by copies of its layers; models inside it are opened.

    copies: {id of a layer: its copy}, to which those made here are added.

    Raises: ZooError, by name, for a layer that cannot be copied.
    """
    copies = {} if copies is None else copies
    tensors = dict(zip(ids_of(model.inputs), given))
    for node in nodes_of(model):
        if node.is_input:
            continue
        layer = node.layer
        args, kwargs = arguments_of(node, tensors)
        try:
            if isinstance(layer, keras.Model):
                made = called(layer, *tf.nest.flatten(args), copies=copies)
            elif id(layer) in copies:
                made = copies[id(layer)](*args, **kwargs)
            else:
                names = {*TAKEN, *(copy.name for copy in copies.values())}
                copy = copies[id(layer)] = type(layer).from_config(
                    {**layer.get_config(), "name": _unlike(layer.name, names), "dtype": "float32"}
                )
                made = copy(*args, **kwargs)
                copy.set_weights(layer.get_weights())
        except ZooError:
            raise  # of a layer inside
        except Exception as error:  # whatever another's layer raises
            raise ZooError(f"{layer.name}, a {type(layer).__name__}, cannot be copied: {first_line(error)}") from error
        tensors.update(zip(node.flat_output_ids, tf.nest.flatten(made)))
    return [tensors[i] for i in ids_of(model.outputs)]


def _unlike(name, names):
    while name in names:
        name += "_2"
    return name


def _difference(scores, expected):
    """The largest difference, as a share of the largest score where that is above 1."""
    return np.abs(scores - expected).max() / max(1, np.abs(expected).max())


def _from_keras3(path, error):
    """(the model, rebuilt from what Keras 3 tells of it, and a function that scores with Keras 3)."""
    try:
        theirs = Keras3(path)
        config, weights = theirs.describe()
    except ZooError as other:
        raise ZooError(f"{path}: neither Keras 2 opens it ({first_line(error)}) nor Keras 3: {other}") from other
    return _rebuilt(config, weights, path), theirs.run


def _rebuilt(config, weights, path):
    """A Keras 2 model of Keras 3's settings, graph and weights."""
    tensors, layers = {}, {}  # by layer, its call and its output, as Keras 3 refers to tensors; by name
    waiting = _calls(config)
    while waiting:
        spec, number, arguments = call = waiting.pop(0)
        if not _sources(arguments) <= tensors.keys():
            waiting.append(call)  # a layer's second call may need what a later layer makes
            continue
        kind, name = spec["class_name"], spec["config"]["name"]
        try:
            if kind == "InputLayer":
                made = keras.Input(spec["config"]["batch_shape"][1:], name=_as_scope(name))
            else:
                layer = layers[name] = layers.get(name) or _layer(spec, weights.get(name, []), path)
                args, kwargs = _filled(arguments, tensors)
                made = layer(*args, **kwargs)
                if number == 0 and not isinstance(layer, keras.Model):
                    layer.set_weights(weights.get(name, []))
        except ZooError:
            raise  # of a model inside
        except Exception as reason:  # whatever Keras 2 stumbles over
            raise ZooError(
                f"{path}: was written by Keras 3, and {name}, a {kind}, is not understood here "
                f"({first_line(reason)}); save the model with TF_USE_LEGACY_KERAS=1 as .h5"
            ) from reason
        tensors.update({(name, number, i): tensor for i, tensor in enumerate(tf.nest.flatten(made))})
    names = [spec["config"]["name"] for spec in config["layers"]]
    first, last = config.get("input_layers", [names[0], 0, 0]), config.get("output_layers", [names[-1], 0, 0])
    return keras.Model(*([tensors[end] for end in _in_threes(ends)] for ends in (first, last)))


def _calls(config):
    """[(a layer's settings, which of its calls, [its arguments, those by name])] of a model."""
    if "output_layers" not in config:  # a Sequential
        sources = [[], *([_tensor_of(spec["config"]["name"])] for spec in config["layers"])]
        return [(spec, 0, [source, {}]) for spec, source in zip(config["layers"], sources)]
    calls = []
    for spec in config["layers"]:
        for number, node in enumerate(spec["inbound_nodes"] or [{"args": [], "kwargs": {}}]):
            args = node["args"]
            if spec["module"].startswith("keras.src.ops"):  # an operator takes two tensors, its layer a list of them
                args = [args]
            calls.append((spec, number, [args, {k: v for k, v in node["kwargs"].items() if v is not None}]))
    return calls


def _tensor_of(layer):
    """What Keras 3 writes for the output of a layer that is called once."""
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [layer, 0, 0]}}


def _filled(item, tensors):
    """Arguments as Keras 3 writes them, with the tensors in place of what refers to them."""
    if isinstance(item, dict):
        if item.get("class_name") == "__keras_tensor__":
            return tensors[tuple(item["config"]["keras_history"])]
        return {key: _filled(part, tensors) for key, part in item.items()}
    return [_filled(part, tensors) for part in item] if isinstance(item, (list, tuple)) else item


def _sources(item):
    """The tensors that arguments refer to."""
    found = set()

    class Noting(dict):
        def __missing__(self, source):
            found.add(source)

    _filled(item, Noting())
    return found


def _in_threes(ends):
    flat = tf.nest.flatten(ends)
    return list(zip(flat[::3], flat[1::3], flat[2::3]))


def _layer(spec, weights, path):
    kind, settings, module = spec["class_name"], spec["config"], spec["module"]
    if kind in ("Functional", "Sequential"):
        return _rebuilt(settings, weights, path)
    is_operator = module.startswith("keras.src.ops")
    layer = KAPRE_LAYERS.get(kind) if module.startswith("kapre") else getattr(keras.layers, kind, None)
    if layer is None or not module.startswith(("keras", "kapre")) or (is_operator and kind not in MERGES):
        raise ZooError(f"{path}: {settings['name']}, a {kind} of {module}, is no layer of Keras's own or Kapre's")
    return layer(**_settings(layer, settings))


def _settings(kind, settings):
    """What Keras 2's layer of this kind takes of Keras 3's settings, without what only begins or limits training."""
    taken = {*itertools.chain(*(inspect.signature(base.__init__).parameters for base in kind.__mro__))}
    training = ("_initializer", "_regularizer", "_constraint")
    found = {key: value for key, value in settings.items() if key in taken - {"dtype"} and not key.endswith(training)}
    if kind is keras.layers.LeakyReLU:
        found["alpha"] = settings["negative_slope"]
    for key, value in found.items():
        if isinstance(value, dict) and value.get("module") == "keras.layers":  # a wrapper's
            found[key] = _layer(value, [], None)
    return {**found, "name": _as_scope(settings["name"])}


def _as_scope(name):
    """The name, as Keras 2 can have it."""
    return re.sub(r"^[^A-Za-z0-9]|[^A-Za-z0-9_.-]", "_", name).lstrip("_") or "layer"


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
    with h5py.File(path, "r+") as file:
        text = file.attrs["model_config"]
        config = json.loads(text, object_hook=_as_both_read_it)
        if config != json.loads(text):  # HDF5 keeps the room of what is replaced
            file.attrs["model_config"] = json.dumps(config)


def _as_both_read_it(settings):
    """A layer's settings without those that Keras 3 refuses; other dicts as they are."""
    for key, default in REFUSED_BY_KERAS_3.get(settings.get("class_name"), {}).items():
        if settings["config"].get(key, default) == default:
            settings["config"].pop(key, None)
    return settings


def save_keras3(h5_path, keras_path):
    """Writes the .keras of Keras 3 from the .h5, in a process of its own.

    Raises: ZooError when Keras 3 cannot open the .h5, or scores two random waveforms otherwise than Keras 2.
    """
    model = keras.models.load_model(h5_path, compile=False)
    waveforms = np.random.default_rng(0).uniform(-1, 1, (2, *model.input_shape[1:])).astype(np.float32)
    difference = _difference(Keras3(h5_path, keras_path).run(waveforms), model(waveforms, training=False).numpy())
    if not difference <= SCORE_TOLERANCE:
        Path(keras_path).unlink()
        raise ZooError(f"{h5_path}: Keras 3 scores otherwise than Keras 2, by {difference:.2g}")


class Keras3:
    """A model file opened by plain Keras 3, in another process: one for all files, as it takes seconds to start.

    save_as: where it is saved as .keras, which then is what is open.

    Raises: ZooError when Keras 3 cannot open or save the file.
    """

    _process = _log = None
    _numbers = itertools.count()  # that of one process is none of the next, should it die

    def __init__(self, path, save_as=None):
        self.path, self._number = path, next(self._numbers)
        self._ask("open", *(name and Path(name).absolute() for name in (path, save_as)))

    def run(self, waveforms):
        """Scores, float32.

        Shape: (n, samples) -> (n, classes)
        """
        return self._ask("run", waveforms)

    def describe(self):
        """(its settings as Keras 3 has them, {layer: its weights}); a model inside has a dict of its own."""
        return self._ask("describe")

    def _ask(self, name, *arguments):
        if Keras3._process is None:
            Keras3._log = tempfile.TemporaryFile()  # a pipe would be full one day
            Keras3._process = subprocess.Popen(
                [sys.executable, Path(__file__).with_name("keras3.py")],
                env={name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=Keras3._log,
            )
        try:
            pickle.dump((name, self._number, arguments), Keras3._process.stdin)
            Keras3._process.stdin.flush()
            answer, reason = pickle.load(Keras3._process.stdout)
        except (BrokenPipeError, EOFError) as error:  # the process has gone
            Keras3._process.wait()
            Keras3._process = None
            Keras3._log.seek(0)
            answer, reason = None, Keras3._log.read().decode().strip().rpartition("\n")[2] or repr(error)
        if reason:
            raise ZooError(f"{self.path}: Keras 3 could not open or save it: {reason}")
        return answer

    def __del__(self):
        with suppress(Exception):  # the process has gone, or Python goes
            self._ask("close")


def load_exported(path):
    """The Keras 2 model of an exported folder's .h5: front end and backbone, joined."""
    return keras.models.load_model(path, compile=False)


def runner(model):
    """A function of waveforms (n, samples), float32, to the model's scores (n, classes)."""
    return lambda waveforms: model(waveforms, training=False).numpy()


def open_h5(path):
    """The `runner` of an exported folder's .h5, in Keras 2."""
    return runner(load_exported(path))
