"""Parameters, multiplies and layer graph of a functional tf-keras model; nested models are opened."""

import math
from typing import NamedTuple

import numpy as np

from zoo.calls import ids_of, nodes_of
from zoo.errors import ZooError

# Kernels by kind of layer. Each weight of a kernel is multiplied once at each output position, whatever the padding,
# strides, dilation or groups. By exact name, not isinstance: Keras derives Conv2DTranspose from Conv2D.
KERNELS = {
    "Conv1D": ("kernel",),
    "Conv2D": ("kernel",),
    "DepthwiseConv1D": ("depthwise_kernel",),
    "DepthwiseConv2D": ("depthwise_kernel",),
    "SeparableConv1D": ("depthwise_kernel", "pointwise_kernel"),
    "SeparableConv2D": ("depthwise_kernel", "pointwise_kernel"),
    "Dense": ("kernel",),
    "BatchNormalization": (),  # folded into the convolution before it
    "Normalization": (),
}

# At each time step every weight of both kernels is multiplied once; a Bidirectional has two such layers.
RECURRENT = ("LSTM", "Bidirectional")


class Row(NamedTuple):
    """One layer of a layer table."""

    name: str
    kind: str
    output_shape: tuple  # without the batch
    parameters: int  # trainable
    macs: int


def trainable_parameters(model):
    """Number of weights that training changes: batch normalisation's statistics are not among them."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def macs(model):
    """Multiplies (each with its addition) for one input, zeros of a pruned kernel included.

    Biases, activations, pools and layers without weights (a front end's Fourier transform) count nothing.

    Raises: ZooError naming the first layer with weights of a kind that is neither in KERNELS nor in RECURRENT.
    """
    return sum(row.macs for row in layer_table(model))


def paper_flops(model):
    """FLOPs as the ACDNet paper counts: multiplies, and one for each bias, activation and element that a pool reads.

    ACDNet's 544,422,040 are 541,869,356 multiplies, 1,483,256 ReLU outputs, 1,069,328 elements read by pools, and 50
    each for the dense layer's bias and the softmax. Other kinds of layer (an Add, a global pool) count nothing.

    Source: torch/resources/calculator.py of github.com/mohaimenz/acdnet.
    """
    total = 0
    for node in _flatten(model)[0]:
        layer, outputs = node.layer, math.prod(_output_shape(node))
        total += _macs(node) + outputs * getattr(layer, "use_bias", False)
        total += outputs * np.prod(getattr(layer, "pool_size", 0))
        total += outputs * _is_activation(layer)
    return int(total)


def layer_table(model):
    """One `Row` for each call of a layer, inputs first."""
    return graph_of(model)[0]


def graph_of(model):
    """(rows, edges): the layer table, and pairs (from, to) of row numbers."""
    nodes, edges = _flatten(model)
    seen = set()  # a shared layer's parameters are counted at its first call
    rows = []
    for node in nodes:
        weights = [weight for weight in node.layer.trainable_weights if id(weight) not in seen]
        seen.update(map(id, weights))
        parameters = sum(math.prod(weight.shape) for weight in weights)
        rows.append(Row(node.layer.name, type(node.layer).__name__, _output_shape(node), parameters, _macs(node)))
    return rows, edges


def _macs(node):
    layer = node.layer
    kind = type(layer).__name__
    if kind in RECURRENT:
        kernels = [weight for weight in layer.weights if weight.name.endswith("kernel:0")]
        return node.input_shapes[1] * sum(math.prod(kernel.shape) for kernel in kernels)
    if kind not in KERNELS:
        if layer.weights:
            raise ZooError(f"{layer.name}: cannot count the multiplies of a {kind}; add its kernels to KERNELS")
        return 0
    positions = math.prod(_output_shape(node)[:-1])
    return positions * sum(math.prod(getattr(layer, kernel).shape) for kernel in KERNELS[kind])


def _is_activation(layer):
    if type(layer).__name__ in ("ReLU", "Softmax"):
        return True
    return getattr(getattr(layer, "activation", None), "__name__", "linear") != "linear"


def _output_shape(node):
    shapes = node.output_shapes
    shape = (shapes[0] if isinstance(shapes, list) else shapes)[1:]  # an input's node holds a list of one
    if None in shape:
        raise ZooError(f"{node.layer.name}: output shape {shape} is open; build the model for an input of fixed length")
    return shape


def _flatten(model):
    """(nodes, edges): the calls of layers in order, nested models opened, and pairs of positions in nodes."""
    nodes, edges = [], []

    def add(model, sources=None):
        """Where in `nodes` each output of `model` is made. sources: where its inputs are; the outermost has none."""
        places = dict(zip(ids_of(model.inputs), sources or ()))  # tensor -> position in nodes
        for node in nodes_of(model):
            before = [places[tensor] for tensor in node.flat_input_ids]
            if node.is_input and sources:
                continue
            if hasattr(node.layer, "_nodes_by_depth"):
                made = add(node.layer, before)
            else:
                edges.extend((place, len(nodes)) for place in dict.fromkeys(before))
                made = [len(nodes)] * len(node.flat_output_ids)
                nodes.append(node)
            places.update(zip(node.flat_output_ids, made))
        return [places[tensor] for tensor in ids_of(model.outputs)]

    add(model)
    return nodes, edges
