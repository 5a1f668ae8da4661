"""ResNet over a log-mel spectrogram, with the GTZAN study's head: global average, dropout, softmax.

Source: He et al. 2016, "Deep Residual Learning for Image Recognition", table 1; Hu, Shao and Johar 2024, "Adaptive
Model Optimization for Audio Classification on Edge Devices", section 2.2. The study's 116 MB in fp16 fit the
58.4 million parameters of keras.applications.ResNet152, whose layout this is: biases, and the stride of a stage in its
first convolution. Its first convolution sees three colours, this one a spectrogram: 6,272 weights fewer.
"""

from zoo.backend import keras

layers = keras.layers

WIDTHS = (64, 128, 256, 512)  # of the 3x3 convolutions of each stage

# Blocks in each stage, and what they are.
RESNET_18 = dict(blocks=(2, 2, 2, 2), bottleneck=False, use_bias=False)
RESNET_152 = dict(blocks=(3, 8, 36, 3), bottleneck=True, use_bias=True)


def build(input_shape, num_classes, blocks, bottleneck, use_bias, widths=WIDTHS):
    """Functional model (frames, mels, 1) -> softmax scores (num_classes,).

    blocks: number of residual blocks in each stage. bottleneck: blocks of 1x1, 3x3 and 1x1 convolutions, the last four
    times as wide; else of two 3x3.
    """
    inputs = keras.Input(input_shape, name="input")
    x = layers.ZeroPadding2D(3, name="stem_padding")(inputs)
    x = _convolution(x, "stem", widths[0], use_bias, kernel_size=7, strides=2, padding="valid")
    x = layers.ReLU(name="stem_relu")(x)
    x = layers.ZeroPadding2D(1, name="stem_pool_padding")(x)
    x = layers.MaxPooling2D(3, strides=2, name="stem_pool")(x)
    for stage, (number, width) in enumerate(zip(blocks, widths, strict=True), start=1):
        for block in range(1, number + 1):
            stride = 2 if block == 1 and stage > 1 else 1
            x = _block(x, f"stage{stage}_block{block}", width, stride, bottleneck, use_bias)
    x = layers.GlobalAveragePooling2D(name="average_pool")(x)
    x = layers.Dropout(0.5, name="dropout")(x)
    x = layers.Dense(num_classes, name="dense")(x)
    scores = layers.Softmax(name="scores")(x)
    return keras.Model(inputs, scores, name="resnet")


def _block(x, name, width, stride, bottleneck, use_bias):
    """ReLU(shortcut + convolutions of x); the shortcut is x, or a 1x1 convolution where shapes differ."""
    sizes = ((width, 1), (width, 3), (4 * width, 1)) if bottleneck else ((width, 3), (width, 3))  # filters, kernel
    shortcut = x
    if stride > 1 or x.shape[-1] != sizes[-1][0]:
        shortcut = _convolution(x, f"{name}_shortcut", sizes[-1][0], use_bias, strides=stride)
    for number, (filters, kernel_size) in enumerate(sizes, start=1):
        if number > 1:
            x = layers.ReLU(name=f"{name}_relu{number - 1}")(x)
        strides = stride if number == 1 else 1
        x = _convolution(x, f"{name}_conv{number}", filters, use_bias, kernel_size, strides)
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.ReLU(name=f"{name}_relu{len(sizes)}")(x)


def _convolution(x, name, filters, use_bias, kernel_size=1, strides=1, padding="same"):
    """Convolution and batch normalisation."""
    x = layers.Conv2D(
        filters, kernel_size, strides, padding, use_bias=use_bias, kernel_initializer="he_normal", name=name
    )(x)
    # The application's statistics forget a hundredth a step: a few hundred steps would not fill them.
    return layers.BatchNormalization(momentum=0.9, epsilon=1.001e-5, name=f"{name}_norm")(x)
