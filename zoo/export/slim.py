"""A .tflite file for TFLM alone that takes less flash and gives the same bytes.

Two things go. Parameters of quantisation that TFLM does not read: the scales and zero points of a convolution's bias,
and of its kernel the zero points but one, 20 bytes for each channel together. And, where a kernel's weights share few
values (`zoo.compress.cluster`), the weights: places in tables of values take their room (LUT), which TFLM's own
compression writes. TFLM decodes such a kernel into the arena before the operator that takes it, so what flash wins, RAM
may lose: both are told.
"""

import gzip
import json
import warnings
from typing import NamedTuple

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from tflite_micro import compression

from zoo.export import graph as graphs
from zoo.export import metadata
from zoo.export.strips import assert_same_bytes
from zoo.export.tflm import TFLM

MOST_VALUES = 128  # of a table: TFLM's places have 1 to 7 bits
# Of the operators whose kernels are decoded, the axis of their channels. TFLM's FULLY_CONNECTED sums up its weights
# before they are decoded, and then gives other bytes; of its bias it reads the scale.
CHANNEL_AXES = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3}
DECODE_BYTES = 600  # what an operator with its two tensors takes of the file


class Slim(NamedTuple):
    """What became of a file."""

    model: bytes
    tables: dict  # name of a kernel -> bits of a place in its tables
    bytes_before: int
    gzip_bytes: int
    gzip_bytes_before: int
    arena_bytes: int
    arena_bytes_before: int

    def told(self):
        """One line."""
        if len(self.model) == self.bytes_before:
            return f"nothing makes the {self.bytes_before:,} bytes fewer; the file stays as it is"
        return (
            f"{self.bytes_before:,} -> {len(self.model):,} bytes "
            f"({self.gzip_bytes_before:,} -> {self.gzip_bytes:,} with gzip), "
            f"arena {self.arena_bytes_before:,} -> {self.arena_bytes:,} bytes, {len(self.tables)} kernels in tables"
        )


def slim(model: bytes, tables=True) -> Slim:
    """The file as small as it gets, proved by its bytes on random inputs in TFLM. No other runtime takes it.

    tables: False leaves all kernels as they are, and RAM with them.

    Raises: ZooError for what TFLM cannot run; AssertionError if a byte of its output changed.
    """
    root = graphs.load(model)
    chosen = _chosen(root) if tables else {}
    slimmed = _without_idle_parameters(_with_tables(model, chosen))
    if len(slimmed) >= len(model):
        slimmed, chosen = model, {}
    assert_same_bytes(model, slimmed)
    return Slim(
        slimmed,
        {root.subgraphs[0].tensors[number].name.decode(): bits for number, (bits, _) in chosen.items()},
        len(model),
        _packed(slimmed),
        _packed(model),
        TFLM(slimmed).arena_bytes,
        TFLM(model).arena_bytes,
    )


def _most_values(kernel, axis):
    return max(len(np.unique(channel)) for channel in np.moveaxis(kernel, axis, 0))


def _chosen(root):
    """{number of a kernel: (bits of a place, axis of its channels)}: those that are smaller in tables."""
    graph, chosen = graphs.of(root), {}
    for operator in graph.operators:
        number = operator.inputs[1] if operator.name in CHANNEL_AXES else None
        if number is None or not graph.tensors[number].is_constant or graph.tensors[number].dtype != "int8":
            continue
        shape, axis = graph.tensors[number].shape, CHANNEL_AXES[operator.name]
        data = root.buffers[root.subgraphs[0].tensors[number].buffer].data
        kernel = np.frombuffer(bytes(data), np.int8).reshape(shape)
        values = _most_values(kernel, axis)
        bits = max(1, (values - 1).bit_length())
        if values <= MOST_VALUES and kernel.size * bits // 8 + values * shape[axis] + DECODE_BYTES < kernel.size:
            chosen[number] = bits, axis
    return chosen


def _with_tables(model, chosen):
    if not chosen:
        return model
    tensors = [
        {
            "subgraph": 0,
            "tensor": number,
            "compression": [{"lut": {"index_bitwidth": bits, "per_channel": {"axis": axis}}}],
        }
        for number, (bits, axis) in chosen.items()
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bytes(compression.compress(model, compression.parse_yaml(json.dumps({"tensors": tensors}))))


def _without_idle_parameters(model):
    root = graphs.load(model)
    tensors = root.subgraphs[0].tensors
    for operator in root.subgraphs[0].operators:
        if graphs.name_of(root, operator) not in CHANNEL_AXES:
            continue
        _, kernel, *bias = operator.inputs
        for number in bias:
            tensors[number].quantization = None
        quantisation = tensors[kernel].quantization
        # LiteRT wants as many zero points as scales, TFLM takes the first for all.
        if quantisation is not None and quantisation.zeroPoint is not None and not np.any(quantisation.zeroPoint):
            tensors[kernel].quantization = _with_one_zero_point(quantisation)
    return metadata.dump_as(model, root)


def _with_one_zero_point(quantisation):
    slimmed = schema.QuantizationParametersT()
    slimmed.scale, slimmed.zeroPoint = quantisation.scale, np.zeros(1, np.int64)
    slimmed.quantizedDimension = quantisation.quantizedDimension
    return slimmed


def _packed(model):
    return len(gzip.compress(model, compresslevel=9, mtime=0))
