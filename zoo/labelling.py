"""What differs between clips of one class each and clips of any number of classes: head, loss, decisions, figures.

`Multiclass` and `Multilabel` answer the same questions, so that whoever trains, exports or judges need not know which
of the two it is. Scores are float32, (clips, classes). Targets are the class of each clip, (clips,), or, where it may
have several, 1 for each of them, (clips, classes); so are decisions.
"""

from dataclasses import dataclass, field, replace
from typing import ClassVar

from zoo.backend import keras, tf

import numpy as np
from scipy.special import expit, logsumexp

from zoo import assembly, evaluation, open_set

BACKGROUND = "background"  # the last label, where sounds of none of the classes trained as one
UNSEEN_THRESHOLD = 0.5  # where no clip was there to choose by
# A smaller score is taken for this one: the logarithm of 0 is no number. Keras's 1e-7 would be too much (at T = 5 it
# counts as 0.04 in each class that a teacher rules out), float32's smallest too little: gradients divide by the score.
SMALLEST_SCORE = 1e-30
NEAREST_TO_1 = 2.0**-24  # what float32 leaves of 1 minus the highest score below 1


@dataclass(frozen=True)
class Multiclass:
    """Each clip has one of the classes: softmax, the highest score decides, accuracy.

    labels: names of the classes, in the order of the scores. points: {sensitivity of `open_set.SENSITIVITIES`: the
    score from which on each class is believed}, where sounds of no class are to be told from those of the classes.
    """

    labels: tuple
    points: dict = field(default_factory=dict, hash=False)
    metric: ClassVar[str] = "accuracy"
    objective: ClassVar = None  # of training: the plan's own loss

    def confidence(self, scores):
        """How sure scores are of one of the classes, the background left out. Shape: (clips, classes) -> (clips,)"""
        return scores[:, : len(self.labels) - (self.labels[-1] == BACKGROUND)].max(axis=1)

    @property
    def thresholds(self):
        """Those of the usual sensitivity; () where every sound is of one of the classes."""
        return self.points.get(open_set.USUAL, ())

    def with_head(self, backbone):
        """The backbone with the scores of this labelling: as the models are built."""
        return backbone

    def accuracy(self, labels, scores):
        """1 for each clip whose highest score is that of its label's largest share, 0 for others: a Keras metric.

        Shape: (batch, classes) twice -> (batch,)
        """
        return keras.metrics.categorical_accuracy(labels, scores)

    def tuned(self, score, clips):
        """The labelling with what is chosen for its decisions on `clips`: nothing."""
        return self

    def decide(self, scores):
        """Shape: (clips, classes) -> (clips,)"""
        return scores.argmax(axis=1)

    def measure(self, scores, targets):
        """The metric: the share of clips that are decided right."""
        return float(np.mean(self.decide(scores) == targets))

    def figures(self, scores, reference, targets, sources, seed):
        """`evaluation.figures` of the scores, held against those of `reference`."""
        return evaluation.figures(self.decide(scores), self.decide(reference), targets, sources, seed)

    def tables(self, scores, targets):
        """What pictures are drawn from: the confusion, and a score and the F1 of each class."""
        confusion = evaluation.confusion(scores, targets, len(self.labels))
        return {"confusion": confusion, "per_class": evaluation.per_class(confusion)}

    def ideal(self, targets):
        """The scores that targets would have if there were no doubt. Shape: (...) -> (..., classes)"""
        return np.eye(len(self.labels), dtype=np.float32)[targets]

    def present(self, targets):
        """Numbers of the classes of which there is a clip."""
        return np.unique(targets)

    def told(self, decided):
        """Each decision, or target, in words."""
        return [self.labels[number] for number in decided]

    def logits(self, scores):
        """Those of which the scores are the softmax, but for a constant. Shape: that of the scores"""
        logs = np.log(np.maximum(scores, SMALLEST_SCORE, dtype=np.float64))
        return logs - logs.mean(axis=1, keepdims=True)

    def outcomes(self, scores):
        """The distributions that scores tell of, along the last axis: one. Scores are a tensor."""
        return scores

    def scores_of(self, logits):
        """Scores of a linear head's logits, tensors both."""
        return tf.nn.softmax(logits)

    def likelihood(self, logits, labels):
        """(scores of the logits, logarithm of the labels' likelihood under them), of arrays."""
        log_scores = logits - logsumexp(logits, axis=1, keepdims=True)
        return np.exp(log_scores), np.sum(labels * log_scores)


