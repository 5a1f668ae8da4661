"""DS-CNN: a convolution, then depthwise separable ones, over ten cepstral coefficients or mel bands of a keyword.

Source: Banbury et al. 2021, "MLPerf Tiny Benchmark"; benchmark/training/keyword_spotting/keras_model.py of
github.com/mlcommons/tiny.
"""

from zoo.backend import keras

layers = keras.layers


def build(input_shape, num_classes, width=64, depth=4):
    """Functional model (frames, coefficients, 1) -> softmax scores (num_classes,): `depth` blocks of `width` filters.

    Its convolutions have biases although norms follow: the published count of parameters holds them.
    """
    inputs = keras.Input(input_shape, name="input")
    x = layers.Conv2D(width, (10, 4), strides=2, padding="same", kernel_initializer="he_normal", name="stem")(inputs)
    x = layers.Dropout(0.2, name="stem_dropout")(_norm_and_relu(x, "stem"))
    for block in range(1, depth + 1):
        x = layers.DepthwiseConv2D(3, padding="same", name=f"block{block}_depthwise")(x)
        x = _norm_and_relu(x, f"block{block}_depthwise")
        x = layers.Conv2D(width, 1, kernel_initializer="he_normal", name=f"block{block}_pointwise")(x)
        x = _norm_and_relu(x, f"block{block}_pointwise")
    x = layers.Dropout(0.4, name="dropout")(x)
    # Half the input, rounded down: of 49 frames the stem leaves 25, and the pool leaves out the last.
    x = layers.AveragePooling2D((input_shape[0] // 2, input_shape[1] // 2), name="average_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(num_classes, name="dense")(x)
    scores = layers.Softmax(name="scores")(x)
    return keras.Model(inputs, scores, name="ds_cnn")


def _norm_and_relu(x, name):
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)
