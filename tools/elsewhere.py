"""Trains what a recipe trains with PyTorch: on a machine with a GPU but no TensorFlow, or here, some times as fast.

Here each command packs the trainings that are next (a base, those of --reject, of a pruned net its ending) with the
clips they need. There `elsewhere_torch.py` trains them. Here the same command puts what came back into runs/, as a
training that was finished, does what can only be done here (sparsifying and pruning, which follow the weights while
they train), and packs what is next. When nothing is left to pack, the recipe itself goes on from runs/.

    python -m tools.elsewhere FOLDER [--results FOLDER] micro_acdnet --dataset esc10 --fold all
    (there) python elsewhere_torch.py FOLDER RESULTS [--bfloat16]

A training that has a teacher, or hears more than mixed crops (augmentation, outliers, classes in balance), is packed
with what it hears in some epochs, which come again after them: half a gigabyte and more. One that masks columns or
knows several classes of a clip is refused.
"""

import argparse
import importlib
import json
import pickle
from dataclasses import asdict, replace
from pathlib import Path

from zoo.backend import tf

import numpy as np
import soundfile

from recipes import cross_validation, flags, held_out, run, study
from recipes.stages import Stages
from zoo import assembly, audio, distribution, pipeline, training
from zoo.augment import Augmentation
from zoo.errors import ZooError
from zoo.frontends import LogMel, Raw
from zoo.labelling import Multiclass
from zoo.progress import bar

PACKED_EPOCHS = 40  # of examples that are not made anew
PROBES = 4  # crops whose scores come back, to be held against those here
NEAR = 2e-3  # of scores


class Elsewhere(Stages):
    """Stages whose trainings are done elsewhere: from `results`, or packed among `jobs` and not done."""

    jobs: list
    results: dict
    packed: Path
    samples: str

    def _fit(self, backbone, plan, stage, callbacks=(), objective=None):
        folder = self.folder / stage
        begun = tf.train.latest_checkpoint(folder / "checkpoints")
        if not begun and not callbacks:
            job = _job(self, backbone, plan, str(folder))
            if job["name"] not in self.results:
                job |= _packed(self, plan, folder, objective)
                self.jobs.append(job)
                raise NotYet
            _finish(self, backbone, folder, job, self.results[job["name"]])
        return super()._fit(backbone, plan, stage, callbacks, objective)


class NotYet(Exception):
    """A training is to be done elsewhere first."""


def _job(stages, backbone, plan, name):
    task, clips = stages.task, stages.clips
    front_end, waveforms = task.front_end, task.recipe.waveforms
    if task.recipe.masks or not isinstance(task.labelling, Multiclass):
        raise ZooError(f"{task.recipe.name}: masks, or several classes of a clip: elsewhere_torch.py knows neither")
    first_of_kind, size_of_kind = pipeline.kinds_of(clips)
    window, weights = audio.level_window(front_end.sample_rate_hz)
    rng = np.random.default_rng(0)
    return {
        "name": name,
        "samples": stages.samples,
        "config": json.loads(backbone.to_json())["config"],
        "weights": {layer.name: _half(layer.get_weights()) for layer in backbone.layers},
        "plan": asdict(plan),
        "rates": [plan.learning_rate_at(epoch) for epoch in range(plan.epochs)],
        "seed": task.args.seed,
        "num_classes": len(task.labels),
        "num_samples": front_end.num_samples,
        "padding": int(waveforms.padding * front_end.num_samples),
        "max_stretch": waveforms.max_stretch,
        "max_gain_db": waveforms.max_gain_db,
        "mix": waveforms.mix,
        "front_end": _spec(front_end),
        "level_window": tf.signal.hann_window(window).numpy(),
        "level_weights": weights,
        "clips": {
            "starts": clips.starts.astype(np.int32),
            "ends": clips.ends.astype(np.int32),
            "targets": clips.targets.astype(np.int32),
            "first_of_kind": first_of_kind.astype(np.int32),
            "size_of_kind": size_of_kind.astype(np.int32),
        },
        "probe": rng.uniform(-0.1, 0.1, (PROBES, front_end.num_samples)).astype(np.float32),
    }


def _packed(stages, plan, folder, objective):
    """What a job is told of examples that elsewhere_torch.py cannot make: their crops and labels are files."""
    task = stages.task
    waveforms = task.recipe.waveforms
    if not (objective or task.outliers or waveforms.augmentation != Augmentation() or waveforms.sampling != "all"):
        return {}
    if objective and objective.kind != "kl_kl":
        raise ZooError(f"{folder}: taught by {objective.kind}, and elsewhere_torch.py knows kl_kl alone")
    batches, objective = stages._examples(plan, folder, objective)
    epochs = min(objective.asked_epochs if objective else PACKED_EPOCHS, plan.epochs)
    steps = epochs * pipeline.steps_per_epoch(stages._heard, plan.batch_size)
    names = [f"{str(folder).replace('/', '+')}.{kind}.npy" for kind in ("crops", "labels")]
    shapes = (task.front_end.num_samples,), (*(2,) * bool(objective), len(task.labels))
    files = [
        np.lib.format.open_memmap(stages.packed / name, "w+", np.float16, (steps, plan.batch_size, *shape))
        for name, shape in zip(names, shapes)
    ]
    for step, batch in enumerate(bar(batches(0, epochs), total=steps, desc="packed", unit="batch")):
        for file, values in zip(files, batch):
            file[step] = values.numpy()
    told = {"alpha": objective.alpha, "temperature": objective.temperature} if objective else {}
    return {"packed": {"crops": names[0], "labels": names[1], "epochs": epochs, **told}}


