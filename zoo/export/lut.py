"""A .tflite file whose kernels are places in tables of values, for TFLM's DECODE operator: less flash, the same bytes.

It pays where a kernel's weights share few values (`zoo.compress.cluster`). TFLM decodes a kernel into the arena before
the operator that takes it, so what flash wins, RAM may lose: both are told. Written by TFLM's own compression.
"""

import gzip
import json
import warnings
from typing import NamedTuple

import numpy as np
from tflite_micro import compression

from zoo.export import graph as graphs
from zoo.export.strips import assert_same_bytes
from zoo.export.tflm import TFLM

MOST_VALUES = 128  # of a table: TFLM's places have 1 to 7 bits
WORTH = 2  # weights for each value of a table, at least
# Of the operators whose kernels are decoded, the axis of their channels. TFLM's FULLY_CONNECTED sums up its weights
# before they are decoded, and then gives other bytes.
CHANNEL_AXES = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3}
DECODE_BYTES = 600  # what an operator with its two tensors takes of the file


class Tabled(NamedTuple):
    """What became of a file."""

    model: bytes  # as it was, where nothing was won
    kernels: dict  # name of a tensor -> bits of a place in its tables
    bytes_before: int
    gzip_bytes: int
    gzip_bytes_before: int
    arena_bytes: int
    arena_bytes_before: int

    def told(self):
        """One line."""
        if not self.kernels:
            return f"no table makes the {self.bytes_before:,} bytes fewer; the file stays as it is"
        return (
            f"{len(self.kernels)} kernels in tables: {self.bytes_before:,} -> {len(self.model):,} bytes "
            f"({self.gzip_bytes_before:,} -> {self.gzip_bytes:,} with gzip), "
            f"arena {self.arena_bytes_before:,} -> {self.arena_bytes:,} bytes"
        )


def with_tables(model: bytes) -> Tabled:
    """The file with tables for the kernels that are smaller so, proved by its bytes on random inputs in TFLM.

    Raises: ZooError for what TFLM cannot run; AssertionError if a byte of its output changed.
    """
    root = graphs.load(model)
    graph = graphs.of(root)
    chosen = _chosen(root, graph)
    arena_bytes = TFLM(model).arena_bytes
    gzip_bytes = _packed(model)
    as_it_was = Tabled(model, {}, len(model), gzip_bytes, gzip_bytes, arena_bytes, arena_bytes)
    if not chosen:
        return as_it_was
    tensors = [
        {
            "subgraph": 0,
            "tensor": number,
            "compression": [{"lut": {"index_bitwidth": bits, "per_channel": {"axis": axis}}}],
        }
        for number, (bits, axis) in chosen.items()
    ]
    spec = compression.parse_yaml(json.dumps({"tensors": tensors}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tabled = bytes(compression.compress(model, spec))
    if len(tabled) >= len(model):
        return as_it_was
    assert_same_bytes(model, tabled)
    names = {graph.tensors[number].name: bits for number, (bits, _) in chosen.items()}
    return Tabled(tabled, names, len(model), _packed(tabled), gzip_bytes, TFLM(tabled).arena_bytes, arena_bytes)


def most_values(kernel, axis):
    """How many different values the channel with most of them has, along `axis` of an array."""
    return max(len(np.unique(channel)) for channel in np.moveaxis(kernel, axis, 0))


def shares_values(kernel, axis):
    """Whether a kernel's weights are so few different ones that tables pay."""
    weights = kernel.size // kernel.shape[axis]
    return most_values(kernel, axis) <= min(MOST_VALUES, weights // WORTH)


def _chosen(root, graph):
    """{number of a kernel: (bits of a place, axis of its channels)}: those that are smaller in tables."""
    chosen = {}
    for operator in graph.operators:
        number = operator.inputs[1] if operator.name in CHANNEL_AXES else None
        if number is None or not graph.tensors[number].is_constant or graph.tensors[number].dtype != "int8":
            continue
        shape, axis = graph.tensors[number].shape, CHANNEL_AXES[operator.name]
        data = root.buffers[root.subgraphs[0].tensors[number].buffer].data
        kernel = np.frombuffer(bytes(data), np.int8).reshape(shape)
        values = most_values(kernel, axis)
        bits = max(1, (values - 1).bit_length())
        if values <= MOST_VALUES and kernel.size * bits // 8 + values * shape[axis] + DECODE_BYTES < kernel.size:
            chosen[number] = bits, axis
    return chosen


def _packed(model):
    return len(gzip.compress(model, compresslevel=9, mtime=0))
