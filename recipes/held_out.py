"""`--reject N`: N further trainings, each without some of the classes and some of the others' clips, which judge it.

How sure a net is of what it knows, and of what it never heard, tells what is to be believed.

The classes are dealt out to the trainings, so that each is unknown to one of them. The known clips that judge are those
of the validation split, or of another of the training folds each time. No clip of the test fold has a part in it.
"""

from typing import NamedTuple

import numpy as np

from recipes.stages import Stages
from zoo import assembly, open_set
from zoo.errors import ZooError
from zoo.progress import bar


class Rejection(NamedTuple):
    """What was found."""

    temperature: float
    points: dict  # sensitivity of `open_set.SENSITIVITIES` -> a threshold for each class
    told: dict  # for metrics.json


def check(task, fold):
    """Raises: ZooError for a number of trainings that cannot be."""
    train, validation, _ = task.split(fold)
    classes = len(np.unique(train.targets))
    most = classes // 2
    if not 2 <= task.args.reject <= most:
        raise ZooError(f"--reject {task.args.reject}: {classes} classes are dealt out to 2 to {most} trainings")
    if not len(validation) and len(np.unique(train.folds)) < 2:
        raise ZooError(f"--reject: {task.args.dataset} has one fold to train on, and none to judge by")


def trainings(task, fold, stages_type=Stages):
    """Yields for each training (its `Stages`, clips that judge what it knows, clips of the classes left out)."""
    train, validation, _ = task.split(fold)
    folds, rounds = np.unique(train.folds), task.args.reject
    dealt = np.array_split(np.random.default_rng(task.args.seed).permutation(np.unique(train.targets)), rounds)
    for number, classes in enumerate(dealt):
        is_unknown = np.isin(train.targets, classes)
        judging = np.zeros(len(train), bool) if len(validation) else train.folds == folds[number % len(folds)]
        judges = validation if len(validation) else train.where(judging)
        yield (
            stages_type(
                task, train.where(~is_unknown & ~judging), task.run_folder(fold) / f"held_out{number}of{rounds}"
            ),
            judges.where(~np.isin(judges.targets, classes)),
            train.where(is_unknown),
        )


def find(task, fold, variant):
    """The `Rejection` for nets that are trained as `variant` is where `fold` tests.

    Raises: ZooError where a step of the variant does not lower what it claims to.
    """
    known, targets, unknown = [], [], []
    for stages, judges, left_out in trainings(task, fold):
        model = assembly.join(task.front_end.build(), stages.made(variant).backbone)
        known.append(_scores(model, task.judging.crops(judges), "known sounds"))
        targets.append(judges.targets)
        unknown.append(_scores(model, task.judging.crops(left_out), "unknown sounds"))
    known, targets, unknown = map(np.concatenate, (known, targets, unknown))
    by_temperature = {
        temperature: [open_set.at_temperature(scores, temperature).mean(axis=1) for scores in (known, unknown)]
        for temperature in (1.0, open_set.temperature(open_set.logits_of(known), targets))
    }
    # Scores as sure as they are right may tell known sounds from unknown ones worse: then they stay as they are.
    aurocs = {
        temperature: open_set.auroc(*map(task.labelling.confidence, both))
        for temperature, both in by_temperature.items()
    }
    temperature = max(aurocs, key=aurocs.get)
    known, unknown = by_temperature[temperature]
    points = {name: open_set.thresholds(known, targets, share) for name, share in open_set.SENSITIVITIES.items()}
    if task.args.background:  # which no sound is to be accepted as
        points = {name: (*each[:-1], 1.0) for name, each in points.items()}
    told = {
        "trainings": task.args.reject,
        "known_clips": len(known),
        "unknown_clips": len(unknown),
        "accuracy": float(np.mean(known.argmax(axis=1) == targets)),
        "auroc": aurocs[temperature],
        "points": {
            name: {**open_set.acceptance(known, unknown, each), "thresholds": dict(zip(task.labels, each))}
            for name, each in points.items()
        },
    }
    return Rejection(temperature, points, told)


def _scores(model, crops, name):
    """Shape: (clips, crops, classes)"""
    return np.stack([model(clip, training=False).numpy() for clip in bar(crops, desc=f"{name}: scores", unit="clip")])