def _half(weights):
    return [weight.astype(np.float16) for weight in weights]


def _spec(front_end):
    """A log-mel as numbers; None of the waveform itself."""
    if isinstance(front_end, Raw):
        return None
    if not isinstance(front_end, LogMel):
        raise ZooError(f"{front_end}: elsewhere_torch.py makes no such columns")
    return {
        "window": tf.signal.hann_window(front_end.window_samples).numpy(),
        "hop": front_end.hop_samples,
        "n_fft": front_end.n_fft,
        "is_magnitude": front_end.spectrum == "magnitude",
        "filterbank": front_end.filterbank(),
        "floor": front_end.floor,
        "offset": front_end.offset,
        "zero_level": front_end.zero_level,
        "unit": 1 if front_end.log == "natural" else 10 / np.log(10),
    }


def _once(value, seen):
    """The same, in which equal arrays are one: folds begin with the same weights, and a pickle has them once."""
    if isinstance(value, dict):
        return {key: _once(one, seen) for key, one in value.items()}
    if isinstance(value, list):
        return [_once(one, seen) for one in value]
    if isinstance(value, np.ndarray):
        return seen.setdefault((value.shape, value.dtype.str, value.tobytes()), value)
    return value


def _finish(stages, backbone, folder, job, result):
    """Weights and history into `folder`, as `training.fit` leaves them. Raises: ZooError where scores differ."""
    for layer in backbone.layers:
        layer.set_weights([weight.astype(np.float32) for weight in result["weights"][layer.name]])
    model = assembly.join(stages.task.front_end.build(), backbone)
    off = float(np.abs(model(job["probe"], training=False).numpy() - result["probe"]).max())
    if not off < NEAR:
        raise ZooError(f"{folder}: a score here is {off:g} from that of elsewhere, which is more than {NEAR}")
    training.keep(model, folder, result["history"], result["by"])
    print(f"{folder}: finished elsewhere, scores within {off:.1g}")


def _results(folder):
    parts = sorted(Path(folder).glob("results.*"), key=lambda part: int(part.suffix[1:]))
    return pickle.loads(b"".join(part.read_bytes() for part in parts)) if parts else {}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where jobs and clips are packed, added to those that are there")
    parser.add_argument("--results", type=Path, action="append", default=[], help="what came back; more than once")
    parser.add_argument("recipe", help="such as micro_acdnet")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="the recipe's own")
    args = parser.parse_args(argv)
    results = {name: result for folder in args.results for name, result in _results(folder).items()}
    recipe = importlib.import_module(f"recipes.{args.recipe}").RECIPE
    _, asked = flags.parse(recipe, args.arguments)
    recipe = run.as_asked(recipe, asked)
    flags.check(recipe, asked)
    task, trainings = run.prepared(recipe, asked, distribution.own(run.RUNS))
    args.folder.mkdir(parents=True, exist_ok=True)
    told = f"{task.builder.builder_config.name}-{task.front_end.sample_rate_hz}-{recipe.waveforms.trim_db}"
    samples = f"{asked.dataset}-{told}.flac"
    if not (args.folder / samples).exists():
        sound = np.asarray(task.clips.samples)
        soundfile.write(args.folder / samples, sound, task.front_end.sample_rate_hz, "PCM_16", compression_level=1.0)
    path = args.folder / "jobs.pickle"
    jobs = pickle.loads(path.read_bytes()) if path.exists() else []
    variants = study.chosen(asked.cells) if asked.study else asked.variants.split(",")
    for (_, fold), own in cross_validation.arguments_of(recipe, asked, trainings, asked.out).items():
        one = replace(task, args=own)
        one.args.allow_no_gain = asked.study is not None
        if asked.study:
            one = study.with_cells(one, variants)
        train, _, _ = one.split(fold)
        held_out_ones = held_out.trainings(one, fold, Elsewhere) if one.args.reject else ()
        for stages in (Elsewhere(one, train, one.run_folder(fold)), *(stages for stages, _, _ in held_out_ones)):
            stages.jobs, stages.results, stages.packed, stages.samples = jobs, results, args.folder, samples
            for variant in variants:
                try:
                    stages.made(variant)
                except NotYet:
                    pass
    jobs = list({job["name"]: job for job in jobs if job["name"] not in results}.values())
    path.write_bytes(pickle.dumps(_once(jobs, {})))
    print(f"{args.folder}: {len(jobs)} trainings to do elsewhere")


if __name__ == "__main__":
    main()
