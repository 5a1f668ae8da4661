"""XNOR-ACDNet: ACDNet whose convolutions multiply signs, from the second one behind the seam on.

XNOR-Net keeps the first and the last layer real. Here sound becomes an image first, as in ACDNet; the first layer that
takes the image is real, as is the dense layer that makes the scores.

Source: Mohaimenuzzaman, Bergmeir and Meyer 2021, "Pruning vs XNOR-Net"; Rastegari et al. 2016, "XNOR-Net", section 3.2.
"""

from zoo.backend import keras

from zoo.compress import binary
from zoo.models import acdnet

REAL = ("spectral_conv1", "spectral_conv2", "temporal_conv3")
LAST = "temporal_conv12"


def build(input_shape, num_classes, sample_rate_hz=20_000, widths=None):
    """As `acdnet.build`, with `zoo.compress.binary`'s layers. `zoo.compress.binary.folded` makes plain ones of them."""
    return acdnet.build(input_shape, num_classes, sample_rate_hz, widths, _convolution)


def _convolution(x, name, filters, kernel_size, **kwargs):
    if name == REAL[-1]:  # its norm stands before the sign of the next one
        kernel = {"use_bias": False, "kernel_initializer": "he_normal"}
        return keras.layers.Conv2D(filters, kernel_size, name=name, **kernel, **kwargs)(x)
    if name in REAL:
        return acdnet.convolution(x, name, filters, kernel_size, **kwargs)
    x = binary.convolution(x, name, filters, kernel_size, **kwargs)
    if name == LAST:  # what the dense layer takes is real
        x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="dense_norm")(x)
    return x
