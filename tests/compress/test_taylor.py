"""Saliency of channels and of weights, judged by slow loops over single clips; and channels that are masked by it."""

import functools

from zoo.backend import keras, tf

import numpy as np
import pytest

from zoo.assembly import join
from zoo.compress import surgery
from zoo.compress.saliency import WeightSaliency
from zoo.compress.taylor import TaylorPruning, channels_left, count_channels
from zoo.errors import ZooError
from zoo.frontends import LogMel
from zoo.models import acdnet

layers = keras.layers
FRONT_END = LogMel(1_040, num_mels=8, n_fft=256, window_samples=256, hop_samples=112)  # (8 frames, 8 mels, 1)
MAPS = {"conv1": "conv1_relu", "conv2": "conv2_relu", "hidden": "hidden"}
CLIPS, CLASSES = 10, 3


@pytest.fixture
def net():
    """Two convolutions, one with batch normalisation, dropout, a hidden layer; regularisers whose terms must not count.

    The statistics stay where they are (momentum 1): a fit at learning rate 0 leaves all as it was.
    """
    keras.utils.set_random_seed(1)
    inputs = keras.Input((8, 8, 1), name="input")
    x = layers.Conv2D(4, 3, use_bias=False, kernel_regularizer="l2", name="conv1")(inputs)
    x = layers.BatchNormalization(momentum=1.0, name="conv1_norm")(x)
    x = layers.ReLU(name="conv1_relu")(x)
    x = layers.Dropout(0.5, name="dropout1")(x)
    x = layers.Conv2D(5, 3, name="conv2")(x)
    x = layers.ReLU(name="conv2_relu")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(6, activation="tanh", activity_regularizer="l1", kernel_regularizer="l2", name="hidden")(x)
    x = layers.Dropout(0.5, name="dropout2")(x)
    model = keras.Model(inputs, layers.Dense(CLASSES, activation="softmax", name="dense")(x), name="net")
    random = np.random.default_rng(2)
    model.get_layer("conv1_norm").set_weights(
        [random.uniform(0.5, 1.5, 4), random.normal(0, 0.2, 4), random.normal(0, 0.3, 4), random.uniform(0.5, 2, 4)]
    )
    return model


@pytest.fixture
def clips():
    """(images, soft labels, sample weights)."""
    random = np.random.default_rng(3)
    images = random.normal(0, 1, (CLIPS, 8, 8, 1)).astype(np.float32)
    labels = random.dirichlet(np.ones(CLASSES), CLIPS).astype(np.float32)
    return images, labels, random.uniform(0.2, 2, CLIPS).astype(np.float32)