@dataclass(frozen=True)
class Multilabel:
    """Each clip has any number of the classes: a sigmoid for each, which its own threshold makes a decision; mean
    average precision.

    labels: as of `Multiclass`. thresholds: the score from which on each class is decided for; until they are
    chosen, `UNSEEN_THRESHOLD`.
    """

    labels: tuple
    thresholds: tuple = ()
    metric: ClassVar[str] = "mAP"

    def with_head(self, backbone):
        return assembly.with_sigmoid(backbone)

    @property
    def points(self):
        return {open_set.USUAL: self.thresholds} if self.thresholds else {}

    @property
    def objective(self):
        """What training asks for loss and metric, whatever the plan's own loss is."""
        return self

    def loss(self, labels, scores):
        """Binary cross-entropy, the mean over the classes. Shape: (batch, classes) twice -> (batch,)"""
        return keras.losses.binary_crossentropy(labels, scores)

    def accuracy(self, labels, scores):
        """1 for each clip whose highest score is that of a class that it has: a Keras metric.

        Shape: (batch, classes) twice -> (batch,)
        """
        return tf.cast(tf.gather(labels, tf.argmax(scores, axis=-1), axis=-1, batch_dims=1) > 0, tf.float32)

    def tuned(self, score, clips):
        """The labelling with thresholds that were chosen on `clips`: for each class the highest F1. score: function
        clips -> scores.
        """
        columns = zip(score(clips).T, clips.targets.T)
        return replace(self, thresholds=tuple(best_threshold(*column) for column in columns))

    def decide(self, scores):
        return scores >= np.array(self.thresholds or UNSEEN_THRESHOLD)

    def measure(self, scores, targets):
        return evaluation.mean_average_precision(scores, targets)

    def figures(self, scores, reference, targets, sources, seed):
        """mAP with its interval, d-prime of the mean area under the ROC curves, and clips by their set of labels."""
        low, high = evaluation.mean_average_precision_interval(scores, targets, sources, seed)
        d_prime = evaluation.d_prime(float(np.nanmean(evaluation.roc_auc(scores, targets))))
        return {
            self.metric: self.measure(scores, targets),
            "low": low,
            "high": high,
            "d_prime": d_prime if np.isfinite(d_prime) else None,  # of areas of 1 it is infinite
            **evaluation.changes(self.decide(scores), self.decide(reference), targets.astype(bool)),
        }

    def tables(self, scores, targets):
        precision = evaluation.average_precision(scores, targets)
        decided = self.decide(scores)
        hits = (decided & (targets > 0)).sum(axis=0)
        f1 = 2 * hits / np.maximum(decided.sum(axis=0) + targets.sum(axis=0), 1)
        return {"per_class": {"average precision": precision, "f1": np.where(np.isnan(precision), np.nan, f1)}}

    def ideal(self, targets):
        return targets.astype(np.float32)

    def present(self, targets):
        return np.flatnonzero(targets.any(axis=0))

    def told(self, decided):
        return ["; ".join(self.labels[number] for number in np.flatnonzero(row)) for row in decided]

    def logits(self, scores):
        """Those of which the scores are the sigmoid."""
        scores = np.float64(scores)
        return np.log(np.maximum(scores, SMALLEST_SCORE)) - np.log(np.maximum(1 - scores, NEAREST_TO_1))

    def outcomes(self, scores):
        """For each class whether it is there or not. Shape: (batch, classes) -> (batch, classes, 2)"""
        return tf.stack([scores, tf.maximum(1 - scores, NEAREST_TO_1)], axis=-1)

    def scores_of(self, logits):
        return tf.sigmoid(logits)

    def likelihood(self, logits, labels):
        return expit(logits), np.sum(labels * logits - np.logaddexp(0, logits))


def of(builder, classes=None, with_background=False):
    """The labelling of a data set's clips, or of those of its first `classes` classes; with the background behind them.

    builder: `zoo.datasets.recordings.Recordings`.
    """
    labels = (*builder.class_names[:classes], *([BACKGROUND] if with_background else ()))
    return (Multilabel if builder.MULTI_LABEL else Multiclass)(labels)


def best_threshold(scores, has_it):
    """The score from which on to decide for a class: where F1 is highest, half-way to the next score below.

    Shape: (clips,) twice
    """
    order = np.argsort(-scores, kind="stable")
    ranked, hits = np.float64(scores[order]), np.cumsum(has_it[order] > 0)
    if not hits[-1] or not ranked[0] > 0:
        return UNSEEN_THRESHOLD
    below = np.append(ranked[1:], 0)
    f1 = 2 * hits / (np.arange(1, len(ranked) + 1) + hits[-1])
    last = int(np.argmax(np.where(ranked > below, f1, -1)))  # of equal scores all are decided for, or none
    return float(min((ranked[last] + below[last]) / 2, open_set.HIGHEST_THRESHOLD))
