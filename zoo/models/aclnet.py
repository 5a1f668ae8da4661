"""AclNet and Micro-AclNet: two strided convolutions over the waveform, then a VGG over their columns as an image.

Source: Huang and Alvarado Leanos 2018, "AclNet: efficient end-to-end audio classification CNN", arXiv 1811.06669: the
plain net at width multiplier 1.5, as Mohaimenuzzaman et al. 2023 compare and compress it (tables 6 and 12, sections
3.1 and 4.4.3). What they leave open is settled so that their counts come out: each comment says by which.
"""

from zoo.backend import keras

from zoo.models.acdnet import convolution

layers = keras.layers

SEAM = "low_level_pool"  # here sound has become columns over time
COLUMNS_PER_SECOND = 100

# Filters of conv1 to conv11; conv12 has as many as there are classes. The multiplier widens conv3 to conv11 alone, from
# 32 to 512, and conv1's are 8: then they are 3,050 with 50 classes.
WIDTHS = (8, 64, 48, 96, 96, 192, 192, 384, 384, 768, 768)
MICRO_WIDTHS = (7, 26, 10, 20, 26, 41, 22, 48, 55, 64, 58)  # section 4.4.3

# conv3 alone, then pairs: a max pool ends each stage.
STAGES = ((3,), (4, 5), (6, 7), (8, 9), (10, 11))


def build(input_shape, num_classes, sample_rate_hz=20_000, widths=WIDTHS):
    """Functional model from `input_shape` to softmax scores (num_classes,).

    widths: eleven numbers, of conv1 to conv11.

    Shape: (samples, 1, 1), at `sample_rate_hz`; compared: (30_225, 1, 1)
    """
    if len(widths) != len(WIDTHS):
        raise ValueError(f"aclnet: widths needs 11 numbers, of conv1 to conv11; got {len(widths)}: {widths}")

    inputs = keras.Input(input_shape, name="input")
    # Strides of 2 and 2, no padding, no biases, a ReLU after each of the twelve: Micro-AclNet's 21.50 M.
    x = convolution(inputs, "low_level_conv1", widths[0], (9, 1), strides=(2, 1), padding="valid")
    x = convolution(x, "low_level_conv2", widths[1], (5, 1), strides=(2, 1), padding="valid")
    x = layers.MaxPooling2D((round(sample_rate_hz / 4 / COLUMNS_PER_SECOND), 1), name=SEAM)(x)
    x = layers.Permute((3, 1, 2), name="swap_axes")(x)  # (columns, 1, channels) -> (channels, columns, 1)

    for stage, convolutions in enumerate(STAGES, start=1):
        for number in convolutions:
            x = convolution(x, f"high_level_conv{number}", widths[number - 1], (3, 3), padding="same")
        pool = tuple(min(size, 2) for size in x.shape[1:3])  # a pruned net is an image of few rows
        if pool != (1, 1):
            x = layers.MaxPooling2D(pool, name=f"high_level_pool{stage}")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    # Its ReLU comes before the mean over the image, so that a dense layer behind the mean is not the same.
    x = convolution(x, "class_conv12", num_classes, (1, 1))
    x = layers.AveragePooling2D(tuple(x.shape[1:3]), name="average_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    scores = layers.Softmax(name="scores")(x)
    return keras.Model(inputs, scores, name="aclnet")
