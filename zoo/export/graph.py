"""What a .tflite file holds, operator by operator: tensors, bytes, multiplies. Needs LiteRT's schema, no TensorFlow."""

import math
import struct
from typing import NamedTuple

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from zoo.errors import ZooError
from zoo.runtime import metadata

DTYPES = {number: name.lower() for name, number in vars(schema.TensorType).items() if not name.startswith("_")}
OPERATORS = {number: name for name, number in vars(schema.BuiltinOperator).items() if not name.startswith("_")}

# Of what numpy does not know. Strings and handles have no size of their own.
BITS = {"string": 0, "resource": 0, "variant": 0, "int2": 2, "int4": 4, "uint4": 4, "bfloat16": 16,
        "float8_e4m3fn": 8, "float8_e5m2": 8}  # fmt: skip

ARENA_ALIGNMENT_BYTES = 16


class Tensor(NamedTuple):
    """One tensor of a graph."""

    name: str
    shape: tuple  # with the batch
    dtype: str
    bytes: int
    is_constant: bool


class Operator(NamedTuple):
    """One operator, in the order in which they run."""

    name: str  # as TFLite spells it: CONV_2D; a custom operator's own name
    inputs: tuple  # numbers of tensors; -1 is an optional one left out
    outputs: tuple
    macs: int


class Graph(NamedTuple):
    """The one graph of a file."""

    tensors: tuple
    operators: tuple
    inputs: tuple
    outputs: tuple


def read(model: bytes) -> Graph:
    """The `Graph` of a file.

    Raises: ZooError for what is no .tflite file, has several graphs or shapes that are open.
    """
    return of(load(model))


def load(model: bytes):
    """The file as the schema's objects.

    Raises: ZooError for what is no .tflite file, or has several graphs.
    """
    metadata.check_mark(model)
    try:
        root = schema.ModelT.InitFromPackedBuf(model)
        subgraphs = len(root.subgraphs)
    except (struct.error, TypeError, IndexError, ValueError) as error:
        raise ZooError(f"the .tflite file is cut short or broken: {error}") from error
    if subgraphs != 1:
        raise ZooError(f"the .tflite file has {subgraphs} graphs (loops have their own); one is understood")
    root.metadata = root.metadata or []
    for code in root.operatorCodes:
        code.builtinCode = max(code.builtinCode, code.deprecatedBuiltinCode)  # older files fill the one, newer both
    return root


def of(root) -> Graph:
    """The `Graph` of what `load` gave."""
    (graph,) = root.subgraphs
    tensors = tuple(_tensor(root, tensor) for tensor in graph.tensors)
    for i in graph.inputs:
        shape = _open_shape(graph.tensors[i])
        if shape:
            raise ZooError(f"{tensors[i].name}: shape {shape} is open; fix it when converting")
    for operator in graph.operators:
        if not all(ends is not None and len(ends) for ends in (operator.inputs, operator.outputs)):
            raise ZooError(f"the operator {name_of(root, operator)} takes or makes no tensor: it keeps a state")
    operators = tuple(
        Operator(
            name_of(root, operator),
            tuple(map(int, operator.inputs)),
            tuple(map(int, operator.outputs)),
            _macs(name_of(root, operator), operator, tensors),
        )
        for operator in graph.operators
    )
    return Graph(tensors, operators, tuple(map(int, graph.inputs)), tuple(map(int, graph.outputs)))


def name_of(root, operator):
    """The operator's name, as TFLite spells it; a custom one's own."""
    code = root.operatorCodes[operator.opcodeIndex]
    if code.builtinCode == schema.BuiltinOperator.CUSTOM:
        return code.customCode.decode()
    return OPERATORS.get(code.builtinCode, f"operator {code.builtinCode}")


def _tensor(root, tensor):
    shape = tuple(map(int, tensor.shape if tensor.shape is not None else ()))
    dtype = DTYPES[tensor.type]
    data = root.buffers[tensor.buffer].data
    bits = BITS[dtype] if dtype in BITS else 8 * np.dtype(dtype).itemsize
    size_bytes = -(-math.prod(shape) * bits // 8)
    return Tensor(tensor.name.decode(errors="replace"), shape, dtype, size_bytes, data is not None)


def _open_shape(tensor):
    """The shape with -1 where it is open, None where nothing is. A batch alone may be: one at a time is taken."""
    signature = () if tensor.shapeSignature is None else tuple(map(int, tensor.shapeSignature))
    return signature if -1 in signature[len(signature) > 1 :] else None


def _macs(name, operator, tensors):
    """Multiplies for one input, each with its addition, of what has weights: convolutions, dense layers, LSTMs."""
    if name == "UNIDIRECTIONAL_SEQUENCE_LSTM":  # input, then eight matrices: four of the input, four of the state
        steps = math.prod(tensors[operator.inputs[0]].shape[:2])
        return steps * sum(math.prod(tensors[i].shape) for i in operator.inputs[1:9] if i >= 0)
    if name not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "BATCH_MATMUL"):
        return 0
    given, weights = (tensors[i].shape for i in operator.inputs[:2])
    made = math.prod(tensors[operator.outputs[0]].shape)
    if name == "BATCH_MATMUL":
        return made * given[-2 if operator.builtinOptions.adjX else -1]
    if name == "TRANSPOSE_CONV":  # output shape, weights, input
        return math.prod(tensors[operator.inputs[2]].shape) * math.prod(weights[:3])
    if name == "DEPTHWISE_CONV_2D":
        return made * math.prod(weights[1:3])
    return made * math.prod(weights[1:])


def live_tensors(graph):
    """For each operator the tensors that live while it runs, its own output among them, the largest first: a list.

    What it takes, what it makes, and what later ones take; no constants.
    """
    first_use, last_use = lifetimes(graph)
    by_size = sorted(first_use, key=lambda i: -graph.tensors[i].bytes)
    return [
        tuple(i for i in by_size if first_use[i] <= number <= last_use[i]) for number in range(len(graph.operators))
    ]


def live_bytes(graph):
    """What these take in TFLM's arena, without the kernels' scratch and the gaps that its planner leaves: a list.

    No arena can be smaller than the largest.
    """
    return [sum(aligned(graph.tensors[i].bytes) for i in live) for live in live_tensors(graph)]


def lifetimes(graph):
    """({tensor: the operator that makes it}, {tensor: the last that uses it}), by number; constants are none of them.

    An input of the graph is there from 0, an output until after the last.
    """
    made = {i: 0 for i in graph.inputs}
    made.update((i, number) for number, operator in enumerate(graph.operators) for i in operator.outputs)
    used = dict(made)
    for number, operator in enumerate(graph.operators):
        used.update((i, number) for i in operator.inputs if i in made)
    used.update((i, len(graph.operators)) for i in graph.outputs if i in made)
    return made, used


def aligned(size_bytes):
    """Bytes that so many take in TFLM's arena."""
    return -(-size_bytes // ARENA_ALIGNMENT_BYTES) * ARENA_ALIGNMENT_BYTES