def chain(*widths, **options):
    """Convolutions of these widths, one after the other, and a dense layer: nothing random at training."""
    keras.utils.set_random_seed(4)
    inputs = x = keras.Input((8, 8, 1), name="input")
    for number, width in enumerate(widths, start=1):
        x = layers.Conv2D(width, 3, padding="same", activation="relu", name=f"conv{number}", **options)(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax", name="dense")(x), name="chain")


def frozen(model, loss="kl_divergence", **options):
    """Compiled so that training changes nothing."""
    model.compile(keras.optimizers.SGD(0.0), loss, **options)
    return model


def fit(model, clips, callback, epochs=1, **options):
    return model.fit(*clips[:2], batch_size=4, epochs=epochs, shuffle=False, verbose=0, callbacks=[callback], **options)


def run(layers_in_order, x):
    for layer in layers_in_order:
        x = layer(x, training=False)
    return x


def channel_saliency_by_hand(model, images, labels, weights, loss):
    """{layer: normalised scores}, one clip and one feature map at a time, the net cut in two at the map."""
    found = {}
    chain = model.layers[1:]
    for layer, end in MAPS.items():
        cut = [one.name for one in chain].index(end) + 1
        scores = []
        for image, label, weight in zip(images, labels, weights):
            activation = tf.constant(run(chain[:cut], image[None]))
            with tf.GradientTape() as tape:
                tape.watch(activation)
                value = weight * loss(label[None], run(chain[cut:], activation))[0]
            product = (activation * tape.gradient(value, activation)).numpy()
            scores.append(np.abs(product.reshape(-1, product.shape[-1]).mean(axis=0)))
        mean = np.mean(scores, axis=0)
        found[layer] = mean / np.sqrt((mean**2).sum())
    return found


def assert_equal(found, wanted):
    assert found.keys() == wanted.keys()
    for name, scores in wanted.items():
        assert np.ptp(scores) > 1e-3  # they say something
        # float32 sums in another order; scores lie between 0 and 1.
        np.testing.assert_allclose(found[name], scores, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("weighted", [False, True])
def test_saliency_equals_a_loop_over_single_clips(net, clips, weighted):
    images, labels, weights = clips
    weights = weights if weighted else np.ones(CLIPS, np.float32)
    wanted = channel_saliency_by_hand(net, images, labels, weights, keras.losses.kl_divergence)
    pruning = TaylorPruning(share=0.1, epochs_per_step=1)
    fit(frozen(net), clips, pruning, sample_weight=weights if weighted else None)  # batches of 4, 4 and 2
    assert_equal(pruning.saliency, wanted)


def test_saliency_is_the_same_in_a_join_with_a_kapre_front_end(net):
    random = np.random.default_rng(5)
    waveforms = random.normal(0, 0.1, (CLIPS, FRONT_END.num_samples)).astype(np.float32)
    labels = random.dirichlet(np.ones(CLASSES), CLIPS).astype(np.float32)
    front_end = FRONT_END.build()
    images = front_end.predict(waveforms, verbose=0)
    for layer in ("conv1", "conv2"):  # levels of 30 dB would saturate the hidden layer
        net.get_layer(layer).kernel.assign(net.get_layer(layer).kernel / 5)
    wanted = channel_saliency_by_hand(net, images, labels, np.ones(CLIPS), keras.losses.kl_divergence)

    pruning = TaylorPruning(share=0.1, epochs_per_step=1, backbone=net)
    dataset = tf.data.Dataset.from_tensor_slices((waveforms, labels)).batch(4)
    frozen(join(front_end, net)).fit(dataset, verbose=0, callbacks=[pruning])
    assert_equal(pruning.saliency, wanted)


def mean_of_a_batch(labels, scores):
    return tf.reduce_mean(keras.losses.kl_divergence(labels, scores))


@pytest.mark.parametrize("loss", [mean_of_a_batch, keras.losses.KLDivergence(reduction="sum")], ids=["scalar", "sum"])
def test_saliency_does_not_hang_on_how_a_loss_is_reduced(net, clips, loss):
    images, labels, _ = clips
    wanted = channel_saliency_by_hand(net, images, labels, np.ones(CLIPS), keras.losses.kl_divergence)
    pruning = TaylorPruning(share=0.1, epochs_per_step=1)
    fit(frozen(net, loss), clips, pruning)
    assert_equal(pruning.saliency, wanted)


@pytest.mark.parametrize("options", [{"run_eagerly": True}, {"jit_compile": True}, {"steps_per_execution": 3}], ids=str)
def test_saliency_does_not_hang_on_how_a_step_is_run(net, clips, options):
    wanted = channel_saliency_by_hand(net, *clips[:2], np.ones(CLIPS), keras.losses.kl_divergence)
    pruning = TaylorPruning(share=0.1, epochs_per_step=1)
    fit(frozen(net, **options), clips, pruning)
    assert_equal(pruning.saliency, wanted)


def test_frozen_layers_are_scored_too(net, clips):
    wanted = channel_saliency_by_hand(net, *clips[:2], np.ones(CLIPS), keras.losses.kl_divergence)
    for name in ("conv1", "conv1_norm", "conv2"):
        net.get_layer(name).trainable = False
    pruning = TaylorPruning(share=0.1, epochs_per_step=1)
    fit(frozen(net), clips, pruning)
    assert_equal(pruning.saliency, wanted)


def test_saliency_of_two_channels_is_the_one_computed_by_hand():
    inputs = keras.Input((2, 1), name="input")
    x = layers.Conv1D(2, 1, use_bias=False, activation="relu", name="conv")(inputs)
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    model = keras.Model(inputs, layers.Dense(1, use_bias=False, name="dense")(x))
    model.set_weights([np.array([[[1.0, 2.0]]]), np.array([[3.0], [-1.0]])])
    # Clip (1, 3): maps (1, 3) and (2, 6), means 2 and 4, output 3 * 2 - 4 = 2. The slope of its squared error is 4, so
    # 4 * 3 / 2 = 6 at each place of the first map and -2 of the second: mean of (6, 18) is 12, of (-4, -12) is -8.
    # Clip (2, -1): maps (2, 0) and (4, 0), output 1, slope 2, so 3 and -1: mean of (6, 0) is 3, of (-4, 0) is -2.
    pruning = TaylorPruning(share=0.5, epochs_per_step=1)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    model.fit(np.array([[[1.0], [3.0]], [[2.0], [-1.0]]]), np.zeros((2, 1)), verbose=0, callbacks=[pruning])
    # (12 + 3) / 2 and (8 + 2) / 2, over the norm of both; float32's rounding.
    np.testing.assert_allclose(pruning.saliency["conv"], np.array([7.5, 5]) / np.hypot(7.5, 5), rtol=1e-6)
    np.testing.assert_array_equal(model.get_layer("conv").kernel.numpy().ravel(), [1, 0])


def group_of(model, layer, channel):
    return int(surgery.channels_of(model).groups[layer][channel])


@pytest.mark.parametrize("by, survivors", [("taylor", {0, 1, 3}), ("magnitude", {2})])
def test_a_loud_channel_that_nobody_hears_goes_first_by_taylor_and_last_by_magnitude(clips, by, survivors):
    model = chain(4, 3)
    loud, deaf = model.get_layer("conv1"), model.get_layer("conv2")
    loud.kernel.assign(loud.kernel * np.array([1, 1, 10, 1]))
    deaf.kernel.assign(deaf.kernel * np.array([1, 1, 0, 1])[:, None])
    pruning = TaylorPruning((4 - len(survivors)) / 7, epochs_per_step=1, by=by, keep=("conv2",))
    fit(frozen(model), clips, pruning, epochs=pruning.epochs(model))
    groups = {group_of(model, "conv1", channel) for channel in range(4)}
    assert groups - set(pruning.masked) == {group_of(model, "conv1", channel) for channel in survivors}


def test_magnitude_is_the_l1_norm_over_its_layers_l2_norm(clips):
    model = chain(4, 3)
    norms = np.abs(model.get_layer("conv1").kernel.numpy()).sum(axis=(0, 1, 2))
    pruning = TaylorPruning(0.2, epochs_per_step=1, by="magnitude")
    fit(frozen(model), clips, pruning)
    # float32's rounding
    np.testing.assert_allclose(pruning.saliency["conv1"], norms / np.sqrt((norms**2).sum()), rtol=1e-6)


@pytest.mark.parametrize("by", ["taylor", "magnitude"])
def test_masked_weights_stay_zero_to_the_end_while_others_train(net, clips, by):
    before = net.get_weights()
    # Momentum, decay and the averages that this optimiser assigns at the end would all move a zero.
    net.compile(keras.optimizers.AdamW(0.01, weight_decay=0.1, use_ema=True), "kl_divergence")
    pruning = TaylorPruning(0.4, channels_per_step=2, epochs_per_step=1, by=by)
    zeros_by_batch = []

    def compare(batch, logs):
        masks = surgery.weight_masks(net, pruning.masked)
        zeros_by_batch.append(all((w[m == 0] == 0).all() for w, m in zip(net.get_weights(), masks)))

    watcher = keras.callbacks.LambdaCallback(on_train_batch_end=compare)
    net.fit(*clips[:2], batch_size=4, epochs=6, verbose=0, callbacks=[pruning, watcher])
    assert count_channels(net) - len(pruning.masked) == channels_left(15, 0.4) == 9
    assert len(zeros_by_batch) == 18 and all(zeros_by_batch)
    for was, weight, mask in zip(before, net.weights, surgery.weight_masks(net, pruning.masked)):
        assert (weight.numpy()[mask == 0] == 0).all(), weight.name
        if weight.trainable:
            assert (weight.numpy() != was)[mask == 1].any(), weight.name


def test_a_step_comes_after_so_many_epochs_and_takes_so_many_channels(clips):
    model = chain(4, 6)
    pruning = TaylorPruning(0.45, channels_per_step=2, epochs_per_step=2)
    assert pruning.epochs(model) == 4  # ceil(5.5) are left: two steps of two
    found = []
    counter = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: found.append(len(pruning.masked)))
    frozen(model).fit(*clips[:2], epochs=7, verbose=0, callbacks=[pruning, counter])
    assert found == [0, 2, 2, 4, 4, 4, 4]


def test_scores_are_those_of_the_steps_last_epoch_alone(clips):
    model = chain(4, 6)
    found = []
    pruning = TaylorPruning(0.3, epochs_per_step=2)
    reader = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: found.append(pruning.saliency["conv1"]))
    frozen(model).fit(*clips[:2], epochs=3, verbose=0, callbacks=[pruning, reader])
    assert not found[0].any() and found[1].all()
    np.testing.assert_array_equal(found[2], found[1])


