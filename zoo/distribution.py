"""One training on several accelerators or machines: each takes its part of every batch, and all keep the same weights.

Every batch is the one that a single machine would have trained on, and normalisation is over all of it, so that the
weights are a single machine's too, but for the order of sums and for dropout, which draws on each replica for itself.
A machine is a worker, worker 0 the chief. All run the same program; only the chief's files count.
"""

import functools
import hashlib
import os

from zoo.backend import keras, tf

from zoo.errors import ZooError


@functools.cache
def strategy():
    """Over the machines that TF_CONFIG lists, or over this one's GPUs; TensorFlow's default where there is but one.

    To be called before TensorFlow has computed anything. Under TF_CONFIG it waits for the other workers.
    """
    if "TF_CONFIG" in os.environ:
        try:
            return tf.distribute.MultiWorkerMirroredStrategy()
        except ValueError as error:
            raise ZooError(f"TF_CONFIG is not understood: {error}; mend it, or unset it") from error
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def strategy_for(model, callbacks):
    """`strategy()`; or the default where TF-MOT's wrappers or callbacks take part in the steps: what they measure (the
    range of a tensor, what a channel is worth) is of whole batches, so that each worker trains for itself, all alike.
    """
    wrappers = [layer for layer in model.submodules if type(layer).__module__.startswith("tensorflow_model_optim")]
    return tf.distribute.get_strategy() if wrappers or callbacks else strategy()


def is_chief():
    """Whether this process is the one whose files count."""
    return strategy().extended.should_save_summary


def own(folder):
    """`folder`; a folder in it for each worker that is not the chief, so that none writes where another one does."""
    return folder if is_chief() else folder / f"worker{strategy().cluster_resolver.task_id}"


def of_chief(value, strategy):
    """What the chief holds where this process holds `value`, a number, array or variable. Waits for all workers."""

    def held():
        is_first = tf.distribute.get_replica_context().replica_id_in_sync_group == 0
        return tf.where(is_first, value, tf.zeros_like(value))

    return strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(held), axis=None)


def check_same(what, values, strategy):
    """Waits for all workers. Raises: ZooError, on each, unless all have the same `values`: `what`, for the message."""
    digest = int.from_bytes(hashlib.sha256(repr(values).encode()).digest()[:4], "big")
    total = strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(lambda: tf.constant(digest, tf.int64)), axis=None)
    if total != digest * strategy.num_replicas_in_sync:
        raise ZooError(f"the workers differ in {what}; start the same command on the same data on each of them")


def shared(batches):
    """The data set `batches`, of which each replica gets a part of each batch, and never a batch of its own."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return batches.with_options(options)


def mirrored(model):
    """The model to train in `model`'s place, in the scope of a strategy: its twin there, with weights on each replica.

    Without a strategy it is `model` itself: nothing is copied, and its norms keep their faster kernel.
    """
    if not tf.distribute.has_strategy():
        return model
    twin = _twin(model)
    twin.set_weights(model.get_weights())
    return twin


def _twin(layer):
    if isinstance(layer, keras.Model):
        return keras.models.clone_model(layer, clone_function=_twin)
    kind = _WholeBatchNorm if type(layer) is keras.layers.BatchNormalization else type(layer)
    return kind.from_config(layer.get_config())


class _WholeBatchNorm(keras.layers.BatchNormalization):
    """Normalises by the mean and variance of all replicas' parts of a batch.

    Not Keras's `synchronized`: that subtracts squares, and averages the biased variance, where the kernel that runs on
    one replica averages the unbiased one.
    """

    def add_weight(self, *args, **kwargs):
        if "aggregation" in kwargs:  # the moving averages: alike everywhere, so that to save them asks no other worker
            kwargs["synchronization"] = tf.VariableSynchronization.AUTO
            kwargs["aggregation"] = tf.VariableAggregation.ONLY_FIRST_REPLICA
        return super().add_weight(*args, **kwargs)

    def call(self, inputs, training=None, mask=None):
        if not (training and self.trainable):
            return super().call(inputs, training=False)
        axes = [axis for axis in range(inputs.shape.rank) if axis not in self.axis]
        everywhere = functools.partial(tf.distribute.get_replica_context().all_reduce, tf.distribute.ReduceOp.MEAN)
        mean = everywhere(tf.reduce_mean(inputs, axes, keepdims=True))
        variance = everywhere(tf.reduce_mean(tf.square(inputs - mean), axes, keepdims=True))
        count = tf.cast(tf.size(inputs) / tf.size(mean) * tf.distribute.get_strategy().num_replicas_in_sync, tf.float32)
        unbiased = variance * count / (count - 1) if self.fused else variance
        for moving, new in ((self.moving_mean, mean), (self.moving_variance, unbiased)):
            moving.assign(self.momentum * moving + (1 - self.momentum) * tf.reshape(new, moving.shape))
        beta, gamma = (None if weight is None else tf.reshape(weight, mean.shape) for weight in (self.beta, self.gamma))
        return tf.nn.batch_normalization(inputs, mean, variance, beta, gamma, self.epsilon)
