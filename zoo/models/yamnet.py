"""YAMNet, a MobileNet v1 over the log-mel of 0.96 s that AudioSet trained, and the 256-wide cut of it.

Source: tensorflow/models, research/audioset/yamnet: yamnet.py (layers), params.py (values); Howard et al. 2017.
The cut: STMicroelectronics/stm32ai-modelzoo, audio_event_detection/yamnet, of which the README alone is public: an
embedding of 256, 130 K parameters, and for ESC-10 135.91 KiB of weights in flash. The first six layers with ten classes
behind them are 139,176 B in int8 with biases of 32 bits, 135.91 KiB.
"""

from zoo.backend import keras

layers = keras.layers

# Filters and strides of layer1, a convolution, and of layer2 to layer14, each a depthwise and a pointwise one.
WIDTHS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1_024, 1_024)
STRIDES = (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
CUT_WIDTHS = WIDTHS[:6]  # of yamnet_256
NUM_CLASSES = 521  # of AudioSet, as published

NORM_EPSILON = 1e-4


def build(input_shape, num_classes, widths=WIDTHS, classifier_activation="softmax"):
    """Functional model from `input_shape` to scores (num_classes,).

    widths: filters of so many layers from the first on; the mean over the image of the last one is the embedding.
    classifier_activation: "sigmoid", as published, scores each class by itself.

    Shape: (frames, mels, 1); published: (96, 64, 1)
    """
    if not 1 <= len(widths) <= len(STRIDES):
        raise ValueError(f"yamnet: widths needs 1 to {len(STRIDES)} numbers, one a layer; got {len(widths)}: {widths}")
    inputs = keras.Input(input_shape, name="input")
    x = _activated(layers.Conv2D(widths[0], 3, STRIDES[0], padding="same", use_bias=False, name="layer1_conv"), inputs)
    for number, (filters, stride) in enumerate(zip(widths[1:], STRIDES[1:]), start=2):
        depthwise, pointwise = f"layer{number}_depthwise", f"layer{number}_pointwise"
        x = _activated(layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False, name=depthwise), x)
        x = _activated(layers.Conv2D(filters, 1, use_bias=False, name=pointwise), x)
    x = layers.GlobalAveragePooling2D(name="embedding")(x)
    x = layers.Dense(num_classes, name="dense")(x)
    scores = layers.Activation(classifier_activation, name="scores")(x)
    return keras.Model(inputs, scores, name="yamnet")


def _activated(convolution, x):
    """The convolution of x, batch normalisation without scale, ReLU."""
    x = layers.BatchNormalization(scale=False, epsilon=NORM_EPSILON, name=f"{convolution.name}_norm")(convolution(x))
    return layers.ReLU(name=f"{convolution.name}_relu")(x)