def test_no_layer_loses_its_last_channel_and_kept_layers_lose_none(clips):
    model = chain(2, 8, 4)
    model.get_layer("conv1").kernel.assign(0 * model.get_layer("conv1").kernel)  # worth nothing at all
    pruning = TaylorPruning(0.6, channels_per_step=3, epochs_per_step=1, keep=("conv3",))
    fit(frozen(model), clips, pruning, epochs=pruning.epochs(model))
    left = {
        name: len(set(groups.tolist()) - set(pruning.masked))
        for name, groups in surgery.channels_of(model).groups.items()
        if name != "dense"
    }
    assert left["conv1"] == 1 and left["conv3"] == 4 and sum(left.values()) == 6  # ceil(0.4 * 14)


def test_channels_that_cannot_be_removed_are_counted_and_stay(clips):
    inputs = keras.Input((8, 8, 1), name="input")
    x = layers.Conv2D(4, 3, name="conv1")(inputs)
    x = layers.Conv2D(4, 3, groups=2, name="grouped")(x)  # surgery refuses it, and conv1, which feeds it
    x = layers.GlobalAveragePooling2D(name="pool")(layers.Conv2D(6, 3, activation="relu", name="conv3")(x))
    model = keras.Model(inputs, layers.Dense(CLASSES, activation="softmax", name="dense")(x), name="net")
    assert count_channels(model) == 14
    pruning = TaylorPruning(0.3, channels_per_step=4, epochs_per_step=1, keep=("grouped", "dense"))
    fit(frozen(model), clips, pruning)
    assert len(pruning.masked) == 4 and set(pruning.masked) <= set(surgery.channels_of(model).groups["conv3"])
    with pytest.raises(ZooError, match="net: 7 of 14 channels cannot be reached, 9 must stay"):
        TaylorPruning(0.5).epochs(model)


