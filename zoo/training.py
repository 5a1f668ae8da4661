"""Training: a plan as values, and a fit that goes on from its last finished epoch after a kill.

It knows no data set, no front end and no compression: a model, and a function that gives the batches of some epochs.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

from zoo.backend import keras, tf

import numpy as np

from zoo import distribution
from zoo.atomic import full_disk_told
from zoo.errors import Diverged, ZooError
from zoo.progress import bar

BY = "by.txt"


@dataclass(frozen=True)
class Plan:
    """How long and how fast: values of a recipe. Defaults: the ACDNet paper, section 3.2.2."""

    epochs: int = 2_000
    batch_size: int = 64
    learning_rate: float = 0.1
    warmup_epochs: int = 10  # at a tenth of the learning rate
    schedule: str = "steps"  # or "cosine", from the learning rate down to 0
    drops_at: tuple = (0.3, 0.6, 0.9)  # of "steps": shares of the epochs after which the rate is divided by ten
    optimizer: str = "sgd"  # Nesterov's, the decay in the gradient; or "adam", the decay apart from it (AdamW)
    momentum: float = 0.9  # of "sgd"
    weight_decay: float = 5e-4
    loss: str = "kl_divergence"

    def __post_init__(self):
        if self.schedule not in ("steps", "cosine") or self.optimizer not in ("sgd", "adam"):
            raise ValueError(f"Plan: schedule is steps or cosine, optimizer is sgd or adam; got {self}")

    def with_epochs(self, epochs):
        """The same plan over `epochs`. Raises: ZooError if there are none."""
        if epochs < 1:
            raise ZooError(f"{epochs} epochs train nothing; pass 1 or more")
        return replace(self, epochs=epochs)

    def learning_rate_at(self, epoch):
        """Learning rate of `epoch`, counted from 0."""
        warmup_epochs = min(self.warmup_epochs, self.drops_at[0] * self.epochs)
        if epoch < warmup_epochs:
            return self.learning_rate / 10
        if self.schedule == "cosine":
            done = (epoch - warmup_epochs) / (self.epochs - warmup_epochs)
            return self.learning_rate * (1 + math.cos(math.pi * done)) / 2
        return self.learning_rate / 10 ** sum(epoch >= share * self.epochs for share in self.drops_at)

    def build_optimizer(self):
        """A new Keras optimiser, at the rate that holds after the warm-up."""
        if self.optimizer == "adam":
            return keras.optimizers.AdamW(self.learning_rate, weight_decay=self.weight_decay)
        return CoupledSGD(self.weight_decay, learning_rate=self.learning_rate, momentum=self.momentum)


class CoupledSGD(keras.optimizers.SGD):
    """Nesterov SGD whose weight decay joins the gradient, so that momentum carries it, as PyTorch's does.

    Keras's own decay is decoupled and, at momentum 0.9, a tenth as strong.
    """

    def __init__(self, coupled_decay=0.0, **kwargs):
        super().__init__(nesterov=True, **kwargs)
        self.coupled_decay = coupled_decay

    def update_step(self, gradient, variable):
        super().update_step(gradient + self.coupled_decay * variable, variable)

    def get_config(self):
        config = super().get_config()
        config.pop("nesterov")
        return {**config, "coupled_decay": self.coupled_decay}


def fit(model, plan, batches, steps_per_epoch, folder, seed, callbacks=(), objective=None):
    """The history of `model`, trained in place: one dict for each epoch. The last epoch's weights are the result.

    batches: function (first_epoch, last_epoch) -> tf.data of (inputs, labels). folder: where checkpoints and
    TensorBoard's logs are kept; the same call after a kill goes on from the last finished epoch, and ends with the
    weights of a run that was never stopped. callbacks: one with a `state` (trackable) has it kept in the checkpoints;
    it gets `set_model` before the state is restored. objective: has loss(labels, scores) and accuracy(labels, scores),
    where the plan's own loss is not what is trained for.

    Raises: Diverged if the loss is not a number; ZooError if the disk is full.
    """
    tf.config.experimental.enable_op_determinism()
    strategy = distribution.strategy_for(model, callbacks)
    replicas = strategy.num_replicas_in_sync
    if plan.batch_size % replicas:
        raise ZooError(f"a batch of {plan.batch_size} does not divide over {replicas} accelerators; use fewer of them")
    distribution.check_same("what they train", (plan, steps_per_epoch, seed, model.count_params()), strategy)
    with strategy.scope():
        trained = distribution.mirrored(model)
        optimizer = plan.build_optimizer()
        loss, accuracy = (objective.loss, objective.accuracy) if objective else (plan.loss, "accuracy")
        trained.compile(optimizer, loss, metrics=[accuracy])
        optimizer.build(trained.trainable_variables)
    for callback in callbacks:
        callback.set_model(trained)
    states = {f"callback{i}": callback.state for i, callback in enumerate(callbacks) if hasattr(callback, "state")}
    progress = _Progress(trained, Path(folder), optimizer=optimizer, **states)
    first_epoch = int(distribution.of_chief(progress.restore(), strategy))
    for variable in (*trained.weights, *optimizer.variables):  # another worker may have been killed an epoch before
        variable.assign(distribution.of_chief(variable, strategy))
    if first_epoch < plan.epochs:
        with full_disk_told(folder):
            trained.fit(
                distribution.shared(batches(first_epoch, plan.epochs)),
                initial_epoch=first_epoch,
                epochs=plan.epochs,
                steps_per_epoch=steps_per_epoch,
                verbose=0,
                callbacks=[
                    keras.callbacks.LearningRateScheduler(plan.learning_rate_at),
                    _Reseed(seed),
                    *callbacks,  # what they change in the weights at an epoch's end is in its checkpoint
                    progress,
                    keras.callbacks.TensorBoard(Path(folder) / "tensorboard", write_graph=False),
                    _Bar(),
                ],
            )
    model.set_weights(trained.get_weights())
    return progress.history()


def settle_norms(model, inputs):
    """Gives each batch norm of `model` the mean and variance that these inputs have there, all in one batch.

    What training leaves are averages over batches, each normed by itself; a crop that goes by the averages is a little
    larger behind every norm. Behind the 151 of a ResNet-152 that was trained in batches of 16, values were 70 times
    those of training, and 8 bits had no steps left for most. One batch as large as memory allows has one statistic.

    Shape: inputs is (n, *input_shape)
    Source: Wu and Johnson 2021, Rethinking "Batch" in BatchNorm, section 3, who average over many batches instead.
    """
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    model(inputs, training=True)
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum


def keep(model, folder, history, by):
    """Leaves `model` in `folder` as a training that is done: `fit` there trains nothing and gives its weights.

    history: (epochs, 3): loss, accuracy, learning rate. by: what trained it, for `trained_by`.
    """
    progress = _Progress(model, Path(folder))
    progress.losses.assign(history)
    progress.manager.save()
    (Path(folder) / BY).write_text(by, encoding="utf-8")


def trained_by(folder):
    """What did the training in `folder`, where it was not `fit`; "" where it was."""
    told = Path(folder) / BY
    return told.read_text(encoding="utf-8") if told.exists() else ""


class _Reseed(keras.callbacks.Callback):
    """Dropout's numbers depend on seed and epoch alone, not on how many were drawn before."""

    def __init__(self, seed):
        super().__init__()
        self.seed = seed

    def on_epoch_begin(self, epoch, logs=None):
        for number, layer in enumerate(self.model._flatten_layers()):
            generator = getattr(getattr(layer, "_random_generator", None), "_generator", None)
            if generator is not None:
                generator.reset_from_key_counter(self.seed, [0, 1_000 * epoch + number])


