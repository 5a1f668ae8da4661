"""A fine-tuning in a second or two, which a test may kill."""

from zoo.backend import keras, tf

import numpy as np
import pytest

from zoo.assembly import join
from zoo.training import fit


class Kill(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def trainer(examples):
    """A function (folder, kill=None) -> finetune on twelve clips, shuffled anew each epoch.

    examples: the module's fixture, a function num_samples -> (waveforms, targets) of three classes. kill: {stage: epoch
    at whose beginning it ends}.
    """

    def trainer(folder, kill=None):
        def finetune(backbone, plan, stage, callbacks=(), objective=None):
            waveform = keras.Input(backbone.input_shape[1:2], name="waveform")
            samples = keras.layers.Reshape(backbone.input_shape[1:], name="samples")(waveform)
            x, targets = examples(backbone.input_shape[1])

            def batches(first, last):
                order = np.concatenate([np.random.default_rng(epoch).permutation(12) for epoch in range(first, last)])
                pairs = (x[order], np.eye(3, dtype=np.float32)[targets[order]])
                return tf.data.Dataset.from_tensor_slices(pairs).batch(plan.batch_size)

            callbacks = [*callbacks, *(Kill(epoch) for killed, epoch in (kill or {}).items() if killed == stage)]
            model = join(keras.Model(waveform, samples), backbone)
            return fit(model, plan, batches, 12 // plan.batch_size, folder / stage, 1, callbacks, objective)

        return finetune

    return trainer
