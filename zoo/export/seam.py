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
from zoo.export.interpreter import LiteRT

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
POINTWISE = (layers.Activation, layers.BatchNormalization, layers.Dropout, layers.ReLU, layers.Reshape)


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
        scale = (high - low) / 255 or 1.0
        levels = scale * (np.arange(-128, 128) - round(-128 - low / scale))
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

    ranges: how `seam_range` chooses the input's; every other tensor's is all that it reaches on these columns.
    """
    return tflite.to_int8(body, np.clip(columns, *seam_range(columns, ranges)).astype(np.float32))


def seam_int8(front, body: bytes) -> bytes:
    """model_int8.tflite: float waveform, float front, the file of the body as it is, float scores."""
    return flatbuffer.append_dequantize(append(tflite.to_float(front), body))


def append(model: bytes, behind: bytes) -> bytes:
    """The file that computes behind(model(x)), with a QUANTIZE between where their numbers differ in kind."""
    taken = LiteRT(behind).input
    quantised = flatbuffer.append_quantize(model, taken.scale, taken.zero_point, taken.dtype)
    return flatbuffer.concatenate(quantised, behind)


def whole_int8(model, calibration) -> bytes:
    """micro/model.tflite: the naive int8 file, one call from int8 waveform to int8 scores. For comparison."""
    return tflite.to_int8(model, calibration)


def micro_frontend(front, body: bytes, hop_columns, calibration) -> bytes:
    """frontend.tflite: a hop of int16 PCM -> `hop_columns` columns, which enter body.tflite byte for byte.

    Shape: calibration is (n, samples), unmixed training crops; body is the file that `int8_body` or
    `zoo.export.mixed` gave: the columns are int8, or int16 where the seam is wide.
    """
    stride_samples, field_samples = column_geometry(front)
    hop_samples = stride_samples * (hop_columns - 1) + field_samples
    crops = as_loud_as_pcm(calibration)
    hops = cut_hops(crops, hop_samples, hop_columns, front.output_shape[1], stride_samples).reshape(-1, hop_samples)
    seam = LiteRT(body).input
    frontend = tflite.to_int16x8(hop_model(front, hop_samples), hops)
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
        if type(layer) in WINDOWED:
            if layer.padding != "valid":
                raise ZooError(f"{layer.name}: padding {layer.padding!r} before the seam; hops need padding 'valid'")
            window, dilation = getattr(layer, WINDOWED[type(layer)])[0], getattr(layer, "dilation_rate", (1,))[0]
            field_samples += (window - 1) * dilation * stride_samples
            stride_samples *= layer.strides[0]
        elif not isinstance(layer, POINTWISE):
            raise ZooError(f"{layer.name}: {type(layer).__name__} before the seam has no known length in time")
    return stride_samples, field_samples


def hop_model(front, hop_samples):
    """The front, same layers and weights, on `hop_samples` samples."""
    inputs = x = keras.Input((hop_samples, *front.input_shape[2:]), name=front.input_names[0])
    for layer in _chain(front):
        config = layer.get_config()
        if isinstance(layer, layers.Reshape):
            config["target_shape"] = (-1, *layer.target_shape[1:])  # time comes first
        twin = type(layer).from_config(config)
        x = twin(x)
        twin.set_weights(layer.get_weights())
    return keras.Model(inputs, x, name=f"{front.name}_hop")


def cut_hops(waveforms, hop_samples, hop_columns, columns, column_stride_samples):
    """The hops of each waveform, the last one shifted back so that it ends where the columns end.

    Shape: (n, samples) -> (n, hops, hop_samples)
    """
    starts = column_stride_samples * hop_starts(hop_columns, columns)
    return waveforms[:, starts[:, None] + np.arange(hop_samples)]


def hop_starts(hop_columns, columns):
    """The first column of each hop. Shape: (hops,)"""
    return np.append(np.arange(0, columns - hop_columns, hop_columns), columns - hop_columns)


class MicroPair:
    """frontend.tflite and body.tflite, each in a LiteRT or a TFLM, run as the device runs them: hop by hop.

    Raises: ZooError unless the columns leave the frontend as they enter the body.
    """

    def __init__(self, frontend, body, column_stride_samples):
        given, taken = (end._replace(shape=end.shape[1:]) for end in (frontend.output, body.input))  # of one column
        if given != taken:
            raise ZooError(f"the frontend gives columns as {given}, the body takes {taken}")
        self.frontend, self.body, self.column_stride_samples = frontend, body, column_stride_samples
        self.kernels = body.kernels

    @property
    def arena_bytes(self):
        """Both arenas together (in TFLM). The ring of columns comes on top: the bytes of the body's input."""
        return self.frontend.arena_bytes + self.body.arena_bytes

    def run(self, waveforms):
        """Scores, float32.

        Shape: (n, samples) -> (n, classes)
        """
        return self.body.output.from_raw(self.body.run_raw(self.columns(waveforms)))

    def columns(self, waveforms):
        """The body's input, in its own dtype.

        Shape: (n, samples) -> (n, *body.input_shape); a remainder that fills no column is left out
        Raises: ZooError when the samples make fewer or more columns than the body takes.
        """
        pcm = self.frontend.input.to_raw(waveforms)
        (hop_samples,), (hop_columns, *_) = self.frontend.input_shape, self.frontend.output.shape
        columns = self.body.input_shape[0]
        needed_samples = hop_samples + self.column_stride_samples * (columns - hop_columns)
        if not 0 <= pcm.shape[1] - needed_samples < self.column_stride_samples:
            raise ZooError(f"{columns} columns take waveforms of {needed_samples} samples; got {pcm.shape[1]}")
        window = np.empty((len(pcm), *self.body.input_shape), self.body.input.dtype)
        hops = cut_hops(pcm, hop_samples, hop_columns, columns, self.column_stride_samples)
        for i, start in enumerate(hop_starts(hop_columns, columns)):
            window[:, start : start + hop_columns] = self.frontend.run_raw(hops[:, i])
        return window


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
