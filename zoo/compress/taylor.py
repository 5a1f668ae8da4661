"""What a channel or a weight is worth, measured while a model trains; and channels masked by it, step by step.

A Taylor expansion of the loss tells without trying how far it moves when something becomes zero: activation x gradient
for a channel, weight x gradient for a weight. Each callback here works in anyone's model.fit. It scores a batch before
the batch trains, with dropout off and batch normalisation's statistics fixed, so that no clip touches another one's
gradient, and one backward pass holds them all.

Source: Molchanov et al. 2017, "Pruning Convolutional Neural Networks for Resource Efficient Inference"; Mohaimenuzzaman
et al. 2023, equations 7 and 9 to 11; Mou and Milanova 2024, section 2.2.1, its Hessian taken as the diagonal Fisher.
"""

import functools
import math

from zoo.backend import keras, tf

import numpy as np

from zoo.compress import check_backbone, surgery
from zoo.errors import ZooError


class SaliencyCallback(keras.callbacks.Callback):
    """Wraps the fitted model's train_step while it is fitted, and scores `backbone`: that model, or nested in it.

    Subclasses say what is kept of a backbone (`_prepare`) and what happens around a step (`_around`).
    """

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self._scored = None

    def set_model(self, model):
        super().set_model(model)
        _unwrap(model)  # a fit that was broken off left it wrapped
        backbone = model if self.backbone is None else self.backbone
        if backbone is not self._scored:  # a second call must not lose what was restored in between
            check_backbone(backbone)
            self._prepare(backbone)
            self._scored = backbone

    def on_train_begin(self, logs=None):
        model = self.model
        if len(model.outputs) != 1 or not model.loss:
            raise ZooError(
                f"{model.name}: saliency is of one output's compiled loss; it has {len(model.outputs)} outputs and "
                f"{'a' if model.loss else 'no'} loss"
            )
        self._front = _front_of(model, self._scored)
        # A container of its own: the model's counts each call into the loss that fit reports.
        self._compiled_loss = type(model.compiled_loss)(model.loss, output_names=model.output_names)
        wrapped = functools.partial(self._around, model.train_step)
        wrapped.unwrapped = vars(model).get("train_step")  # None: the class's own
        model.train_step = wrapped
        model.make_train_function(force=True)

    def on_train_end(self, logs=None):
        _unwrap(self.model)

    def _clips_of(self, data):
        """(what enters the backbone, labels, sample weights or None)."""
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        return x if self._front is None else self._front(x, training=False), y, weights

    def _loss(self, y, scores, weights):
        """The sum of the clips' losses, without regularisers."""
        loss = self._compiled_loss(y, scores, weights)
        if loss.shape.rank == 0 and _reduction(self.model.loss) != keras.losses.Reduction.SUM:
            loss *= tf.cast(_number_of_clips(scores), loss.dtype)
        return tf.reduce_sum(loss)

    def _check_finite(self, arrays, what, epoch):
        """Raises ZooError naming the first layer whose array is not finite; the model is left as it was."""
        broken = [name for name, array in arrays.items() if not np.isfinite(array).all()]
        if broken:
            _unwrap(self.model)
            found = f"epoch {epoch + 1}: the {what} of {broken[0]} is not finite"
            raise ZooError(f"{found}; lower the learning rate or look at the data")