@pytest.fixture
def residual():
    keras.utils.set_random_seed(6)
    inputs = keras.Input((8, 8, 1), name="input")
    stem = layers.Conv2D(6, 3, padding="same", activation="relu", name="stem")(inputs)
    x = layers.Conv2D(3, 3, padding="same", activation="relu", name="inner")(stem)
    x = layers.Conv2D(6, 3, padding="same", name="outer")(x)
    x = layers.ReLU(name="relu")(layers.Add(name="add")([stem, x]))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax", name="dense")(x), name="residual")


def test_tied_channels_go_together_and_never_below_the_target(residual, clips):
    pruning = TaylorPruning(0.6, channels_per_step=1, epochs_per_step=1, keep=("inner",))
    assert pruning.epochs(residual) == 9  # ceil(0.4 * 15) = 6 are the target, 9 to remove
    fit(frozen(residual), clips, pruning, epochs=9)
    stem, outer = (surgery.channels_of(residual).groups[name] for name in ("stem", "outer"))
    np.testing.assert_array_equal(stem, outer)
    assert len(pruning.masked) == 4 and set(pruning.masked) <= set(stem)  # 7 are left: one pair less would be 5
    for name in ("stem", "outer"):
        norms = np.abs(residual.get_layer(name).kernel.numpy()).sum(axis=(0, 1, 2))
        np.testing.assert_array_equal(norms == 0, np.isin(stem, pruning.masked))


