"""Published weights for a model of the zoo: YAMNet's, from the release's yamnet.h5 or from its .tflite.

Source: tensorflow/models, research/audioset/yamnet: its layers' names are keys here, `layer2/depthwise_conv/bn`.
"""

import re
from pathlib import Path

from zoo.backend import keras

import h5py
import numpy as np

from zoo.errors import ZooError, one_line
from zoo.export import graph

LICENCE = "Apache-2.0"
RELEASED = {"conv": "conv", "depthwise": "depthwise_conv", "pointwise": "pointwise_conv", "norm": "bn"}
HEAD = "dense"  # whatever an .h5 calls it: Keras named it
IN_TFLITE = re.compile(r"/(?:(layer\d+/\w+)/bn|(dense))/")  # the name of what a convolution or a dense layer adds
WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def load_published(model, path):
    """Fills the layers of a YAMNet, or of a cut of it, with the published weights of `path`; gives their names.

    The head is filled where it takes and gives as much as the file's, and keeps its weights where not. In a .tflite the
    normalisations are folded into kernels and biases: the biases become their beta, over a mean of 0 and a deviation
    of 1. That is the same network as long as these are not replaced by a batch's, so such a norm no longer trains.

    Raises: ZooError, with nothing filled, for another file, and, by name, for a layer that the file lacks or has in
    another shape.
    """
    path = Path(path)
    if not path.is_file():
        raise ZooError(f"{path}: no such file; pass YAMNet's yamnet.h5, or its .tflite")
    published, found, folded = _read(path), {}, []
    for layer in model.layers:
        name = _released(layer.name)
        if not layer.weights:
            continue
        if name not in published:
            raise ZooError(f"{path}: no weights for the layer {layer.name}; it holds {', '.join(published) or 'none'}")
        weights = published[name]
        if isinstance(layer, keras.layers.BatchNormalization) and len(weights) == 1:  # folded
            folded.append(layer)
            (beta,) = weights
            weights = [beta, np.zeros_like(beta), np.full_like(beta, 1 - layer.epsilon)]
        shapes, wanted = ([tuple(weight.shape) for weight in some] for some in (weights, layer.weights))
        if shapes == wanted:
            found[layer] = weights
        elif name != HEAD:
            raise ZooError(f"{path}: {name} has weights of {shapes}, the layer {layer.name} takes {wanted}")
    for layer, weights in found.items():
        layer.set_weights(weights)
        layer.trainable = layer not in folded
    return [layer.name for layer in found]


def _released(name):
    """layer2_depthwise_norm -> layer2/depthwise_conv/bn."""
    return "/".join(RELEASED.get(part, part) for part in name.split("_"))


def _read(path):
    """{the release's name of a layer: its weights, as Keras orders them}; of a folded normalisation the beta alone."""
    content = path.read_bytes()
    try:
        if content[4:8] == b"TFL3":
            return _of_tflite(content)
        with h5py.File(path) as file:
            return _of_h5(file.get("model_weights", file))
    except (OSError, KeyError, AttributeError, ValueError, ZooError) as error:
        raise ZooError(f"{path}: neither YAMNet's .tflite nor its .h5 of weights: {one_line(error)}") from error


def _of_h5(file):
    weights = {}
    for name in file.attrs["layer_names"]:
        if len(file[name].attrs["weight_names"]):
            key = name if name.startswith("layer") else HEAD
            weights[key] = [np.array(file[name][weight]) for weight in file[name].attrs["weight_names"]]
    return weights


def _of_tflite(content):
    root = graph.load(content)
    tensors, operators = root.subgraphs[0].tensors, root.subgraphs[0].operators
    dequantised = {op.outputs[0]: op.inputs[0] for op in operators if graph.name_of(root, op) == "DEQUANTIZE"}
    weights = {}
    for operator in operators:
        if graph.name_of(root, operator) not in WEIGHTED or operator.inputs[2] < 0:  # no bias: the spectrum's
            continue
        name = IN_TFLITE.search(tensors[operator.inputs[2]].name.decode())
        if name:
            kernel, bias = (constant(root, tensors[dequantised.get(i, i)]) for i in operator.inputs[1:3])
            kernel = np.moveaxis(kernel, 0, -1)  # filters came first, (filters, channels) in a dense layer
            layer, dense = name.groups()
            weights |= {dense: [kernel, bias]} if dense else {layer: [kernel], f"{layer}/bn": [bias]}
    return weights


def constant(root, tensor):
    """The real values, float32, of a constant tensor of a .tflite file (`zoo.export.graph.load`)."""
    values = np.frombuffer(bytes(root.buffers[tensor.buffer].data), graph.DTYPES[tensor.type]).reshape(tensor.shape)
    if values.dtype == np.float32:
        return values
    shape = np.ones(values.ndim, int)
    shape[tensor.quantization.quantizedDimension] = -1
    scale, zero_point = (np.reshape(x, shape) for x in (tensor.quantization.scale, tensor.quantization.zeroPoint))
    return (np.float32(scale) * (values.astype(np.int32) - zero_point)).astype(np.float32)
