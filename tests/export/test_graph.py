"""Which tensors live when, against graphs whose bytes are counted by hand."""

import warnings

import pytest
from ai_edge_litert import schema_py_generated as schema

from zoo.errors import ZooError
from zoo.export.graph import Graph, Operator, Tensor, lifetimes, live_bytes, live_tensors, of


def graph(sizes, operators, inputs, outputs, constants=()):
    """Of tensors with so many bytes; operators are (inputs, outputs)."""
    tensors = tuple(Tensor(f"t{i}", (size,), "int8", size, i in constants) for i, size in enumerate(sizes))
    return Graph(tensors, tuple(Operator("ADD", *ends, 0) for ends in operators), inputs, outputs)


def held_bytes(graph):
    return [sum(graph.tensors[i].bytes for i in live) for live in live_tensors(graph)]


def test_a_chain_holds_neighbours_and_never_its_weights():
    #      input 10, conv 100, pool 25, scores 4; 1,000 are weights
    chain = graph([10, 100, 25, 4, 1_000], [((0, 4), (1,)), ((1,), (2,)), ((2,), (3,))], (0,), (3,), constants=(4,))
    assert held_bytes(chain) == [110, 125, 29]
    assert live_tensors(chain)[1] == (1, 2)  # the peak's holders, the largest first
    assert live_bytes(chain) == [16 + 112, 112 + 32, 32 + 16]  # in multiples of 16


def test_what_a_later_operator_takes_is_held_until_then():
    """A residual block: t1 is added to the end of a branch of two."""
    block = graph([8, 50, 60, 70, 50], [((0,), (1,)), ((1,), (2,)), ((2,), (3,)), ((1, 3), (4,))], (0,), (4,))
    assert held_bytes(block) == [8 + 50, 50 + 60, 50 + 60 + 70, 50 + 70 + 50]
    assert live_tensors(block)[2] == (3, 2, 1)


def test_inputs_are_held_from_the_beginning_outputs_to_the_end_and_left_out_ones_nowhere():
    """t1 is a second input that only the last operator takes, t2 a first output; -1 is an optional input left out."""
    ends = graph([5, 7, 11, 13], [((0, -1), (2,)), ((0, 1), (3,))], (0, 1), (2, 3))
    assert held_bytes(ends) == [5 + 7 + 11, 5 + 7 + 11 + 13]


def test_an_output_that_nobody_takes_is_held_while_it_is_made():
    split = graph([6, 3, 2, 1], [((0,), (1, 2)), ((1,), (3,))], (0,), (3,))
    assert held_bytes(split) == [6 + 3 + 2, 3 + 1]


def test_a_constant_that_is_an_output_lives_nowhere():
    ends = graph([5, 7, 11], [((0,), (1,))], (0,), (1, 2), constants=(2,))
    assert lifetimes(ends) == ({0: 0, 1: 0}, {0: 0, 1: 1}) and held_bytes(ends) == [5 + 7]


@pytest.mark.parametrize("inputs, outputs", [(None, [0]), ([0], [])])
def test_an_operator_that_takes_or_makes_no_tensor_is_refused(inputs, outputs):
    root, subgraph, operator = schema.ModelT(), schema.SubGraphT(), schema.OperatorT()
    code = schema.OperatorCodeT()
    code.builtinCode = schema.BuiltinOperator.VAR_HANDLE
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, inputs, outputs
    subgraph.tensors, subgraph.operators, subgraph.inputs, subgraph.outputs = [], [operator], [], []
    root.operatorCodes, root.subgraphs = [code], [subgraph]
    with pytest.raises(ZooError, match="VAR_HANDLE takes or makes no tensor"):
        of(root)


@pytest.mark.parametrize("dtype, size_bytes", [("BOOL", 6), ("INT8", 6), ("FLOAT16", 12), ("STRING", 0), ("INT4", 3)])
def test_bytes_of_a_tensor_are_those_of_its_dtype(dtype, size_bytes):
    root, subgraph, tensor = schema.ModelT(), schema.SubGraphT(), schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = b"x", [2, 3], getattr(schema.TensorType, dtype), 0
    subgraph.tensors, subgraph.operators, subgraph.inputs, subgraph.outputs = [tensor], [], [0], [0]
    root.operatorCodes, root.subgraphs, root.buffers = [], [subgraph], [schema.BufferT()]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert of(root).tensors[0].bytes == size_bytes
