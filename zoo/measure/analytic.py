"""What a model will take of a microcontroller as an int8 stream, reckoned before it is trained or made int8.

Weights are counted, tensors and their lifetimes are those of the float file, and what TFLite and TFLM keep on top is
reckoned by constants that were fitted to eight bodies of the zoo: seconds where the measure takes a minute.
"""

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from zoo import assembly
from zoo.export import graph as graphs
from zoo.export import seam, strips, tflite
from zoo.export.log_mel_c import write_log_mel
from zoo.frontends import Raw
from zoo.measure import counts, microcontroller
from zoo.runtime.interpreter import Tensor

# What an int8 file holds beside its weights: of each channel of a convolution the scale and the zero point of its
# kernel and of its bias, of each tensor a name, a shape and a range.
CHANNEL_BYTES, TENSOR_BYTES, FILE_BYTES = 26, 220, 1_000
CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")


class Sizes(NamedTuple):
    """What a stream takes, on this 64-bit host."""

    flash_bytes: int  # of front end and body
    arena_bytes: int  # that both share
    ram_bytes: int  # the arena, the ring of columns and the samples that one column hears
    macs: int  # multiplies of the backbone for one window


def sizes(front_end, backbone, seam_layer="", in_strips=False) -> Sizes:
    """The `Sizes` of a stream of these, within a twentieth of the measured ones (`microcontroller.report`).

    front_end: the spec (`zoo.frontends`). seam_layer: the backbone's layer where sound has become columns; of a mel
    model its input is that. in_strips: the body is computed in strips, as an export does it where that takes less; to
    find them takes longer.

    Raises: ZooError where there is no stream.
    """
    front, body = assembly.cut(front_end.build_tflite_twin(), backbone, seam_layer)
    flash_bytes, (head, tail), graph = _of(body, 1, strips.MAX_EXTRA if in_strips else None)
    ring_bytes = sum(graph.tensors[i].bytes for i in graph.inputs)
    if isinstance(front_end, Raw):
        _, field_samples = seam.column_geometry(front)
        front_flash, (front_head, front_tail), _ = _of(
            seam.on_samples(front, field_samples), np.dtype(np.int16).itemsize
        )
    else:
        in_c = _log_mel_in_c(front_end, body.input_shape[1:])
        front_flash, front_head, front_tail = in_c.table_bytes, in_c.arena.head_bytes, 0
        (field_samples,) = in_c.input.shape
    arena_bytes = max(head, front_head) + tail + front_tail
    ram_bytes = arena_bytes + ring_bytes + field_samples * np.dtype(np.int16).itemsize
    return Sizes(flash_bytes + front_flash, arena_bytes, ram_bytes, counts.macs(backbone))


def _of(model, value_bytes, max_extra=None):
    """(bytes of the file, (head, tail) of its arena, graph) of a model whose activations take `value_bytes` each."""
    root = graphs.load(tflite.to_float(model))
    graph = graphs.of(root)
    biases = {operator.inputs[2] for operator in graph.operators if operator.macs and len(operator.inputs) > 2}

    def quantised(number, tensor):
        if tensor.dtype != "float32":
            return tensor
        if number in biases:
            return tensor._replace(bytes=tensor.bytes * (1 if value_bytes == 1 else 2))  # 32 bits, or 64
        return tensor._replace(bytes=tensor.bytes // 4 * (1 if tensor.is_constant else value_bytes))

    graph = graph._replace(tensors=tuple(quantised(*numbered) for numbered in enumerate(graph.tensors)))
    channels = sum(
        graph.tensors[operator.outputs[0]].shape[-1] for operator in graph.operators if operator.name in CONVOLUTIONS
    )
    constant_bytes = sum(tensor.bytes for tensor in graph.tensors if tensor.is_constant)
    flash_bytes = constant_bytes + CHANNEL_BYTES * channels + TENSOR_BYTES * len(graph.tensors) + FILE_BYTES
    return flash_bytes, strips.reckoned_arena(root, graph, max_extra), graph


def _log_mel_in_c(front_end, columns_shape):
    """The front end of the C that an export would write: no size of it depends on the columns' scale."""
    with tempfile.TemporaryDirectory() as folder:
        write_log_mel(front_end, Tensor(columns_shape, np.int8, 1.0, -128), Path(folder))
        return microcontroller.front_end_in_c(Path(folder) / "frontend.h", np.int8)
