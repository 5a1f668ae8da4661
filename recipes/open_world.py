"""`--open-world NAME:DIR`: a model outside of its test set. Sounds of none of its classes, hours of them; noise over
its own, other levels, rates and codecs.
"""

from dataclasses import dataclass

import numpy as np

from zoo import datasets, evaluation, open_set, pipeline, robustness
from zoo.errors import ZooError
from zoo.export import keras_files
from zoo.measure import false_alarms
from zoo.progress import bar
from zoo.runtime import Classifier
from zoo.runtime.interpreter import LiteRT

# What noise is made of; no unknown sound, then.
NOISES = ("wind", "engine", "vacuum_cleaner", "washing_machine")
APP_FILE = "model_int8.tflite"
OPENED = {"model.h5": keras_files.open_h5, APP_FILE: lambda path: LiteRT(path, num_threads=2).run}


@dataclass(frozen=True)
class World:
    """The clips of --open-world."""

    dataset: str
    unknown: pipeline.Clips  # of classes that the model does not have
    noises: pipeline.Clips  # of `NOISES`: none, where there are no such classes
    class_names: tuple  # by which their targets count


def load(args, labels, sample_rate_hz, cache):
    """The `World` for a model of these labels. Raises: ZooError where it holds no other class."""
    name, folder = args.open_world
    builder = datasets.load(name, cache, folder, args.skip_bad)
    if builder.MULTI_LABEL:
        raise ZooError(f"--open-world {name}: a clip that may have any label has perhaps a known one; pass another")
    clips, names = pipeline.clips_at(builder, sample_rate_hz, cache), np.array(builder.class_names)
    is_noise = np.isin(names[clips.targets], NOISES)
    is_unknown = ~is_noise & ~np.isin(names[clips.targets], labels)
    if not is_unknown.any():
        raise ZooError(f"--open-world {name}: holds no clip of other classes than the model's and {', '.join(NOISES)}")
    return World(name, clips.where(is_unknown), clips.where(is_noise), builder.class_names)


def measure(task, folder, test, scores, labelling, raw):
    """What metrics.json tells, "open_set", "false_alarms" and "robustness"; writes open_set.csv.

    scores: {file: scores of the clips that test}. labelling: with its operating points, where it has some. raw: the
    model as it was trained, before its temperature; None where it has none.
    """
    classifier, files = Classifier(folder / APP_FILE), {file: run(folder / file) for file, run in OPENED.items()}
    unknown = task.world.unknown
    in_any_order = np.random.default_rng(task.args.seed).permutation(len(unknown))
    points = labelling.points or {"default": (classifier.detection().on,) * len(task.labels)}
    return {
        "open_set": _unknown(task, folder, files, test, scores, points, raw),
        "false_alarms": false_alarms.count(classifier, [unknown.waveform(i) for i in in_any_order], points),
        "robustness": _robustness(task, files, test, scores),
    }


def _unknown(task, folder, files, test, scores, points, raw):
    world = task.world
    crops = task.judged(world.unknown)
    of_known = {file: scores[file] for file in files}
    of_unknown = {file: evaluation.clip_scores(run, crops, f"{file}: unknown") for file, run in files.items()}
    accepted = {
        sensitivity: {file: open_set.acceptance(of_known[file], of_unknown[file], each) for file in files}
        for sensitivity, each in points.items()
    }
    if raw:
        of_known["raw"], of_unknown["raw"] = (
            evaluation.clip_scores(lambda crops: raw(crops, training=False).numpy(), judged, "raw")
            for judged in (task.judged(test), crops)
        )
    names = [world.class_names[number] for number in world.unknown.targets]
    open_set.write(
        folder / open_set.FILE,
        (test, world.unknown),
        ([task.labels[number] for number in test.targets], names),
        {file: (of_known[file].max(axis=1), of_unknown[file].max(axis=1)) for file in of_known},
    )
    return {
        "dataset": world.dataset,
        "clips": len(names),
        "classes": sorted(set(names)),
        "points": accepted,
        **confidence_figures(folder, task.args.seed),
    }


def confidence_figures(folder, seed):
    """What metrics.json tells of the confidences in a folder's open_set.csv."""
    figures = open_set.figures(open_set.read(folder / open_set.FILE), seed)
    return {**figures["model.h5"], "files": figures}


def _robustness(task, files, test, scores):
    """{kind of change: {value: {file: {"accuracy", "low", "high"}}}}, "unchanged" first."""

    def told(scores):
        figures = task.labelling.figures(scores, scores, test.targets, test.sources, task.args.seed)
        return {name: figures[name] for name in ("accuracy", "low", "high")}

    found = {"unchanged": {"": {file: told(scores[file]) for file in files}}}
    for kind, changes in robustness.CONDITIONS.items():
        if kind == robustness.NOISE and not len(task.world.noises):
            continue
        found[kind] = {}
        for value, change in changes.items():
            changed = {file: [] for file in files}
            for i in bar(range(len(test)), desc=f"{kind}: {value}", unit="clip"):
                crops = _changed_crops(task, test, i, change)
                for file, run in files.items():
                    changed[file].append(run(crops).mean(axis=0))
            found[kind][value] = {file: told(np.stack(of_clips)) for file, of_clips in changed.items()}
    return found


def _changed_crops(task, clips, i, change):
    """What judges clip `i` after `change`; its noise is the same for each."""
    waveform, noises, noise = clips.waveform(i), task.world.noises, None
    if len(noises):
        drawn = np.random.default_rng([task.args.seed, i]).integers(len(noises))
        noise = np.resize(noises.waveform(drawn), len(waveform))
    waveforms = task.recipe.waveforms
    return pipeline.judging_crops(
        change(waveform, clips.sample_rate_hz, noise), task.front_end.num_samples, waveforms.eval_crops,
        waveforms.padding,
    )  # fmt: skip
