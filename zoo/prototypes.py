"""A head made of prototypes: classes are told apart by the means of their embeddings, over a spread that they share.

So a class can be added of a few recordings, without training. Embeddings are what a model's head takes, (n, width).

Source: linear discriminant analysis; for classes that are added to a trained net Lee et al. 2018, "A simple unified
framework for detecting out-of-distribution samples and adversarial attacks", section 2.3.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax
from sklearn.covariance import ledoit_wolf

from zoo import open_set

FILE = "embeddings.npz"  # of an exported folder: those of unmixed training crops, and their classes
CROPS = 25  # of each class, at least, in the mean
PARTS = 5  # in which the known embeddings judge a head of the others
SMALLEST_SPREAD = 1e-3  # of a channel, of the mean one: one that hardly moves is not to be listened to most


@dataclass(frozen=True)
class Head:
    """Scores are the softmax of `embedding @ kernel + bias`."""

    kernel: np.ndarray  # float32 (width, classes)
    bias: np.ndarray  # float32 (classes,)
    points: dict  # sensitivity of `open_set.SENSITIVITIES` -> a threshold for each class
    left_out: np.ndarray  # scores of each example, by a head of all but it: (examples, classes)

    def scores(self, embeddings):
        """Shape: (..., width) -> (..., classes)"""
        return softmax(embeddings @ self.kernel + self.bias, axis=-1)


def head(known, targets, examples, noise=0.0):
    """The `Head` of the known classes and one more.

    Its temperature and thresholds are those at which each embedding is judged by a head that was made without it: in
    `PARTS` parts of the known ones, and of the new class one recording at a time. Of a class of one recording nothing
    can be left out: it has the strictest threshold of the others.

    known: (n, width), of the classes `targets`. examples: of each recording of the new class an array (crops, width).
    noise: variance of what 8 bits change of an embedding, (width,): it counts as spread, or the head would listen to
    differences that an int8 file does not hear.
    """
    number = int(targets.max()) + 1
    of_examples, of_recording = np.concatenate(examples), np.repeat(np.arange(len(examples)), list(map(len, examples)))

    def logits_without(is_part, left, judged):
        new = of_examples[of_recording != left]
        classes = np.concatenate([targets[~is_part], np.full(len(new), number)])
        kernel, bias = _discriminants(np.concatenate([known[~is_part], new]), classes, noise)
        return judged @ kernel + bias

    none = np.zeros(len(known), bool)
    logits = np.empty((len(known), number + 1))
    parts = np.empty(len(known), int)
    parts[np.argsort(targets, kind="stable")] = np.arange(len(known)) % PARTS  # some of each class in each
    for part in range(PARTS):
        logits[parts == part] = logits_without(parts == part, None, known[parts == part])
    judged = [*logits[:, None], *(logits_without(none, i, one) for i, one in enumerate(examples) if len(examples) > 1)]
    classes = np.concatenate([targets, np.full(len(judged) - len(known), number)])
    temperature = open_set.temperature(judged, classes)
    scores = np.stack([softmax(of_one / temperature, axis=-1).mean(axis=0) for of_one in judged])
    kernel, bias = _discriminants(
        np.concatenate([known, of_examples]), np.concatenate([targets, np.full(len(of_examples), number)]), noise
    )
    return Head(
        (kernel / temperature).astype(np.float32),
        (bias / temperature).astype(np.float32),
        {name: open_set.thresholds(scores, classes, share) for name, share in open_set.SENSITIVITIES.items()},
        scores[len(known) :],
    )


def _discriminants(embeddings, classes, noise):
    """(kernel (width, classes), bias (classes,)): of classes that are as likely, as few recordings as one may have."""
    of_class = [embeddings[classes == number] for number in range(classes.max() + 1)]
    means = np.stack([one.mean(axis=0) for one in of_class])
    spread = np.mean([ledoit_wolf(one)[0] for one in of_class], axis=0)
    spread += np.diag(np.broadcast_to(noise + SMALLEST_SPREAD * np.trace(spread) / len(spread), len(spread)))
    middle = means.mean(axis=0)  # what all classes share would make huge weights that cancel out
    kernel = np.linalg.solve(spread, (means - middle).T)
    return kernel, -np.sum((means + middle).T * kernel, axis=0) / 2
