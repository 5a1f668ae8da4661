"""What a weight is worth, measured while a model trains; and what every such measurement stands on.

A Taylor expansion of the loss tells without trying how far it moves when something becomes zero: activation x gradient
for a channel (`zoo.compress.taylor`), weight x gradient for a weight. Each callback works in anyone's model.fit. It
scores a batch before the batch trains, with dropout off and batch normalisation's statistics fixed, so that no clip
touches another one's gradient, and one backward pass holds them all.

Source: Molchanov et al. 2017, "Pruning Convolutional Neural Networks for Resource Efficient Inference"; Mohaimenuzzaman
et al. 2023, equation 9; Mou and Milanova 2024, section 2.2.1, its Hessian taken as the diagonal Fisher.
"""

import functools

from zoo.backend import keras, tf

import numpy as np

from zoo.calls import ids_of, nodes_of
from zoo.compress import check_backbone
from zoo.errors import ZooError


class SaliencyCallback(keras.callbacks.Callback):
    """Wraps the fitted model's train_step while it is fitted, and scores `backbone`, a model nested in the fitted one;
    None means the fitted model itself.

    Subclasses say what is kept of a backbone (`_prepare`) and what happens around a step (`_around`). Their `state` is
    what a checkpoint must hold for a resumed fit to end as a straight one.
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
            loss *= tf.cast(tf.shape(scores)[0], loss.dtype)
        return tf.reduce_sum(loss)

    def _check_finite(self, arrays, what, epoch):
        """Raises ZooError naming the first layer whose array is not finite; the model is left as it was."""
        broken = [name for name, array in arrays.items() if not np.isfinite(array).all()]
        if broken:
            _unwrap(self.model)
            found = f"epoch {epoch + 1}: the {what} of {broken[0]} is not finite"
            raise ZooError(f"{found}; lower the learning rate or look at the data")


class WeightSaliency(SaliencyCallback):
    """Keras callback that scores each weight of the kernels over an epoch of fit: how far the loss moves without it.

    `saliency` is then {layer: array of its kernel's shape}, of a separable layer the pointwise kernel. With w a weight
    and g_i the gradient of clip i's loss, order 1 is |mean of w g_i|, and order 2 |mean of -w g_i + w^2 g_i^2 / 2|: the
    squares of single clips' gradients, so it takes them one at a time. It changes nothing; a fit that must not
    either has a learning rate of 0.

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
        self._kernels = {layer.name: kernel_of(layer) for layer in backbone.layers if kernel_of(layer) is not None}
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
        return self._clips.assign_add(tf.cast(tf.shape(scores)[0], tf.float32))


def _unwrap(model):
    """Gives back the train_step that `model` had before any `SaliencyCallback`."""
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
    for node in nodes_of(model) if hasattr(model, "_nodes_by_depth") else ():  # a subclassed one has none
        if node.layer is backbone and node.flat_output_ids == ids_of(model.outputs):
            return keras.Model(model.input, node.keras_inputs)
    raise ZooError(
        f"{model.name}: its scores are not those of {backbone.name}; fit the backbone, or zoo.assembly.join's model"
    )


def kernel_of(layer):
    """The kernel that makes a layer's channels, or None."""
    for name in ("pointwise_kernel", "depthwise_kernel", "kernel"):
        if hasattr(layer, name):
            return getattr(layer, name)
    return None


def _reduction(loss):
    return getattr(tf.nest.flatten(loss)[0], "reduction", keras.losses.Reduction.AUTO)