class TaylorPruning(SaliencyCallback):
    """Keras callback that masks channels while a model is fitted: their weights are zero from then on.

    Every `epochs_per_step` epochs the lowest `channels_per_step` channels of the whole net go, until ceil((1 - share) x
    all channels) are left. `surgery.remove(backbone, pruning.masked)` takes them out afterwards. Tied channels go
    together, by their mean score (Fang et al. 2023, "DepGraph"), and never below that number; no layer loses its last.

    by: "taylor" is, for each clip of the step's last epoch, |mean over positions of activation x gradient| where the
    channel leaves its block, averaged over clips; "magnitude" the sum of the absolute kernel weights. Either is divided
    by its layer's L2 norm. keep: names of layers that lose none. backbone: the model nested in the fitted one that is
    pruned; None means the fitted model itself.

    state: what a checkpoint must hold for a resumed fit to end as a straight one.

    Raises: ZooError if `share` is not between 0 and 1, if a layer in `keep` is not there, if so many channels cannot
    go, or if a saliency is not finite.
    Source: Mohaimenuzzaman et al. 2023, equations 7, 10 and 11; section 4.2.
    """

    def __init__(self, share, channels_per_step=1, epochs_per_step=2, by="taylor", keep=(), backbone=None):
        super().__init__(backbone)
        if not 0 < share < 1:
            raise ZooError(f"share={share}: the share of channels to remove lies between 0 and 1, both excluded")
        if channels_per_step < 1 or epochs_per_step < 1:
            raise ZooError(f"{channels_per_step} channels every {epochs_per_step} epochs: both must be 1 or more")
        if by not in ("taylor", "magnitude"):
            raise ZooError(f"no ranking by {by!r}; choose taylor or magnitude")
        self.share, self.by, self.keep = share, by, tuple(keep)
        self.channels_per_step, self.epochs_per_step = channels_per_step, epochs_per_step

    def epochs(self, backbone):
        """How many epochs it takes to mask that share of `backbone`.

        Raises: ZooError if so many channels cannot go.
        """
        return self._steps(self._candidates_of(backbone)) * self.epochs_per_step

    @property
    def masked(self):
        """The groups (of `surgery.channels_of`) that are masked, in order."""
        return np.flatnonzero(self._masked.numpy()).tolist()

    @property
    def saliency(self):
        """{layer: (filters,) normalised scores} of the last step; zeros before the first one, and where masked."""
        return self._candidates.by_layer(self._saliency.numpy())

    def _candidates_of(self, backbone):
        candidates = _Candidates(backbone, self.keep)
        candidates.check_reachable(channels_left(candidates.total, self.share))
        return candidates

    def _steps(self, candidates):
        to_remove = candidates.total - channels_left(candidates.total, self.share)
        return math.ceil(to_remove / self.channels_per_step)

    def _prepare(self, backbone):
        self._candidates = candidates = self._candidates_of(backbone)
        self._masked = tf.Variable(tf.zeros(len(candidates.sizes), tf.bool), trainable=False)
        self._saliency = tf.Variable(tf.zeros(candidates.scored), trainable=False)
        self._epochs_done = tf.Variable(0, trainable=False)
        self.state = tf.train.Checkpoint(masked=self._masked, saliency=self._saliency, epochs_done=self._epochs_done)
        self._scores_now = tf.Variable(False, trainable=False)
        self._sums = tf.Variable(tf.zeros(candidates.scored), trainable=False)  # over the clips of this epoch
        self._clips = tf.Variable(0.0, trainable=False)

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        backbone, groups = self._scored, np.flatnonzero(self._candidates.free)
        if self.by == "taylor":
            maps = [backbone.get_layer(name).output for name in self._candidates.feature_maps.values()]
            self._probe = keras.Model(backbone.input, [*maps, backbone.output])
        self._held = [  # only what a mask can reach is multiplied by one after each step
            (number, tf.Variable(mask, trainable=False))
            for number, mask in enumerate(surgery.weight_masks(backbone, groups))
            if not mask.all()
        ]
        self._mask()

    def on_epoch_begin(self, epoch, logs=None):
        self._scores_now.assign(self._step() > 0)
        self._sums.assign(tf.zeros_like(self._sums))
        self._clips.assign(0.0)

    def on_epoch_end(self, epoch, logs=None):
        step = self._step()
        self._epochs_done.assign_add(1)
        if not step:
            return
        candidates, masked = self._candidates, self._masked.numpy()
        scores = self._magnitudes() if self.by == "magnitude" else self._sums.numpy() / self._clips.numpy()
        self._check_finite(candidates.by_layer(scores), "saliency", epoch)
        # The weights too: a ReLU makes 0 of NaN on a CPU, and so do the saliencies behind it.
        self._check_finite({weight.name: weight.numpy() for weight in self._scored.weights}, "weight", epoch)
        scores = candidates.normalised(np.where(candidates.channels_in(masked), 0, scores))
        left = channels_left(candidates.total, self.share)
        # Counted from the start, so that what a tied group took too many, the next step takes fewer.
        wanted = max(left, candidates.total - step * self.channels_per_step)
        self._masked.assign(candidates.mask_lowest(masked, candidates.of_groups(scores), wanted, left))
        self._saliency.assign(scores)
        self._mask()

    def on_train_end(self, logs=None):
        self._mask()  # an optimiser that averages weights has just assigned them
        super().on_train_end(logs)

    def _step(self):
        """The number, from 1, of the step that ends with this epoch; 0: none does."""
        step, rest = divmod(int(self._epochs_done) + 1, self.epochs_per_step)
        return 0 if rest or step > self._steps(self._candidates) else step

    def _mask(self):
        surgery.mask(self._scored, self.masked)
        masks = surgery.weight_masks(self._scored, self.masked)
        for number, mask in self._held:
            mask.assign(masks[number])

    def _around(self, train_step, data):
        if self.by == "taylor":
            tf.cond(self._scores_now, lambda: self._score(*self._clips_of(data)), lambda: tf.constant(0.0))
        logs = train_step(data)
        for number, mask in self._held:
            weight = self._scored.weights[number]
            weight.assign(weight * mask)
        return logs

    def _score(self, x, y, weights):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([_kernel_of(self._scored.get_layer(name)) for name in self._candidates.groups])  # frozen or not
            *maps, scores = self._probe(x, training=False)
            loss = self._loss(y, scores, weights)
        gradients = tape.gradient(loss, maps, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        salience = []
        for activation, gradient in zip(maps, gradients):
            change = tf.cast(activation * gradient, tf.float32)  # (batch, positions ..., filters)
            change = tf.reduce_mean(change, axis=list(range(1, change.shape.rank - 1)))
            salience.append(tf.reduce_sum(tf.abs(change), axis=0))
        self._sums.assign_add(tf.concat(salience, axis=0))
        return self._clips.assign_add(tf.cast(_number_of_clips(scores), tf.float32))

    def _magnitudes(self):
        """Sum of each channel's absolute kernel weights. Shape: (scored,)"""
        sums = []
        for name in self._candidates.groups:
            layer = self._scored.get_layer(name)
            transposed = isinstance(layer, (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose))
            kernel = np.moveaxis(_kernel_of(layer).numpy(), -2 if transposed else -1, 0)
            sums.append(np.abs(kernel).reshape(len(kernel), -1).sum(axis=1))
        return np.concatenate(sums)


class WeightSaliency(SaliencyCallback):
    """Keras callback that scores each weight of the kernels over an epoch of fit: how far the loss moves without it.

    `saliency` is then {layer: array of its kernel's shape}, of a separable layer the pointwise kernel. With w a weight
    and g_i the gradient of clip i's loss, order 1 is |mean of w g_i|, and order 2 |mean of -w g_i + w^2 g_i^2 / 2|: the
    squares of single clips' gradients, so it takes them one at a time. It changes nothing; a fit that must not
    either has a learning rate of 0. backbone, state: as `TaylorPruning`'s.

    Raises: ZooError if a saliency is not finite.
    Source: Mou and Milanova 2024, section 2.2.1, at a step of -w.
    """

    def __init__(self, order=1, backbone=None):
        super().__init__(backbone)
        if order not in (1, 2):
            raise ZooError(f"no Taylor saliency of order {order!r}; choose 1 or 2")
        self.order = order

    @property
    def saliency(self):
        """{layer: array of its kernel's shape} of the last epoch; zeros before the first one."""
        clips = max(self._clips.numpy(), 1)
        return {name: np.abs(total.numpy()) / clips for name, total in zip(self._kernels, self._sums)}

    def _prepare(self, backbone):
        self._kernels = {layer.name: _kernel_of(layer) for layer in backbone.layers if _kernel_of(layer) is not None}
        self._sums = [tf.Variable(tf.zeros_like(kernel), trainable=False) for kernel in self._kernels.values()]
        self._clips = tf.Variable(0.0, trainable=False)
        self.state = tf.train.Checkpoint(sums=self._sums, clips=self._clips)

    def on_epoch_begin(self, epoch, logs=None):
        for total in (*self._sums, self._clips):
            total.assign(tf.zeros_like(total))

    def on_epoch_end(self, epoch, logs=None):
        self._check_finite(self.saliency, "saliency", epoch)

    def _around(self, train_step, data):
        x, y, weights = self._clips_of(data)
        if self.order == 1:
            self._score(x, y, weights)
        else:
            clips = (x, y) if weights is None else (x, y, weights)
            tf.map_fn(self._score_one, clips, fn_output_signature=tf.float32, parallel_iterations=1)
        return train_step(data)

    def _score_one(self, clip):
        x, y, *weights = tf.nest.map_structure(lambda value: value[None], clip)
        return self._score(x, y, *(weights or [None]))

    def _score(self, x, y, weights):
        kernels = list(self._kernels.values())
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(kernels)
            scores = self._scored(x, training=False)
            loss = self._loss(y, scores, weights)
        gradients = tape.gradient(loss, kernels, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        for total, kernel, gradient in zip(self._sums, kernels, gradients):
            change = -kernel * gradient
            total.assign_add(change if self.order == 1 else change + change**2 / 2)
        return self._clips.assign_add(tf.cast(_number_of_clips(scores), tf.float32))


def channels_left(total, share):
    """ceil((1 - share) x total), free of float's dust: 415 of 2,074 at 0.8."""
    return math.ceil(round((1 - share) * total, 9))


def count_channels(backbone):
    """How many channels the layers of `backbone` make together, those of its output not counted: ACDNet's are 2,074."""
    return _Candidates(backbone, keep=()).total


class _Candidates:
    """The channels of a model by layer and by group, and which of them may go; fixed layers are only counted."""

    def __init__(self, backbone, keep):
        channels = surgery.channels_of(backbone)
        self.name = backbone.name
        self.groups = {name: ids for name, ids in channels.groups.items() if name not in channels.fixed}
        self.feature_maps = {name: channels.feature_maps[name] for name in self.groups}
        self.fixed = sum(
            len(channels.groups[name])
            for name, reason in channels.fixed.items()
            if name in channels.groups and reason != surgery.MAKES_THE_OUTPUT
        )
        strangers = [name for name in keep if name not in {*self.groups, *channels.fixed}]
        if strangers:
            names = ", ".join(channels.groups)
            raise ZooError(f"keep: {self.name} has no layer {strangers[0]!r} with channels; it has {names}")
        if not self.groups:
            reasons = "; ".join(f"{name} {reason}" for name, reason in channels.fixed.items())
            raise ZooError(f"{self.name}: no layer has channels that can be removed: {reasons or 'none makes any'}")

        self.ends = np.cumsum([len(ids) for ids in self.groups.values()])
        self.scored = self.ends[-1]
        self.total = self.scored + self.fixed
        self.ids = np.concatenate(list(self.groups.values()))  # (scored,)
        number = self.ids.max() + 1
        self.members = np.stack([np.bincount(ids[ids >= 0], minlength=number) for ids in self.groups.values()])
        self.sizes = self.members.sum(axis=0)  # (groups,)
        kept = [name in keep for name in self.groups]
        self.free = (self.members[kept] == 0).all(axis=0) & (self.sizes > 0)

    def by_layer(self, channels):
        """{layer: its part}. Shape: (scored,)"""
        return dict(zip(self.groups, np.split(channels, self.ends[:-1])))

    def channels_in(self, groups):
        """For each channel, whether its group is among them. Shape: (groups,) bool -> (scored,) bool"""
        return np.append(groups, False)[self.ids]  # -1, no group, takes the last

    def normalised(self, scores):
        """Each layer's scores over their L2 norm. Shape: (scored,)"""
        norms = [np.linalg.norm(part) for part in self.by_layer(scores).values()]
        return scores / np.repeat([norm or 1 for norm in norms], np.diff(self.ends, prepend=0))

    def of_groups(self, scores):
        """The mean over each group's channels. Shape: (scored,) -> (groups,)"""
        grouped = self.ids >= 0
        return np.bincount(self.ids[grouped], scores[grouped], len(self.sizes)) / np.maximum(self.sizes, 1)

    def mask_lowest(self, masked, scores, wanted, least):
        """`masked` and the lowest groups, until `wanted` channels are left: never under `least`, nor none of a layer.

        Shape: (groups,) bool, (groups,)
        """
        masked = masked.copy()
        filters = np.array([len(ids) for ids in self.groups.values()])
        for group in np.argsort(scores, kind="stable"):
            alive = filters - self.members[:, masked].sum(axis=1)  # (layers,)
            left = self.fixed + alive.sum()
            if left <= wanted:
                break
            leaves_some = (alive > self.members[:, group]).all()
            if self.free[group] and not masked[group] and leaves_some and left - self.sizes[group] >= least:
                masked[group] = True
        return masked

    def check_reachable(self, left):
        """Raises ZooError if none is to go, or more must stay than `left`."""
        if left == self.total:
            raise ZooError(f"{self.name}: that share of {self.total} channels is less than one; remove a larger one")
        none = np.zeros(len(self.sizes), bool)
        least = self.total - self.sizes[self.mask_lowest(none, np.zeros(len(none)), 0, 0)].sum()
        if least > left:
            raise ZooError(
                f"{self.name}: {left} of {self.total} channels cannot be reached, {least} must stay (one a layer, what "
                "is kept, what cannot be removed); remove a smaller share or keep fewer layers"
            )


def _unwrap(model):
    """Gives back the train_step that `model` had before any callback of this module."""
    while hasattr(step := vars(model).get("train_step"), "unwrapped"):
        if step.unwrapped is None:
            del model.train_step
        else:
            model.train_step = step.unwrapped
        model.train_function = None


def _front_of(model, backbone):
    """What `model` makes of its input before `backbone` has it; None if they are one.

    Raises: ZooError unless the backbone is nested in the model and ends it.
    """
    if model is backbone:
        return None
    for node in sum(getattr(model, "_nodes_by_depth", {}).values(), []):
        if node.layer is backbone and node.flat_output_ids == [str(id(tensor)) for tensor in model.outputs]:
            return keras.Model(model.input, node.keras_inputs)
    raise ZooError(
        f"{model.name}: its scores are not those of {backbone.name}; fit the backbone, or zoo.assembly.join's model"
    )


def _kernel_of(layer):
    """The kernel that makes a layer's channels, or None."""
    for name in ("pointwise_kernel", "depthwise_kernel", "kernel"):
        if hasattr(layer, name):
            return getattr(layer, name)
    return None


def _number_of_clips(scores):
    return tf.shape(scores)[0]


def _reduction(loss):
    return getattr(tf.nest.flatten(loss)[0], "reduction", keras.losses.Reduction.AUTO)
