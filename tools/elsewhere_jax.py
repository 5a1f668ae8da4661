"""The part of `tools.elsewhere` that runs on the other machine: Keras 3 over JAX, and no TensorFlow.

    python elsewhere_jax.py FOLDER RESULTS [--seconds N]

It trains the jobs of FOLDER one after the other, those first that come first, and begins none that would not be done
in so many seconds. RESULTS gets their weights (float16, as they are kept) and histories in files of at most 15 MiB.
What an example is made of is `zoo.pipeline`'s; the numbers that are drawn are JAX's, so a run here is no repetition of
one there.
"""

import argparse
import multiprocessing
import os
import pickle
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"

import jax
import jax.numpy as jnp
import keras
import numpy as np
import soundfile

FULL_SCALE = 32_768.0
PART_BYTES = 15 * 2**20
EXACT = jax.lax.Precision.HIGHEST  # where a GPU's 19-bit products would be heard
TIMED = 3  # epochs by which the time of the others is reckoned


class BinaryConv2D(keras.layers.Conv2D):
    """`zoo.compress.binary.BinaryConv2D` in Keras 3."""

    def __init__(self, *args, scale_inputs=False, kernel_constraint=None, **kwargs):
        assert not scale_inputs
        super().__init__(*args, kernel_constraint=WithinOne(), **kwargs)

    def call(self, inputs):
        kernel = self.kernel.value
        alpha = jnp.mean(jnp.abs(kernel), axis=(0, 1, 2))
        return self.convolution_op(sign(inputs), alpha * sign(kernel))


class WithinOne(keras.constraints.Constraint):
    def __call__(self, value):
        return keras.ops.clip(value, -1.0, 1.0)


@jax.custom_jvp
def sign(x):
    return jnp.where(x >= 0, 1.0, -1.0)


@sign.defjvp
def _straight_through(primals, tangents):
    return sign(*primals), jnp.where(jnp.abs(primals[0]) <= 1, tangents[0], 0.0)


def log_mel(spec, waveforms):
    """`zoo.frontends.LogMel` of waveforms (batch, samples): (batch, frames, bands, 1). spec: see `tools.elsewhere`."""
    frames = 1 + (waveforms.shape[1] - len(spec["window"])) // spec["hop"]
    where = np.arange(frames)[:, None] * spec["hop"] + np.arange(len(spec["window"]))
    spectrum = jnp.abs(jnp.fft.rfft(waveforms[:, where] * spec["window"], spec["n_fft"])) ** 2
    mel = jnp.matmul(spectrum, spec["filterbank"], precision=EXACT)
    return (10 * jnp.log10(jnp.maximum(mel, spec["floor"]) / spec["floor"]))[..., None]


def columns(job, waveforms):
    """What the backbone takes."""
    spec = job["front_end"]
    return log_mel(spec, waveforms) if spec else waveforms[:, :, None, None]


