"""Running a .tflite file with the kernels of TensorFlow Lite for Microcontrollers, and the memory that takes there."""

import re
from typing import NamedTuple

from zoo.errors import ZooError
from zoo.export import graph
from zoo.runtime.interpreter import Runner, Tensor, bytes_of
from zoo.runtime.stderr import captured_stderr

# Room for the widest model of the zoo in float. Pages that TFLM never touches cost nothing.
TFLM_ARENA_LIMIT_BYTES = 256 * 2**20


class Arena(NamedTuple):
    """The memory that TFLM takes for one model, on this 64-bit host; a 32-bit board takes less."""

    head_bytes: int  # tensors between operators, and kernels' scratch: models that run in turn share it
    tail_bytes: int  # what stays from one call to the next: a model's own
    sections: dict  # what the tail is made of, as TFLM names it -> bytes


class TFLM(Runner):
    """A model (its bytes or its path) with the kernels of TensorFlow Lite for Microcontrollers.

    Raises: ZooError for an operator that TFLM lacks, named with the tensor that it makes, and where there is no room.
    """

    kernels = "tflm"

    def __init__(self, model):
        from tflite_micro import runtime  # not in the light install

        model = bytes_of(model)
        try:
            with captured_stderr() as lines:
                self._interpreter = runtime.Interpreter.from_bytes(model, arena_size=TFLM_ARENA_LIMIT_BYTES)
        except RuntimeError as error:
            raise ZooError(_why_not(" ".join(lines) or str(error), model)) from error
        self._outputs = len(graph.load(model).subgraphs[0].outputs)
        self.input = Tensor.of(self._interpreter.get_input_details(0))
        self.output = Tensor.of(self._interpreter.get_output_details(0))

    @property
    def arena(self) -> Arena:
        """The `Arena` of the model."""
        with captured_stderr() as lines:
            self._interpreter.print_allocations()
        text = "\n".join(lines)
        head_bytes, tail_bytes = (int(re.search(rf"allocation {part} (\d+)", text)[1]) for part in ("head", "tail"))
        sections = {name: int(size) for name, size in re.findall(r"'(.+)' used (\d+) bytes", text)}
        return Arena(head_bytes, tail_bytes, sections)

    @property
    def arena_bytes(self):
        """Bytes of the whole arena."""
        arena = self.arena  # asked once: TFLM prints it
        return arena.head_bytes + arena.tail_bytes

    def run_all(self, given):
        """Every output, in its own dtype, for one array for each input: lists."""
        self._interpreter.reset()
        for number, value in enumerate(given):
            self._interpreter.set_input(value, number)
        self._interpreter.invoke()
        return [self._interpreter.get_output(number) for number in range(self._outputs)]


def _why_not(message, model):
    """What TFLM says of a file that it does not take, with the layer: the tensor that the operator makes."""
    read = graph.read(model)

    def made_by(operator):
        return read.tensors[operator.outputs[0]].name.split(";")[0]  # the first of a fused operator's names

    lacking = re.search(r"op for builtin opcode '(\w+)'|op for custom opcode '(\w+)'|op code (\w+)", message)
    failing = re.search(r"Node (\w+) \(number (\d+)\)", message)
    requested = re.search(r"Requested: (\d+)", message)
    if lacking:
        name = next(filter(None, lacking.groups()))
        made = [made_by(operator) for operator in read.operators if operator.name == name]
        more = f" and {len(made) - 1} more" if len(made) > 1 else ""
        return f"TFLM lacks the operator {name}, which makes {made[0] if made else 'no tensor'}{more}"
    if failing:
        name, number = failing.groups()
        reason = message[: failing.start()].strip() or "it gives no reason"
        return f"TFLM cannot run the operator {name}, which makes {made_by(read.operators[int(number)])}: {reason}"
    if requested:
        return f"TFLM needs {int(requested.group(1)):,} B of arena at once; the limit is {TFLM_ARENA_LIMIT_BYTES:,}"
    return f"TFLM cannot run this model: {message}"
