"""A folded XNOR-Net, read: layer by layer what `zoo.export.xnor_c` makes C99 of."""

from zoo.backend import keras

import numpy as np

from zoo.compress.binary import PASSED, STEEP, int8_step
from zoo.errors import ZooError
from zoo.export.xnor_c import Layer, Net, Shape
from zoo.runtime.interpreter import Tensor

layers = keras.layers

SWAPS = ((3, 1, 2), (2, 1, 3))  # time behind channels or bands, as ACDNet has it
TAIL_TOLERANCE = 1e-4  # of the largest logit: float32 sums in another order


def is_folded(body):
    """Whether a model is `zoo.compress.binary.folded`: it holds a kernel of signs before a sign."""
    return any(is_sign(layer) and (np.abs(layer.kernel) == STEEP).all() for layer in body.layers)


def is_sign(layer):
    """Whether a layer of a folded model gives -1 and 1 alone."""
    return getattr(layer, "activation", None) is keras.activations.tanh and hasattr(layer, "kernel")


def net_of(body, columns: Tensor) -> Net:
    """The `Net` of a folded body (the Keras model columns -> scores) whose columns are int8 as `columns` tells.

    Raises: ZooError, by layer, for what the C code has no layer for.
    """
    chain, found = list(body.layers[1:]), []
    _, width, channels = body.input_shape[1:]
    strides = (width * channels, channels)
    if isinstance(chain[0], layers.Permute) and chain[0].dims in SWAPS:
        strides = (1, width * channels)
        chain.pop(0)
    layer = None
    while layer is None or is_sign(layer):
        layer, passed = chain.pop(0), []
        while isinstance(chain[0], PASSED):
            passed.append(chain.pop(0))
        pools = [other for other in passed if not isinstance(other, layers.Dropout)]
        if type(layer) is not layers.Conv2D or len(pools) > 1 or (pools and not is_sign(layer)):
            raise ZooError(f"{layer.name}: the C code has convolutions of signs, a pool behind each at most")
        found.append(_layer(layer, pools, None if found else columns))
    dense, bias = _tail(body, layer, found[-1].shape)
    return Net(columns, found, *strides, dense, bias)


def _layer(layer, pools, columns):
    """The `Layer` of a convolution and its pool; columns: the `Tensor` that the first one takes, None for others."""
    kernel, (rows, width, channels) = layer.kernel.numpy().astype(np.float64), layer.input_shape[1:]
    if layer.groups != 1 or layer.dilation_rate != (1, 1) or (columns and channels != 1):
        raise ZooError(f"{layer.name}: the C code has plain convolutions, the first of one channel")
    if any(pool.pool_size != pool.strides or pool.padding != "valid" for pool in pools):
        raise ZooError(f"{pools[0].name}: the C code has pools of windows side by side, without padding")
    pool = pools[0].pool_size if pools else (1, 1)
    out_rows, out_columns, filters = layer.output_shape[1:]
    padding = [
        max((out - 1) * stride + size - taken, 0) // 2 if layer.padding == "same" else 0
        for out, stride, size, taken in zip((out_rows, out_columns), layer.strides, layer.kernel_size, (rows, width))
    ]
    shape = Shape(
        rows, width, channels, *layer.kernel_size, *layer.strides, *padding, *pool, out_rows // pool[0],
        out_columns // pool[1], filters,
    )  # fmt: skip
    if columns:
        step = int8_step(kernel)
        kernel, scale = np.round(kernel / step).astype(int), step * columns.scale
    else:
        scale = np.abs(kernel).max(axis=(0, 1, 2))
        if (np.abs(kernel) != scale).any():
            raise ZooError(f"{layer.name}: its weights are no signs of one scale; fold the net of which it is")
        kernel = np.sign(kernel)
    thresholds = np.ceil(-layer.bias.numpy() / scale) if is_sign(layer) else np.empty(0)
    largest = np.iinfo(np.int32 if columns else np.int16)
    return Layer(layer.name, shape, kernel, np.clip(thresholds, largest.min, largest.max).astype(int), not columns)


def _tail(body, last, shape):
    """(dense, bias) from the sums of the layer `last` to the logits: all that follows it, asked for its answers."""
    softmax = body.layers[-1]
    if not isinstance(softmax, layers.Softmax):
        raise ZooError(f"{softmax.name}: the C code ends in a softmax; got {type(softmax).__name__}")
    tail = keras.Model(last.output, softmax.input)
    scale = np.abs(last.kernel.numpy()).max(axis=(0, 1, 2))
    places = shape.out_rows * shape.out_columns
    rng = np.random.default_rng(0)
    units = np.broadcast_to(np.eye(shape.filters)[:, None, None], (shape.filters, *last.output_shape[1:]))
    tried = rng.normal(0, 1, last.output_shape[1:])
    bias, *answers, answer = tail.predict(np.concatenate([0 * tried[None], units, tried[None]]), verbose=0)
    dense = (np.array(answers) - bias).T / places
    if not np.allclose(dense @ tried.sum(axis=(0, 1)) + bias, answer, atol=TAIL_TOLERANCE * np.abs(answer).max()):
        raise ZooError(f"{last.name}: what follows it has to take its means, and to be a dense layer")
    return dense * scale, bias
