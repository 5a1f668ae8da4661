"""A head made of prototypes: classes are told apart by the means of their embeddings, over a spread that they share.

So a class can be added of a few recordings, without training. Embeddings are what a model's head takes, (n, width).

Source: linear discriminant analysis; for classes that are added to a trained net Lee et al. 2018, "A simple unified
framework for detecting out-of-distribution samples and adversarial attacks", section 2.3.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import KFold

from zoo import open_set

FILE = "embeddings.npz"  # of an exported folder: those of unmixed training crops, and their classes
PARTS = 5  # in which the known embeddings judge a head of the others


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


def head(known, targets, examples):
    """The `Head` of the known classes and one more.

    Its temperature and thresholds are those at which each embedding is judged by a head that was made without it: in
    `PARTS` parts of the known ones, and of the new class one recording at a time. Of a class of one recording nothing
    can be left out: it has the strictest threshold of the others.

    known: (n, width), of the classes `targets`. examples: of each recording of the new class an array (crops, width).
    """
    number = int(targets.max()) + 1
    of_examples, of_recording = np.concatenate(examples), np.repeat(np.arange(len(examples)), list(map(len, examples)))

    def fitted(known, targets, examples):
        classes = np.concatenate([targets, np.full(len(examples), number)])
        # Classes are as likely: there are few recordings of the new one, and it is asked for none the less.
        lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=np.full(number + 1, 1 / (number + 1)))
        return lda.fit(np.concatenate([known, examples]), classes)

    logits = np.empty((len(known), number + 1))
    for rest, part in KFold(PARTS, shuffle=True, random_state=0).split(known):
        logits[part] = fitted(known[rest], targets[rest], of_examples).decision_function(known[part])
    judged = [(logits[i][None], target) for i, target in enumerate(targets)]
    for left in range(len(examples)) if len(examples) > 1 else ():
        judge = fitted(known, targets, of_examples[of_recording != left])
        judged.append((judge.decision_function(examples[left]), number))
    temperature = open_set.temperature([logits for logits, _ in judged], [target for _, target in judged])
    scores = np.stack([softmax(logits / temperature, axis=-1).mean(axis=0) for logits, _ in judged])
    classes = np.array([target for _, target in judged])
    lda = fitted(known, targets, of_examples)
    return Head(
        (lda.coef_.T / temperature).astype(np.float32),
        (lda.intercept_ / temperature).astype(np.float32),
        {name: open_set.thresholds(scores, classes, share) for name, share in open_set.SENSITIVITIES.items()},
        scores[len(known) :],
    )
