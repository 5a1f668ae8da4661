"""The file that gives what a classifier's last dense layer takes, an embedding, in place of its scores."""

import struct

from ai_edge_litert import schema_py_generated as schema

from zoo.errors import ZooError

OUTPUTS_SLOT = 8  # of SubGraph's table, in TFLite's schema: tensors 4, inputs 6, outputs 8


def embedding_model(model: bytes) -> bytes:
    """The same file, but for the number of its first output: the tensor that its last dense layer takes.

    Other people's models too, with several outputs: the classifier is what makes the first. What stands behind the
    embedding stays in the file, and is not asked for.

    Raises: ZooError if no dense layer is there, or the file is damaged.
    """
    changed = bytearray(model)
    try:
        root = schema.Model.GetRootAs(changed)
        graph = root.Subgraphs(0)
        tensor = _taken_by_last_dense(root, graph)
        table = graph._tab  # the generated classes read, and do not write
        outputs = table.Vector(table.Offset(OUTPUTS_SLOT))
        struct.pack_into("<i", changed, outputs, tensor)
    except (struct.error, IndexError, AttributeError, TypeError) as error:
        raise ZooError(f"the .tflite file is damaged: {error}") from error
    return bytes(changed)


def _taken_by_last_dense(root, graph):
    operators = [graph.Operators(i) for i in range(graph.OperatorsLength())]
    maker = {made: operator for operator in operators for made in operator.OutputsAsNumpy()}
    last = maker.pop(graph.Outputs(0), None)  # popped, so that a damaged file's circle ends
    while last and _code(root, last) != schema.BuiltinOperator.FULLY_CONNECTED:
        last = maker.pop(last.Inputs(0), None)
    if last is None:
        raise ZooError("a .tflite file without a dense layer has no embedding")
    return last.Inputs(0)


def _code(root, operator):
    code = root.OperatorCodes(operator.OpcodeIndex())
    return max(code.BuiltinCode(), code.DeprecatedBuiltinCode())  # files of before 2020 have the latter alone