def crop(job, samples, start, end, stretch, position):
    num_samples, padding = job["num_samples"], job["padding"]
    length = end - start
    last = jnp.maximum(jnp.floor(length * stretch) + 2 * (padding - num_samples // 2), 0)
    at = (jnp.floor(position * (last + 1)) - padding + jnp.arange(num_samples)) / stretch
    left = jnp.floor(at).astype(jnp.int32)

    def sample(index):
        value = samples[start + jnp.clip(index, 0, length - 1)].astype(jnp.float32) / FULL_SCALE
        return jnp.where((index >= 0) & (index < length), value, 0.0)

    fraction = at - left
    return sample(left) * (1 - fraction) + sample(left + 1) * fraction


def level_db(job, waveform):
    window = len(job["level_window"])
    frames = 1 + (len(waveform) - window) // (window // 2)
    where = np.arange(frames)[:, None] * (window // 2) + np.arange(window)
    power = jnp.abs(jnp.fft.rfft(waveform[where] * job["level_window"])) ** 2
    loudest = jnp.max(jnp.sum(power * job["level_weights"], axis=1))
    return 10 * jnp.log10(jnp.maximum(loudest, 1e-8))


def example(job, samples, clips, key, one):
    """(waveform, label) of clip `one` mixed with one of another class, as `zoo.pipeline.mixed_crops` has it."""
    draw = jax.random.uniform(key, (7,))
    count, first_of, size_of = len(clips["starts"]), clips["first_of_kind"][one], clips["size_of_kind"][one]
    other = (draw[0] * (count - size_of)).astype(jnp.int32)
    other = jnp.where(other < first_of, other, other + size_of)

    def heard(clip, stretch, position):
        stretch = job["max_stretch"] ** (2 * stretch - 1)
        return crop(job, samples, clips["starts"][clip], clips["ends"][clip], stretch, position)

    gain = 10 ** (job["max_gain_db"] * (2 * draw[6] - 1) / 20)
    label = jax.nn.one_hot(clips["targets"], job["num_classes"])
    one_crop = heard(one, draw[1], draw[2])
    if job["mix"] == "none":
        return one_crop * gain, label[one]
    other_crop = heard(other, draw[3], draw[4])
    ratio = draw[5]
    difference_db = level_db(job, one_crop) - level_db(job, other_crop)
    p = 1 / (1 + 10 ** (difference_db / 20) * (1 - ratio) / ratio)
    mixed = (p * one_crop + (1 - p) * other_crop) / jnp.sqrt(p**2 + (1 - p) ** 2)
    return mixed * gain, ratio * label[one] + (1 - ratio) * label[other]


def model_of(job):
    """The net of a job, with any weights."""
    kinds = {"BinaryConv2D": BinaryConv2D, "WithinOne": WithinOne}
    return keras.Model.from_config(_without_module(job["config"]), custom_objects=kinds)


def _without_module(config):
    """Keras 2's settings of a net, as Keras 3 reads them: no modules, which differ; an axis is a number."""
    if isinstance(config, dict):
        kept = config.keys() - {"module", "registered_name"}
        config = {key: _without_module(value) for key, value in config.items() if key in kept}
        if isinstance(config.get("axis"), list) and len(config["axis"]) == 1:
            config["axis"] = config["axis"][0]
        return config
    return [_without_module(value) for value in config] if isinstance(config, (list, tuple)) else config


class Trainer:
    """Trains jobs that differ in their clips, weights and seeds alone: it is compiled once for all of them."""

    def __init__(self, job):
        self.job, plan = job, job["plan"]
        self.model = model_of(job)
        self.decay = 0.0
        if plan["optimizer"] == "adam":
            self.optimizer = keras.optimizers.AdamW(plan["learning_rate"], weight_decay=plan["weight_decay"])
        else:
            self.optimizer = keras.optimizers.SGD(plan["learning_rate"], plan["momentum"], nesterov=True)
            self.decay = plan["weight_decay"]
        self.optimizer.build(self.model.trainable_variables)
        variables = self.optimizer.variables
        (self.rate_at,) = (i for i, v in enumerate(variables) if v is self.optimizer._learning_rate)
        self.new = [np.asarray(variable) for variable in variables]
        self.epoch = jax.jit(self._epoch, donate_argnums=0)

    def _loss(self, trainable, others, waveforms, labels):
        scores, others = self.model.stateless_call(trainable, others, columns(self.job, waveforms), training=True)
        scores, right = jnp.clip(scores, 1e-7, 1.0), jnp.argmax(labels, axis=1) == jnp.argmax(scores, axis=1)
        labels = jnp.clip(labels, 1e-7, 1.0)
        return jnp.sum(labels * jnp.log(labels / scores), axis=1).mean(), (others, right.mean())

    def _step(self, samples, clips, rate, state, drawn):
        trainable, others, moments = state
        waveforms, labels = jax.vmap(partial(example, self.job, samples, clips))(*drawn)
        gradient = jax.value_and_grad(self._loss, has_aux=True)
        (value, (others, right)), gradients = gradient(trainable, others, waveforms, labels)
        gradients = [g + self.decay * w for g, w in zip(gradients, trainable)]
        moments = [rate if i == self.rate_at else value for i, value in enumerate(moments)]
        trainable, moments = self.optimizer.stateless_apply(moments, gradients, trainable)
        return (trainable, others, moments), (value, right)

    def _epoch(self, state, samples, clips, key, rate):
        count, batch = len(clips["starts"]), self.job["plan"]["batch_size"]
        steps = -(-count // batch)
        laps = -(-steps * batch // count)  # the last one fills the last batch
        orders = [jax.random.permutation(jax.random.fold_in(key, lap), count) for lap in range(laps)]
        order = jnp.concatenate(orders)[: steps * batch].reshape(steps, batch)
        keys = jax.random.split(jax.random.fold_in(key, 1_000), (steps, batch))
        state, found = jax.lax.scan(partial(self._step, samples, clips, rate), state, (keys, order))
        return state, jnp.stack(found).mean(axis=1)

    def _drawn(self, seed):
        keras.utils.set_random_seed(seed)
        return {layer.name: layer.get_weights() for layer in model_of(self.job).layers}

    def train(self, job, samples, until):
        """{"weights", "history", "probe"} of a job; None where it would not be done in time."""
        model, name = self.model, job["name"]
        weights = job["weights"] or self._drawn(job["seed"])
        for layer in model.layers:
            layer.set_weights([w.astype(np.float32) for w in weights[layer.name]])
        variables = [*model.trainable_variables, *model.non_trainable_variables]
        values = [jnp.array(v.value) for v in variables]  # copies: what is donated is gone
        split = len(model.trainable_variables)
        state = values[:split], values[split:], [jnp.array(value) for value in self.new]
        clips, key = jax.tree.map(jnp.asarray, job["clips"]), jax.random.key(job["seed"])
        found, epochs = [], len(job["rates"])
        for number, rate in enumerate(job["rates"]):
            if number == 1:
                jax.block_until_ready(state)
                before = time.time()
            if number == 1 + TIMED:
                jax.block_until_ready(state)
                lap = (time.time() - before) / TIMED
                if time.time() + lap * (epochs - number) > until:
                    print(f"{name}: {lap:.3f} s an epoch, {epochs} of them: no time", flush=True)
                    return None
            state, figures = self.epoch(state, samples, clips, jax.random.fold_in(key, number), jnp.float32(rate))
            found.append(figures)
        for variable, value in zip(variables, [*state[0], *state[1]]):
            variable.assign(value)
        weights = {layer.name: [_half(w) for w in layer.get_weights()] for layer in model.layers}
        for layer in model.layers:
            layer.set_weights([w.astype(np.float32) for w in weights[layer.name]])
        with jax.default_matmul_precision("highest"):
            probe = np.asarray(model(columns(job, jnp.asarray(job["probe"])), training=False))
        history = [[*map(float, row), rate] for row, rate in zip(np.asarray(found), job["rates"])]
        return {"weights": weights, "history": history, "probe": probe}


def _half(weight):
    """Half as many bytes, where no number is too large for it."""
    half = weight.astype(np.float16)
    return half if np.isfinite(half).all() else weight


OF_ONE = ("name", "clips", "weights", "seed", "rates", "probe")  # what each job has of its own


def kind_of(job):
    """What jobs that one `Trainer` can train have in common."""
    alike = {name: value for name, value in job.items() if name not in OF_ONE}
    return pickle.dumps(({**alike, "plan": {**job["plan"], "epochs": 0}}, len(job["clips"]["starts"])))


def train_alike(jobs, folder, until):
    """{name: result} of jobs of one kind, in a process of its own."""
    sound, _ = soundfile.read(folder / jobs[0]["samples"], dtype="int16")
    samples, trainer, done = jnp.asarray(sound), Trainer(jobs[0]), {}
    for job in jobs:
        before = time.time()
        result = trainer.train(job, samples, until)
        if result:
            done[job["name"]] = result
            loss, accuracy, _ = result["history"][-1]
            print(f"{job['name']}: {time.time() - before:.1f} s, loss {loss:.3f}, accuracy {accuracy:.3f}", flush=True)
    return done


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--processes", type=int, default=1, help="that share the GPU: one compiles, others train")
    args = parser.parse_args()
    begun, done, kinds = time.time(), {}, {}
    jobs = pickle.loads((args.folder / "jobs.pickle").read_bytes())
    for job in jobs:
        kinds.setdefault(kind_of(job), []).append(job)
    os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{0.9 / args.processes:.3f}"
    with ProcessPoolExecutor(args.processes, multiprocessing.get_context("spawn")) as pool:
        running = [pool.submit(train_alike, alike, args.folder, begun + args.seconds) for alike in kinds.values()]
        for one in as_completed(running):
            if one.exception():
                print(f"{type(one.exception()).__name__}: {one.exception()}", flush=True)
                continue
            done |= one.result()
            _write(done, args.results)
    print(f"{len(done)} of {len(jobs)} jobs in {time.time() - begun:.0f} s", flush=True)


def _write(done, folder):
    folder.mkdir(parents=True, exist_ok=True)
    packed = pickle.dumps(done)
    for part, start in enumerate(range(0, len(packed), PART_BYTES)):
        (folder / f"results.{part}").write_bytes(packed[start : start + PART_BYTES])


if __name__ == "__main__":
    main()
