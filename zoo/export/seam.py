"""The int8 that keeps its accuracy: cut at the seam, sound before it in float or 16 bits, columns after it in int8.

In int8 from end to end the waveform alone costs Micro-ACDNet 7 points, and a range at the seam that is set by rare
peaks costs 5 (measured on its authors' files, ESC-50 fold 4). So that range is clipped, and int8 begins after the seam.

Shapes: waveforms are float32 (n, samples), columns (n, columns, 1, channels) or, of a log-mel, (n, frames, mels, 1).
`front` and `body` are the Keras models before and after the seam.
"""

import itertools

from zoo.backend import keras

import numpy as np

from zoo.errors import ZooError
from zoo.export import flatbuffer, tflite
from zoo.export.ranges import TAIL
from zoo.runtime.interpreter import LiteRT, int8_grid

layers = keras.layers

# int16 is symmetric in TFLite: the scale is max / 32767. This peak makes it exactly that of PCM, 1 / 32768.
PCM_PEAK = 32767 / 32768

WINDOWED = {
    layers.Conv1D: "kernel_size",
    layers.Conv2D: "kernel_size",
    layers.DepthwiseConv2D: "kernel_size",
    layers.MaxPooling1D: "pool_size",
    layers.MaxPooling2D: "pool_size",
    layers.AveragePooling1D: "pool_size",
    layers.AveragePooling2D: "pool_size",
}
POINTWISE = (
    layers.Activation,
    layers.BatchNormalization,
    layers.Dropout,
    layers.LeakyReLU,
    layers.Normalization,
    layers.ReLU,
    layers.Rescaling,
    layers.Reshape,
)


def seam_range(columns, method="percentile"):
    """(low, high): the range of int8 at the seam, in which 0 lies; columns beyond it saturate.

    "percentile" leaves out a thousandth of the values at either end, "mse" is the range whose int8 has the least mean
    squared error on these columns, "max" clips nothing.

    Raises: ZooError for another method.
    """
    if method not in RANGES:
        raise ZooError(f"no range {method!r} at the seam; choose of {', '.join(RANGES)}")
    low, high = RANGES[method](columns)
    return min(float(low), 0.0), max(float(high), 0.0)


def _least_squares(columns):
    """The best of a grid of ranges, by fractions of both ends, then of a finer one around it."""
    ends = np.array([min(columns.min(), 0), max(columns.max(), 0)], np.float64)
    squared_error = _squared_errors(columns)
    fractions = [np.geomspace(1e-3, 1, 97) if end else np.zeros(1) for end in ends]
    for _ in range(2):
        _, best = min((squared_error(*(ends * kept)), kept) for kept in itertools.product(*fractions))
        fractions = [np.minimum(kept * np.geomspace(0.93, 1.075, 31), 1) for kept in best]  # as far as their neighbours
    return ends * best


def _squared_errors(columns):
    """squared_error(low, high): the summed squared error of int8 over this range, in 256 steps instead of n values."""
    x = np.sort(columns, axis=None).astype(np.float64)
    sums = np.stack([np.append(0, np.cumsum(x**power)) for power in range(3)])  # of x below a place in x

    def squared_error(low, high):
        scale, zero_point = int8_grid(low, high)
        levels = scale * (np.arange(-128, 128) - zero_point)
        places = np.searchsorted(x, (levels[1:] + levels[:-1]) / 2)
        count, first, second = np.diff(sums[:, np.concatenate([[0], places, [len(x)]])])
        return float(np.sum(second - 2 * levels * first + levels**2 * count))

    return squared_error


RANGES = {
    "percentile": lambda columns: np.percentile(columns, (0.1, 99.9)),
    "mse": _least_squares,
    "max": lambda columns: (columns.min(), columns.max()),
}


def int8_body(body, columns, ranges="percentile") -> bytes:
    """The body in int8, its input's range clipped: body.tflite of the micro pair, of every model with a seam.

    ranges: how `seam_range` chooses the input's; the other tensors' are those of `best_int8`.
    """
    return best_int8(body, np.clip(columns, *seam_range(columns, ranges)).astype(np.float32))


def best_int8(model, inputs) -> bytes:
    """The int8 file closest to the model on these inputs: ranges hold all that is reached, or leave out the rarest.

    BC-ResNet's norms make peaks that cost all other values their steps; YAMNet is closer with its peaks.

    Raises: ZooError for a model whose silent layers have so small a range that XNNPACK does not open the file.
    """
    exact = model.predict(inputs, verbose=0)
    files = [tflite.to_int8(model, inputs, tail=tail) for tail in (0.0, TAIL)]
    try:
        return min(files, key=lambda file: np.mean((LiteRT(file).run(inputs) - exact) ** 2))
    except RuntimeError as error:
        if np.ptp(exact, axis=0).any():
            raise
        raise ZooError(
            f"{model.name}: gives the same whatever it hears: it died while it trained; try another --seed"
        ) from error


