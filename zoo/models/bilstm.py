"""A bidirectional LSTM over the columns of a spectrogram, and a dense layer.

Source: Mou and Milanova 2024, "Performance Analysis of Deep Learning Model-Compression Techniques for Audio
Classification on Edge Devices", section 2.1: a bidirectional unit, and a dense layer at the end. Its width, what of
its states the dense layer takes and whether columns are normalised are left open there.
"""

from zoo.backend import keras

layers = keras.layers


def build(input_shape, num_classes, units=128):
    """Functional model from (frames, mels, 1) to softmax scores (num_classes,); `units` each way.

    The mean over time goes on, not the last states: a sound may be over long before the crop is.
    """
    inputs = keras.Input(input_shape, name="input")
    x = layers.Reshape(input_shape[:2], name="columns")(inputs)
    x = layers.BatchNormalization(momentum=0.9, name="columns_norm")(
        x
    )  # levels of up to 80 dB would saturate the gates
    x = layers.Bidirectional(layers.LSTM(units, return_sequences=True), name="memory")(x)
    x = layers.GlobalAveragePooling1D(name="average_pool")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    x = layers.Dense(num_classes, name="dense")(x)
    return keras.Model(inputs, layers.Softmax(name="scores")(x), name="bilstm")
