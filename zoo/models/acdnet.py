"""ACDNet and Micro-ACDNet: a learned spectral front end over the waveform, then a VGG-like stack over its image.

Source: Mohaimenuzzaman et al. 2023, "Environmental Sound Classification on the Edge", section 3.1, tables 2 and 11.
What the paper leaves open is settled where it is used: each comment says how.
"""

from zoo.backend import keras

layers = keras.layers

SEAM = "spectral_pool"  # here sound has become columns over time; over a log-mel input that is the input itself
FRAME_MS = 10  # equation 1: one column for every 10 ms

# Filters of conv1 to conv11 in table 2 with x = 8; conv12 has as many as there are classes.
WIDTHS = (8, 64, 32, 64, 64, 128, 128, 256, 256, 512, 512)
# Table 11. Its last width stays 48 whatever the classes: the dense layer follows it.
MICRO_WIDTHS = (7, 20, 10, 14, 22, 31, 35, 41, 51, 67, 69, 48)
# Section 4.4.2 prunes 85 % and publishes no widths. `python -m recipes.acdnet --dataset esc10 --fold 5 --epochs 350
# --variants macro` found these 306 of 2,034 filters; with 50 classes it would be the paper's 312 of 2,074.
MACRO_WIDTHS = (8, 17, 22, 32, 39, 40, 32, 23, 36, 18, 29, 10)

# conv3 alone, then pairs: a max pool ends each stage.
STAGES = ((3,), (4, 5), (6, 7), (8, 9), (10, 11))


def convolution(x, name, filters, kernel_size, **kwargs):
    """Convolution without bias, batch normalisation, ReLU. The statistics forget a tenth a step, as the authors' do."""
    x = layers.Conv2D(filters, kernel_size, use_bias=False, kernel_initializer="he_normal", name=name, **kwargs)(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def build(input_shape, num_classes, sample_rate_hz=20_000, widths=None, block=convolution):
    """Functional model from `input_shape` to softmax scores (num_classes,).

    Shape: (samples, 1, 1), at `sample_rate_hz`, gives the whole net; (frames, mels, 1) its temporal block alone, over
    the log-mel.
    Without `widths` conv12 has `num_classes` filters; with them, twelve numbers, the last one is its own.
    block: (x, name, filters, kernel_size, ...) -> what each of the twelve convolutions makes.
    """
    widths = widths or (*WIDTHS, num_classes)
    if len(widths) != 12:
        raise ValueError(f"acdnet: widths needs 12 numbers, one for each convolution; got {len(widths)}: {widths}")

    inputs = keras.Input(input_shape, name="input")
    x = inputs
    if input_shape[1] == 1:
        x = block(x, "spectral_conv1", widths[0], (9, 1), strides=(2, 1), padding="valid")
        x = block(x, "spectral_conv2", widths[1], (5, 1), strides=(2, 1), padding="valid")
        # Equation 1 gives 49.98 at 20 kHz and 30,225 samples; the paper goes on with 50.
        num_columns = input_shape[0] / sample_rate_hz * 1000 / FRAME_MS
        x = layers.MaxPooling2D((round(x.shape[1] / num_columns), 1), name=SEAM)(x)
        x = layers.Permute((3, 1, 2), name="swap_axes")(x)  # (columns, 1, channels) -> (channels, columns, 1)
    else:
        x = layers.Permute((2, 1, 3), name="swap_axes")(x)  # (frames, mels, 1) -> (mels, frames, 1)

    for stage, convolutions in enumerate(STAGES, start=1):
        for number in convolutions:
            x = block(x, f"temporal_conv{number}", widths[number - 1], (3, 3), padding="same")
        # Equation 2 says nothing of x = 2: it pools by 2, as table 11 does. A 1x1 pool is no layer.
        pool = tuple(2 if size >= 2 else 1 for size in x.shape[1:3])
        if pool != (1, 1):
            x = layers.MaxPooling2D(pool, name=f"temporal_pool{stage}")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    x = block(x, "temporal_conv12", widths[11], (1, 1))
    x = layers.AveragePooling2D(tuple(x.shape[1:3]), name="average_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(num_classes, kernel_initializer="he_normal", name="dense")(x)
    scores = layers.Softmax(name="scores")(x)
    return keras.Model(inputs, scores, name="acdnet")
