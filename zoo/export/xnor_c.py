"""XNOR-Net as C99: int8 columns in, scores out; weights are bits, and a sum of products counts them.

What decides is whole numbers from the columns to the last sums: the bytes are the same on every chip. Needs numpy;
running the C here needs a C compiler.
"""

import math
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np

from zoo.export import c99
from zoo.export.micro import TEMPLATES, fill_template
from zoo.runtime.interpreter import Tensor

LAYERS = ("xnor_layers.h", "xnor_layers.c")
SCORES = Tensor((), np.int16, 1 / 32768, 0)  # of each class; probabilities


class Shape(NamedTuple):
    """A convolution and the maximum behind it: the fields of `xnor_shape` in xnor_layers.h."""

    rows: int
    columns: int
    channels: int
    kernel_rows: int
    kernel_columns: int
    stride_rows: int
    stride_columns: int
    top: int
    left: int
    pool_rows: int
    pool_columns: int
    out_rows: int
    out_columns: int
    filters: int

    @property
    def taps(self):
        """Products in a sum, where all of the kernel lies inside."""
        return self.kernel_rows * self.kernel_columns * self.channels

    @property
    def words(self):
        """Of the bits of one filter."""
        return math.ceil(self.taps / 32)

    @property
    def windows(self):
        """Sums of which a bit is the maximum."""
        return self.pool_rows * self.pool_columns

    @property
    def map_words(self):
        """Of the bits that it gives, and the one that may be written behind them."""
        return math.ceil(self.out_rows * self.out_columns * self.filters / 32) + 1

    @property
    def products(self):
        """Products of one input, counted as multiplies are."""
        return self.out_rows * self.out_columns * self.windows * self.filters * self.taps


class Layer(NamedTuple):
    """A layer of a folded body."""

    name: str
    shape: Shape
    kernel: np.ndarray  # signs, or of the first layer whole numbers of int8; (rows, columns, channels, filters)
    thresholds: np.ndarray  # whole sums from which a bit is 1; of the last layer none
    is_binary: bool  # what it takes: bits, or the columns' int8


class Net(NamedTuple):
    """What a folded body computes."""

    columns: Tensor  # that it takes: int8 (columns, rows, channels)
    layers: list  # of `Layer`: the first one takes columns, the last one gives sums
    row_stride: int  # of the columns' values, between two rows of the image that the first layer takes
    column_stride: int
    dense: np.ndarray  # (classes, sums): what each sum adds to a logit
    bias: np.ndarray  # (classes,)

    @property
    def binary_products(self):
        """Of signs, for one window."""
        return sum(layer.shape.products for layer in self.layers if layer.is_binary)


def write_xnor(net: Net, folder):
    """Writes xnor.h, xnor.c and the layers that they call. Weights and code stay in flash."""
    first, *binary, last = net.layers
    maps = [layer.shape.map_words for layer in (first, *binary)]
    regions = {
        "even": max(maps[::2]),  # what a layer takes lies in the one, what it gives in the other
        "odd": max(maps[1::2], default=0),
        "patches": max(map(_patch_words, net.layers)),
        "sums": last.shape.filters,
    }
    tables = [
        _table("int8_t", "first_weights", first.kernel[..., 0, :].reshape(-1, first.shape.filters).T.ravel()),
        _table("int32_t", "first_thresholds", first.thresholds),
    ]
    strides = f"{net.row_stride}, {net.column_stride}, XNOR_ZERO_POINT"
    calls = [f"xnor_first(&shapes[0], columns, {strides}, first_weights, first_thresholds, even, (int16_t *)patches);"]
    for number, layer in enumerate((*binary, last), start=1):
        taken, given = ("even", "odd") if number % 2 else ("odd", "even")
        tables.append(_table("uint32_t", f"weights{number}", map("0x{:08x}".format, packed(layer.kernel))))
        if layer is last:
            calls.append(f"xnor_sums(&shapes[{number}], {taken}, weights{number}, sums, patches);")
        else:
            tables.append(_table("int16_t", f"thresholds{number}", layer.thresholds))
            calls.append(
                f"xnor_layer(&shapes[{number}], {taken}, weights{number}, thresholds{number}, {given}, patches);"
            )
    starts = dict(zip(regions, np.cumsum([0, *regions.values()])))
    fill_template(
        "xnor.h",
        folder,
        columns=net.columns.shape[0],
        column_rows=net.columns.shape[1],
        column_channels=net.columns.shape[2],
        scale=c99.literal(net.columns.scale),
        zero_point=net.columns.zero_point,
        classes=len(net.bias),
        scratch_words=sum(regions.values()),
    )
    fill_template(
        "xnor.c",
        folder,
        num_sums=last.shape.filters,
        shapes="\n".join(f"    {{{', '.join(map(str, layer.shape))}}}, /* {layer.name} */" for layer in net.layers),
        tables="\n\n".join(tables),
        dense="\n".join(f"    {{\n{c99.rows(map(c99.literal, row))}\n    }}," for row in net.dense),
        bias=c99.rows(map(c99.literal, net.bias)),
        calls="\n".join(f"    {call}" for call in calls),
        **{region: f"scratch + {start}" for region, start in starts.items()},
    )
    for name in LAYERS:
        shutil.copyfile(TEMPLATES / name, Path(folder, name))


def _patch_words(layer):
    """Room for what a layer gathers of each window: XNOR_PATCH_WORDS, and of the first one int16 values."""
    shape = layer.shape
    return shape.windows * (4 + 2 * shape.words) if layer.is_binary else math.ceil(shape.windows * shape.taps / 2)


def _table(kind, name, values):
    return f"static const {kind} {name}[] = {{\n{c99.rows(map(str, values))}\n}};"


def packed(kernel):
    """The bits of a kernel of signs, filter by filter, each filled up to whole words.

    Shape: (rows, columns, channels, filters) -> uint32 (filters * words,)
    """
    bits = kernel.reshape(-1, kernel.shape[-1]).T > 0
    bits = np.pad(bits, ((0, 0), (0, -bits.shape[1] % 32)))
    return np.ascontiguousarray(np.packbits(bits, axis=1, bitorder="little")).view("<u4").ravel()


class XnorC(c99.Program):
    """The xnor.c of a folder. Its window lies beside the scratch, for nobody needs it between two calls."""

    def __init__(self, folder):
        found = c99.defined(Path(folder, "xnor.h").read_text(), "XNOR_")
        shape = tuple(int(found[name]) for name in ("COLUMNS", "COLUMN_ROWS", "COLUMN_CHANNELS"))
        window, scores = (
            Tensor(shape, np.int8, *c99.quantisation(found)),
            SCORES._replace(shape=(int(found["CLASSES"]),)),
        )
        scratch = np.empty(int(found["SCRATCH_WORDS"]), np.uint32)
        sources = [Path(folder, name) for name in ("xnor.c", "xnor_layers.c")]
        super().__init__(sources, "xnor_scores", window, scores, scratch, held=window)
