"""`--unknown NAME:DIR`: what a model makes of sounds that are of none of its classes."""

import numpy as np

from zoo import datasets, evaluation, open_set, pipeline
from zoo.errors import ZooError
from zoo.export import keras_files
from zoo.runtime.interpreter import LiteRT

# What the robustness of a model is measured with is no unknown sound to it.
NOISES = ("wind", "engine", "vacuum_cleaner", "washing_machine")
OPENED = {"model.h5": keras_files.open_h5, "model_int8.tflite": lambda path: LiteRT(path, num_threads=2).run}


def unknown_clips(args, labels, sample_rate_hz, cache):
    """(clips of --unknown's other classes, names of all its classes, by which their targets count).

    Raises: ZooError where there are none.
    """
    name, folder = args.unknown
    builder = datasets.load(name, cache, folder, args.skip_bad)
    if builder.MULTI_LABEL:
        raise ZooError(f"--unknown {name}: a clip that may have any label has perhaps a known one; pass another")
    names = builder.class_names
    others = [number for number, label in enumerate(names) if label not in (*labels, *NOISES)]
    clips = pipeline.clips_at(builder, sample_rate_hz, cache)
    clips = clips.where(np.isin(clips.targets, others))
    if not len(clips):
        raise ZooError(f"--unknown {name}: holds no clip of other classes than the model's and {', '.join(NOISES)}")
    return clips, names


def measure(task, folder, test, scores, thresholds, raw):
    """What metrics.json tells of the unknown clips; writes open_set.csv, with each clip's confidence.

    scores: {file: scores of the clips that test}. thresholds: {sensitivity: one for each class}. raw: the model as it
    was trained, before its temperature; None where it has none.
    """
    clips, names = task.unknown
    crops = task.judged(clips)
    of_known = {file: scores[file] for file in OPENED}
    of_unknown = {
        file: evaluation.clip_scores(run(folder / file), crops, f"{file}: unknown") for file, run in OPENED.items()
    }
    points = {
        sensitivity: {
            file: {
                "known_accepted": float(open_set.accepted(of_known[file], each).mean()),
                "unknown_accepted": float(open_set.accepted(of_unknown[file], each).mean()),
            }
            for file in OPENED
        }
        for sensitivity, each in thresholds.items()
    }
    if raw:
        of_known["raw"], of_unknown["raw"] = (
            evaluation.clip_scores(lambda crops: raw(crops, training=False).numpy(), judged, "raw")
            for judged in (task.judged(test), crops)
        )
    open_set.write(
        folder / open_set.FILE,
        (test, clips),
        ([task.labels[number] for number in test.targets], [names[number] for number in clips.targets]),
        {file: (of_known[file].max(axis=1), of_unknown[file].max(axis=1)) for file in of_known},
    )
    return {
        "dataset": task.args.unknown[0],
        "clips": len(clips),
        "classes": sorted({names[number] for number in clips.targets}),
        "points": points,
        **told(folder, task.args.seed),
    }


def told(folder, seed):
    """What metrics.json tells of the confidences in a folder's open_set.csv."""
    figures = open_set.figures(open_set.read(folder / open_set.FILE), seed)
    return {**figures["model.h5"], "files": figures}
