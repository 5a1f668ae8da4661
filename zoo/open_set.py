"""Sounds of no class: how well scores tell them from those of the classes, and from which score on a class is believed.

Known clips are of the classes, unknown ones of none of them. A clip's confidence is its highest score. Scores are
float32, (clips, classes).

Source: Hendrycks and Gimpel 2017, "A baseline for detecting misclassified and out-of-distribution examples in neural
networks"; Guo et al. 2017, "On calibration of modern neural networks", for the temperature.
"""

import csv
import math
from itertools import repeat

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp, softmax

from zoo import evaluation

FILE = "open_set.csv"  # of an exported folder: a row for each clip, with its confidence by each file
CLIP = ("file", "source", "class", "is_known")
ACCEPTED = 0.95  # of known clips, where the false positive rate is told
# What share of a class's own clips reach its threshold. In files for apps stand those of `USUAL`.
SENSITIVITIES = {"low": 0.6, "medium": 0.8, "high": ACCEPTED}
USUAL = "medium"
HIGHEST_THRESHOLD = 255 / 256  # the highest score in int8: from a higher one on a class would be silent
TEMPERATURES = 0.05, 20.0  # where the best one is looked for
REPLICATES = 1_000  # of the bootstrap: each ranks all clips anew


def write(path, clips, classes, confidences):
    """Writes the table: a row for each clip, the known ones first.

    clips: (known, unknown), both `zoo.corpus.Clips`. classes: the names of theirs. confidences: {file: of both}.
    """
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow((*CLIP, *confidences))
        for kind, (of_kind, names) in enumerate(zip(clips, classes)):
            columns = (both[kind] for both in confidences.values())
            writer.writerows(zip(of_kind.files, of_kind.sources, names, repeat(1 - kind), *columns))


def read(path):
    """The table as {file: (confidences of known clips, of unknown ones)}; "file", "source" and "class" likewise."""
    with open(path, newline="", encoding="utf-8") as file:
        names, *rows = csv.reader(file)
    table = dict(zip(names, map(np.array, zip(*rows))))
    is_known = table.pop("is_known") == "1"
    columns = {name: values if name in CLIP else values.astype(np.float64) for name, values in table.items()}
    return {name: (values[is_known], values[~is_known]) for name, values in columns.items()}


def figures(table, seed):
    """{file: {"auroc", "fpr95", and of each its interval's ends, "auroc_low" and so on}} of a table that was `read`.

    auroc: `auroc`. fpr95: the share of unknown clips that are taken for known where `ACCEPTED` of the known ones are.
    Intervals are percentile bootstraps over source recordings, of both kinds.
    """
    rng = np.random.default_rng(seed)
    known_of, unknown_of = map(_drawer, table["source"])
    draws = [(known_of(rng), unknown_of(rng)) for _ in range(REPLICATES)]
    return {file: _figures(*both, draws) for file, both in table.items() if file not in CLIP}


def _figures(known, unknown, draws):
    found = {}
    for name, figure in (("auroc", auroc), ("fpr95", false_positive_rate)):
        found[name] = figure(known, unknown)
        drawn = [figure(known[of_known], unknown[of_unknown]) for of_known, of_unknown in draws]
        found[f"{name}_low"], found[f"{name}_high"] = evaluation.ends(drawn)
    return found


def auroc(known, unknown):
    """Area under the ROC curve: how often a known clip's confidence is above an unknown one's, a tie counting half.

    Shape: (clips,) twice
    """
    is_known = np.repeat([True, False], [len(known), len(unknown)])
    return float(evaluation.roc_auc(np.concatenate([known, unknown])[:, None], is_known[:, None])[0])


def false_positive_rate(known, unknown, accepted=ACCEPTED):
    """The share of unknown clips at or above the highest threshold that at least `accepted` of the known ones reach.

    Shape: (clips,) twice
    """
    return float(np.mean(unknown >= _reached_by(known, accepted)))


def temperature(logits, targets):
    """By what logits are to be divided for their scores to be as sure as they are often right: the likeliest.

    logits: of each clip those of its crops, (crops, classes); a clip's score is the mean over them. The clips did not
    train. targets: their classes.
    """

    def surprise(log_temperature):
        log_scores = (log_softmax(of_clip / math.exp(log_temperature), axis=-1) for of_clip in logits)
        means = [logsumexp(crops, axis=0)[target] - math.log(len(crops)) for crops, target in zip(log_scores, targets)]
        return -np.mean(means)

    return math.exp(minimize_scalar(surprise, bounds=np.log(TEMPERATURES), method="bounded").x)


def at_temperature(scores, temperature):
    """Scores whose logits were divided by `temperature`. Shape: (..., classes)"""
    return softmax(logits_of(scores) / temperature, axis=-1).astype(np.float32)


def logits_of(scores):
    """Logits whose softmax the scores are. Shape: (..., classes)"""
    return np.log(np.maximum(np.float64(scores), np.finfo(np.float32).tiny))


def thresholds(scores, targets, share):
    """The score from which on each class is believed: the highest that at least `share` of its clips reach, of those
    that are decided right. A class that has none is believed as the strictest of the others is.

    Shape: (clips, classes), (clips,) -> tuple of floats, (classes,)
    """
    is_right = scores.argmax(axis=1) == targets
    reached = [scores[is_right & (targets == number), number] for number in range(scores.shape[1])]
    found = [_reached_by(of_class, share) if len(of_class) else None for of_class in reached]
    strictest = max((each for each in found if each is not None), default=HIGHEST_THRESHOLD)
    return tuple(min(strictest if each is None else each, HIGHEST_THRESHOLD) for each in found)


def accepted(scores, thresholds):
    """Which clips are taken for known: those in which some class reaches its threshold. Shape: -> booleans (clips,)"""
    return (scores >= np.float32(thresholds)).any(axis=1)


def acceptance(known, unknown, thresholds):
    """{"known_accepted", "unknown_accepted"}: shares of the clips. Shape: scores (clips, classes) twice"""
    both = {"known": known, "unknown": unknown}
    return {f"{kind}_accepted": float(accepted(scores, thresholds).mean()) for kind, scores in both.items()}


def _reached_by(values, share):
    """The highest of `values` that at least `share` of them reach."""
    return float(np.sort(values)[len(values) - math.ceil(share * len(values))])


def _drawer(sources):
    """Function rng -> numbers of the clips of as many sources, drawn with all their clips."""
    _, source_of = np.unique(sources, return_inverse=True)
    clips_of = np.split(np.argsort(source_of, kind="stable"), np.cumsum(np.bincount(source_of))[:-1])
    return lambda rng: np.concatenate([clips_of[one] for one in rng.integers(0, len(clips_of), len(clips_of))])
