"""EnvNet-v2: two strided convolutions over the waveform, eight over their columns as an image, three dense layers.

Source: Tokozume, Ushiku and Harada 2018, "Learning from Between-class Examples for Deep Sound Recognition", ICLR;
models/envnetv2.py and models/convbnrelu.py of github.com/mil-tokyo/bc_learning_sound.
"""

from zoo.backend import keras

layers = keras.layers

SEAM = "spectral_pool"  # here sound has become columns over time

WIDTHS = (32, 64, 32, 32, 64, 64, 128, 128, 256, 256)  # filters of conv1 to conv10

# Of conv3 to conv10, in pairs: the kernel of both, and the max pool that ends them, as (rows of the image, columns).
STAGES = (((8, 8), (5, 3)), ((1, 4), (1, 2)), ((1, 2), (1, 2)), ((1, 2), (1, 2)))


def build(input_shape, num_classes, widths=WIDTHS, dense_units=4_096):
    """Functional model from `input_shape` to softmax scores (num_classes,).

    widths: ten numbers, of conv1 to conv10. conv2's filters are the rows of the image: 19 are the fewest that last.
    dense_units: of each of the two hidden layers, which hold 100 M of the 101 M parameters.

    Shape: (samples, 1, 1); published: (66_650, 1, 1) at 44.1 kHz, 1.51 s
    """
    if len(widths) != len(WIDTHS):
        raise ValueError(f"envnet_v2: widths needs 10 numbers, one for each convolution; got {len(widths)}: {widths}")

    inputs = keras.Input(input_shape, name="input")
    x = _convolution(inputs, "spectral_conv1", widths[0], (64, 1), strides=(2, 1))
    x = _convolution(x, "spectral_conv2", widths[1], (16, 1), strides=(2, 1))
    x = layers.MaxPooling2D((64, 1), name=SEAM)(x)
    x = layers.Permute((3, 1, 2), name="swap_axes")(x)  # (columns, 1, channels) -> (channels, columns, 1)

    for stage, (kernel_size, pool) in enumerate(STAGES, start=1):
        for number in (2 * stage + 1, 2 * stage + 2):
            x = _convolution(x, f"temporal_conv{number}", widths[number - 1], kernel_size)
        x = layers.MaxPooling2D(pool, name=f"temporal_pool{stage}")(x)
    x = layers.Flatten(name="flatten")(x)
    for number in (1, 2):
        x = layers.Dense(dense_units, kernel_initializer="lecun_normal", name=f"hidden_dense{number}")(x)
        x = layers.ReLU(name=f"hidden_dense{number}_relu")(x)
        x = layers.Dropout(0.5, name=f"hidden_dropout{number}")(x)
    x = layers.Dense(num_classes, kernel_initializer="lecun_normal", name="dense")(x)
    scores = layers.Softmax(name="scores")(x)
    return keras.Model(inputs, scores, name="envnet_v2")


def _convolution(x, name, filters, kernel_size, strides=(1, 1)):
    """Convolution without padding or bias, batch normalisation, ReLU."""
    x = layers.Conv2D(filters, kernel_size, strides, use_bias=False, kernel_initializer="he_normal", name=name)(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=2e-5, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)
