"""Distillation's losses, against the paper's equations in NumPy."""

from zoo.backend import keras, tf

import numpy as np
import pytest

from zoo.compress.distill import KINDS, Distillation, taught
from zoo.errors import ZooError

CLASSES = 7
CROSS_ENTROPY_TO_LABELS = ("ce_ce", "kl_ce")


def softmax(logits, temperature=1.0):
    """In float64."""
    e = np.exp(np.float64(logits) / temperature)
    return e / e.sum(axis=-1, keepdims=True)


def cross_entropy(p, q):
    return -(p * np.log(q)).sum(axis=-1)


def divergence(p, q):
    return (p * np.log(p / q)).sum(axis=-1)


@pytest.fixture
def logits():
    """Of a teacher, a student and (soft) labels: (3, clips, classes)."""
    return np.random.default_rng(0).normal(0, 2, (3, 16, CLASSES))


def scores_of(logits):
    return tf.constant(softmax(logits), tf.float32)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 3.0, 4.0, 5.0])
@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_the_papers_with_the_softmax_after_the_division(logits, kind, temperature):
    teacher, student, target = logits
    alpha, objective = 0.1, Distillation(kind, 0.1, temperature)
    found = objective.loss(objective.labels(softmax(target), scores_of(teacher)), scores_of(student))

    soft = cross_entropy if kind == "ce_ce" else divergence
    hard = cross_entropy if kind in CROSS_ENTROPY_TO_LABELS else divergence
    wanted = soft(softmax(teacher, temperature), softmax(student, temperature)) * (1 - alpha) * temperature**2
    wanted += hard(softmax(target), softmax(student)) * alpha
    # Sums of some twenty float32 roundings, T^2 = 25 times as large.
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    assert found.shape == (16,) and found.dtype == tf.float32


@pytest.mark.parametrize("kind", KINDS)
def test_at_alpha_1_the_labels_alone_count(logits, kind):
    teacher, student, target = logits
    objective = Distillation(kind, alpha=1.0, temperature=4.0)
    plain = keras.losses.categorical_crossentropy if kind in CROSS_ENTROPY_TO_LABELS else keras.losses.kl_divergence
    labels = objective.labels(softmax(target), scores_of(teacher))
    np.testing.assert_array_equal(
        objective.loss(labels, scores_of(student)), plain(tf.constant(softmax(target), tf.float32), scores_of(student))
    )


@pytest.mark.parametrize("temperature", [1.0, 2.5, 5.0])
def test_a_student_that_equals_its_teacher_has_nothing_to_learn_from_it(logits, temperature):
    objective = Distillation("kl_kl", alpha=0.0, temperature=temperature)
    scores = tf.Variable(scores_of(logits[0]))
    with tf.GradientTape() as tape:
        loss = objective.loss(objective.labels(softmax(logits[2]), scores_of(logits[0])), scores)
    # p - p, each rounded: nothing of it reaches a weight.
    gradient = tape.gradient(loss, scores) * scores
    np.testing.assert_array_equal(loss, np.zeros(16))
    assert np.abs(gradient).max() < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_at_the_logits_is_the_difference_of_the_tempered_softmaxes(logits, kind):
    """d/dz of KL or CE(softmax(t / T), softmax(z / T)) T^2 = T (softmax(z / T) - softmax(t / T))."""
    teacher, student, target = logits
    for temperature in (1.0, 5.0, 100.0):
        objective = Distillation(kind, alpha=0.0, temperature=temperature)
        z = tf.Variable(student, dtype=tf.float32)
        with tf.GradientTape() as tape:
            loss = objective.loss(objective.labels(softmax(target), scores_of(teacher)), tf.nn.softmax(z))
        wanted = temperature * (softmax(student, temperature) - softmax(teacher, temperature))
        # float32, T times the difference of two numbers under 1.
        np.testing.assert_allclose(tape.gradient(loss, z), wanted, atol=1e-6 * temperature)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", [1.0, 5.0])
def test_scores_of_exactly_0_and_1_give_a_loss_and_a_gradient(kind, temperature):
    objective = Distillation(kind, temperature=temperature)
    sure, other = np.eye(CLASSES, dtype=np.float32)[[0, 1]], np.eye(CLASSES, dtype=np.float32)[[1, 1]]
    z = tf.Variable(200 * sure)  # softmax gives 0 and 1
    with tf.GradientTape() as tape:
        scores = tf.nn.softmax(z)
        loss = objective.loss(objective.labels(other, other), scores)
    assert set(scores.numpy().ravel()) == {0, 1}
    assert np.isfinite(loss).all() and np.isfinite(tape.gradient(loss, z)).all()
    assert loss[0] > 1 > loss[1] >= 0, "wrong and sure of it, right and sure of it"


