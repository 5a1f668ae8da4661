"""Where the two cuts are made: front end and backbone are joined late, and a joined model is cut at its seam."""

from zoo.backend import keras


def join(front_end, backbone):
    """Keras model waveform -> scores. It shares the backbone's layers: training the join trains the backbone."""
    return keras.Model(front_end.input, backbone(front_end.output), name=backbone.name)


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
