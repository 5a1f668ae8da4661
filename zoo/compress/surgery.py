"""Channel surgery: which channels of a flat functional model must go together, and the model without them.

A masked channel is exactly zero where a kernel reads it, so removing it changes no score; where an activation that is
not 0 at 0 stands between (a sigmoid), its channels stay. The exception are channels that have become rows of an image
(ACDNet's spectral_conv2): they can go, but scores change. See `Channels.inexact`.
"""

from dataclasses import dataclass

from zoo.backend import keras, tf

from zoo.calls import arguments_of
from zoo.compress.units import POOLS, Graph, shape_of
from zoo.errors import ZooError

layers = keras.layers


@dataclass(frozen=True)
class Channels:
    """The channels of a model. Groups are numbered 0 to n - 1, in the order in which the graph makes them.

    A feature map is zero where its group is masked, save that of a gate (a sigmoid under a Multiply): there the product
    is zero.
    """

    groups: dict  # layer name -> (filters,) int64: each channel's group, equal where channels are tied; -1: must stay
    fixed: dict  # layer name -> why none of its channels can be removed
    feature_maps: dict  # layer name -> itself, or the last of the norms and activations that alone follow it
    inexact: frozenset  # names of layers whose channels become rows of an image: removing them moves their neighbours


def channels_of(model):
    """`Channels` of a flat functional model. What is not known to surgery is refused in `fixed`, and is no error.

    Raises: ZooError if the model is not functional.
    """
    graph = Graph(model)
    return Channels(
        groups={name: graph.groups[units] for name, units in graph.made.items()},
        fixed=graph.reasons(),
        feature_maps={name: graph.feature_map(name) for name in graph.made},
        inexact=frozenset(name for name, units in graph.made.items() if graph.inexact[units].any()),
    )


def weight_masks(model, groups):
    """One float32 array for each of `model.weights`: 0 where a weight gives a channel of `groups` its value, else 1.

    Raises: ZooError for a number that is no group's.
    """
    graph = Graph(model)
    gone = graph.units_of(groups)
    return [graph.mask(weight, gone) for weight in model.weights]


def mask(model, groups):
    """Zeros, in place, the filters, biases and norms of these groups: their channels are then exactly 0."""
    for weight, ones in zip(model.weights, weight_masks(model, groups)):
        if not ones.all():
            weight.assign(weight * ones.astype(weight.dtype.as_numpy_dtype))


def remove(model, groups):
    """New model without the channels of these groups; names, order of layers, dtypes and what trains stay.

    Where rows of an image go, a pool shrinks to the rows that are left, and one that is left with 1x1 goes too.

    Raises: ZooError naming the layer that would be left with no channel, or that does not fit what is left before it.
    Source: Mohaimenuzzaman et al. 2023, section 4 (pools), table 11.
    """
    graph = Graph(model)
    gone = graph.units_of(groups)
    for name, units in graph.made.items():
        if gone[units].all():
            raise ZooError(f"{name}: all of its {len(units)} channels would be removed; leave it at least one")

    twins, tensors = {}, {}
    for node in graph.nodes:
        layer = node.layer
        if node.is_input:
            twin = layers.InputLayer.from_config(layer.get_config())
            tensors[node.flat_output_ids[0]] = twin.output
            continue
        config = _config(graph, gone, node, [tensors[key] for key in node.flat_input_ids])
        if config is None:
            tensors[node.flat_output_ids[0]] = tensors[node.flat_input_ids[0]]
            continue
        args, kwargs = arguments_of(node, tensors)
        if layer.name not in twins:
            twins[layer.name] = type(layer).from_config(config)
        try:
            outputs = twins[layer.name](*args, **kwargs)
        except ValueError as error:
            sizes = ", ".join(str(shape_of(tensors[key])) for key in node.flat_input_ids)
            raise ZooError(f"{layer.name}: cannot read {sizes}, what is left before it; remove less there") from error
        tensors.update(zip(node.flat_output_ids, tf.nest.flatten(outputs)))

    for name, twin in twins.items():
        weights = [graph.cut(weight, gone) for weight in model.get_layer(name).weights]
        for new, kept in zip(twin.weights, weights):
            if new.shape != kept.shape:
                raise ZooError(
                    f"{name}: its {new.name} would be {tuple(new.shape)}, but {kept.shape} of the old one are left: it"
                    " reads rows that were channels; keep those"
                )
        twin.set_weights(weights)
    ends = [
        tf.nest.map_structure(lambda tensor: tensors[str(id(tensor))], end)
        for end in (model._nested_inputs, model._nested_outputs)
    ]
    return keras.Model(*ends, name=model.name)


def _config(graph, gone, node, inputs):
    """The layer's configuration at its new widths and sizes. None: there is nothing left of it."""
    layer = node.layer
    config = layer.get_config()
    if layer.name in graph.made:
        kept = int((~gone[graph.made[layer.name]]).sum())
        config["units" if isinstance(layer, layers.Dense) else "filters"] = kept
    if layer.name in graph.reshaped:
        config["target_shape"] = tuple(
            size if axis is None or size == -1 else int((~gone[axis.units]).sum())
            for size, axis in zip(layer.target_shape, graph.reshaped[layer.name])
        )
    if isinstance(layer, POOLS):
        before, after = shape_of(node.keras_inputs[0])[:-1], shape_of(inputs[0])[:-1]
        shrunk = [new != old for old, new in zip(before, after)]
        if any(shrunk):
            for key in ("pool_size", "strides"):
                windows = zip(getattr(layer, key), after, shrunk)
                config[key] = tuple(min(window, size) if less else window for window, size, less in windows)
            if set(config["pool_size"] + config["strides"]) == {1}:
                return None
    return config
