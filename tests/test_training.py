"""Training: the paper's plan, an optimiser like PyTorch's, and runs that end the same however often they were stopped.

Runs that are killed are processes of their own. Starting TensorFlow takes seconds, so one server imports it once and
forks for each run: `python tests/test_training.py` is that server.
"""

import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

from zoo.backend import keras, tf

import numpy as np
import pytest

from zoo import corpus, pipeline
from zoo.errors import ZooError
from zoo.training import CoupledSGD, Plan, fit, keep, settle_norms, trained_by

ROOT = Path(__file__).parents[1]
EPOCHS, STEPS, SEED = 14, 2, 5
WEIGHTS_FLOOR_BYTES = 2**20  # so that writing a checkpoint takes long enough to be caught in the act


# Plan


def test_the_plan_of_the_paper_is_followed_over_2000_epochs():
    # Section 3.2.2: 0.1, warmed up at 0.01 for ten epochs, divided by ten after 600, 1,200 and 1,800.
    rates = [0.01] * 10 + [0.1] * 590 + [0.01] * 600 + [0.001] * 600 + [0.0001] * 200
    # 1e-12: quotients of powers of ten are exact to float64's last bits.
    np.testing.assert_allclose([Plan().learning_rate_at(epoch) for epoch in range(2_000)], rates, rtol=1e-12)


@pytest.mark.parametrize(
    "epochs, rates",
    [
        (1, [0.01]),
        (10, [0.01] * 3 + [0.01] * 3 + [0.001] * 3 + [0.0001]),  # the warm-up ends where the first drop comes
        (100, [0.01] * 10 + [0.1] * 20 + [0.01] * 30 + [0.001] * 30 + [0.0001] * 10),
    ],
)
def test_a_short_plan_never_learns_faster_than_the_paper_at_the_same_share(epochs, rates):
    plan = Plan().with_epochs(epochs)
    np.testing.assert_allclose([plan.learning_rate_at(epoch) for epoch in range(epochs)], rates, rtol=1e-12)


def test_a_cosine_is_keras_own_after_the_warm_up():
    plan = Plan(epochs=50, schedule="cosine", learning_rate=0.02, warmup_epochs=5)
    cosine = keras.optimizers.schedules.CosineDecay(0.02, decay_steps=45)
    rates = [0.002] * 5 + [float(cosine(step)) for step in range(45)]
    np.testing.assert_allclose([plan.learning_rate_at(epoch) for epoch in range(50)], rates, atol=1e-8)  # float32


def test_adam_decays_apart_from_the_gradient():
    plan = Plan(optimizer="adam", learning_rate=0.1, weight_decay=0.5)
    weight = tf.Variable([2.0])
    optimizer = plan.build_optimizer()
    optimizer.apply_gradients([(tf.zeros(1), weight)])
    np.testing.assert_allclose(weight, 2.0 * (1 - 0.1 * 0.5))  # a gradient of 0 moves nothing else


def test_a_schedule_or_an_optimiser_that_is_none_is_refused():
    for wrong in ({"schedule": "linear"}, {"optimizer": "lion"}):
        with pytest.raises(ValueError, match="schedule is steps or cosine, optimizer is sgd or adam"):
            Plan(**wrong)


def test_another_number_of_epochs_changes_nothing_else():
    plan = Plan(batch_size=32, momentum=0.8)
    assert plan.with_epochs(7) == Plan(epochs=7, batch_size=32, momentum=0.8)
    assert plan.epochs == 2_000


@pytest.mark.parametrize("epochs", [0, -3])
def test_no_epochs_are_refused(epochs):
    with pytest.raises(ZooError, match=f"{epochs} epochs"):
        Plan().with_epochs(epochs)


# Optimiser


def pytorch_sgd(start, gradients, learning_rate, momentum, weight_decay):
    """torch.optim.SGD(nesterov=True) as its documentation has it, one number at a time."""
    w, buffer = [float(x) for x in start], None
    for gradient in gradients:
        decayed = [float(g) + weight_decay * x for g, x in zip(gradient, w, strict=True)]
        if buffer is None:
            buffer = decayed
        else:
            buffer = [momentum * b + d for b, d in zip(buffer, decayed, strict=True)]
        w = [x - learning_rate * (d + momentum * b) for x, d, b in zip(w, decayed, buffer, strict=True)]
    return np.array(w)


