"""Another head for a .tflite file: the weights of its last dense layer, for as many classes as they score."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from zoo.errors import ZooError
from zoo.export import graph, metadata
from zoo.runtime.interpreter import int8_grid

INT8 = 127  # of weights, symmetric


def with_head(model: bytes, kernel, bias, logits_range) -> bytes:
    """The file with the dense layer `embedding @ kernel + bias` under its softmax in place of its own.

    In int8 the weights are rounded as TFLite rounds them, in one range or one for each class, as they were before;
    logits_range, (lowest, highest), is what its output is to hold.

    Shape: kernel (width, classes), bias (classes,)
    Raises: ZooError where no dense layer of that width is the last, or it is neither float32 nor int8.
    """
    root = graph.load(model)
    (net,) = root.subgraphs
    dense = next((one for one in reversed(net.operators) if graph.name_of(root, one) == "FULLY_CONNECTED"), None)
    if dense is None:
        raise ZooError("a .tflite file without a dense layer has no head to replace")
    taken, weights, sums, logits = (net.tensors[i] for i in (*dense.inputs[:3], dense.outputs[0]))
    width, classes = kernel.shape
    if weights.shape[1] != width or dense.inputs[2] < 0:
        raise ZooError(f"the last dense layer takes {weights.shape[1]} values, the new head {width}")
    if weights.type == schema.TensorType.FLOAT32:
        _set(root, weights, np.float32(kernel.T))
        _set(root, sums, np.float32(bias))
    elif weights.type == schema.TensorType.INT8:
        _quantise(root, taken, weights, sums, kernel, bias)
        scale, zero_point = int8_grid(min(logits_range[0], 0), max(logits_range[1], 0))
        logits.quantization.scale, logits.quantization.zeroPoint = [scale], [zero_point]
    else:
        raise ZooError(f"a dense layer of {graph.DTYPES[weights.type]} weights is not understood: float32 or int8 is")
    for i in _behind(net, dense):
        tensor = net.tensors[i]
        tensor.shape = [*tensor.shape[:-1], classes]
        if tensor.shapeSignature is not None:
            tensor.shapeSignature = [*tensor.shapeSignature[:-1], classes]
    return metadata.dump_as(model, root)


def _behind(net, dense):
    """Numbers of the tensors that the dense layer's output becomes."""
    found = {dense.outputs[0]}
    for operator in net.operators[net.operators.index(dense) + 1 :]:
        if not found.isdisjoint(operator.inputs):
            found |= set(operator.outputs)
    return found


def _quantise(root, taken, weights, sums, kernel, bias):
    one_each = len(weights.quantization.scale) > 1
    peaks = np.abs(kernel).max(axis=0) if one_each else np.abs(kernel).max(keepdims=True)
    scales = np.maximum(peaks.ravel(), np.finfo(np.float32).tiny) / INT8
    _set(root, weights, np.clip(np.round(kernel.T / scales[:, None]), -INT8, INT8).astype(np.int8))
    weights.quantization.scale, weights.quantization.zeroPoint = list(map(float, scales)), [0] * len(scales)
    of_sums = scales * taken.quantization.scale[0]
    _set(root, sums, np.round(bias / of_sums).astype(np.int32))
    sums.quantization.scale, sums.quantization.zeroPoint = list(map(float, of_sums)), [0] * len(of_sums)
    for tensor in (weights, sums):
        tensor.quantization.min = tensor.quantization.max = None


def _set(root, tensor, values):
    """Gives the tensor values of its own: another tensor may share its buffer."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    tensor.shape, tensor.buffer = list(values.shape), len(root.buffers)
    root.buffers.append(buffer)
