"""Local operators: those of which a stretch of the output needs a stretch of the input, and no more."""

from typing import NamedTuple

import numpy as np
from ai_edge_litert import schema_py_generated as schema

WINDOWED = ("CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "AVERAGE_POOL_2D")
PADDED = ("PAD", "PADV2")
RESHAPED = ("RESHAPE", "EXPAND_DIMS", "SQUEEZE")
ELEMENTWISE = frozenset(
    "ABS ADD DEQUANTIZE DIV ELU EXP GELU HARD_SWISH LEAKY_RELU LOG LOGISTIC MAXIMUM MINIMUM MUL NEG PRELU QUANTIZE "
    "RELU RELU6 RELU_N1_TO_1 RSQRT SQRT SQUARE SQUARED_DIFFERENCE SUB TANH".split()
)


class Reach(NamedTuple):
    """What an output's range [a, b) along one axis needs of one input: [a * stride - before, that of b - 1 + size)."""

    axis: int  # of the input
    stride: int = 1
    size: int = 1
    before: int = 0

    def of(self, start, stop):
        return start * self.stride - self.before, (stop - 1) * self.stride - self.before + self.size


class Local(NamedTuple):
    """How an operator is local along an axis of its output."""

    reaches: dict  # number of an input tensor -> Reach; other inputs are taken whole
    padding: tuple | None = None  # SAME that pads along the axis: (before, after) for each axis of the input


def local_along(root, graph, operator, axis):
    """The `Local` of the operator (its number) along `axis` of its output; None where it is not local there.

    root, graph: of `zoo.export.graph`.
    """
    name, inputs, outputs, _ = graph.operators[operator]
    given, made = inputs[0], outputs[0]
    if len(outputs) != 1 or graph.tensors[given].is_constant or graph.tensors[made].shape[axis] < 2:
        return None
    options = root.subgraphs[0].operators[operator].builtinOptions
    if name in WINDOWED:
        return _windowed(graph, name, inputs, made, options, axis)
    if name in ELEMENTWISE or (name == "CONCATENATION" and options.axis % len(graph.tensors[made].shape) != axis):
        return _elementwise(graph, inputs, made, axis)
    if name in PADDED:
        pads = constant(root, inputs[1])
        return None if pads is None else Local({given: Reach(axis, before=int(pads[axis, 0]))})
    if name == "TRANSPOSE":
        order = constant(root, inputs[1])
        return None if order is None else Local({given: Reach(int(order[axis]))})
    if name == "SQUEEZE" and (options.squeezeDims is None or not len(options.squeezeDims)):
        return None  # it would take away the axis of a strip of 1 as well
    if name in RESHAPED:
        before, after = (_long_axes(graph.tensors[i].shape) for i in (given, made))
        if [size for _, size in before] == [size for _, size in after]:  # none but axes of 1 come or go
            return Local({given: Reach(before[[a for a, _ in after].index(axis)][0])})
    return None


def constant(root, tensor):
    """The values of a tensor that holds an operator's settings; None where they are no int32 constants."""
    described = root.subgraphs[0].tensors[tensor]
    data = root.buffers[described.buffer].data
    if data is None or described.type != schema.TensorType.INT32:
        return None
    return np.frombuffer(bytes(data), np.int32).reshape(described.shape)


def _windowed(graph, name, inputs, made, options, axis):
    given = graph.tensors[inputs[0]]
    if axis not in (1, 2):
        return None
    if name.endswith("CONV_2D"):
        weights = graph.tensors[inputs[1]]
        if given.dtype == "float32" and weights.dtype != "float32":
            return None  # hybrid: the scale of the whole input is found as it runs
        windows, dilations = weights.shape[1:3], (options.dilationHFactor, options.dilationWFactor)
    else:
        windows, dilations = (options.filterHeight, options.filterWidth), (1, 1)
    sizes = [(window - 1) * dilation + 1 for window, dilation in zip(windows, dilations)]
    strides = options.strideH, options.strideW
    padding = [(0, 0)] * 4
    if options.padding == schema.Padding.SAME:
        for i, (n, m) in enumerate(zip(given.shape[1:3], graph.tensors[made].shape[1:3])):
            missing = max((m - 1) * strides[i] + sizes[i] - n, 0)
            padding[1 + i] = (missing // 2, missing - missing // 2)
    reaches = {inputs[0]: Reach(axis, strides[axis - 1], sizes[axis - 1], padding[axis][0])}
    if padding[axis] == (0, 0):
        return Local(reaches)  # what it pads along the other axis it pads of a strip as of the whole
    if name == "AVERAGE_POOL_2D":
        return None  # it divides by the number of values inside, which padding would not
    return Local(reaches, tuple(padding))


def _elementwise(graph, inputs, made, axis):
    rank, reaches = len(graph.tensors[made].shape), {}
    for i in inputs:
        tensor = graph.tensors[i]
        own_axis = axis - rank + len(tensor.shape)
        if own_axis >= 0 and tensor.shape[own_axis] > 1:
            if tensor.is_constant:
                return None
            reaches[i] = Reach(own_axis)
    return Local(reaches)


def _long_axes(shape):
    return [(axis, size) for axis, size in enumerate(shape) if size > 1]