@pytest.mark.parametrize("weight_decay", [0.0, 5e-4, 0.1])
def test_the_optimiser_takes_pytorchs_steps(weight_decay):
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(0, 1, 20), rng.normal(0, 1, (30, 20))
    variable = tf.Variable(start, dtype=tf.float64)
    optimizer = CoupledSGD(learning_rate=0.1, momentum=0.9, coupled_decay=weight_decay)
    optimizer.build([variable])
    for gradient in gradients:
        optimizer.apply_gradients([(tf.constant(gradient), variable)])
    expected = pytorch_sgd(start, gradients, 0.1, 0.9, weight_decay)
    # The numbers are float64, but Keras keeps the learning rate and the momentum as float32 constants: 6e-8 relative,
    # over 30 steps whose momentum sums ten of them. Decoupled decay (Keras's own) is off by 1e-3 already at 5e-4.
    np.testing.assert_allclose(variable.numpy(), expected, atol=3e-5)


def test_the_optimiser_is_rebuilt_from_its_config():
    optimizer = CoupledSGD(learning_rate=0.05, momentum=0.8, coupled_decay=1e-3)
    again = CoupledSGD.from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
    assert (again.nesterov, again.momentum, again.coupled_decay) == (True, 0.8, 1e-3)


# Runs in processes of their own


def net():
    """Dropout and batch norm, whose state a resumed run needs, and weights that take a while to write."""
    layers = keras.layers
    keras.utils.set_random_seed(SEED)
    waveform = keras.Input((2048,))
    x = layers.Conv1D(8, 32, strides=16, use_bias=False)(layers.Reshape((2048, 1))(waveform))
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Dropout(0.3)(layers.Flatten()(x))
    x = layers.Dropout(0.2)(layers.Dense(WEIGHTS_FLOOR_BYTES // 4 // 1008, activation="relu")(x))
    return keras.Model(waveform, layers.Dense(3, activation="softmax")(x))


def noises():
    """Twelve `Clips` of noise in three classes that differ in level and length."""
    rng = np.random.default_rng(1)
    lengths = rng.integers(1_500, 6_000, 12)
    targets = np.repeat([0, 1, 2], 4)
    samples = [rng.normal(0, 500 * 4**target, length) for target, length in zip(targets, lengths, strict=True)]
    names = np.array([f"{i}.wav" for i in range(12)])
    return corpus.Clips(
        samples=np.concatenate(samples).astype(np.int16),
        starts=np.cumsum(lengths) - lengths,
        ends=np.cumsum(lengths),
        targets=targets,
        folds=np.ones(12, int),
        files=names,
        sources=names,
        sample_rate_hz=8_000,
    )


def train(folder, result, broken=None, most_file_bytes=None):
    """Fits the net in `folder`; weights go to result.npz and history to result.json, or the ZooError's text alone.

    broken: "waveforms" or "labels", which are no numbers from the fifth epoch on.
    """
    if most_file_bytes:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write itself fails then, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_file_bytes, resource.RLIM_INFINITY))
    clips, model = noises(), net()
    plan = Plan(epochs=EPOCHS, batch_size=6, learning_rate=0.02, warmup_epochs=2)

    def batches(first, last):
        data = pipeline.mixed_crops(clips, 2048, 3, pipeline.Waveforms(), SEED, plan.batch_size, first, last)
        if broken is None:
            return data

        def spoil(step, batch):
            spoilt = [name == broken and step >= 4 * STEPS for name in ("waveforms", "labels")]
            return tuple(tf.where(bad, np.nan, part) for bad, part in zip(spoilt, batch, strict=True))

        return data.enumerate(first * STEPS).map(spoil)

    try:
        history = fit(model, plan, batches, pipeline.steps_per_epoch(clips, plan.batch_size), folder, SEED)
    except ZooError as error:
        Path(result).with_suffix(".json").write_text(json.dumps({"error": str(error)}))
        return
    np.savez(Path(result).with_suffix(".npz"), *model.get_weights())
    Path(result).with_suffix(".json").write_text(json.dumps({"history": history}))


