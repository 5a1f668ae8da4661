"""The channels of a flat functional model, followed through its graph.

Each layer that makes channels gives each of them a number, its unit. Units travel through the graph: a tensor knows,
for each of its axes, the units that lie along it. What adds or multiplies tensors ties their units; tied units are one
group, kept or removed together. What has no rule here keeps all that it reads. Each weight notes the units along its
axes, and from these notes alone follow what is masked and what is cut.
"""

from collections import Counter, defaultdict
from typing import NamedTuple

from zoo.backend import keras, tf

import numpy as np

from zoo.calls import ids_of, nodes_of
from zoo.errors import ZooError

layers = keras.layers

MAKES_THE_OUTPUT = "makes the model's output"  # why the channels of a layer that gives the classes stay

# Elementwise by name: any other function could mix channels. Whether it keeps zero at zero is tried out.
ELEMENTWISE = {
    "linear", "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "swish", "silu", "mish", "tanh", "softsign",
    "sigmoid", "hard_sigmoid", "softplus", "exponential",
}  # fmt: skip
PRODUCERS = (
    layers.Conv1D,
    layers.Conv2D,
    layers.Conv2DTranspose,
    layers.SeparableConv1D,
    layers.SeparableConv2D,
    layers.Dense,
)
RECURRENT = (layers.LSTM, layers.GRU, layers.SimpleRNN)
ACTIVATIONS = (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.ELU, layers.ThresholdedReLU, layers.PReLU)
DROPOUTS = (
    layers.Dropout,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.AlphaDropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
)
POOLS = (layers.MaxPooling1D, layers.MaxPooling2D, layers.AveragePooling1D, layers.AveragePooling2D)
WINDOWS = (
    *POOLS,
    layers.ZeroPadding1D,
    layers.ZeroPadding2D,
    layers.Cropping1D,
    layers.Cropping2D,
    layers.UpSampling1D,
    layers.UpSampling2D,
)
GLOBAL_POOLS = (
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
)
MERGES = (layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum)


class _Axis(NamedTuple):
    """What lies along one axis of a tensor; an axis without units is None."""

    units: np.ndarray  # (size,)
    silent: np.ndarray  # (size,) bool: exactly zero there, once its unit is masked