def test_a_groups_score_is_the_mean_over_its_channels(residual, clips):
    pruning = TaylorPruning(0.2, channels_per_step=2, epochs_per_step=1, by="magnitude", keep=("inner",))
    norms = {}
    residual.get_layer("stem").kernel.assign(residual.get_layer("stem").kernel * [0.1, 1, 1, 1, 1, 1])
    residual.get_layer("outer").kernel.assign(residual.get_layer("outer").kernel * [9, 1, 1, 1, 1, 1])
    for name in ("stem", "outer"):
        norm = np.abs(residual.get_layer(name).kernel.numpy()).sum(axis=(0, 1, 2))
        norms[name] = norm / np.linalg.norm(norm)
    lowest = np.argmin(norms["stem"] + norms["outer"])
    assert lowest != np.argmin(norms["stem"])
    fit(frozen(residual), clips, pruning)
    assert pruning.masked == [group_of(residual, "stem", lowest)]


@pytest.mark.parametrize("by", ["taylor", "magnitude"])
def test_a_resumed_fit_ends_as_the_straight_one(clips, tmp_path, by):
    def start():
        model = chain(4, 6)
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "kl_divergence")
        model.optimizer.build(model.trainable_variables)
        pruning = TaylorPruning(0.5, channels_per_step=2, epochs_per_step=2, by=by)
        pruning.set_model(model)
        return model, pruning, tf.train.Checkpoint(model=model, optimizer=model.optimizer, pruning=pruning.state)

    straight, wanted, _ = start()
    fit(straight, clips, wanted, epochs=6)
    killed, pruning, checkpoint = start()
    fit(killed, clips, pruning, epochs=3)
    path = checkpoint.save(tmp_path / "checkpoint")

    resumed, pruning, checkpoint = start()
    checkpoint.restore(path).assert_consumed()
    fit(resumed, clips, pruning, epochs=6, initial_epoch=3)
    assert pruning.masked == wanted.masked and len(wanted.masked) == 5
    for found, weight in zip(resumed.get_weights(), straight.get_weights()):
        np.testing.assert_array_equal(found, weight)
    for name, scores in wanted.saliency.items():
        np.testing.assert_array_equal(pruning.saliency[name], scores)


def test_afterwards_the_model_is_as_if_nobody_had_looked(clips):
    model = chain(4, 6)
    model.compile("sgd", "kl_divergence")
    fit(model, clips, TaylorPruning(0.2, epochs_per_step=1), epochs=2)
    assert "train_step" not in vars(model)
    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    twin.compile("sgd", "kl_divergence")
    histories = [m.fit(*clips[:2], shuffle=False, epochs=2, verbose=0).history for m in (model, twin)]
    assert histories[0] == histories[1]
    for found, weight in zip(model.get_weights(), twin.get_weights()):
        np.testing.assert_array_equal(found, weight)


def test_the_reported_loss_is_that_of_training_alone(clips):
    losses = []
    for callbacks in ([], [TaylorPruning(0.2, epochs_per_step=1)], [WeightSaliency(1)]):
        model = frozen(chain(4, 6))
        losses.append(model.fit(*clips[:2], shuffle=False, verbose=0, callbacks=callbacks).history)
    assert losses[0] == losses[1] == losses[2]


