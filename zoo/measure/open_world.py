"""A model outside of its test set: sounds of none of its classes, hours of them; noise over its own, other levels,
rates and codecs.
"""

from dataclasses import dataclass

import numpy as np

from zoo import assembly, corpus, datasets, evaluation, open_set, robustness
from zoo.errors import ZooError
from zoo.export import keras_files
from zoo.measure import false_alarms
from zoo.progress import bar
from zoo.runtime import Classifier
from zoo.runtime.interpreter import LiteRT

# What noise is made of; no unknown sound, then.
NOISES = ("wind", "engine", "vacuum_cleaner", "washing_machine")
FIGURES = ("open_set", "false_alarms", "robustness")  # in metrics.json
KERAS_FILE, APP_FILE = "model.h5", "model_int8.tflite"


@dataclass(frozen=True)
class World:
    """Clips of other sounds than a model's own."""

    dataset: str
    fingerprint: str
    unknown: corpus.Clips  # of classes that the model does not have
    noises: corpus.Clips  # of `NOISES`: none, where there are no such classes
    class_names: tuple  # by which their targets count


def load(name, folder, labels, sample_rate_hz, cache, skip_bad=False):
    """The `World` of a data set, for a model of these labels. folder, cache, skip_bad: as of `datasets.load`.

    Raises: ZooError where it holds no other class.
    """
    builder = datasets.load(name, cache, folder, skip_bad)
    if builder.MULTI_LABEL:
        raise ZooError(f"--open-world {name}: a clip that may have any label has perhaps a known one; pass another")
    clips, names = corpus.clips_at(builder, sample_rate_hz, cache), np.array(builder.class_names)
    is_noise = np.isin(names[clips.targets], NOISES)
    is_unknown = ~is_noise & ~np.isin(names[clips.targets], labels)
    if not is_unknown.any():
        raise ZooError(f"--open-world {name}: holds no clip of other classes than the model's and {', '.join(NOISES)}")
    return World(name, builder.builder_config.name, clips.where(is_unknown), clips.where(is_noise), builder.class_names)


def measure(world, folder, model, test, scores, judging, temperature=None):
    """What metrics.json tells of an exported folder, "open_set", "false_alarms" and "robustness"; writes open_set.csv.

    model: that of its model.h5. scores: {file: scores of the clips `test`}. judging: a `Judging`, whose labelling has
    its operating points, where there are some. temperature: by which the files' logits were divided; the model without
    it is measured, too.
    """
    classifier, labelling = Classifier(folder / APP_FILE), judging.labelling
    app = LiteRT(folder / APP_FILE, num_threads=2)
    files = {KERAS_FILE: keras_files.runner(model), APP_FILE: app.run}
    in_any_order = np.random.default_rng(judging.seed).permutation(len(world.unknown))
    raw = temperature and _without_temperature(model, temperature)
    points = labelling.points or {"default": (classifier.detection().on,) * len(labelling.labels)}
    return {
        "open_set": _unknown(world, folder, files, test, scores, judging, points, raw),
        "false_alarms": false_alarms.count(classifier, [world.unknown.waveform(i) for i in in_any_order], points),
        "robustness": _robustness(world, files, test, scores, judging),
    }


def _without_temperature(model, temperature):
    front_end, backbone = assembly.parts(model)
    return keras_files.runner(assembly.join(front_end, assembly.with_temperature(backbone, 1 / temperature)))


def _unknown(world, folder, files, test, scores, judging, points, raw):
    labelling, crops = judging.labelling, judging.crops(world.unknown)
    of_known = {file: scores[file] for file in files}
    of_unknown = {file: evaluation.clip_scores(run, crops, f"{file}: unknown") for file, run in files.items()}
    accepted = {
        sensitivity: {file: open_set.acceptance(of_known[file], of_unknown[file], each) for file in files}
        for sensitivity, each in points.items()
    }
    if raw:
        of_known["raw"], of_unknown["raw"] = (
            evaluation.clip_scores(raw, judged, "raw") for judged in (judging.crops(test), crops)
        )
    names = [world.class_names[number] for number in world.unknown.targets]
    open_set.write(
        folder / open_set.FILE,
        (test, world.unknown),
        (labelling.told(test.targets), names),
        {file: tuple(map(labelling.confidence, (of_known[file], of_unknown[file]))) for file in of_known},
    )
    figures = open_set.figures(open_set.read(folder / open_set.FILE), judging.seed)
    return {
        "dataset": world.dataset,
        "clips": len(names),
        "classes": sorted(set(names)),
        "points": accepted,
        **figures[KERAS_FILE],
        "files": figures,
    }


def _robustness(world, files, test, scores, judging):
    """{kind of change: {value: {file: {"accuracy", "low", "high"}}}}, "unchanged" first."""
    found = {"unchanged": {"": {file: judging.quality(scores[file], test) for file in files}}}
    for kind, changes in robustness.CONDITIONS.items():
        if kind == robustness.NOISE and not len(world.noises):
            continue
        found[kind] = {}
        for value, change in changes.items():
            changed = {file: [] for file in files}
            for i in bar(range(len(test)), desc=f"{kind}: {value}", unit="clip"):
                given = _noise(world, test, i, judging.seed) if kind == robustness.NOISE else test.sample_rate_hz
                crops = judging.crops_of(change(test.waveform(i), given))
                for file, run in files.items():
                    changed[file].append(run(crops).mean(axis=0))
            found[kind][value] = {file: judging.quality(np.stack(of_clips), test) for file, of_clips in changed.items()}
    return found


def _noise(world, clips, i, seed):
    """A noise as long as clip `i`, the same for each level."""
    drawn = np.random.default_rng([seed, i]).integers(len(world.noises))
    return np.resize(world.noises.waveform(drawn), clips.ends[i] - clips.starts[i])