class Graph:
    """The units of a functional model: where they are made, how they are tied, and where they lie in each weight."""

    def __init__(self, model):
        if not hasattr(model, "_nodes_by_depth"):
            raise ZooError(f"{model.name}: not a functional model; surgery needs its graph of layers")
        self.nodes = nodes_of(model)
        self.made = {}  # name of a layer that makes channels -> their units
        self.reshaped = {}  # name of a Reshape -> the axes of its output
        self._calls = Counter(node.layer.name for node in self.nodes)
        self._refused = {}  # name of a layer with weights that surgery does not understand -> why
        self._readers = defaultdict(list)  # layer name -> the layers that read it; None for the model's output
        self._reads, self._makes = {}, {}  # id of a weight -> {axis: units}
        self._num_units = 0
        self._ties, self._stay, self._rows = [], [], []

        axes, makers = {}, {}  # id of a tensor -> the units along each of its axes; -> the layer that makes it
        for node in self.nodes:
            for key in node.flat_input_ids:
                self._readers[makers[key]].append(node.layer)
            outputs = self._visit(node, [axes[key] for key in node.flat_input_ids])
            axes.update(zip(node.flat_output_ids, outputs))
            makers.update(dict.fromkeys(node.flat_output_ids, node.layer.name))
        for key in ids_of(model.outputs):
            self._keep(axes[key], MAKES_THE_OUTPUT)
            self._readers[makers[key]].append(None)
        self._settle()

    def units_of(self, groups):
        """(units,) bool: those of these groups."""
        groups = np.fromiter(groups, np.int64)
        number = self.groups.max(initial=-1) + 1
        unknown = groups[(groups < 0) | (groups >= number)]
        if len(unknown):
            raise ZooError(f"group {unknown[0]}: the model has {number} groups of channels, numbered from 0")
        return np.isin(self.groups, groups)

    def mask(self, weight, gone):
        ones = np.ones(weight.shape, np.float32)
        for axis, units in self._makes.get(id(weight), {}).items():
            np.moveaxis(ones, axis, -1)[..., gone[units]] = 0
        return ones

    def cut(self, weight, gone):
        value = weight.numpy()
        notes = (*self._reads.get(id(weight), {}).items(), *self._makes.get(id(weight), {}).items())
        for axis, units in notes:
            value = np.compress(~gone[units], value, axis=axis)
        return value

    def reasons(self):
        """{layer name: why none of its channels can be removed}, in the order of the graph."""
        tied = {self._labels[unit]: reason for unit, reason in self._why.items()}
        reasons = dict(self._refused)
        for name, units in self.made.items():
            if (self.groups[units] == -1).all():
                label = self._labels[units[0]]
                reasons.setdefault(name, self._why.get(units[0]) or f"is tied to a layer that {tied[label]}")
        order = [node.layer.name for node in self.nodes]
        return {name: reasons[name] for name in dict.fromkeys(order) if name in reasons}

    def feature_map(self, name):
        """The last of the norms and activations that, each the only reader, follow the layer one after the other."""
        last = name
        while self._calls[last] == 1 and len(self._readers[last]) == 1:
            reader = self._readers[last][0]
            if type(reader) not in (layers.BatchNormalization, *ACTIVATIONS) or self._calls[reader.name] > 1:
                break
            last = reader.name
        return last

    def _settle(self):
        """Ties become groups: the lowest unit of those tied is their label, and labels are numbered."""
        labels = np.arange(self._num_units)
        while True:
            before = labels.copy()
            for one, other in self._ties:
                lowest = np.minimum(labels[one], labels[other])
                np.minimum.at(labels, one, lowest)
                np.minimum.at(labels, other, lowest)
            labels = labels[labels]
            if (labels == before).all():
                break
        self._labels = labels
        self._why = {unit: reason for units, reason in self._stay for unit in units.tolist()}
        stays = np.isin(labels, labels[list(self._why)])
        self.groups = np.full(self._num_units, -1)
        self.groups[~stays] = np.unique(labels[~stays], return_inverse=True)[1]
        rows = [labels[units] for units in self._rows]
        self.inexact = np.isin(labels, np.concatenate(rows)) & ~stays if rows else np.zeros(len(labels), bool)

    # Notes that the rules take.

    def _make(self, layer, number):
        units = self._num_units + np.arange(number)
        self._num_units += number
        self.made[layer.name] = units
        if number == 1:
            self._stay.append((units, "makes a single channel"))
        return units

    def _keep(self, axes, reason):
        self._stay += [(axis.units, reason) for axis in axes if axis is not None]

    def _end(self, axes):
        """The last axis. What lies along the others ends here: a window over it sees other neighbours when some units
        are gone, and there is no weight to cut."""
        self._rows += [axis.units for axis in axes[:-1] if axis is not None]
        return axes[-1]

    def _read(self, layer, axis):
        """The units of the rows of a kernel. A masked channel that is not zero there would be missed."""
        if axis is None:
            return None
        loud = axis.units[~axis.silent]
        self._stay.append((loud, f"reaches {layer.name} through what is not 0 at 0, a sigmoid or an addition"))
        return axis.units

    def _note(self, notes, weight, axis, units):
        if weight is not None and units is not None:
            notes.setdefault(id(weight), {})[axis] = units

    # Rules: what a layer does with the units along the axes of its inputs.

    def _visit(self, node, inputs):
        """The axes of each output of this call."""
        layer = node.layer
        rule = RULES.get(type(layer))
        free = [[None] * len(shape_of(tensor)) for tensor in tf.nest.flatten(node.outputs)]
        if node.is_input:
            return free
        why = self._refusal(layer, rule, inputs)
        if why is None:
            axes = rule(self, node, *inputs)
            return free if axes is None else [axes]
        for axes in inputs:
            self._keep(axes, f"feeds {layer.name}, which {why}")
        if layer.weights:
            self._refused[layer.name] = why
            if type(layer) in PRODUCERS and layer.name not in self.made:
                self._stay.append((self._make(layer, shape_of(node.outputs)[-1]), why))
        return free

    def _refusal(self, layer, rule, inputs):
        """Why a rule does not hold for this layer, as the end of a sentence; None where it does."""
        if rule is None:
            return f"is a {type(layer).__name__}, a layer that surgery does not know"
        if len(inputs) > 1 and rule not in (Graph._merge, Graph._concatenate):
            return f"is called on {len(inputs)} tensors"
        if self._calls[layer.name] > 1 and (layer.weights or rule != Graph._pointwise):
            return f"is called {self._calls[layer.name]} times"
        if getattr(layer, "data_format", "channels_last") != "channels_last":
            return "has its channels first"
        if getattr(layer, "groups", 1) != 1:
            return f"convolves in {layer.groups} groups"
        if getattr(layer, "noise_shape", None) is not None:
            return "drops in a shape of its own"
        if isinstance(layer, layers.Rescaling) and np.ndim(layer.scale) + np.ndim(layer.offset):
            return "scales or shifts each channel by a number of its own"
        if isinstance(layer, layers.BatchNormalization) and list(layer.axis) != [len(inputs[0])]:
            return "normalises another axis than the last"
        if isinstance(layer, layers.Bidirectional):
            for one in (layer.forward_layer, layer.backward_layer):
                if type(one) not in RECURRENT:
                    return f"runs a {type(one).__name__}, a layer that surgery does not know"
        if not (_activation(layer) in ELEMENTWISE or isinstance(layer, (*PRODUCERS, *RECURRENT))):
            return f"applies {_activation(layer)}, which may mix channels"
        return None

    def _produce(self, node, axes):
        layer = node.layer
        last = self._end(axes)
        read = self._read(layer, last)
        units = self._make(layer, shape_of(node.outputs)[-1])
        if isinstance(layer, (layers.SeparableConv1D, layers.SeparableConv2D)):
            self._note(self._reads, layer.depthwise_kernel, -2, read)
            rows = None if read is None else np.repeat(read, layer.depth_multiplier)
            self._note(self._reads, layer.pointwise_kernel, -2, rows)
            self._note(self._makes, layer.pointwise_kernel, -1, units)
        elif isinstance(layer, layers.Conv2DTranspose):
            self._note(self._reads, layer.kernel, -1, read)
            self._note(self._makes, layer.kernel, -2, units)
        else:
            self._note(self._reads, layer.kernel, -2, read)
            self._note(self._makes, layer.kernel, -1, units)
        self._note(self._makes, layer.bias, -1, units)
        if _activation(layer) not in ELEMENTWISE:
            self._stay.append((units, f"ends in {_activation(layer)}, which may mix channels"))
        return [*[None] * (len(axes) - 1), _Axis(units, np.full(len(units), _keeps_zero(layer)))]

    def _depthwise(self, node, axes):
        """Kernel and bias make the channels silent again, whatever they read."""
        layer = node.layer
        last = self._end(axes)
        if last is None:
            return None
        units = np.repeat(last.units, layer.depth_multiplier)
        self._note(self._makes, layer.depthwise_kernel, -2, last.units)
        self._note(self._makes, layer.bias, -1, units)
        return [*[None] * (len(axes) - 1), _Axis(units, np.full(len(units), _keeps_zero(layer)))]

    def _normalise(self, node, axes):
        layer = node.layer
        last = self._end(axes)
        if last is None:
            return None
        # The mean counts where there is no gamma: what is left of a silent channel is the mean and beta.
        for weight in (layer.gamma, layer.beta, layer.moving_mean):
            self._note(self._makes, weight, 0, last.units)
        self._note(self._reads, layer.moving_variance, 0, last.units)
        silent = np.ones_like(last.silent) if layer.scale else last.silent
        return [*[None] * (len(axes) - 1), _Axis(last.units, silent)]

    def _pointwise(self, node, axes):
        if isinstance(node.layer, layers.PReLU):
            for place, axis in enumerate(axes):
                if axis is not None and node.layer.alpha.shape[place] != 1:
                    self._note(self._reads, node.layer.alpha, place, axis.units)
        if _keeps_zero(node.layer):
            return axes
        return [axis and _Axis(axis.units, np.zeros_like(axis.silent)) for axis in axes]

    def _softmax(self, node, axes):
        self._keep(axes, f"feeds {node.layer.name}, a softmax over all of its channels")
        return axes  # which the model's output then names

    def _window(self, node, axes):
        """Pools, paddings, croppings and up-samplings over all axes but the last."""
        last = self._end(axes)
        return [*[None] * (len(axes) - 1), last]

    def _pool_all(self, node, axes):
        last = self._end(axes)
        return [*[None] * (len(shape_of(node.outputs)) - 1), last]

    def _permute(self, node, axes):
        return [axes[place - 1] for place in node.layer.dims]

    def _reshape(self, node, axes):
        """Units stay where they vary along a single axis of the new shape."""
        name, before, after = node.layer.name, shape_of(node.keras_inputs[0]), shape_of(node.outputs)
        found = [None] * len(after)
        for place, axis in enumerate(axes):
            if axis is None or (axis.units == axis.units[0]).all():  # a single channel stays
                continue
            if None in before + after:
                self._keep([axis], f"feeds {name}, which reshapes an open length")
                continue
            target, lines = _where(axis.units, place, before, after)
            if target is None or found[target] is not None:
                self._keep([axis], f"feeds {name}, which spreads its channels over several axes")
            else:
                found[target] = _Axis(axis.units[lines[0]], axis.silent[lines].all(axis=0))
        if isinstance(node.layer, layers.Reshape):
            self.reshaped[name] = found
        return found

    def _recur(self, node, axes):
        """Rows follow the input. Its own units stay: each is a row, a column and a memory of all gates."""
        layer = node.layer
        last = self._end(axes)
        read = self._read(layer, last)
        both = isinstance(layer, layers.Bidirectional)
        for one in (layer.forward_layer, layer.backward_layer) if both else (layer,):
            self._note(self._reads, one.cell.kernel, 0, read)
        self._refused[layer.name] = "is recurrent: each of its units feeds all of them"
        return None

    def _concatenate(self, node, *inputs):
        along = node.layer.axis % (len(inputs[0]) + 1) - 1
        joined = []
        for place in range(len(inputs[0])):
            parts = [(axes[place], shape_of(tensor)[place]) for axes, tensor in zip(inputs, node.keras_inputs)]
            if place != along:
                joined.append(self._tie(node, parts))
            elif all(axis is None for axis, _ in parts):
                joined.append(None)
            else:
                parts = [self._filler(size) if axis is None else axis for axis, size in parts]
                joined.append(_Axis(*map(np.concatenate, zip(*parts))))
        return joined

    def _filler(self, number):
        units = self._num_units + np.arange(number)
        self._num_units += number
        self._stay.append((units, "passes on channels that stay"))
        return _Axis(units, np.zeros(number, bool))

    def _merge(self, node, *inputs):
        """Elementwise over tensors, aligned at their last axes as Keras does; sizes of 1 are repeated."""
        rank = len(shape_of(node.outputs))
        pad = [rank - len(axes) for axes in inputs]
        aligned = [[None] * more + axes for more, axes in zip(pad, inputs)]
        sizes = [(1,) * more + shape_of(tensor) for more, tensor in zip(pad, node.keras_inputs)]
        return [self._tie(node, [(axes[i], size[i]) for axes, size in zip(aligned, sizes)]) for i in range(rank)]

    def _tie(self, node, operands):
        """One axis of what an elementwise layer makes. operands: (axis, size) of each tensor."""
        whole = max(size or 1 for _, size in operands)
        full = [axis for axis, size in operands if size in (whole, None)]  # the others are repeated along it
        known = [axis for axis in full if axis is not None]
        if not known:
            return None
        units, silents = known[0].units, [axis.silent for axis in known]
        self._ties += [(units, axis.units) for axis in known[1:]]
        if len(known) < len(full):
            self._stay.append((units, f"meets channels that stay, in {node.layer.name}"))
        if isinstance(node.layer, layers.Multiply):  # one factor of zero is enough: a gate may be open
            return _Axis(units, np.any(silents, axis=0))
        return _Axis(units, np.all(silents, axis=0) & (len(full) == len(operands)))


