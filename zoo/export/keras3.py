"""Plain Keras 3 in a process of its own: it opens a model file, saves it as .keras if asked, and scores waveforms.

Run by `zoo.export.keras_files`, never imported: one process cannot hold both Keras 2 and Keras 3.

    python keras3.py MODEL [SAVE_AS.keras | --describe]

It answers, until standard input ends, to each pickled array of waveforms with one of scores. With --describe it first
gives a pickle of the model's settings as Keras 3 has them, and {layer: its weights}; a model inside has a dict of its
own.
"""

import os
import pickle
import sys

import numpy as np


def main(path, save_as=None):
    sys.path.pop(0)  # a script's own folder, whose modules are no top-level ones
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever TensorFlow prints must not mix with the answers
    try:
        import kapre
        import keras

        kinds = {name: kind for name, kind in vars(kapre).items() if isinstance(kind, type)}
        model = keras.models.load_model(path, custom_objects=kinds, compile=False)
        if save_as == "--describe":
            pickle.dump((model.get_config(), _weights(model)), answers)
            answers.flush()
        elif save_as:
            model.save(save_as)
            model = keras.models.load_model(save_as, compile=False)
    except Exception as error:
        sys.exit(f"{type(error).__name__}: {error}".splitlines()[0])
    while sys.stdin.buffer.peek(1):
        waveforms = pickle.load(sys.stdin.buffer)
        (scores,) = keras.tree.flatten(model(waveforms, training=False))
        pickle.dump(np.asarray(scores), answers)
        answers.flush()


def _weights(model):
    return {layer.name: _weights(layer) if hasattr(layer, "layers") else layer.get_weights() for layer in model.layers}


if __name__ == "__main__":
    main(*sys.argv[1:])