def test_two_callbacks_share_one_fit(net, clips):
    wanted = channel_saliency_by_hand(net, *clips[:2], np.ones(CLIPS), keras.losses.kl_divergence)
    channels, weights = TaylorPruning(0.1, epochs_per_step=1), WeightSaliency(1)
    frozen(net).fit(*clips[:2], batch_size=4, verbose=0, callbacks=[channels, weights])
    assert_equal(channels.saliency, wanted)
    assert weights.saliency["conv1"].any() and "train_step" not in vars(net)


def weight_saliency_by_hand(model, images, labels, weights, order):
    """{layer: kernel's shape}, from one clip's gradient at a time."""
    kernels = {name: model.get_layer(name).kernel for name in ("conv1", "conv2", "hidden", "dense")}
    gradients = {name: [] for name in kernels}
    for image, label, weight in zip(images, labels, weights):
        with tf.GradientTape() as tape:
            loss = weight * keras.losses.kl_divergence(label[None], run(model.layers[1:], image[None]))[0]
        for name, gradient in zip(kernels, tape.gradient(loss, list(kernels.values()))):
            gradients[name].append(gradient.numpy())
    found = {}
    for name, kernel in kernels.items():
        w, g = kernel.numpy(), np.array(gradients[name])
        if order == 1:
            found[name] = np.abs(w * g.mean(axis=0))
        else:
            found[name] = np.abs(-w * g.mean(axis=0) + 0.5 * w**2 * (g**2).mean(axis=0))
    return found


@pytest.mark.parametrize("order, weighted", [(1, False), (2, True)])
def test_weight_saliency_equals_a_loop_over_single_clips(net, clips, order, weighted):
    images, labels, weights = clips
    weights = weights if weighted else np.ones(CLIPS, np.float32)
    wanted = weight_saliency_by_hand(net, images, labels, weights, order)
    saliency = WeightSaliency(order)
    fit(frozen(net), clips, saliency, sample_weight=weights if weighted else None, epochs=2)  # the last epoch's alone
    assert saliency.saliency.keys() == wanted.keys()
    for name, scores in wanted.items():
        assert np.ptp(scores) > 1e-4
        # float32 sums in another order; the largest scores are near 0.1.
        np.testing.assert_allclose(saliency.saliency[name], scores, atol=1e-6, err_msg=name)


def test_weight_saliency_of_a_nested_backbone_survives_its_checkpoint(net, clips, tmp_path):
    wanted = weight_saliency_by_hand(net, *clips[:2], np.ones(CLIPS), 1)
    front = keras.Model(x := keras.Input((64,)), layers.Reshape((8, 8, 1))(x))
    model = frozen(join(front, net))
    first = WeightSaliency(1, backbone=net)
    model.fit(clips[0].reshape(CLIPS, 64), clips[1], batch_size=4, verbose=0, callbacks=[first])
    path = tf.train.Checkpoint(saliency=first.state).save(tmp_path / "checkpoint")
    second = WeightSaliency(1, backbone=net)
    second.set_model(model)
    tf.train.Checkpoint(saliency=second.state).restore(path).assert_consumed()
    for name, scores in wanted.items():
        np.testing.assert_allclose(second.saliency[name], scores, atol=1e-6)  # as above


def test_kernels_of_depthwise_and_separable_layers_are_scored(clips):
    inputs = keras.Input((8, 8, 1))
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="deep")(inputs)
    x = layers.Flatten(name="flatten")(layers.SeparableConv2D(4, 3, name="separable")(x))
    model = keras.Model(inputs, layers.Dense(CLASSES, activation="softmax", name="dense")(x))
    saliency = WeightSaliency(2)
    fit(frozen(model), clips, saliency)
    shapes = {name: scores.shape for name, scores in saliency.saliency.items()}
    assert shapes == {"deep": (3, 3, 1, 2), "separable": (1, 1, 2, 4), "dense": (64, 3)}
    assert all(scores.any() for scores in saliency.saliency.values())


