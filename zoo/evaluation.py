"""How good a classifier is: scores of clips, accuracy and its interval, confusion. One code for Keras, TFLite and TFLM.

Scores are float32, (clips, classes); targets are integers, (clips,).
"""

import math

import numpy as np

from zoo.errors import ZooError
from zoo.progress import bar

LEVEL, REPLICATES = 0.95, 10_000  # of the bootstrap


def clip_scores(run, crops, name="model"):
    """Scores of each clip: the mean over its crops.

    run: callable, float32 (n, samples) -> (n, classes). crops: an array, or an iterable of one array for each clip, so
    that not all need be held. name: the file that runs, for the progress bar.

    Shape: (clips, crops_per_clip, samples) -> (clips, classes)
    Raises: ZooError when a score is not a number: argmax would take it for a decision.
    """
    scores = np.stack([run(clip).mean(axis=0) for clip in bar(crops, desc=f"{name}: scores", unit="clip")])
    broken = np.flatnonzero(~np.isfinite(scores).all(axis=1))
    if len(broken):
        raise ZooError(f"{name}: scores of {len(broken)} of {len(scores)} clips are not finite, first clip {broken[0]}")
    return scores


def interval(correct, groups, seed):
    """(low, high) of the accuracy: percentile bootstrap over source recordings.

    correct: one boolean for each clip. groups: its source recording. Clips cut from one recording stand or fall
    together, so sources are resampled, each with all its clips. (nan, nan) where there is one source only. With no
    error (1, 1): a bootstrap cannot draw what it never saw.

    Source: Efron's percentile interval. Not equation 6 of Mohaimenuzzaman et al. 2023, which divides by the root of the
    number of replicates: it tells the error of the bootstrap's mean, not of the accuracy, and shrinks at will.
    """
    _, group_of = np.unique(groups, return_inverse=True)
    num_groups = group_of.max() + 1
    if num_groups < 2:
        return float("nan"), float("nan")
    clips, hits = np.bincount(group_of), np.bincount(group_of, weights=correct)
    # Groups with as many clips and hits are interchangeable: drawing how many of each kind is the same draw, but small.
    kinds, groups_of_kind = np.unique([clips, hits], axis=1, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(num_groups, groups_of_kind / num_groups, size=REPLICATES)
    drawn_clips, drawn_hits = kinds @ draws.T
    low, high = np.quantile(drawn_hits / drawn_clips, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def figures(decided, reference, targets, sources, seed):
    """What is told of a model, or of a file of it, as JSON holds it: its accuracy, and how it differs from `reference`.

    decided, reference: classes (clips,), its own decisions and those that they are held against. sources: the clips'
    source recordings, over which the interval is taken.
    """
    correct = decided == targets
    low, high = interval(correct, sources, seed)
    lost, gained, _ = mcnemar(reference == targets, correct)
    return {
        "accuracy": float(correct.mean()),
        "low": None if math.isnan(low) else low,  # one source recording has no interval
        "high": None if math.isnan(high) else high,
        "changed_clips": int((decided != reference).sum()),
        "lost_clips": lost,  # that the reference alone gets right
        "gained_clips": gained,
    }


def confusion(scores, targets, num_classes):
    """Counts of clips, (classes, classes): the row is the truth, the column the decision."""
    cells = np.asarray(targets) * num_classes + scores.argmax(axis=1)
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def per_class(confusion):
    """{"recall", "precision", "f1"}, each (classes,): nan for a class of which the fold holds no clip.

    The precision of a class that is never decided is 0.
    """
    clips, decisions, hits = confusion.sum(axis=1), confusion.sum(axis=0), confusion.diagonal()
    table = {
        "recall": hits / np.maximum(clips, 1),
        "precision": hits / np.maximum(decisions, 1),
        "f1": 2 * hits / np.maximum(clips + decisions, 1),
    }
    return {name: np.where(clips > 0, values, np.nan) for name, values in table.items()}


def mcnemar(correct_a, correct_b):
    """(b, c, p) for two models on the same clips: clips that a alone gets right, b alone, and how likely so uneven a
    split is if both were as good.

    correct_a, correct_b: one boolean for each clip, in one order.

    Raises: ZooError where they are not of one length.
    """
    correct_a, correct_b = np.asarray(correct_a, bool), np.asarray(correct_b, bool)
    if correct_a.shape != correct_b.shape:
        raise ZooError(f"McNemar's test compares the same clips; got {correct_a.shape} and {correct_b.shape}")
    only_a, only_b = int((correct_a & ~correct_b).sum()), int((correct_b & ~correct_a).sum())
    return only_a, only_b, mcnemar_p(only_a, only_b)


def mcnemar_p(only_a, only_b):
    """The p value of McNemar's exact two-sided test, from the counts alone: those of several folds may be added up.

    1 where no clip is judged differently.
    """
    n = only_a + only_b
    as_uneven = sum(math.comb(n, k) for k in range(min(only_a, only_b) + 1))  # of the 2^n ways, at one side
    return min(1.0, 2 * as_uneven / 2**n)
