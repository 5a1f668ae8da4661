"""Transfer: a backbone begins with the weights of a trained one, and its head, or all of it, is trained on.

The weights lie in a folder that the zoo exported, or are YAMNet's, published ones: `path`, everywhere here.
"""

import json
from pathlib import Path

from zoo import assembly, pretrained
from zoo.errors import ZooError
from zoo.export import keras_files
from zoo.runtime import sums


def check(path, labels, test_folds):
    """Raises: ZooError where `path` is neither, or was tested on another fold of these classes: it has heard the clips
    of a fold in `test_folds`, if not those that tested it.
    """
    if not Path(path).is_dir():
        return
    metrics = _metrics(path)
    heard = [fold for fold in test_folds if fold != metrics["test_fold"]]
    if heard and not set(metrics["labels"]).isdisjoint(labels):
        raise ZooError(
            f"--init-from {path}: it was tested on fold {metrics['test_fold']} and has heard the clips of fold "
            f"{heard[0]}, which would test; pass one that was trained with the same --fold"
        )


def fill(backbone, path, labels):
    """Gives each layer of `backbone` the weights of its namesake in `path`, where their shapes agree; returns those.

    The head is filled only where the trained model has the same classes (`labels`), in the same order, and makes its
    scores of logits in the same way.

    Raises: ZooError where `path` is neither, and where nothing fits.
    """
    if not Path(path).is_dir():
        return [backbone.get_layer(name) for name in pretrained.load_published(backbone, path)]
    metrics = _metrics(path)
    trained = keras_files.load_exported(Path(path) / "model.h5").layers[-1]  # of a join: the backbone
    known = {layer.name: layer for layer in trained.layers if layer.weights}
    if metrics["labels"] != labels or _scoring(trained) != _scoring(backbone):
        del known[assembly.head(trained).name]
    namesakes = [layer for layer in backbone.layers if layer.name in known]
    filled = [layer for layer in namesakes if _shapes(layer) == _shapes(known[layer.name])]
    if not filled:
        raise ZooError(
            f"--init-from {path}: no layer of {metrics['model']} fits one of {backbone.name}; pass a model of the same "
            "recipe"
        )
    for layer in filled:
        layer.set_weights(known[layer.name].get_weights())
        layer.trainable = known[layer.name].trainable  # a norm that was folded away stays as it is
    return filled


def freeze(backbone, filled):
    """Lets the layers `filled`, but for the head, keep their weights; returns those that trained until now."""
    before_head = backbone.layers[: backbone.layers.index(assembly.head(backbone))]
    layers = [layer for layer in before_head if layer in filled and layer.trainable]
    for layer in layers:
        layer.trainable = False
    return layers


def digest(path):
    """The SHA-256 of the weights."""
    path = Path(path)
    return sums.of(path / "model.h5" if path.is_dir() else path)


def licence(path):
    """The licence of the weights, which those that are trained on from them inherit."""
    if not Path(path).is_dir():
        return pretrained.LICENCE
    metrics = _metrics(path)
    return metrics.get("licence") or f"that of {metrics['dataset']}"  # folders of before 0.5.0 do not tell


def _metrics(folder):
    try:
        metrics = json.loads((Path(folder) / "metrics.json").read_text(encoding="utf-8"))
        missing = [name for name in ("model", "dataset", "labels", "test_fold") if name not in metrics]
    except (OSError, ValueError) as error:
        raise ZooError(f"--init-from {folder}: no metrics.json; pass a folder that a recipe exported") from error
    if missing or not (Path(folder) / "model.h5").is_file():
        found = f"no {missing[0]} in its metrics.json" if missing else "no model.h5"
        raise ZooError(f"--init-from {folder}: {found}; pass a folder that a recipe exported")
    return metrics


def _scoring(model):
    return type(model.layers[-1]), model.layers[-1].get_config()


def _shapes(layer):
    return [weight.shape for weight in layer.weights]
