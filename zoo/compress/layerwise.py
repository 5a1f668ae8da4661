"""The layer-wise hybrid: magnitude chooses in the layers that pruning hurts little, Taylor saliency in the others.

Mou and Milanova say which ranking belongs where, that insensitive layers are pruned harder, and that it is iterated.
They leave open how sensitivity is measured, what counts as insensitive, how hard, and in how many rounds. Chosen here:

- a layer's sensitivity is the rise of the loss, a mean over `SHARES`, when its kernel alone loses that share of its
  weights by magnitude, without any training; it is measured anew in each round, on training clips;
- a layer is insensitive when its rise lies below the median of all layers';
- insensitive layers together keep half the share that the sensitive ones keep (`INSENSITIVE_KEEPS`); magnitudes and
  changes of the loss do not compare, so each of the two groups has one ranking over all of its layers;
- both rankings choose in each round, which leaves the same fraction of the weights that the one before has left.

Source: Mou and Milanova 2024, section 2.2.1.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

from zoo.backend import tf

import numpy as np

from zoo.compress import check_backbone, copy_of
from zoo.compress.magnitude import (
    check_share,
    fine_tune_sparse,
    least,
    magnitudes,
    number_of_weights,
    prunable_kernels,
    saliency_of,
)
from zoo.compress.saliency import SaliencyCallback
from zoo.errors import ZooError

SHARES = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95)
CLIPS = 128  # that the loss is measured on, the same for all layers
INSENSITIVE_KEEPS = 0.5


class Row(NamedTuple):
    """One point of a layer's sensitivity curve. At share 0 stands the loss of the net as it is."""

    layer: str
    share: float
    loss: float


@dataclass(frozen=True)
class SparsifyLayerwise:
    """Step: the backbone, `share` of its kernel weights zero, chosen layer by layer over `rounds`, fine-tuned in each.

    plan: of each round's fine-tuning.
    """

    share: float
    plan: Any
    rounds: int = 3

    lowers: ClassVar = ("gzip_bytes",)

    def __post_init__(self):
        check_share("SparsifyLayerwise", self.share)
        if self.rounds < 1:
            raise ZooError(f"SparsifyLayerwise: {self.rounds} rounds remove nothing; pass 1 or more")
        if self.plan is None:
            raise ZooError("SparsifyLayerwise: layers and weights are scored during an epoch of a plan; pass a plan")

    def __call__(self, backbone, finetune):
        for number in range(1, self.rounds + 1):
            curve = sensitivity_curve(backbone, self.plan, finetune, f"round{number}_sensitivity")
            taylor = saliency_of(backbone, "taylor", self.plan, finetune, f"round{number}_saliency")
            share = 1 - (1 - self.share) ** (number / self.rounds)
            zeros = hybrid_zeros(magnitudes(backbone), taylor, insensitive_layers(curve), share)
            backbone = fine_tune_sparse(backbone, zeros, self.plan, finetune, f"round{number}_fine_tune")
        return backbone

    def quick(self):
        return replace(self, plan=self.plan.with_epochs(1), rounds=2)


def sensitivity_curve(backbone, plan, finetune, stage="sensitivity"):
    """One `Row` for each prunable layer and each of SHARES: the loss when that layer alone is pruned by magnitude.

    The loss is a mean over the first CLIPS clips of an epoch that trains nothing.

    Raises: ZooError if a loss is not finite.
    """
    check_backbone(backbone)
    scored = copy_of(backbone)
    sensitivity = _Sensitivity(scored)
    finetune(scored, plan.with_epochs(1), stage, callbacks=[sensitivity])
    losses = sensitivity.losses.numpy().tolist()
    return [
        Row(layer, share, loss)
        for layer, points in zip(prunable_kernels(backbone), losses, strict=True)
        for share, loss in zip(SHARES, points, strict=True)
    ]


def insensitive_layers(curve):
    """The names of the layers whose loss rises by less than the median of all layers' rises."""
    losses = {}
    for row in curve:
        losses.setdefault(row.layer, []).append(row.loss)
    rises = {layer: np.mean(points) - points[0] for layer, points in losses.items()}
    return [layer for layer, rise in rises.items() if rise < np.median(list(rises.values()))]


def hybrid_zeros(magnitude, taylor, insensitive, share):
    """{layer name: bool array}: True at `share` of all weights, by magnitude in the insensitive layers, else by Taylor.

    magnitude, taylor: {layer name: array of its kernel's shape}.
    """
    hard = {name: magnitude[name] for name in magnitude if name in insensitive}
    soft = {name: taylor[name] for name in taylor if name not in insensitive}
    hard_size, soft_size = number_of_weights(hard), number_of_weights(soft)
    hard_most, soft_most = hard_size - len(hard), soft_size - len(soft)  # each layer keeps one weight
    gone = min(round(share * (hard_size + soft_size)), hard_most + soft_most)
    soft_keeps = (1 - share) * (hard_size + soft_size) / (soft_size + INSENSITIVE_KEEPS * hard_size)
    soft_gone = np.clip(round((1 - soft_keeps) * soft_size), max(0, gone - hard_most), min(gone, soft_most))
    zeros = {}
    for ranked, count in ((hard, gone - soft_gone), (soft, soft_gone)):
        zeros |= least(ranked, count) if ranked else {}
    return zeros


class _Sensitivity(SaliencyCallback):
    """Keeps the first clips of an epoch, in which nothing is trained, and measures the loss on them at its end."""

    def _prepare(self, backbone):
        self.kernels = prunable_kernels(backbone)
        self.losses = tf.Variable(tf.zeros((len(self.kernels), len(SHARES))), trainable=False)
        self.state = tf.train.Checkpoint(losses=self.losses)
        # Of the first epoch: a run that is resumed before its end begins anew.
        self.kept = [
            tf.Variable(tf.zeros((0, *shape[1:])), shape=(None, *shape[1:]), trainable=False)
            for shape in (backbone.input_shape, backbone.output_shape)
        ]

    def _around(self, train_step, data):
        for kept, new in zip(self.kept, self._clips_of(data)):
            kept.assign(tf.concat([kept, tf.cast(new, kept.dtype)], axis=0)[:CLIPS])
        return self.model.test_step(data)

    def on_epoch_end(self, epoch, logs=None):
        loss_now = tf.function(self._loss_now)
        for row, (name, kernel) in enumerate(self.kernels.items()):
            weights = kernel.numpy()
            for column, share in enumerate(SHARES):
                gone = least({name: np.abs(weights)}, round(share * weights.size))[name]
                kernel.assign(np.where(gone, np.float32(0), weights))
                self.losses[row, column].assign(loss_now())
            kernel.assign(weights)
        self._check_finite(dict(zip(self.kernels, self.losses.numpy())), "loss without weights", epoch)

    def _loss_now(self):
        clips, labels = self.kept
        return self._loss(labels, self._scored(clips, training=False), None) / tf.cast(tf.shape(clips)[0], tf.float32)
