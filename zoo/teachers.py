"""Teachers for distillation: a trained model of the zoo, or a published embedding with a head that is fitted here.

A teacher hears what its student hears, at its own rate and in windows of its own length.
"""

import json
from itertools import zip_longest
from pathlib import Path

from zoo.backend import tf

import numpy as np
from scipy.optimize import minimize

from zoo import corpus, embeddings, hearing, pipeline
from zoo.errors import ZooError, first_line
from zoo.export import keras_files
from zoo.progress import bar

# The head. Chosen on ESC-10's folds 1 to 4, each held out once: on clips as they are judged, and on mixed crops.
CROPS_PER_CLIP = 8  # of either kind
DECAY = 0.1  # of the kernel: half its sum of squares, times this, joins the cross-entropy
ITERATIONS = 100  # five times as many change nothing in what was held out


def open_teacher(path, labelling, clips, front_end, seed=0):
    """A function waveforms -> scores, float32, which runs in a graph (Dataset.map) and outside of one.

    It takes what the student with `front_end` (a spec with sample_rate_hz and num_samples) takes.

    path: a model that the zoo exported (its folder, or the model.h5 in it), or a published embedding, one of
    `zoo.embeddings`. labelling: the student's, of `zoo.labelling`. clips: those that train the student; they alone fit
    a published embedding's head.

    Shape: (batch, num_samples) -> (batch, classes)
    Raises: ZooError if the file is neither, if it knows other classes or if it was trained on the student's test fold.
    """
    path = Path(path)
    file = path / "model.h5" if path.is_dir() else path
    if not file.is_file():
        raise ZooError(f"teacher: no file {file}; pass an exported folder of the zoo, or a published .tflite")
    content = file.read_bytes()
    if content[4:8] == b"TFL3":
        return _with_head(
            *embeddings.published(f"teacher {file}", content, front_end), labelling, clips, front_end, seed
        )
    if content.startswith(b"\x89HDF"):
        return _zoo_model(file, labelling, clips, front_end)
    raise ZooError(
        f"teacher {file}: neither a Keras .h5 nor a .tflite; pass an exported folder, or a published .tflite"
    )


def _zoo_model(file, labelling, clips, front_end):
    try:
        metrics = json.loads((file.parent / "metrics.json").read_text(encoding="utf-8"))
        rate_hz, test_fold = metrics["sample_rate_hz"], metrics["test_fold"]
        known = (file.parent / "labels.txt").read_text(encoding="utf-8").splitlines()
        with tf.device("CPU"):  # Dataset.map runs there, and finds no weight that lies elsewhere
            model = keras_files.load_exported(file)
    except (OSError, ValueError, KeyError) as error:
        raise ZooError(
            f"teacher {file}: no exported model, or not all that lies beside one: {first_line(error)}"
        ) from error
    labels = labelling.labels
    for its_class, students in zip_longest(known, labels, fillvalue="none"):
        if its_class != students:
            raise ZooError(
                f"teacher {file}: it knows {len(known)} classes, the data set has {len(labels)}; where they first "
                f"differ it has {its_class!r}, the data set {students!r}; pass one that was trained on this data set"
            )
    if test_fold in clips.folds:
        raise ZooError(
            f"teacher {file}: fold {test_fold} tested it and trains the student, whose test fold it has therefore "
            "heard; train the teacher with the student's --fold"
        )

    @tf.function(input_signature=[tf.TensorSpec((None, front_end.num_samples), tf.float32)])
    def teach(waveforms):
        heard = hearing.resampled(waveforms, front_end.sample_rate_hz, rate_hz)
        return hearing.mean_over_windows(lambda heard: model(heard, training=False), heard, model.input_shape[1])

    return teach


def _with_head(name, embedding, labelling, clips, front_end, seed):
    x, y = [], []
    for waveforms, labels in _crops(name, clips, front_end.num_samples, labelling, seed):
        x.append(embedding(waveforms))
        y.append(labels)
    kernel, bias = fit_head(np.concatenate(x), np.concatenate(y), labelling)
    return lambda waveforms: labelling.scores_of(embedding(waveforms) @ kernel + bias)


def _crops(name, clips, num_samples, labelling, seed):
    """Batches (waveforms, labels) that fit a head: crops as they judge a clip, and mixed ones, as many of either.

    Fitted on the first alone it is sure and wrong of mixed crops, which it is asked about; on the second alone it is
    worse on the others.
    """
    for i in bar(range(len(clips)), desc=f"{name}: training clips", unit="clip"):
        crops = corpus.judging_crops(clips.waveform(i), num_samples, CROPS_PER_CLIP)
        yield crops, np.tile(labelling.ideal(clips.targets[i]), (CROPS_PER_CLIP, 1))
    mixed = pipeline.mixed_crops(
        clips, num_samples, len(labelling.labels), pipeline.Waveforms(), seed, CROPS_PER_CLIP, 0, CROPS_PER_CLIP
    )
    steps = CROPS_PER_CLIP * pipeline.steps_per_epoch(clips, CROPS_PER_CLIP)
    yield from bar(mixed, total=steps, desc=f"{name}: mixed crops", unit="batch")


def fit_head(x, labels, labelling):
    """(kernel, bias), float32, of logistic regression on embeddings x: x kernel + bias are the logits. Labels: soft.

    labelling: whether one softmax makes the scores, or a sigmoid for each class against the rest.
    Fitted on x standardised, to which the decay refers, by L-BFGS from zero.

    Shape: (n, width), (n, classes) -> (width, classes), (classes,)
    """
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1)  # what is always the same tells nothing, and must not be divided by 0
    x = (x - mean) / scale
    shape = x.shape[1] + 1, labels.shape[1]  # the last row is the bias

    def loss_and_gradient(parameters):
        kernel, bias = np.split(parameters.reshape(shape), [-1])
        scores, likelihood = labelling.likelihood(x @ kernel.astype(x.dtype) + bias, labels)
        error = ((scores - labels) / len(x)).astype(x.dtype)
        loss = -likelihood / len(x) + DECAY / 2 * np.sum(kernel**2)
        return loss, np.concatenate([x.T @ error + DECAY * kernel, error.sum(axis=0, keepdims=True)]).ravel()

    options = {"maxiter": ITERATIONS}
    found = minimize(loss_and_gradient, np.zeros(np.prod(shape)), jac=True, method="L-BFGS-B", options=options)
    kernel, bias = np.split(found.x.reshape(shape), [-1])
    kernel = kernel / scale[:, None]
    return kernel.astype(np.float32), (bias[0] - mean @ kernel).astype(np.float32)
