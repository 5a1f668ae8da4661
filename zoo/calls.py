"""The graph of a Keras model as the calls of its layers: whoever walks one asks here. Keras 2 keeps it to itself."""


def nodes_of(model):
    """The calls of a model's layers, as Keras keeps them and its own summary walks, inputs first."""
    return [node for depth in sorted(model._nodes_by_depth, reverse=True) for node in model._nodes_by_depth[depth]]


def ids_of(tensors):
    """Keras's ids of tensors, as a node has them in flat_input_ids and flat_output_ids."""
    return [str(id(tensor)) for tensor in tensors]


def arguments_of(node, tensors):
    """(args, kwargs) of a call, of `tensors`, {id: tensor}, in place of those that it was made of."""
    ids = node.flat_input_ids
    return node.map_arguments({i: [tensors[i]] * len(ids) for i in ids})  # one is taken off a list when it is read