def test_scores_far_below_keras_epsilon_still_pull_at_the_student():
    objective = Distillation("kl_kl", alpha=0.0, temperature=5.0)
    z = tf.Variable([[0.0, -60.0, 0.0]])  # a score of 4e-27
    with tf.GradientTape() as tape:
        loss = objective.loss(objective.labels([[0.0, 1.0, 0.0]], [[0.01, 0.98, 0.01]]), tf.nn.softmax(z))
    teacher, student = softmax(np.log([0.01, 0.98, 0.01]), 5.0), softmax([0.0, -60.0, 0.0], 5.0)
    np.testing.assert_allclose(tape.gradient(loss, z)[0], 5 * (student - teacher), rtol=1e-4)  # float32, few roundings


def test_accuracy_is_against_the_true_labels():
    objective = Distillation()
    labels = objective.labels([[0.7, 0.3], [0.7, 0.3]], [[0.1, 0.9], [0.1, 0.9]])
    np.testing.assert_array_equal(objective.accuracy(labels, tf.constant([[0.6, 0.4], [0.2, 0.8]])), [1, 0])


def test_a_student_learns_its_teachers_decisions_from_a_plain_fit_on_a_mapped_dataset():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 8)).astype(np.float32)
    kernel = tf.constant(rng.normal(size=(8, 4)), tf.float32)
    wrong = np.eye(4, dtype=np.float32)[rng.integers(0, 4, 256)]  # labels that teach nothing
    objective = Distillation("kl_ce", alpha=0.1, temperature=3.0)

    def teacher(x):
        return tf.nn.softmax(2 * x @ kernel)

    dataset = tf.data.Dataset.from_tensor_slices((x, wrong)).batch(32)
    dataset = dataset.map(lambda x, labels: (x, objective.labels(labels, teacher(x))))
    assert dataset.element_spec[1].shape[1:] == (2, 4) and dataset.element_spec[1].dtype == tf.float32

    keras.utils.set_random_seed(0)
    student = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4, "softmax")])
    student.compile(keras.optimizers.Adam(0.05), objective.loss, metrics=[objective.accuracy])
    history = student.fit(dataset, epochs=20, verbose=0).history
    agreed = np.mean(student(x).numpy().argmax(axis=1) == teacher(x).numpy().argmax(axis=1))
    assert agreed > 0.9  # chance is 0.25
    assert history["accuracy"][-1] < 0.5, "it is measured against the labels, which are noise"


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"kind": "mse"}, "'mse'"),
        ({"alpha": -0.1}, "-0.1"),
        ({"alpha": float("nan")}, "nan"),
        ({"temperature": 0.5}, "0.5"),
        ({"temperature": float("inf")}, "inf"),
    ],
)
def test_a_value_outside_its_range_is_refused(values, found):
    with pytest.raises(ZooError, match=found):
        Distillation(**values)


def test_labels_without_a_teachers_scores_are_refused():
    with pytest.raises(ZooError, match="Distillation.labels"):
        Distillation().loss(tf.zeros((4, 2)), tf.fill((4, 2), 0.5))


def three_batches_an_epoch(first_epoch, last_epoch):
    """Their numbers, (2,) a batch, as inputs; and labels."""
    numbers = tf.data.Dataset.range(6 * first_epoch, 6 * last_epoch).batch(2)
    return numbers.map(lambda x: (tf.cast(x, tf.float32), tf.one_hot(x % 3, 3)))


def test_a_teacher_is_asked_once_about_the_first_epochs_which_come_again(tmp_path):
    asked = []

    def teach(x):
        tf.py_function(lambda x: asked.extend(x.numpy().tolist()), [x], [])
        return tf.nn.softmax(tf.stack([x, 0 * x, -x], axis=1))

    def trained(first_epoch, last_epoch):
        some = taught(three_batches_an_epoch, teach, Distillation(asked_epochs=2), 5, tmp_path)
        return list(some(first_epoch, last_epoch).as_numpy_iterator())

    batches = trained(0, 5)
    numbers = np.concatenate([x for x, _ in batches])
    np.testing.assert_array_equal(numbers, [*range(12), *range(12), *range(6)])
    labels = np.concatenate([labels for _, labels in batches])
    np.testing.assert_array_equal(labels[:, 0], np.eye(3)[numbers.astype(int) % 3])
    logits = np.stack([numbers, 0 * numbers, -numbers], axis=1)
    np.testing.assert_allclose(labels[:, 1], softmax(logits), atol=1e-6)
    # Killed after three epochs it goes on with the second of the two, and asks nobody.
    np.testing.assert_array_equal(np.concatenate([x for x, _ in trained(3, 5)]), [*range(6, 12), *range(6)])
    assert asked == list(range(12))
