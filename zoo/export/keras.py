"""Keras files: .h5, which Keras 2 and 3 open, and .keras, which only the Keras that wrote it opens: Keras 3's here."""

import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from zoo.backend import keras

import numpy as np

from zoo.errors import ZooError

# Kernels may differ between the two, and nothing else: the scores of softmax are at most 1.
SCORE_TOLERANCE = 1e-5

# Runs under plain Keras 3. kapre registers its layers when imported.
CONVERT = """
import sys
import keras, kapre, numpy as np
h5_path, keras_path, waveforms_path, scores_path = sys.argv[1:]
keras.models.load_model(h5_path, compile=False).save(keras_path)
model = keras.models.load_model(keras_path, compile=False)
waveforms = np.random.default_rng(0).uniform(-1, 1, (2, *model.input_shape[1:])).astype(np.float32)
np.save(waveforms_path, waveforms)
np.save(scores_path, model.predict(waveforms, verbose=0))
"""


def save_h5(model, path):
    """Writes the model and its weights, without the optimiser."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "This file format is considered legacy": it is the one that both open
        model.save(path, include_optimizer=False, save_format="h5")


def save_keras3(h5_path, keras_path):
    """Writes the .keras of Keras 3 from the .h5, in a process of its own.

    Raises: ZooError when Keras 3 cannot open the .h5, or scores two random waveforms otherwise than Keras 2.
    """
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    with tempfile.TemporaryDirectory() as folder:
        waveforms_path, scores_path = Path(folder, "waveforms.npy"), Path(folder, "scores.npy")
        child = subprocess.run(
            [sys.executable, "-c", CONVERT, h5_path, keras_path, waveforms_path, scores_path],
            env=environment,
            capture_output=True,
            text=True,
        )
        if child.returncode:
            last_line = (child.stderr.strip() or "no message").splitlines()[-1]
            raise ZooError(f"{h5_path}: Keras 3 could not write it as .keras: {last_line}")
        waveforms, scores = np.load(waveforms_path), np.load(scores_path)
    difference = np.abs(keras.models.load_model(h5_path, compile=False).predict(waveforms, verbose=0) - scores).max()
    if difference > SCORE_TOLERANCE:
        raise ZooError(f"{keras_path}: scores differ from those of {h5_path} by {difference:.2g}")
