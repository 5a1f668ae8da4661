"""Keras files: .h5, which Keras 2 and 3 open, and .keras, which only the Keras that wrote it opens: Keras 3's here."""

import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

from zoo.backend import keras

import numpy as np

from zoo.errors import ZooError

# Kernels may differ between the two, and nothing else: the scores of softmax are at most 1.
SCORE_TOLERANCE = 1e-5


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
    """A model file opened by plain Keras 3, in a process of its own; saved as `save_as` first, if that is given."""

    def __init__(self, path, save_as=None):
        self.path = path
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("keras3.py"), path, *([save_as] if save_as else [])],
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
        try:
            pickle.dump(waveforms, self._process.stdin)
            self._process.stdin.flush()
            return pickle.load(self._process.stdout)
        except (BrokenPipeError, EOFError) as error:  # the process has gone
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