# By exact kind: a class derived from one of them may do something else with its channels.
RULES = {
    **dict.fromkeys(PRODUCERS, Graph._produce),
    **dict.fromkeys((layers.DepthwiseConv1D, layers.DepthwiseConv2D), Graph._depthwise),
    layers.BatchNormalization: Graph._normalise,
    **dict.fromkeys((*ACTIVATIONS, *DROPOUTS, layers.ActivityRegularization, layers.Rescaling), Graph._pointwise),
    layers.Softmax: Graph._softmax,
    **dict.fromkeys(WINDOWS, Graph._window),
    **dict.fromkeys(GLOBAL_POOLS, Graph._pool_all),
    layers.Permute: Graph._permute,
    **dict.fromkeys((layers.Flatten, layers.Reshape), Graph._reshape),
    **dict.fromkeys((*RECURRENT, layers.Bidirectional), Graph._recur),
    layers.Concatenate: Graph._concatenate,
    **dict.fromkeys(MERGES, Graph._merge),
}


def _where(units, place, before, after):
    """(axis, lines): along which axis of the new shape the units of axis `place` of the old one vary, and the positions
    that each line along it reads, (lines, size); or Nones. Where pairs become two axes again, a line reads one of each.
    """
    positions = np.arange(before[place]).reshape([-1 if axis == place else 1 for axis in range(len(before))])
    moved = np.broadcast_to(positions, before).reshape(after)
    for axis in range(len(after)):
        lines = np.moveaxis(moved, axis, -1).reshape(-1, after[axis])
        if (units[lines] == units[lines[0]]).all():
            return axis, lines
    return None, None


def _activation(layer):
    function = getattr(layer, "activation", None)
    return "linear" if function is None else getattr(function, "__name__", type(function).__name__)


def _keeps_zero(layer):
    if _activation(layer) not in ELEMENTWISE:
        return True  # its channels stay, so it is not tried: a layer given as an activation would be built
    function = layer.call if isinstance(layer, (layers.ReLU, layers.Rescaling)) else getattr(layer, "activation", None)
    return function is None or float(function(tf.zeros((1, 1)))[0, 0]) == 0


def shape_of(tensor):
    return tuple(tensor.shape)[1:]  # without the batch
