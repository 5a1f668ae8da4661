"""How good a classifier is: scores of clips, accuracy or mean average precision and its interval, confusion. One code
for Keras, TFLite and TFLM.

Scores are float32, (clips, classes). Targets are integers, (clips,), or where a clip has any number of classes 1 for
those that it has and 0 for others, (clips, classes); so are decisions.
"""

import math
from statistics import NormalDist

import numpy as np

from zoo.errors import ZooError
from zoo.progress import bar

LEVEL, REPLICATES = 0.95, 10_000  # of the bootstrap
PRECISION_REPLICATES = 1_000  # each ranks all clips anew, class by class


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
    together, so sources are resampled, each with all its clips. (None, None) where there is one source only. With no
    error (1, 1): a bootstrap cannot draw what it never saw.

    Source: Efron's percentile interval. Not equation 6 of Mohaimenuzzaman et al. 2023, which divides by the root of the
    number of replicates: it tells the error of the bootstrap's mean, not of the accuracy, and shrinks at will.
    """
    _, group_of = np.unique(groups, return_inverse=True)
    num_groups = group_of.max() + 1
    if num_groups < 2:
        return None, None
    clips, hits = np.bincount(group_of), np.bincount(group_of, weights=correct)
    # Groups with as many clips and hits are interchangeable: drawing how many of each kind is the same draw, but small.
    kinds, groups_of_kind = np.unique([clips, hits], axis=1, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(num_groups, groups_of_kind / num_groups, size=REPLICATES)
    drawn_clips, drawn_hits = kinds @ draws.T
    return ends(drawn_hits / drawn_clips)


def ends(drawn):
    """(low, high) of the interval that holds `LEVEL` of what was drawn."""
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def figures(decided, reference, targets, sources, seed):
    """What is told of a model, or of a file of it, as JSON holds it: its accuracy, and how it differs from `reference`.

    decided, reference: its own decisions and those that they are held against. sources: the clips' source recordings,
    over which the interval is taken. Where a clip has any number of classes, it is right if all of them are.
    """
    correct = same(decided, targets)
    low, high = interval(correct, sources, seed)
    return {"accuracy": float(correct.mean()), "low": low, "high": high, **changes(decided, reference, targets)}


def changes(decided, reference, targets):
    """How many clips are decided unlike `reference`, and what that does to those that are right."""
    lost, gained, _ = mcnemar(same(reference, targets), same(decided, targets))
    return {
        "changed_clips": int((~same(decided, reference)).sum()),
        "lost_clips": lost,  # that the reference alone gets right
        "gained_clips": gained,
    }


def same(decided, others):
    """Which clips are decided alike: booleans (clips,)."""
    return (decided == others).reshape(len(decided), -1).all(axis=1)


def average_precision(scores, targets, times=None):
    """Average precision of each class, (classes,): nan for a class of which there is no clip.

    The mean, over a class's clips, of the share that they have of all clips scored as high or higher. times: how often
    each clip counts in each of several draws, (draws, clips); the result is then (draws, classes).

    Shape: (clips, classes) twice
    Source: as scikit-learn's average_precision_score, without interpolation.
    """
    draws = np.ones((1, len(scores)), np.int32) if times is None else times
    precisions = [_average_precision(*columns, draws) for columns in zip(scores.T, np.asarray(targets, bool).T)]
    return np.stack(precisions, axis=1) if times is not None else np.concatenate(precisions)


def _average_precision(scores, has_it, times):
    order = np.argsort(-scores, kind="stable")
    scores, has_it, times = scores[order], has_it[order], times[:, order]
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)  # of those with one score
    clips, hits = (np.cumsum(counted, axis=1, dtype=np.int32)[:, last] for counted in (times, times * has_it))
    gained = np.diff(hits, axis=1, prepend=0)
    total = np.sum(gained * (hits / np.maximum(clips, 1)), axis=1)
    return np.where(hits[:, -1] > 0, total / np.maximum(hits[:, -1], 1), np.nan)


def mean_average_precision(scores, targets):
    """mAP: the mean over the classes of which there is a clip."""
    return float(np.nanmean(average_precision(scores, targets)))


def mean_average_precision_interval(scores, targets, groups, seed):
    """(low, high) of `mean_average_precision`: percentile bootstrap over source recordings, as `interval`.

    A class that a draw has no clip of does not count in it. (None, None) where there is one source only.
    """
    _, group_of = np.unique(groups, return_inverse=True)
    num_groups = group_of.max() + 1
    if num_groups < 2:
        return None, None
    rng = np.random.default_rng(seed)
    times = rng.multinomial(num_groups, np.full(num_groups, 1 / num_groups), size=PRECISION_REPLICATES)
    return ends(np.nanmean(average_precision(scores, targets, times[:, group_of].astype(np.int32)), axis=1))


def roc_auc(scores, targets):
    """Area under the ROC curve of each class, (classes,): how often a clip of it scores higher than one that is not, a
    tie counting half. nan for a class that no clip has, or all.

    Shape: (clips, classes) twice
    """
    areas = []
    for column, has_it in zip(scores.T, np.asarray(targets, bool).T):
        _, rank = np.unique(column, return_inverse=True)
        hits, others = (np.bincount(rank[kind], minlength=rank.max() + 1) for kind in (has_it, ~has_it))
        below = np.cumsum(others) - others / 2
        pairs = hits.sum() * others.sum()
        areas.append(hits @ below / pairs if pairs else np.nan)
    return np.array(areas)


def d_prime(area):
    """How far apart two normal distributions of deviation 1 lie whose ROC curve has this area: sqrt(2) Phi^-1(area).

    Source: Hershey et al. 2017, CNN architectures for large-scale audio classification, where the area is the mean one.
    """
    return math.copysign(math.inf, area - 0.5) if area in (0, 1) else math.sqrt(2) * NormalDist().inv_cdf(area)


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
