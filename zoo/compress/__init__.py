"""Compression: steps of one shape, step(backbone, finetune) -> backbone. They see the backbone, never a front end."""

from zoo.backend import keras

from zoo.errors import ZooError


def check_backbone(model):
    """Raises ZooError unless `model` is a flat functional model without Kapre layers: TF-MOT takes no other."""
    for layer in model.layers:
        if type(layer).__module__.partition(".")[0] == "kapre":
            raise ZooError(
                f"{model.name}: {layer.name} is a Kapre layer; compression takes the backbone alone, and "
                "zoo.assembly.join adds the front end again"
            )
        if isinstance(layer, keras.Model):
            raise ZooError(f"{model.name}: {layer.name} is a model inside the model; give the backbone itself")


def copy_of(model):
    """A model of its own layers with the same names and weights."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy
