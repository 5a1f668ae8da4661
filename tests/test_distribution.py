"""Distribution: two machines end with the weights of one. `python tests/test_distribution.py FOLDER` is one of the two.

The net has no dropout: of that each replica draws its own.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from zoo.backend import keras, tf

import numpy as np
import pytest

from zoo import assembly, corpus, distribution, pipeline
from zoo.errors import ZooError
from zoo.training import Plan, fit

ROOT = Path(__file__).parents[1]
LONGEST_S = 240  # on a machine that does much else; alone it takes a tenth
SEED, SAMPLES = 3, 1024
# A rate that the number of epochs does not move, so that a run of two epochs is the first half of one of four.
PLAN = Plan(epochs=4, batch_size=6, learning_rate=0.05, warmup_epochs=0, drops_at=(1,))
PLANS = {"sgd": PLAN, "adam": Plan(**{**vars(PLAN), "optimizer": "adam", "learning_rate": 1e-3})}


def net():
    """Both kernels of batch norm, that of images and that of vectors, nested as a backbone behind a front end.

    No bias that a norm would take out again: its gradient is rounding alone, which Adam makes as large as any other.
    """
    layers = keras.layers
    keras.utils.set_random_seed(SEED)
    waveform, columns = keras.Input((SAMPLES,)), keras.Input((SAMPLES, 1, 1))
    x = layers.Conv2D(6, (32, 1), strides=(16, 1), use_bias=False)(columns)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x))
    x = layers.Conv2D(8, (9, 1), strides=(6, 1), activation="relu")(x)
    x = layers.Dense(12, use_bias=False)(layers.Flatten()(x))
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9, scale=False)(x))
    backbone = keras.Model(columns, layers.Dense(3, activation="softmax")(x), name="net")
    return assembly.join(keras.Model(waveform, layers.Reshape((SAMPLES, 1, 1))(waveform)), backbone)


def noises():
    """Eleven `Clips`, so that an epoch of two batches takes one twice: noise of three levels, off the middle."""
    rng = np.random.default_rng(1)
    targets = np.array([0] * 4 + [1] * 4 + [2] * 3)
    lengths = rng.integers(800, 3_000, len(targets))
    samples = [rng.normal(300, 500 * 4**target, length) for target, length in zip(targets, lengths, strict=True)]
    names = np.array([f"{i}.wav" for i in range(len(targets))])
    return corpus.Clips(
        np.concatenate(samples).astype(np.int16), np.cumsum(lengths) - lengths, np.cumsum(lengths), targets,
        np.ones_like(targets), names, names, sample_rate_hz=8_000,
    )  # fmt: skip


def trained(plan, folder):
    """(weights, history) of the net."""
    clips, model = noises(), net()

    def batches(first, last):
        return pipeline.mixed_crops(clips, SAMPLES, 3, pipeline.Waveforms(), SEED, plan.batch_size, first, last)

    history = fit(model, plan, batches, pipeline.steps_per_epoch(clips, plan.batch_size), folder, SEED)
    assert type(model.weights[0]) is type(tf.Variable(0.0)), "what is exported lies on one machine"
    return model.get_weights(), history


def work(folder):
    """One machine of the two: both plans, stopped at half, after which a worker that is not the chief has lost all."""
    distribution.strategy()
    folder = distribution.own(folder)
    for name, plan in PLANS.items():
        trained(plan.with_epochs(plan.epochs // 2), folder / name)
        if not distribution.is_chief():
            shutil.rmtree(folder / name)
        weights, history = trained(plan, folder / name)
        np.savez(folder / f"{name}.npz", *weights)
        (folder / f"{name}.json").write_text(json.dumps(history))
    try:
        distribution.check_same("nothing", distribution.is_chief(), distribution.strategy())
    except ZooError as error:
        (folder / "refused").write_text(str(error))


def free_ports(count):
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("localhost", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


@pytest.fixture(scope="module")
def two_machines(tmp_path_factory):
    """The folders in which chief and worker 1 have left their results."""
    folder = tmp_path_factory.mktemp("two_machines")
    workers = [f"localhost:{port}" for port in free_ports(2)]
    processes = []
    try:
        for index in range(2):
            task = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
            environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CONFIG": json.dumps(task)}
            with open(folder / f"log{index}", "w") as log:
                command = [sys.executable, __file__, folder]
                processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        for index, process in enumerate(processes):
            try:
                process.wait(LONGEST_S)
            except subprocess.TimeoutExpired:
                pytest.fail(f"worker {index} waits for ever:\n{(folder / f'log{index}').read_text()[-2_000:]}")
            assert process.returncode == 0, (folder / f"log{index}").read_text()[-2_000:]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return folder, folder / "worker1"


@pytest.mark.parametrize("optimizer", PLANS)
def test_two_machines_end_with_the_weights_of_one(optimizer, two_machines, tmp_path):
    weights, history = trained(PLANS[optimizer], tmp_path)
    for folder in two_machines:
        with np.load(folder / f"{optimizer}.npz") as file:
            for one, two in zip(weights, (file[name] for name in file.files), strict=True):
                # The bound that is asked for. Sums of floats in another order differ by 1e-6 after eight steps.
                np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-4)
    told = json.loads((two_machines[0] / f"{optimizer}.json").read_text())
    for two, one in zip(told, history, strict=True):
        assert two == pytest.approx(one, rel=1e-4)


def test_workers_that_would_not_do_the_same_refuse(two_machines):
    for folder in two_machines:
        assert (folder / "refused").read_text().startswith("the workers differ in nothing")


def test_one_machine_trains_the_model_itself():
    model = net()
    with distribution.strategy().scope():
        assert distribution.mirrored(model) is model


if __name__ == "__main__":
    work(Path(sys.argv[1]))
