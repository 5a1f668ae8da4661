"""What a compression step must pay: the figures that it claims to lower, measured before and after."""

import gzip
import math
from typing import NamedTuple

from zoo.backend import keras

import numpy as np

from zoo.errors import ZooError
from zoo.export import tflite
from zoo.export.tflm import TFLM
from zoo.measure import counts


class Cost(NamedTuple):
    """What a backbone costs. None: not measurable, see `cost_of`."""

    bytes: int  # of the float .tflite
    gzip_bytes: int  # of the same file, packed: a zero takes as much room in the file as any weight, but not here
    macs: int | None  # multiplies for one input
    arena_bytes: int | None  # TFLM's, for the int8 form with int8 ends


def cost_of(backbone) -> Cost:
    """The `Cost` of a model.

    macs is None where a layer's multiplies cannot be counted, arena_bytes where there is no int8 form for TFLM.

    Raises: ZooError when an operator is no TFLite builtin.
    """
    file = tflite.to_float(backbone)
    return Cost(
        len(file),
        len(gzip.compress(file, compresslevel=9, mtime=0)),
        _or_none(counts.macs, backbone),
        _or_none(_arena_bytes, backbone),
    )


def unpaid(before, after, lowers):
    """One line for each figure of `lowers` that is no lower after a step than before it; [] where the step paid.

    before, after: `Cost`. lowers: names of its fields. A figure that could not be measured is not held against a step.
    """
    lines = []
    for name in lowers:
        old, new = getattr(before, name), getattr(after, name)
        if old is not None and new is not None and new >= old:
            lines.append(f"{name} {'stayed at' if new == old else f'rose from {old:,} to'} {new:,}")
    return lines


def _or_none(measure, backbone):
    try:
        return measure(backbone)
    except ZooError:
        return None


def _arena_bytes(backbone):
    """Measured with weights and sound of noise: values decide scales, and no scale takes room.

    Of its own weights a layer may have none left but zeros: its output then has no range, and TFLM ends the process.
    """
    rng = np.random.default_rng(0)
    model = keras.models.clone_model(backbone)
    model.set_weights([_noise_like(weight, rng) for weight in backbone.weights])
    return TFLM(tflite.to_int8(model, rng.uniform(0, 1, (1, *backbone.input_shape[1:])).astype(np.float32))).arena_bytes


def _noise_like(weight, rng):
    if weight.name.endswith("bias:0") and not weight.numpy().any():
        return weight.numpy()  # a dense layer's bias of zeros is left out of the file
    return rng.uniform(0.5, 1.5, weight.shape) / math.prod(
        weight.shape[:-1]
    )  # so that no sum grows from layer to layer
