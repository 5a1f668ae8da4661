"""Folds for recordings that came without any. A hash decides: they are the same on every machine, in every run."""

import hashlib
from collections import Counter


def a_fifth(names):
    """The fifth of `names` that tests where four fifths train: a set."""
    names = sorted(names, key=_sha256)
    return set(names[: round(len(names) / 5)])


def dealt(groups, num_folds):
    """{group: fold, 1 to `num_folds`} of `groups`, {group: Counter of its clips' classes}.

    The largest group first, each to the fold that has the least of its classes, and of those to the smallest. Where
    groups are of one class each, a class is in as many folds as it has groups.
    """
    held = {fold: Counter() for fold in range(1, num_folds + 1)}
    fold_of = {}
    for group, classes in sorted(groups.items(), key=lambda item: (-item[1].total(), _sha256(item[0]))):

        def crowd(fold, classes=classes):
            alike = sum(held[fold][label] * clips for label, clips in classes.items())
            return alike, held[fold].total(), fold

        fold_of[group] = min(held, key=crowd)
        held[fold_of[group]].update(classes)
    return fold_of


def _sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()
