"""Where the two cuts are made: front end and backbone are joined late, and a joined model is cut at its seam."""

from zoo.backend import keras


def join(front_end, backbone, between=None):
    """Keras model waveform -> scores. It shares the backbone's layers: training the join trains the backbone.

    between: a layer that columns pass on their way, while a net trains.
    """
    columns = between(front_end.output) if between else front_end.output
    return keras.Model(front_end.input, backbone(columns), name=backbone.name)


def with_sigmoid(backbone):
    """The backbone with a score for each class by itself: its logits, whose softmax it has, under a sigmoid."""
    scores = keras.layers.Activation("sigmoid", name=backbone.layers[-1].name)(backbone.layers[-1].input)
    return keras.Model(backbone.input, scores, name=backbone.name)


def with_temperature(backbone, temperature):
    """The backbone with its logits divided by `temperature`; its other layers are shared.

    The last layer that has weights divides them: between it and the softmax nothing may be but what keeps a factor (a
    ReLU, a mean, another shape).
    """
    place = max(number for number, layer in enumerate(backbone.layers) if layer.weights)
    last = backbone.layers[place]
    scaled = type(last).from_config(last.get_config())
    x = scaled(last.input)
    is_norm = isinstance(last, keras.layers.BatchNormalization)  # its mean and variance are of what comes in
    weights = last.get_weights()
    scaled.set_weights(
        [*(weight / temperature for weight in weights[:2]), *weights[2:]]
        if is_norm
        else [weight / temperature for weight in weights]
    )
    return _ending_with(backbone, place, x)


def head(backbone):
    """The layer that makes scores of the embedding: the last convolution or dense layer."""
    return next(layer for layer in reversed(backbone.layers) if hasattr(layer, "kernel"))


def with_embedding(front_end, backbone):
    """Keras model waveform -> [scores, embedding]: what the head takes, and of an image its mean."""
    embedding = head(backbone).input
    if len(embedding.shape) > 2:
        embedding = keras.layers.GlobalAveragePooling2D(name="embedding")(embedding)
    both = keras.Model(backbone.input, [backbone.output, embedding], name=backbone.name)
    return keras.Model(front_end.input, both(front_end.output), name=backbone.name)


def embedder(model):
    """Keras model waveform -> embedding of a joined model: what its dense head takes.

    Shape: (batch, samples) -> (batch, width)
    """
    front, backbone = parts(model)
    embedding = keras.Model(backbone.input, head(backbone).input)
    return keras.Model(front.input, embedding(front.output))


def with_head(model, kernel, bias):
    """A joined model with another dense head, for as many classes as `bias` has; all before it is shared."""
    front, backbone = parts(model)
    place = backbone.layers.index(head(backbone))
    dense = keras.layers.Dense(len(bias), name=backbone.layers[place].name)
    x = dense(backbone.layers[place].input)
    dense.set_weights([kernel, bias])
    return join(front, _ending_with(backbone, place, x))


def _ending_with(backbone, place, x):
    """The backbone with the tensor `x` as what its layer at `place` gives: what stands behind goes on from it."""
    for layer in backbone.layers[place + 1 :]:
        x = layer(x)
    return keras.Model(backbone.input, x, name=backbone.name)


def parts(model):
    """(front end, backbone) of a joined model."""
    *_, last, backbone = model.layers
    return keras.Model(model.input, last.output), backbone


def cut(front_end, backbone, seam):
    """Two Keras models that share all layers: front (waveform -> columns) and body (columns -> scores).

    seam: the name of the backbone's layer where sound has become columns over time. A backbone without that layer
    takes columns already: its input is the seam.
    """
    if seam not in [layer.name for layer in backbone.layers]:
        return front_end, backbone
    columns = backbone.get_layer(seam).output
    learned_front = keras.Model(backbone.input, columns, name="front")
    return join(front_end, learned_front), keras.Model(columns, backbone.output, name="body")
