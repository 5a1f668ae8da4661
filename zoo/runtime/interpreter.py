"""Running a .tflite file on a CPU, with LiteRT. The only quantise and dequantise arithmetic of the zoo."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from zoo.errors import ZooError
from zoo.runtime.stderr import captured_stderr

OP_RESOLVERS = {"xnnpack": OpResolverType.AUTO, "reference": OpResolverType.BUILTIN_REF}


def quantise(x, scale, zero_point, dtype):
    """The integers nearest to x / scale + zero_point, halves away from zero, clipped to dtype: TFLite's QUANTIZE.

    Shape: that of x.
    Source: AffineQuantize in tensorflow/lite/kernels/internal/reference/quantize.h.
    """
    steps = (np.asarray(x, np.float32) / np.float32(scale)).astype(np.float64)  # + 0.5 is exact only in float64
    rounded = np.copysign(np.floor(np.abs(steps) + 0.5), steps) + zero_point
    return np.clip(rounded, np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype)


def int8_grid(low, high):
    """(scale, zero point) of int8 over a range in which 0 lies."""
    scale = (high - low) / 255 or 1.0
    return scale, round(-128 - low / scale)


def dequantise(q, scale, zero_point):
    """The float32 values that the integers stand for: scale * (q - zero_point).

    Shape: that of q.
    """
    return np.float32(scale) * (q.astype(np.int32) - zero_point).astype(np.float32)


class Tensor(NamedTuple):
    """An input or output of a model, and its real values' way to and from its own dtype."""

    shape: tuple[int, ...]  # without the batch
    dtype: type
    scale: float
    zero_point: int

    @classmethod
    def of(cls, details):
        """The tensor that get_input_details or get_output_details describes; both interpreters use the same words."""
        quantisation = details["quantization_parameters"]
        scale, zero_point = 0.0, 0  # as TFLite writes for float, and for plain integers
        if details["dtype"] is not np.float32 and len(quantisation["scales"]):
            scale, zero_point = float(quantisation["scales"][0]), int(quantisation["zero_points"][0])
        return cls(tuple(map(int, details["shape"][1:])), details["dtype"], scale, zero_point)

    @classmethod
    def from_json(cls, described):
        """The tensor of which another process gave `as_json`."""
        shape, dtype, scale, zero_point = described
        return cls(tuple(shape), np.dtype(dtype).type, scale, zero_point)

    def as_json(self):
        """A list as JSON holds it."""
        return [self.shape, np.dtype(self.dtype).name, self.scale, self.zero_point]

    @property
    def bytes(self):
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    def to_raw(self, x):
        """x in the tensor's own dtype."""
        if self.dtype is np.float32:
            return np.asarray(x, np.float32)
        return quantise(x, self.scale, self.zero_point, self.dtype)

    def from_raw(self, q):
        """Real values, float32."""
        return q if self.dtype is np.float32 else dequantise(q, self.scale, self.zero_point)


class Runner:
    """What LiteRT and TFLM (`zoo.export.tflm`) share; each brings .input, .output, .kernels and run_all.

    .input and .output are the first ones, where a file has several; `run_all` of both runners takes and gives all. What
    a recurrent layer keeps from call to call is forgotten before each: samples have nothing to do with each other.
    """

    @property
    def input_shape(self):
        return self.input.shape

    def run(self, x):
        """Real values of the output, float32.

        Shape: (n, *input_shape) -> (n, *output_shape)
        """
        return self.output.from_raw(self.run_raw(self.input.to_raw(x)))

    def run_raw(self, x):
        """The output in its own dtype, for an input in its own dtype.

        Shape: (n, *input_shape) -> (n, *output_shape)
        Raises: ZooError when shape or dtype is not the model's.
        """
        if x.shape[1:] != self.input.shape or x.dtype != self.input.dtype:
            raise ZooError(
                f"the model takes {np.dtype(self.input.dtype)} of shape (n, {', '.join(map(str, self.input.shape))}), "
                f"got {x.dtype} of shape {x.shape}"
            )
        out = np.empty((len(x), *self.output.shape), self.output.dtype)
        for i in range(len(x)):
            out[i] = self._invoke(x[i : i + 1])[0]
        return out

    def _invoke(self, batch):
        return self.run_all([batch])[0]


class LiteRT(Runner):
    """A model (its bytes or its path) on the CPU, with XNNPACK or with the plain reference kernels.

    The two differ in int8 (by up to 22 of 255 steps on Micro-ACDNet), so name `.kernels` beside every figure.
    input_shape: what the model is to take, without the batch, where that is not what its file says.
    """

    def __init__(self, model, kernels="xnnpack", num_threads=1, input_shape=None):
        self.kernels = f"litert-{kernels}"
        with captured_stderr():  # "INFO: Created TensorFlow Lite XNNPACK delegate for CPU."
            self._interpreter = Interpreter(
                model_content=bytes_of(model),
                num_threads=num_threads,
                experimental_op_resolver_type=OP_RESOLVERS[kernels],
            )
            if input_shape:
                self._interpreter.resize_tensor_input(
                    self._interpreter.get_input_details()[0]["index"], (1, *input_shape)
                )
            self._interpreter.allocate_tensors()
        self._ends = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self.input, self.output = (Tensor.of(details[0]) for details in self._ends)

    def run_all(self, given):
        """Every output, in its own dtype, for one array for each input: lists."""
        self._interpreter.reset_all_variables()
        for details, value in zip(self._ends[0], given, strict=True):
            self._interpreter.set_tensor(details["index"], value)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(details["index"]) for details in self._ends[1]]


def bytes_of(model):
    """The bytes of a model that is given by its bytes or by its path."""
    return model if isinstance(model, bytes) else Path(model).read_bytes()