def with_8_bit_kernels(front):
    """A twin of a learned front whose kernels are those that `micro_frontend` stores: an app hears as a board does.

    A norm is folded into the convolution before it, so it is that product which has 127 steps to either side. Without
    this a tenth of Micro-ACDNet's columns were a step apart in model_int8.tflite and micro/; now 2 in a hundred are.
    """
    twin = keras.models.clone_model(front)
    twin.set_weights(front.get_weights())
    chain = list(_chain(twin))
    for layer, behind in zip(chain, [*chain[1:], None]):
        if type(layer) in (layers.Conv1D, layers.Conv2D):
            kernel, factor = layer.kernel.numpy(), _factor(behind)
            step = np.abs(kernel * factor).max(axis=tuple(range(kernel.ndim - 1))) / 127
            step = np.where(step > 0, step, 1) / factor
            layer.kernel.assign(np.round(kernel / step) * step)
    return twin


def _factor(norm):
    """What a norm multiplies each channel by; 1 for any other layer."""
    if not isinstance(norm, layers.BatchNormalization):
        return 1.0
    gamma = norm.gamma.numpy() if norm.scale else 1.0
    return gamma / np.sqrt(norm.moving_variance.numpy() + norm.epsilon)


def seam_int8(front, body: bytes) -> bytes:
    """model_int8.tflite: float waveform, float front, the file of the body as it is, float scores."""
    return flatbuffer.append_dequantize(append(tflite.to_float(front), body))


def append(model: bytes, behind: bytes) -> bytes:
    """The file that computes behind(model(x)), with a QUANTIZE between where their numbers differ in kind."""
    taken = LiteRT(behind).input
    quantised = flatbuffer.append_quantize(model, taken.scale, taken.zero_point, taken.dtype)
    return flatbuffer.concatenate(quantised, behind)


def micro_frontend(front, body: bytes, calibration) -> bytes:
    """frontend.tflite: the int16 PCM that one column hears -> that column, which enters body.tflite byte for byte.

    Shape: calibration is (n, samples), unmixed training crops; body is the file that `int8_body` or
    `zoo.export.mixed` gave: the columns are int8, or int16 where the seam is wide.
    """
    stride_samples, field_samples = column_geometry(front)
    starts = stride_samples * np.arange(front.output_shape[1])
    heard = as_loud_as_pcm(calibration)[:, starts[:, None] + np.arange(field_samples)].reshape(-1, field_samples)
    frontend = tflite.to_int16x8(on_samples(front, field_samples), heard)
    seam = LiteRT(body).input
    return flatbuffer.append_quantize(frontend, seam.scale, seam.zero_point, seam.dtype)


def as_loud_as_pcm(calibration):
    """The crops, and each once more at full scale: 16 bits have room for both, so no loud sound saturates in the front.

    Shape: (n, samples) -> (2 n, samples)
    """
    peaks = np.abs(calibration).max(axis=1, keepdims=True)
    loud = calibration * (PCM_PEAK / np.maximum(peaks, 1 / 32768))
    return np.clip(np.concatenate([calibration, loud]), -PCM_PEAK, PCM_PEAK)


def column_geometry(front):
    """(stride_samples, field_samples): how far apart the columns' beginnings lie, and what one column hears.

    k columns take stride_samples * (k - 1) + field_samples samples.

    Raises: ZooError at a layer that is neither pointwise in time nor a window without padding.
    """
    stride_samples, field_samples = 1, 1
    for layer in _chain(front):
        if _moves_time(layer):
            raise ZooError(f"{layer.name}: {type(layer).__name__} before the seam does not keep time the first axis")
        if type(layer) in WINDOWED:
            if layer.padding != "valid":
                raise ZooError(
                    f"{layer.name}: padding {layer.padding!r} before the seam; a stream needs padding 'valid'"
                )
            window, dilation = getattr(layer, WINDOWED[type(layer)])[0], getattr(layer, "dilation_rate", (1,))[0]
            field_samples += (window - 1) * dilation * stride_samples
            stride_samples *= layer.strides[0]
        elif not isinstance(layer, POINTWISE):
            raise ZooError(f"{layer.name}: {type(layer).__name__} before the seam has no known length in time")
    return stride_samples, field_samples


def _moves_time(layer):
    """Whether a layer takes time for something else than the first axis behind the batch, or makes it so."""
    if isinstance(layer, layers.Reshape):
        return layer.input_shape[1] != layer.output_shape[1]
    if isinstance(layer, (layers.BatchNormalization, layers.Normalization)):
        return 1 in np.ravel(layer.axis)
    return type(layer) in WINDOWED and layer.data_format != "channels_last"


def on_samples(front, num_samples):
    """The front, same layers and weights, on `num_samples` samples."""
    inputs = x = keras.Input((num_samples, *front.input_shape[2:]), name=front.input_names[0])
    for layer in _chain(front):
        config = layer.get_config()
        if isinstance(layer, layers.Reshape):
            config["target_shape"] = (-1, *layer.target_shape[1:])  # time comes first
        twin = type(layer).from_config(config)
        x = twin(x)
        twin.set_weights(layer.get_weights())
    return keras.Model(inputs, x, name=f"{front.name}_column")


def columns_of(front, waveforms):
    """What the front makes of waveforms, float32: with unmixed training crops, what the body is calibrated on.

    Shape: (n, samples) -> (n, columns, ...)
    """
    tflite.check_calibration(front, waveforms)
    return np.concatenate([front(waveform[None], training=False) for waveform in waveforms])


def _chain(model):
    """The layers in order, models inside the model unpacked, without inputs."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _chain(layer)
        elif not isinstance(layer, layers.InputLayer):
            yield layer
