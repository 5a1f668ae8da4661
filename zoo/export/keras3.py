"""Plain Keras 3 in a process of its own: opens model files, saves them as .keras, describes them, scores waveforms.

Run by `zoo.export.keras_files`, never imported: one process cannot hold both Keras 2 and Keras 3. A pickled request is
(method of `Models`, a model's number, arguments), the answer (what it returned, in one line why it could not), until
standard input ends.
"""

import os
import pickle
import sys

import numpy as np


class Models:
    """Models that are open, by a number."""

    def __init__(self):
        import kapre
        import keras

        self._load, self._flatten = keras.models.load_model, keras.tree.flatten
        self._kinds = {name: kind for name, kind in vars(kapre).items() if isinstance(kind, type)}
        self._open = {}

    def open(self, number, path, save_as=None):
        """Opens a file; save_as: as it reads again once it is saved so."""
        model = self._load(path, custom_objects=self._kinds, compile=False)
        if save_as:
            model.save(save_as)
            model = self._load(save_as, compile=False)
        self._open[number] = model

    def close(self, number):
        self._open.pop(number, None)  # one that did not open, too

    def describe(self, number):
        """(its settings, {layer: its weights}); a model inside has a dict of its own."""
        return self._open[number].get_config(), _weights(self._open[number])

    def run(self, number, waveforms):
        """Its scores."""
        (scores,) = self._flatten(self._open[number](waveforms, training=False))
        return np.asarray(scores)


def _weights(model):
    return {layer.name: _weights(layer) if hasattr(layer, "layers") else layer.get_weights() for layer in model.layers}


def main():
    sys.path.pop(0)  # a script's own folder, whose modules are no top-level ones
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever TensorFlow prints must not mix with the answers
    models = Models()
    while sys.stdin.buffer.peek(1):
        name, number, arguments = pickle.load(sys.stdin.buffer)
        try:
            answer = getattr(models, name)(number, *arguments), None
        except Exception as error:  # Keras raises whatever a file makes it stumble over
            answer = None, f"{type(error).__name__}: {error}".splitlines()[0]
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    main()
