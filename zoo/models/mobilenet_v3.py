"""MobileNetV3-Large over a log-mel spectrogram: inverted residuals, squeeze-and-excitation, hard swish.

Source: Schmid et al. 2023, "Efficient Large-scale Audio Tagging via Transformer-to-CNN Knowledge Distillation";
models/mn of github.com/fschmid56/EfficientAT. The blocks are those of Howard et al. 2019, table 1.
"""

from zoo.backend import keras

layers = keras.layers

RELU, HARD_SWISH = "relu", "hard_swish"
# Kernel, expanded channels, channels, squeeze-and-excitation, activation, stride. Before them: 16 channels, stride 2.
BLOCKS = (
    (3, 16, 16, False, RELU, 1),
    (3, 64, 24, False, RELU, 2),
    (3, 72, 24, False, RELU, 1),
    (5, 72, 40, True, RELU, 2),
    (5, 120, 40, True, RELU, 1),
    (5, 120, 40, True, RELU, 1),
    (3, 240, 80, False, HARD_SWISH, 2),
    (3, 200, 80, False, HARD_SWISH, 1),
    (3, 184, 80, False, HARD_SWISH, 1),
    (3, 184, 80, False, HARD_SWISH, 1),
    (3, 480, 112, True, HARD_SWISH, 1),
    (3, 672, 112, True, HARD_SWISH, 1),
    (5, 672, 160, True, HARD_SWISH, 2),
    (5, 960, 160, True, HARD_SWISH, 1),
    (5, 960, 160, True, HARD_SWISH, 1),
)
STEM, LAST, HIDDEN = 16, 6, 1280  # channels; times those of the last block; units of the head's hidden layer
SQUEEZE = 4  # what squeeze-and-excitation divides the channels by


def build(input_shape, num_classes, width=1.0, blocks=BLOCKS):
    """Functional model (frames, mels, 1) -> softmax scores (num_classes,); `width` multiplies all channels.

    blocks: rows as those of BLOCKS.

    The source pads evenly where the stride is 2, Keras one less before than after: same sizes, moved by a sample.
    """
    inputs = keras.Input(input_shape, name="input")
    x = _convolution(inputs, "stem", to_eights(STEM * width), HARD_SWISH, kernel_size=3, strides=2)
    for number, (kernel_size, expanded, channels, squeezes, activation, stride) in enumerate(blocks, start=1):
        x = _inverted_residual(
            x, f"block{number}", kernel_size, to_eights(expanded * width), to_eights(channels * width), squeezes,
            activation, stride,
        )  # fmt: skip
    x = _convolution(x, "last", LAST * x.shape[-1], HARD_SWISH)
    x = layers.GlobalAveragePooling2D(keepdims=True, name="average_pool")(x)
    # Of a Dense the converter takes the swish's "+ 3" for a second bias, and then files the layer twice.
    x = layers.Conv2D(to_eights(HIDDEN * width), 1, kernel_initializer="he_normal", name="hidden")(x)
    x = layers.Reshape((-1,), name="embedding")(_hard_swish(x, "hidden_swish"))
    x = layers.Dropout(0.2, name="dropout")(x)
    x = layers.Dense(num_classes, name="dense")(x)
    scores = layers.Softmax(name="scores")(x)
    return keras.Model(inputs, scores, name="mobilenet_v3")


def to_eights(channels):
    """The nearest multiple of eight, from 8 on; the next one up where that would lose more than a tenth."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


def _inverted_residual(x, name, kernel_size, expanded, channels, squeezes, activation, stride):
    """Few channels, many, filtered, few: with what came in added where it has the same shape."""
    shortcut = x
    if expanded != x.shape[-1]:
        x = _convolution(x, f"{name}_expand", expanded, activation)
    x = layers.DepthwiseConv2D(
        kernel_size, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise"
    )(x)  # fmt: skip
    x = _activation(_norm(x, f"{name}_depthwise"), f"{name}_depthwise", activation)
    if squeezes:
        x = _squeeze_and_excite(x, name)
    x = _convolution(x, f"{name}_project", channels)
    if stride == 1 and channels == shortcut.shape[-1]:
        x = layers.Add(name=f"{name}_add")([shortcut, x])
    return x


def _squeeze_and_excite(x, name):
    """x, each channel times a gate that the means of all channels open."""
    channels = x.shape[-1]
    squeezed = to_eights(channels // SQUEEZE)
    gate = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_means")(x)
    gate = layers.Conv2D(squeezed, 1, kernel_initializer="he_normal", name=f"{name}_squeeze")(gate)
    gate = layers.ReLU(name=f"{name}_squeeze_relu")(gate)
    gate = layers.Conv2D(channels, 1, name=f"{name}_excite")(gate)
    gate = layers.Activation("sigmoid", name=f"{name}_gate")(gate)
    return layers.Multiply(name=f"{name}_gated")([x, gate])


def _convolution(x, name, filters, activation=None, kernel_size=1, strides=1):
    x = layers.Conv2D(
        filters, kernel_size, strides, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
    )(x)
    return _activation(_norm(x, name), name, activation)


def _norm(x, name):
    # The source's statistics forget a hundredth a step: that needs thousands of steps, and its AudioSet has them.
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-3, name=f"{name}_norm")(x)


def _activation(x, name, activation):
    if activation is None:
        return x
    return layers.ReLU(name=f"{name}_relu")(x) if activation == RELU else _hard_swish(x, f"{name}_swish")


def _hard_swish(x, name):
    """x times ReLU6(x + 3) / 6, which TFLite's converter takes for its own HARD_SWISH: Keras 2 has none."""
    gate = layers.Rescaling(1.0, 3.0, name=f"{name}_shift")(x)
    gate = layers.ReLU(6.0, name=f"{name}_relu6")(gate)
    gate = layers.Rescaling(1 / 6, name=f"{name}_gate")(gate)
    return layers.Multiply(name=name)([x, gate])