class _Progress(keras.callbacks.Callback):
    """Checkpoint and history after each epoch. TensorFlow names a checkpoint only once all of it is written."""

    def __init__(self, model, folder, **states):
        super().__init__()
        folder.mkdir(parents=True, exist_ok=True)
        self.losses = tf.Variable(tf.zeros((0, 3)), shape=(None, 3))  # one row for each epoch: loss, accuracy, rate
        checkpoint = tf.train.Checkpoint(model=model, losses=self.losses, **states)
        checkpoint.save_counter.assign(0)  # made here: the first save would make it in the strategy's scope, by all
        self.manager = tf.train.CheckpointManager(checkpoint, str(folder / "checkpoints"), max_to_keep=1)

    def restore(self):
        self.manager.restore_or_initialize()
        return len(self.losses.numpy())

    def on_epoch_end(self, epoch, logs=None):
        # The weights too: a ReLU makes 0 of NaN on a CPU, and the loss of a net that is broken may be a number.
        broken = [weight.name for weight in self.model.weights if not np.isfinite(weight.numpy()).all()]
        if broken or not math.isfinite(logs["loss"]):
            found = f"the loss is {logs['loss']}" + f", and {len(broken)} weights are not finite" * bool(broken)
            raise Diverged(f"epoch {epoch + 1}: {found}; lower the learning rate or look at the data")
        row = [[logs["loss"], logs["accuracy"], logs["lr"]]]
        self.losses.assign(tf.concat([self.losses, row], axis=0))
        self.manager.save()

    def history(self):
        """One dict for each epoch that the checkpoint holds."""
        return [
            {"epoch": epoch, "loss": loss, "accuracy": accuracy, "learning_rate": learning_rate}
            for epoch, (loss, accuracy, learning_rate) in enumerate(self.losses.numpy().tolist(), start=1)
        ]


class _Bar(keras.callbacks.Callback):
    """One line: epochs done, time left, loss."""

    def set_params(self, params):
        super().set_params(params)
        self.epochs = params["epochs"]

    def on_epoch_begin(self, epoch, logs=None):
        if not hasattr(self, "bar"):
            self.bar = bar(total=self.epochs, initial=epoch, desc="train", unit="epoch")

    def on_epoch_end(self, epoch, logs=None):
        self.bar.set_postfix(loss=f"{logs['loss']:.3f}", accuracy=f"{logs['accuracy']:.3f}", refresh=False)
        self.bar.update()

    def on_train_end(self, logs=None):
        self.bar.close()
