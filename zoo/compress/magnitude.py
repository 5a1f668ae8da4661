"""Sparsity: the weights that matter least become zero, and TF-MOT's `prune_low_magnitude` holds them there.

The ACDNet paper ranks the weights of all layers together; TF-MOT prunes each layer to a target of its own. So the
ranking is made here: the weights that it chooses are set to zero, and each layer's target is the share of its weights
that were chosen. Then TF-MOT's mask, made once at the first step, is the ranking, whatever the weights were ranked by.

What is sparse: the kernels that TF-MOT prunes (`PRUNABLE`). Depthwise and recurrent kernels, biases and normalisations
stay as they are and are not counted.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from zoo.backend import keras

import numpy as np
from tensorflow_model_optimization.sparsity import keras as tfmot

from zoo.compress import check_backbone, copy_of
from zoo.compress.saliency import WeightSaliency
from zoo.errors import ZooError

layers = keras.layers

# Kind of layer -> its kernel. By exact type, as TF-MOT has it: Keras derives DepthwiseConv2D from Conv, too.
PRUNABLE = {
    layers.Conv1D: "kernel",
    layers.Conv2D: "kernel",
    layers.Conv2DTranspose: "kernel",
    layers.SeparableConv1D: "pointwise_kernel",
    layers.SeparableConv2D: "pointwise_kernel",
    layers.Dense: "kernel",
}

# What weights are ranked by -> order of the Taylor expansion of the loss; the second is taken with the diagonal of the
# Fisher information. Both are changes of the loss, in its own units, so they compare across layers as they are.
ORDERS = {"magnitude": None, "taylor": 1, "fisher": 2}


@dataclass(frozen=True)
class Sparsify:
    """Step: the backbone, `share` of its kernel weights zero, the others fine-tuned.

    share: of the prunable weights of the whole net, which are ranked together; with `uniform`, of each layer's. Each
    layer keeps at least one weight. by: "magnitude"; or "taylor" or "fisher", scored during one epoch of the plan on a
    copy whose weights are thrown away.

    Source: Mohaimenuzzaman et al. 2023, section 4.3.
    """

    share: float
    plan: Any  # of the fine-tuning; None: as the base was trained
    by: str = "magnitude"
    uniform: bool = False

    lowers: ClassVar = ("gzip_bytes",)  # zeros take as many bytes as other weights until the file is packed

    def __post_init__(self):
        check_share("Sparsify", self.share)
        if self.by not in ORDERS:
            raise ZooError(f"Sparsify: cannot rank by {self.by!r}; choose of {', '.join(ORDERS)}")
        if ORDERS[self.by] and self.plan is None:
            raise ZooError(f"Sparsify: by={self.by!r} is scored during an epoch of a plan; pass a plan")

    def __call__(self, backbone, finetune):
        check_backbone(backbone)
        saliency = saliency_of(backbone, self.by, self.plan, finetune, "saliency")
        ranked_together = [{name: scores} for name, scores in saliency.items()] if self.uniform else [saliency]
        zeros = {}
        for ranked in ranked_together:
            zeros |= least(ranked, round(self.share * number_of_weights(ranked)))
        return fine_tune_sparse(backbone, zeros, self.plan, finetune, "fine_tune")

    def quick(self):
        return replace(self, plan=self.plan and self.plan.with_epochs(2))


def check_share(step, share):
    """Raises ZooError unless 0 < share < 1."""
    if not 0 < share < 1:
        raise ZooError(f"{step}: share {share} is not between 0 and 1; it is the fraction of weights that become zero")


def prunable_kernels(model):
    """{layer name: kernel variable} of all layers whose kernel TF-MOT prunes.

    Raises: ZooError if there are none.
    """
    kernels = {layer.name: getattr(layer, PRUNABLE[type(layer)]) for layer in model.layers if type(layer) in PRUNABLE}
    if not kernels:
        kinds = ", ".join(kind.__name__ for kind in PRUNABLE)
        raise ZooError(f"{model.name}: no kernel to make sparse; TF-MOT prunes those of {kinds}")
    return kernels


def saliency_of(backbone, by, plan, finetune, stage):
    """{layer name: what its weights are ranked by}, each of its kernel's shape. `backbone` is left as it is.

    Raises: ZooError if a weight or a saliency is not a number.
    """
    saliency = magnitudes(backbone)
    if ORDERS[by]:
        scored = copy_of(backbone)
        scores = WeightSaliency(order=ORDERS[by], backbone=scored)
        finetune(scored, plan.with_epochs(1), stage, callbacks=[scores])
        saliency = {name: scores.saliency[name] for name in saliency}
    for name, scores in saliency.items():
        if not np.isfinite(scores).all():
            raise ZooError(f"{backbone.name}: {name} cannot be ranked by {by}: not all is finite; train the net anew")
    return saliency


def magnitudes(model):
    """{layer name: absolute kernel weights} of `prunable_kernels`."""
    return {name: np.abs(kernel.numpy()) for name, kernel in prunable_kernels(model).items()}


def number_of_weights(saliency):
    """Of all layers together."""
    return sum(scores.size for scores in saliency.values())


def least(saliency, count):
    """{layer name: bool array}: True at the `count` weights of least saliency, all layers ranked together.

    The most salient weight of each layer stays, whatever the count: TF-MOT empties no layer. Of equals the first go.
    """
    scores = [scores.ravel().astype(np.float64) for scores in saliency.values()]
    for layer in scores:
        layer[layer.argmax()] = np.inf
    ranking = np.argsort(np.concatenate(scores), kind="stable")
    chosen = np.zeros(len(ranking), bool)
    chosen[ranking[: min(count, len(ranking) - len(scores))]] = True
    parts = np.split(chosen, np.cumsum([len(layer) for layer in scores])[:-1])
    return {name: part.reshape(saliency[name].shape) for name, part in zip(saliency, parts, strict=True)}


def fine_tune_sparse(backbone, zeros, plan, finetune, stage):
    """A copy of `backbone`, fine-tuned while TF-MOT holds the weights at which `zeros` is True.

    zeros: {layer name: bool array of its kernel's shape}, not all True, for each of `prunable_kernels`.

    Raises: ZooError if a kernel is larger than TF-MOT counts, or is not finite afterwards. RuntimeError if a zero did
    not survive.
    """
    wrapped, wrappers = wrap(backbone, zeros)
    finetune(wrapped, plan, stage, callbacks=[tfmot.UpdatePruningStep()])
    sparse = copy_of(tfmot.strip_pruning(wrapped))  # strip_pruning's layers stand in two graphs
    for name, kernel in prunable_kernels(sparse).items():
        found, (_, mask, _) = kernel.numpy(), wrappers[name].pruning_vars[0]
        if not np.isfinite(found).all():
            raise ZooError(f"{backbone.name}: {name} is not finite after {stage}; lower the learning rate")
        if found[zeros[name]].any() or (mask.numpy() == zeros[name]).any():
            raise RuntimeError(f"{backbone.name}: {name} lost zeros in {stage}: TF-MOT's mask is not the ranking")
        kernel.assign(np.where(zeros[name], np.float32(0), found))  # a mask makes -0.0 too, whose signs do not pack
    return sparse


def counted_by_tfmot(zeros):
    """How many weights of a kernel TF-MOT lets stay where `zeros` (bool, the kernel's shape) go: it counts in float32,
    as its pruning_impl.py has it, and a kernel of some millions may be miscounted.
    """
    return int(np.round(np.float32(zeros.size) * (np.float32(1) - np.float32(zeros.mean()))))


def wrap(backbone, zeros):
    """(model, {layer name: TF-MOT wrapper}): a copy of `backbone` with the weights in `zeros` at zero, and masked from
    the first training step on.
    """
    for name, layer in zeros.items():
        stay, counted = int((~layer).sum()), counted_by_tfmot(layer)
        if counted != stay:
            raise ZooError(
                f"{backbone.name}: of {name}'s {layer.size} weights {stay} stay; TF-MOT, in float32, counts {counted}: "
                "pass another share"
            )
    twins, wrappers = {}, {}

    def twin_of(layer):
        twin = twins[layer.name] = type(layer).from_config(layer.get_config())
        if layer.name not in zeros:
            return twin
        # Its step counts from 1, so begin_step=0 with end_step=0 would never make a mask. 1 to 1 makes it once, from
        # the weights as they are given, and a run that is resumed is past it.
        schedule = tfmot.ConstantSparsity(zeros[layer.name].mean(), begin_step=1, end_step=1, frequency=1)
        wrappers[layer.name] = tfmot.prune_low_magnitude(twin, schedule)
        return wrappers[layer.name]

    model = keras.models.clone_model(backbone, clone_function=twin_of)
    for name, twin in twins.items():
        twin.set_weights(backbone.get_layer(name).get_weights())
    for name, kernel in prunable_kernels(backbone).items():
        # A weight that is zero and yet not chosen must lie above TF-MOT's threshold.
        kept = np.where(kernel.numpy() == 0, np.finfo(np.float32).tiny, kernel.numpy())
        wrappers[name].pruning_vars[0][0].assign(np.where(zeros[name], np.float32(0), kept))
    return model, wrappers
