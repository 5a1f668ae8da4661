"""Channels masked step by step while a model trains, the lowest first.

Source: Mohaimenuzzaman et al. 2023, equations 7, 10 and 11; section 4.2.
"""

import math

from zoo.backend import keras, tf

import numpy as np

from zoo.compress import surgery, units
from zoo.compress.saliency import SaliencyCallback, kernel_of
from zoo.errors import ZooError


class TaylorPruning(SaliencyCallback):
    """Keras callback that masks channels while a model is fitted: their weights are zero from then on.

    Every `epochs_per_step` epochs the lowest `channels_per_step` channels of the whole net go, until ceil((1 - share) x
    all channels) are left. `surgery.remove(backbone, pruning.masked)` takes them out afterwards. Tied channels go
    together, by their mean score (Fang et al. 2023, "DepGraph"), and never below that number; no layer loses its last.

    by: "taylor" is, for each clip of the step's last epoch, |mean over positions of activation x gradient| where the
    channel leaves its block, averaged over clips; "magnitude" the sum of the absolute kernel weights. Either is divided
    by its layer's L2 norm. keep: names of layers that lose none.

    Raises: ZooError if `share` is not between 0 and 1, if a layer in `keep` is not there, if so many channels cannot
    go, or if a saliency is not finite.
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
            tape.watch([kernel_of(self._scored.get_layer(name)) for name in self._candidates.groups])  # frozen or not
            *maps, scores = self._probe(x, training=False)
            loss = self._loss(y, scores, weights)
        gradients = tape.gradient(loss, maps, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        salience = []
        for activation, gradient in zip(maps, gradients):
            change = tf.cast(activation * gradient, tf.float32)  # (batch, positions ..., filters)
            change = tf.reduce_mean(change, axis=list(range(1, change.shape.rank - 1)))
            salience.append(tf.reduce_sum(tf.abs(change), axis=0))
        self._sums.assign_add(tf.concat(salience, axis=0))
        return self._clips.assign_add(tf.cast(tf.shape(scores)[0], tf.float32))

    def _magnitudes(self):
        """Sum of each channel's absolute kernel weights. Shape: (scored,)"""
        sums = []
        for name in self._candidates.groups:
            layer = self._scored.get_layer(name)
            transposed = isinstance(layer, (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose))
            kernel = np.moveaxis(kernel_of(layer).numpy(), -2 if transposed else -1, 0)
            sums.append(np.abs(kernel).reshape(len(kernel), -1).sum(axis=1))
        return np.concatenate(sums)


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
            if name in channels.groups and reason != units.MAKES_THE_OUTPUT
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