def test_shares_are_ceilings_and_acdnet_has_2074_channels():
    model = acdnet.build((30_225, 1, 1), 50, 20_000)
    assert count_channels(model) == 2_074
    assert channels_left(2_074, 0.8) == 415 and channels_left(2_074, 0.85) == 312
    assert channels_left(10, 0.3) == 7 and channels_left(10, 0.7) == 3  # as floats 7.0 and 3.0000000000000004
    assert TaylorPruning(0.8).epochs(model) == 2 * (2_074 - 415)


@pytest.mark.parametrize("callback", [functools.partial(TaylorPruning, 0.2, epochs_per_step=1), WeightSaliency])
def test_a_clip_that_is_no_number_is_one_clear_error(net, clips, callback):
    clips[0][5, 0, 0, 0] = np.nan
    net.compile("sgd", "kl_divergence")
    with pytest.raises(ZooError, match=r"epoch 1: the (saliency|weight) of conv1\S* is not finite; .*look at the data"):
        fit(net, clips, callback())
    assert "train_step" not in vars(net)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"share": 0}, "share=0: .*between 0 and 1"),
        ({"share": 1}, "share=1: .*between 0 and 1"),
        ({"share": float("nan")}, "share=nan: .*between 0 and 1"),
        ({"share": 0.5, "channels_per_step": 0}, "0 channels every 2 epochs"),
        ({"share": 0.5, "by": "luck"}, "no ranking by 'luck'; choose taylor or magnitude"),
    ],
)
def test_values_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ZooError, match=message):
        TaylorPruning(**options)


def test_an_order_that_there_is_not_is_refused():
    with pytest.raises(ZooError, match="no Taylor saliency of order 3; choose 1 or 2"):
        WeightSaliency(3)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"share": 0.5, "keep": ("conv7",)}, "chain has no layer 'conv7' with channels; it has conv1, conv2"),
        ({"share": 0.5, "keep": ("conv2",)}, "5 of 10 channels cannot be reached, 7 must stay"),
        ({"share": 0.05}, "that share of 10 channels is less than one"),
        ({"share": 0.9}, "1 of 10 channels cannot be reached, 2 must stay"),
    ],
)
def test_what_cannot_be_reached_is_told_before_training(clips, options, message):
    model = frozen(chain(4, 6))
    with pytest.raises(ZooError, match=message):
        TaylorPruning(**options).epochs(model)
    with pytest.raises(ZooError, match=message):
        fit(model, clips, TaylorPruning(**options))
    assert model.optimizer.iterations == 0


def test_a_model_whose_backbone_cannot_be_told_is_refused(net, clips):
    inputs = keras.Input((64,))
    whole = keras.Model(inputs, net(layers.Reshape((8, 8, 1))(inputs)), name="whole")
    data = clips[0].reshape(CLIPS, 64), clips[1]
    with pytest.raises(ZooError, match="whole: net is a model inside the model; give the backbone itself"):
        frozen(whole).fit(*data, verbose=0, callbacks=[TaylorPruning(0.2)])
    with pytest.raises(ZooError, match="whole: its scores are not those of chain"):
        frozen(whole).fit(*data, verbose=0, callbacks=[TaylorPruning(0.2, backbone=chain(4, 6))])


def test_a_model_without_a_loss_is_refused(net, clips):
    net.compile("sgd")
    with pytest.raises(ZooError, match="net: saliency is of one output's compiled loss; it has 1 outputs and no loss"):
        fit(net, clips, TaylorPruning(0.2))


def test_a_fit_that_was_broken_off_leaves_nothing_to_the_next(net, clips):
    def stop(*_):
        raise KeyboardInterrupt

    wanted = channel_saliency_by_hand(net, *clips[:2], np.ones(CLIPS), keras.losses.kl_divergence)
    with pytest.raises(KeyboardInterrupt):
        stopper = keras.callbacks.LambdaCallback(on_train_batch_end=stop)
        frozen(net).fit(*clips[:2], verbose=0, callbacks=[TaylorPruning(0.2, epochs_per_step=1), stopper])
    pruning = TaylorPruning(0.2, epochs_per_step=1)
    fit(net, clips, pruning)
    assert_equal(pruning.saliency, wanted)
    assert "train_step" not in vars(net)
