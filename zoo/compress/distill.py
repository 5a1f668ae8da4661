"""Knowledge distillation: a student learns the labels and, at a temperature, what a teacher thinks of the same sounds.

    objective = Distillation("kl_kl", alpha=0.1, temperature=2.0)
    dataset = dataset.map(lambda x, labels: (x, objective.labels(labels, teacher(x))))  # or `taught`
    student.compile("sgd", objective.loss, metrics=[objective.accuracy])

Student and teacher both give probabilities, as every model of the zoo does; labels may be mixed (soft). Where a clip
may have several classes, each is a distribution of its own, of being there or not.
"""

from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from zoo.backend import keras, tf

import numpy as np

from zoo.atomic import whole_file
from zoo.errors import ZooError
from zoo.labelling import SMALLEST_SCORE, Multiclass
from zoo.progress import bar


def _cross_entropy(log_teacher, log_student):
    return -tf.reduce_sum(tf.exp(log_teacher) * log_student, axis=-1)


def _kl_divergence(log_teacher, log_student):
    return tf.reduce_sum(tf.exp(log_teacher) * (log_teacher - log_student), axis=-1)


# kind -> (loss against the teacher, both tempered; loss against the labels)
KINDS = {
    "ce_ce": (_cross_entropy, keras.losses.categorical_crossentropy),  # equation 12
    "kl_ce": (_kl_divergence, keras.losses.categorical_crossentropy),  # equation 13
    "kl_kl": (_kl_divergence, keras.losses.kl_divergence),  # equation 14
}


@dataclass(frozen=True)
class Distillation:
    """Loss and metric of a student, on the labels that `labels` makes: the `objective` of a fine-tuning.

    kind: "ce_ce", "kl_ce" or "kl_kl" (cross-entropy or Kullback-Leibler divergence, against the teacher and against the
    labels). alpha: the weight of the labels; the teacher's is 1 - alpha. temperature: what logits are divided by before
    the softmax, the student's and the teacher's alike; the published range is 1 to 5. labelling: what scores are
    distributions of; whoever trains sets it. asked_epochs: the teacher hears the crops of so many epochs, which come
    again after them: it often costs more than its student.

    Raises: ZooError if a value is outside its range.
    Source: the ACDNet paper, equations 12 to 14 and section 4.4.1.
    """

    kind: str = "kl_kl"
    alpha: float = 0.1
    temperature: float = 2.0
    labelling: Any = field(default=Multiclass(()), repr=False)
    asked_epochs: int = 40

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ZooError(f"distillation: no kind {self.kind!r}; choose of {', '.join(KINDS)}")
        if not 0 <= self.alpha <= 1:
            raise ZooError(f"distillation: alpha {self.alpha} is no share; pass 0 (teacher alone) to 1 (labels alone)")
        if not 1 <= self.temperature < inf:
            raise ZooError(
                f"distillation: temperature {self.temperature} softens nothing; pass 1 or more (papers: to 5)"
            )
        if self.asked_epochs < 1:
            raise ZooError(f"distillation: a teacher that is asked about {self.asked_epochs} epochs teaches nothing")

    def labels(self, labels, teacher_scores):
        """What the data set yields as labels, float32: [:, 0] are the labels, [:, 1] the teacher's scores.

        Shape: (batch, classes) twice -> (batch, 2, classes)
        """
        return tf.stack([tf.cast(labels, tf.float32), tf.cast(teacher_scores, tf.float32)], axis=1)

    def loss(self, labels, scores):
        """Loss of each clip.

        Shape: (batch, 2, classes), (batch, classes) -> (batch,)
        Raises: ZooError if the labels hold no teacher's scores.
        """
        target, teacher_scores, scores = map(self.labelling.outcomes, (*_unstack(labels), scores))
        against_teacher, against_labels = KINDS[self.kind]
        distance = against_teacher(self._tempered(teacher_scores), self._tempered(scores))
        # A gradient through the temperature shrinks by its square: the factor keeps the balance of the two terms.
        teacher_weight = (1 - self.alpha) * self.temperature**2
        loss = teacher_weight * distance + self.alpha * against_labels(target, scores)
        return tf.reduce_mean(loss, axis=[*range(1, loss.shape.rank)])

    def accuracy(self, labels, scores):
        """The labelling's accuracy against the labels alone: a Keras metric.

        Shape: (batch, 2, classes), (batch, classes) -> (batch,)
        Raises: ZooError if the labels hold no teacher's scores.
        """
        target, _ = _unstack(labels)
        return self.labelling.accuracy(target, scores)

    def _tempered(self, scores):
        """log softmax(logits / T). The scores' logarithms are the logits, but for a constant that softmax ignores."""
        logits = tf.math.log(tf.maximum(scores, SMALLEST_SCORE))
        return tf.nn.log_softmax(logits / self.temperature)


def taught(batches, teach, objective, epochs, folder):
    """A function (first_epoch, last_epoch) -> tf.data of (inputs, labels that `objective` takes), for `training.fit`.

    batches: the same of (inputs, labels), the same each time it is called. teach: inputs -> scores. epochs: how many
    will be trained. folder: where the answers are kept, a file an epoch, so that none is asked for twice.
    """
    asked = min(objective.asked_epochs, epochs)
    files = [Path(folder) / f"epoch{epoch}.npy" for epoch in range(asked)]
    for epoch, file in enumerate(bar(files, desc="teacher", unit="epoch")):
        if not file.exists():
            answers = np.stack([scores.numpy() for scores in batches(epoch, epoch + 1).map(lambda x, _: teach(x))])
            with whole_file(file) as unfinished:
                np.save(unfinished, answers)

    answers = tf.constant(np.concatenate([np.load(file) for file in files]))
    steps = len(answers) // asked

    def lap(first_epoch):
        own = tf.data.Dataset.from_tensor_slices(answers[first_epoch * steps :])
        pairs = tf.data.Dataset.zip((batches(first_epoch, asked), own))
        return pairs.map(lambda pair, scores: (pair[0], objective.labels(pair[1], scores)))

    def some_epochs(first_epoch, last_epoch):
        laps = lap(first_epoch % asked).concatenate(lap(0).repeat())
        return laps.take((last_epoch - first_epoch) * steps).prefetch(tf.data.AUTOTUNE)

    return some_epochs


def _unstack(labels):
    if labels.shape.rank != 3:
        raise ZooError(
            f"distillation: labels of shape {labels.shape}, without a teacher's scores; map the data set through "
            "Distillation.labels"
        )
    return labels[:, 0], labels[:, 1]
