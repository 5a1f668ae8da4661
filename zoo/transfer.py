"""Transfer: a backbone begins with the weights of a trained one, and its head, or all of it, is trained on."""

import hashlib
import json
from pathlib import Path

from zoo.backend import keras

import zoo.frontends  # noqa: F401  (a trained model may hold Kapre's layers: they are to be known before it is opened)
from zoo import assembly, pretrained
from zoo.errors import ZooError


def fill(backbone, path, labels, clips):
    """Gives each layer of `backbone` the weights of its namesake in `path`, where their shapes agree.

    The head is filled only where the trained model has the same classes (`labels`), in the same order.

    path: a folder that the zoo exported, or YAMNet's published weights. clips: those that will train: none of them may
    have tested the model before. Returns eight hex digits that tell these weights from others.

    Raises: ZooError where the file is neither, where nothing fits, and where a clip that will test has trained before.
    """
    path = Path(path)
    file = path / "model.h5" if path.is_dir() else path
    if not file.is_file():
        raise ZooError(f"--init-from {path}: no model.h5 there; pass an exported folder, or YAMNet's published weights")
    if path.is_dir():
        _fill(backbone, path, labels, clips)
    else:
        pretrained.load_published(backbone, path)
    return hashlib.sha256(file.read_bytes()).hexdigest()[:8]


def _fill(backbone, folder, labels, clips):
    metrics = json.loads((folder / "metrics.json").read_text())
    if metrics["test_fold"] in clips.folds and not set(metrics["labels"]).isdisjoint(labels):
        raise ZooError(
            f"--init-from {folder}: it was tested on fold {metrics['test_fold']} and so has heard the clips that now "
            f"test; pass one that was trained with the same --fold"
        )
    trained = keras.models.load_model(folder / "model.h5", compile=False).layers[-1]  # of a join: the backbone
    weights = {layer.name: layer.get_weights() for layer in trained.layers if layer.weights}
    if metrics["labels"] != labels:
        del weights[assembly.head(trained).name]
    fitting = [layer for layer in backbone.layers if _shapes(layer.get_weights()) == _shapes(weights.get(layer.name))]
    if not fitting:
        raise ZooError(
            f"--init-from {folder}: no layer of {metrics['model']} fits one of {backbone.name}; pass a model of the "
            "same recipe"
        )
    for layer in fitting:
        layer.set_weights(weights[layer.name])


def _shapes(weights):
    return weights and [weight.shape for weight in weights]


def freeze(backbone):
    """Lets all layers before the head keep their weights and statistics, and returns those that trained until now."""
    before_head = backbone.layers[: backbone.layers.index(assembly.head(backbone))]
    layers = [layer for layer in before_head if layer.trainable]
    for layer in layers:
        layer.trainable = False
    return layers


def licence(path):
    """The licence of the weights at `path`, which those that are trained on from them inherit."""
    path = Path(path)
    return json.loads((path / "metrics.json").read_text())["licence"] if path.is_dir() else pretrained.LICENCE