def serve():
    """Forks for each line of JSON on standard input (arguments of `train`), and writes the child's id."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                train(**json.loads(line))
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(0)
        print(child, flush=True)


class Run:
    """A training that goes on in a process of its own."""

    def __init__(self, server, folder, result, **kwargs):
        self.folder, self.result = folder, Path(result)
        self.result.with_suffix(".json").unlink(missing_ok=True)
        server.stdin.write(json.dumps({"folder": str(folder), "result": str(result), **kwargs}) + "\n")
        server.stdin.flush()
        self.id = int(server.stdout.readline())

    def is_alive(self):
        return Path(f"/proc/{self.id}").exists()

    def kill_when(self, condition):
        """Whether it was killed at the moment at which condition() held, before it came to its end."""
        deadline = time.monotonic() + 60
        while not condition() and self.is_alive():
            assert time.monotonic() < deadline
        was_alive = self.is_alive()
        if was_alive:
            os.kill(self.id, signal.SIGKILL)
        self.wait()
        return was_alive

    def wait(self):
        deadline = time.monotonic() + 120
        while self.is_alive():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def outcome(self):
        """What `train` wrote, once it has ended."""
        self.wait()
        outcome = json.loads(self.result.with_suffix(".json").read_text())
        if "history" in outcome:
            with np.load(self.result.with_suffix(".npz")) as weights:
                outcome["weights"] = [weights[name] for name in weights.files]
        return outcome


def checkpoint_names(folder):
    try:
        return os.listdir(folder / "checkpoints")
    except FileNotFoundError:
        return []


def finished_epochs(folder):
    """What the latest checkpoint that TensorFlow has named holds; 0 where there is none."""
    try:
        state = (folder / "checkpoints" / "checkpoint").read_text()
    except FileNotFoundError:
        return 0
    return int(re.search(r'^model_checkpoint_path: "ckpt-(\d+)"', state, re.MULTILINE).group(1))


def is_writing(folder):
    """Whether files lie there that a finished checkpoint does not have."""
    return any("temp" in name or ".tmp" in name for name in checkpoint_names(folder))


@pytest.fixture(scope="module")
def server():
    server = subprocess.Popen(
        [sys.executable, __file__],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield server
    server.stdin.close()
    server.wait(timeout=60)


@pytest.fixture(scope="module")
def uninterrupted(server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    return Run(server, folder / "run", folder / "result").outcome()


def assert_same(outcome, expected):
    assert outcome["history"] == expected["history"]
    for found, wanted in zip(outcome["weights"], expected["weights"], strict=True):
        assert found.tobytes() == wanted.tobytes()


def test_a_run_has_a_row_of_history_for_each_epoch(uninterrupted):
    history = uninterrupted["history"]
    assert [row["epoch"] for row in history] == list(range(1, EPOCHS + 1))
    plan = Plan(epochs=EPOCHS, learning_rate=0.02, warmup_epochs=2)
    rates = [plan.learning_rate_at(epoch) for epoch in range(EPOCHS)]
    np.testing.assert_allclose([row["learning_rate"] for row in history], rates, rtol=1e-6)  # kept as float32
    assert history[-1]["loss"] < history[0]["loss"]


def test_a_run_killed_at_any_moment_ends_with_the_bytes_of_one_that_was_not(server, uninterrupted, tmp_path):
    folder, result = tmp_path / "run", tmp_path / "result"
    rng = random.Random(2026)
    for epochs in (1, 3, 5):  # somewhere in the epoch after, or in its checkpoint
        run, pause_s = Run(server, folder, result), rng.uniform(0, 0.05)
        assert run.kill_when(lambda n=epochs: finished_epochs(folder) >= n)
        time.sleep(pause_s)
    caught_in_the_act = False
    for _ in range(3):  # the write may end between the look and the kill
        run, done = Run(server, folder, result), finished_epochs(folder)
        if is_writing(folder):  # left by the kill before: wait until the next checkpoint has cleared it away
            run_is_past = lambda done=done: finished_epochs(folder) > done and is_writing(folder)  # noqa: E731
        else:
            run_is_past = lambda: is_writing(folder)  # noqa: E731
        assert run.kill_when(run_is_past), "it ended before it was killed: more epochs are wanted"
        caught_in_the_act = is_writing(folder)
        if caught_in_the_act:
            break
    assert caught_in_the_act and finished_epochs(folder) < EPOCHS
    assert_same(Run(server, folder, result).outcome(), uninterrupted)


def test_a_finished_run_is_not_run_again(server, uninterrupted, tmp_path):
    first = Run(server, tmp_path / "run", tmp_path / "result").outcome()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "checkpoints").iterdir()}
    again = Run(server, tmp_path / "run", tmp_path / "result").outcome()
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "checkpoints").iterdir()} == before
    assert_same(first, uninterrupted)
    assert_same(again, uninterrupted)


# Waveforms: a ReLU makes 0 of NaN on a CPU, so that the loss of a net may be a number when its weights no longer are.
@pytest.mark.parametrize("broken", ["labels", "waveforms"])
def test_training_that_breaks_stops_and_keeps_the_last_good_checkpoint(server, uninterrupted, tmp_path, broken):
    folder, result = tmp_path / "run", tmp_path / "result"
    outcome = Run(server, folder, result, broken=broken).outcome()
    assert "epoch 5" in outcome.get("error", "it went on") and "\n" not in outcome["error"]
    assert finished_epochs(folder) == 4
    assert_same(Run(server, folder, result).outcome(), uninterrupted)  # with sound data the run goes on


def test_a_disk_that_is_full_stops_the_run_in_one_line_and_a_later_run_goes_on(server, uninterrupted, tmp_path):
    folder, result = tmp_path / "run", tmp_path / "result"
    # Less than a checkpoint takes, more than TensorBoard's log does.
    error = Run(server, folder, result, most_file_bytes=WEIGHTS_FLOOR_BYTES // 2).outcome()["error"]
    assert str(folder) in error and "goes on from there" in error and "\n" not in error
    assert finished_epochs(folder) == 0

    run = Run(server, folder, result)
    assert run.kill_when(lambda: finished_epochs(folder) >= 3)
    kept = finished_epochs(folder)
    assert "goes on" in Run(server, folder, result, most_file_bytes=WEIGHTS_FLOOR_BYTES // 2).outcome()["error"]
    assert finished_epochs(folder) == kept  # the checkpoint before is not lost
    assert_same(Run(server, folder, result).outcome(), uninterrupted)


# What a compression step brings along


class EpochCounter(keras.callbacks.Callback):
    """Counts the epochs of all processes together, and adds one to a bias at the end of each."""

    def __init__(self):
        super().__init__()
        self.state = tf.train.Checkpoint(count=tf.Variable(0))

    def on_epoch_end(self, epoch, logs=None):
        self.state.count.assign_add(1)
        self.model.layers[-1].bias.assign_add([1.0, 1.0])


def small_fit(folder, epochs, callbacks=(), objective=None):
    """(model, history) of a fit without a learning rate: what changes, a callback has changed."""
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax", bias_initializer="zeros")(inputs))
    data = tf.data.Dataset.from_tensors((tf.ones((3, 4)), tf.constant([[1.0, 0.0]] * 3))).repeat()
    plan = Plan(epochs=epochs, learning_rate=0.0, weight_decay=0.0)
    return model, fit(model, plan, lambda first, last: data, 1, folder, SEED, callbacks, objective)


def test_a_callbacks_state_is_kept_with_the_weights_that_it_changed(tmp_path):
    small_fit(tmp_path, 2, [EpochCounter()])
    for epochs in (2, 3):  # all done: nothing is trained, and yet the state is there; then one more
        counter = EpochCounter()
        model, history = small_fit(tmp_path, epochs, [counter])
        assert counter.state.count.numpy() == len(history) == epochs
        np.testing.assert_array_equal(model.layers[-1].bias, [epochs, epochs])


def test_a_model_that_was_kept_is_a_training_that_is_done(tmp_path):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax", bias_initializer="ones")(inputs))
    keep(model, tmp_path, [[0.5, 0.75, 0.1], [0.25, 1.0, 0.01]], "another program")
    assert trained_by(tmp_path) == "another program"
    given, history = small_fit(tmp_path, 2, [EpochCounter()])
    assert [epoch["loss"] for epoch in history] == [0.5, 0.25]
    np.testing.assert_array_equal(given.layers[-1].kernel, model.layers[-1].kernel)
    np.testing.assert_array_equal(given.layers[-1].bias, [1, 1])  # no epoch was trained


def test_an_objective_takes_the_place_of_the_plans_loss(tmp_path):
    class Objective:
        def loss(self, labels, scores):
            return 7.0 + 0.0 * tf.reduce_sum(scores, axis=-1)

        def accuracy(self, labels, scores):
            return tf.constant([0.25])

    _, history = small_fit(tmp_path, 1, objective=Objective())
    assert (history[0]["loss"], history[0]["accuracy"]) == (7.0, 0.25)


def test_norms_that_are_settled_give_what_they_gave_in_training():
    """A net of 40 norms, whose statistics are those of small batches."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((16, 8))
    for i in range(40):
        y = keras.layers.BatchNormalization(momentum=0.9, name=f"norm{i}")(x)
        x = keras.layers.Add()([x, keras.layers.Conv1D(8, 3, padding="same", activation="relu")(y)])
    net = keras.Model(inputs, x)
    # Sounds of unlike levels: of a few of them each batch has another variance.
    rng = np.random.default_rng(0)
    sounds = (rng.normal(size=(128, 16, 8)) * np.exp(rng.normal(size=(128, 1, 1)))).astype(np.float32)
    for i in range(0, 128, 4):
        net(sounds[i : i + 4], training=True)
    in_training, trained = net(sounds, training=True).numpy(), [w.numpy() for w in net.trainable_weights]
    before = np.abs(net(sounds, training=False).numpy() - in_training).max()
    settle_norms(net, sounds)
    after = np.abs(net(sounds, training=False).numpy() - in_training).max()
    # The variance that is kept is that of a sample, n / (n - 1) of the batch's: n is 128 x 16 here.
    assert after < 1e-2 * np.abs(in_training).max() < before
    assert all((w.numpy() == was).all() for w, was in zip(net.trainable_weights, trained))
    assert {layer.momentum for layer in net.layers if hasattr(layer, "momentum")} == {0.9}


if __name__ == "__main__":
    serve()
