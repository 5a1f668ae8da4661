"""Rewriting .tflite files, through the object API of TFLite's schema. Needs LiteRT, no TensorFlow.

Files that are joined have one input and one output, as all models of the zoo have.
"""

import re
from copy import copy

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from zoo.errors import ZooError
from zoo.export.graph import DTYPES, load
from zoo.runtime.metadata import METADATA

DESCRIBED = METADATA.encode()
BUFFER_ALIGNMENT_BYTES = 16


def concatenate(first: bytes, second: bytes) -> bytes:
    """The file that computes second(first(x)).

    Raises: ZooError unless first's output and second's input have one shape, dtype and quantisation.
    """
    head, tail = _load(first), _load(second)
    given, taken = _describe(_output(head)), _describe(_input(tail))
    if given != taken:
        raise ZooError(f"cannot concatenate: the first file gives {given}, the second takes {taken}")
    return dump(_join(head, tail))


def append_quantize(model: bytes, scale: float, zero_point: int, dtype=np.int8) -> bytes:
    """The file with a QUANTIZE after its output, which then has exactly the given quantisation."""
    head = _load(model)
    quantisation = schema.QuantizationParametersT()
    quantisation.scale, quantisation.zeroPoint = np.float32([scale]), np.int64([zero_point])
    return dump(_join(head, _cast_op(_output(head), "QUANTIZE", dtype, quantisation)))


def append_dequantize(model: bytes) -> bytes:
    """The file with a DEQUANTIZE after its output, which then is float32."""
    head = _load(model)
    return dump(_join(head, _cast_op(_output(head), "DEQUANTIZE", np.float32)))


def with_float_ends(model: bytes) -> bytes:
    """The file with a QUANTIZE before its input and a DEQUANTIZE after its output: float32 in and out, as apps have it.

    What an integer file computes in between stays as it is.
    """
    tail = _load(model)
    taken, given = _input(tail), copy(_input(tail))
    given.type, given.quantization, given.buffer = schema.TensorType.FLOAT32, None, 0
    head = _cast_op(given, "QUANTIZE", DTYPES[taken.type], taken.quantization)
    head.version, head.signatureDefs = tail.version, tail.signatureDefs
    return append_dequantize(dump(_join(head, tail)))


def _input(model):
    return model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]]


def _output(model):
    return model.subgraphs[0].tensors[model.subgraphs[0].outputs[0]]


def _describe(tensor):
    """One line for an error, and equal for tensors that hold the same numbers alike."""
    shape, quantisation = tuple(map(int, tensor.shape)), tensor.quantization
    if quantisation is None or quantisation.scale is None:
        return f"{DTYPES[tensor.type]} {shape}"
    scale, zero_point = float(quantisation.scale[0]), int(quantisation.zeroPoint[0])
    return f"{DTYPES[tensor.type]} {shape}, scale {scale!r}, zero point {zero_point}"


def _cast_op(source, name, dtype, quantisation=None):
    """A model of one QUANTIZE or DEQUANTIZE, which takes what the tensor `source` gives."""
    target = schema.TensorT()
    target.name, target.shape = source.name + b";" + name.lower().encode(), source.shape
    target.type = getattr(schema.TensorType, np.dtype(dtype).name.upper())
    target.quantization, target.buffer = quantisation, 0

    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0], [1]
    options = f"{name.capitalize()}Options"
    operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
    operator.builtinOptions = getattr(schema, f"{options}T")()
    opcode = schema.OperatorCodeT()
    opcode.builtinCode = opcode.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
    opcode.version = 1

    graph = schema.SubGraphT()
    graph.tensors, graph.operators, graph.inputs, graph.outputs = [copy(source), target], [operator], [0], [1]
    model = schema.ModelT()
    model.operatorCodes, model.subgraphs, model.buffers, model.metadata = [opcode], [graph], [schema.BufferT()], []
    return model


def _join(head, tail):
    """head, grown by tail, whose numbers move up behind head's."""
    graph, grown = head.subgraphs[0], tail.subgraphs[0]
    seam, behind, taken = graph.outputs[0], len(graph.tensors), grown.inputs[0]

    names = {tensor.name for tensor in graph.tensors}
    for holder in (*grown.tensors, *tail.metadata):
        holder.buffer += len(head.buffers)
    for tensor in grown.tensors:
        while tensor.name in names:
            tensor.name += b";2"
        names.add(tensor.name)
    for node in (grown, *grown.operators):
        _renumber(node, lambda i: seam if i == taken else behind + i)
    for operator in grown.operators:
        operator.opcodeIndex += len(head.operatorCodes)

    graph.tensors += grown.tensors
    graph.operators += grown.operators
    graph.outputs = grown.outputs
    head.operatorCodes += tail.operatorCodes
    head.buffers += tail.buffers
    head.metadata += tail.metadata
    return head


def _load(model):
    root = load(model)
    if len(root.subgraphs[0].inputs) != 1 or len(root.subgraphs[0].outputs) != 1:
        raise ZooError("only a .tflite file with one input and one output can be joined to another")
    return root


def dump(model, same_ends=False):
    """Bytes, without what nothing uses: TFLM gives memory even to a tensor that no operator touches.

    Of the metadata, what the whole file needs stays: the highest min_runtime_version. same_ends: the file takes and
    gives what it did, so what it says of itself stays too, all but the files behind it (`zoo.export.metadata.dump_as`).
    """
    graph = model.subgraphs[0]
    tensors, tensor_number = _keep(graph.tensors)
    for node in (graph, *graph.operators):
        _renumber(node, tensor_number)
    graph.tensors = tensors

    versions = [metadata for metadata in model.metadata if metadata.name == b"min_runtime_version"]
    versions.sort(key=lambda m: [int(n) for n in re.findall(rb"\d+", bytes(model.buffers[m.buffer].data))])
    described = [metadata for metadata in model.metadata if metadata.name == DESCRIBED and same_ends]
    model.metadata = versions[-1:] + described[:1]

    buffers, buffer_number = _keep(model.buffers, key=lambda buffer: None if buffer.data is None else id(buffer))
    buffer_number(0)  # stays the empty one, and becomes that of every tensor that is no constant
    for holder in (*tensors, *model.metadata):
        holder.buffer = buffer_number(holder.buffer)
    model.buffers = buffers

    opcodes, opcode_number = _keep(model.operatorCodes, lambda code: (code.builtinCode, code.customCode, code.version))
    for operator in graph.operators:
        operator.opcodeIndex = opcode_number(operator.opcodeIndex)
    model.operatorCodes = opcodes

    for signature in model.signatureDefs or []:
        for ends, numbers in ((signature.inputs, graph.inputs), (signature.outputs, graph.outputs)):
            if len(ends) == 1:  # which may have become another tensor
                ends[0].tensorIndex = numbers[0]
            else:
                for end in ends:
                    end.tensorIndex = tensor_number(end.tensorIndex)
    builder = _Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class _Builder(flatbuffers.Builder):
    """Aligns the data of buffers as TFLite's schema asks (force_align); the code made of it for Python forgets to."""

    def StartVector(self, elemSize, numElems, alignment):
        return super().StartVector(elemSize, numElems, BUFFER_ALIGNMENT_BYTES if elemSize == 1 else alignment)


def _renumber(node, number):
    """Gives new numbers to the tensors of an operator or a graph; -1 is an optional input left out."""
    for field in ("inputs", "outputs", "intermediates"):
        if getattr(node, field, None) is not None:
            setattr(node, field, [i if i == -1 else number(i) for i in getattr(node, field)])


def _keep(items, key=id):
    """The list of those items that were asked for, one for each key, and the function that asks: old number -> new."""
    kept, numbers = [], {}

    def number(old):
        if key(items[old]) not in numbers:
            numbers[key(items[old])] = len(kept)
            kept.append(items[old])
        return numbers[key(items[old])]

    return kept, number
