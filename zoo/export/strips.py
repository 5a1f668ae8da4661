"""A .tflite file computed strip by strip where its memory peaks: same weights, same scales, same bytes, less arena.

A *stretch* is a run of local operators of which only the last one's output is used elsewhere. It is computed for one
strip of that output after the other, each from its strip of the input with exactly the halo that it needs, and the
strips are joined by CONCATENATION. Nothing is approximated: what two strips both need is computed twice, and told.
"""

import itertools
from copy import copy
from typing import NamedTuple

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from zoo.errors import ZooError
from zoo.export import graph as graphs
from zoo.export import metadata
from zoo.export.stretches import MAX_JOINED, Stretch, calls_of, macs_of, peak_bytes
from zoo.export.tflm import TFLM
from zoo.runtime.interpreter import LiteRT

MAX_EXTRA = 0.05  # share of the multiplies that strips may add
LONGEST = 16  # operators of a stretch: a longer one's halos cost more than it wins
SMALL = 8  # an operator that needs no more than this part of the peak is left as it is
MEASURED = 8  # plans whose arena is measured, the best by reckoning
COMPARED = 3  # random inputs on which both files' bytes are held against each other
# What an operator keeps in TFLM's tail on a 64-bit host: to reckon with, what counts is measured.
TAIL_BYTES = {"SLICE": 140, "PAD": 200, "PADV2": 220, "CONCATENATION": 420}
CONVOLUTION_TAIL_BYTES, CHANNEL_TAIL_BYTES, OTHER_TAIL_BYTES = 190, 8, 150
FILE_TAIL_BYTES, OPERATOR_TAIL_BYTES = 1_150, 20  # on top, of any plan: a file's own, and what any operator keeps

OPTIONS = {"SLICE": "Slice", "PAD": "Pad", "PADV2": "PadV2", "CONCATENATION": "Concatenation"}
VERSION = 3  # of each of these operators: the first that knows int16 as well as int8


class Stripped(NamedTuple):
    """What became of a file."""

    model: bytes  # as it was, where nothing was won
    stretches: tuple  # of the file as it was
    arena_bytes: int
    arena_bytes_before: int
    macs: int
    macs_before: int
    measured: bool  # in TFLM; else the arena is reckoned: what lives at once at most, as TFLM cannot run the file

    def figures(self):
        """All but the file, as JSON holds it."""
        figures = self._asdict()
        del figures["model"]
        return {**figures, "stretches": [stretch._asdict() for stretch in self.stretches]}

    def told(self):
        """One line."""
        kind = "" if self.measured else " (reckoned: TFLM cannot run the file)"
        if not self.stretches:
            return f"no strips make the arena of {self.arena_bytes:,} bytes{kind} smaller; the file stays as it is"
        extra = self.macs / self.macs_before - 1 if self.macs_before else 0
        where = (f"operators {s.first} to {s.last} in {s.strips} strips along axis {s.axis}" for s in self.stretches)
        return (
            f"arena {self.arena_bytes_before:,} -> {self.arena_bytes:,} bytes{kind}, "
            f"multiplies {self.macs_before:,} -> {self.macs:,} ({extra:+.2%}): {', '.join(where)}"
        )


def in_strips(model: bytes, max_extra=MAX_EXTRA, compared=COMPARED) -> Stripped:
    """The file with the smallest arena that strips give it, and what that costs.

    max_extra: the largest share of multiplies that may come on top, where two strips need the same. compared: random
    inputs on which both files' bytes are held against each other.

    Raises: ZooError for what is no .tflite file of one graph; AssertionError if a byte of its output changed.
    """
    root = graphs.load(model)
    graph = graphs.of(root)
    arena_bytes, measured = _arena_bytes(model)
    macs = sum(operator.macs for operator in graph.operators)
    best = Stripped(model, (), arena_bytes, arena_bytes, macs, macs, measured)
    for stretches, extra_macs in _plans(root, graph, max_extra * macs):
        stripped = rewrite(model, stretches)
        arena_bytes, measured_too = _arena_bytes(stripped)
        if arena_bytes < best.arena_bytes and measured_too == measured:
            best = best._replace(model=stripped, stretches=stretches, arena_bytes=arena_bytes, macs=macs + extra_macs)
    if best.stretches:
        assert_same_bytes(model, best.model, compared)
    return best


def rewrite(model: bytes, stretches) -> bytes:
    """The file with these stretches, none of which overlap, in strips; what it says of itself stays.

    Raises: ZooError for a stretch that is not local, or too short for its strips.
    """
    root = graphs.load(model)
    graph = graphs.of(root)
    starts, skipped = {stretch.first: stretch for stretch in stretches}, set()
    writer, operators = _Writer(root), []
    for number, operator in enumerate(root.subgraphs[0].operators):
        if number in starts:
            stretch = starts[number]
            calls = calls_of(root, graph, stretch)
            if calls is None:
                raise ZooError(f"{stretch}: not local, or too short for its strips")
            operators += [writer.operator(call) for call in calls]
            skipped.update(range(stretch.first, stretch.last + 1))
        if number not in skipped:
            operators.append(operator)
    root.subgraphs[0].operators = operators
    return metadata.dump_as(model, root)


def assert_same_bytes(model: bytes, rewritten: bytes, count=COMPARED):
    """Raises AssertionError if an output of the two differs for `count` random inputs, in TFLM or else LiteRT."""
    before, after = (_open(file) for file in (model, rewritten))
    read, rng = graphs.read(model), np.random.default_rng(0)
    for _ in range(count):
        given = [_random(read.tensors[i], rng) for i in read.inputs]
        ours, theirs = ([made.tobytes() for made in runner.run_all(given)] for runner in (after, before))
        assert ours == theirs, "strips changed the output"


def _random(tensor, rng):
    """Values of a tensor's dtype; of plain integers, which may be places in a table, 0 and 1."""
    dtype = np.dtype(tensor.dtype)
    if dtype.kind == "f":
        return rng.uniform(-1, 1, tensor.shape).astype(dtype)
    if dtype.kind == "b" or dtype.itemsize > 2:
        return rng.integers(2, size=tensor.shape).astype(dtype)
    return rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, tensor.shape, dtype, endpoint=True)


def _open(model):
    try:
        return TFLM(model)
    except ZooError:
        return LiteRT(model, "reference")


def _arena_bytes(model):
    """(bytes, whether TFLM was asked)."""
    try:
        return TFLM(model).arena_bytes, True
    except ZooError:
        return max(graphs.live_bytes(graphs.read(model))), False


class _Option(NamedTuple):
    """An operator as it is (stretch None), or a stretch in strips, as it was reckoned."""

    stretch: Stretch | None
    last: int
    peak_bytes: int
    tail_bytes: int
    extra_macs: int


def reckoned_arena(root, graph, max_extra=None):
    """(head, tail) of TFLM's arena in bytes, as reckoned: of the file as it is or, with max_extra, in its best strips.

    root, graph: of `zoo.export.graph`; no value of the file matters. max_extra: as `in_strips` has it.
    """
    operators = graph.operators
    head, in_strips = max(graphs.live_bytes(graph)), 0
    if max_extra is not None:
        plans = _reckoned_plans(root, graph, max_extra * sum(operator.macs for operator in operators))
        head, in_strips, _ = min(plans.values(), key=lambda plan: plan[0] + plan[1])
    tail = sum(_tail_bytes(graph, number) + OPERATOR_TAIL_BYTES for number in range(len(operators)))
    return head, FILE_TAIL_BYTES + tail + in_strips


def _plans(root, graph, max_extra_macs):
    """Up to MEASURED pairs (stretches, extra multiplies), the smallest arena first as it is reckoned."""
    found = _reckoned_plans(root, graph, max_extra_macs)
    best = sorted(filter(None, found), key=lambda stretches: sum(found[stretches][:2]))[:MEASURED]
    return [(stretches, found[stretches][2]) for stretches in best]


def _reckoned_plans(root, graph, max_extra_macs):
    """{stretches: (head, what comes on top of the tail, extra multiplies)}, () among them: the file as it is.

    How much memory one stretch takes does not depend on another, so for a given head the cheapest tail is found
    operator by operator, from the last one back; the heads tried are all those that a stretch can have.
    """
    options = _options(root, graph, max_extra_macs)
    heads = sorted({option.peak_bytes for choices in options.values() for option in choices})
    found = {}
    for head in heads:
        for tail, extra, stretches in _cheapest(options, len(graph.operators), head, max_extra_macs):
            if stretches not in found or head + tail < sum(found[stretches][:2]):
                found[stretches] = head, tail, extra
    return found


def _cheapest(options, end, head, max_extra_macs):
    """[(tail bytes, extra multiplies, stretches)]: of what fits the head, all that nothing else beats in both."""
    behind = {end: [(0, 0, ())]}
    for first in reversed(range(end)):
        behind[first] = _unbeaten(
            (tail + option.tail_bytes, extra + option.extra_macs, (*filter(None, [option.stretch]), *others))
            for option in options[first]
            if option.peak_bytes <= head
            for tail, extra, others in behind[option.last + 1]
            if extra + option.extra_macs <= max_extra_macs
        )
    return behind[0]


def _unbeaten(choices):
    """Those of which no other has less or as much in both of the first two places, by the first."""
    kept = []
    for choice in sorted(choices, key=lambda choice: choice[:2]):
        if not kept or choice[1] < kept[-1][1]:
            kept.append(choice)
    return kept


def _options(root, graph, max_extra_macs):
    """{first operator: its `_Option`s}."""
    whole = graphs.live_bytes(graph)
    worth = [live > max(whole) // SMALL for live in whole]
    options = {number: [_Option(None, number, live, 0, 0)] for number, live in enumerate(whole)}
    for first in range(len(whole)):
        for last in range(first, min(first + LONGEST, len(whole))):
            if any(worth[first : last + 1]):
                options[first] += _unbeaten_options(_reckoned(root, graph, first, last, max_extra_macs))
    return options


def _reckoned(root, graph, first, last, max_extra_macs):
    whole_macs = sum(operator.macs for operator in graph.operators[first : last + 1])
    whole_tail_bytes = sum(_tail_bytes(graph, number) for number in range(first, last + 1))
    for axis, size in enumerate(graph.tensors[graph.operators[last].outputs[0]].shape):
        heights = {-(-size // strips) for strips in range(2, min(size, MAX_JOINED**2) + 1)}
        for strips, padded_first in itertools.product(sorted({-(-size // h) for h in heights}), (False, True)):
            stretch = Stretch(first, last, axis, strips, padded_first)
            calls = calls_of(root, graph, stretch)
            if calls is None:
                if strips == 2 and not padded_first:
                    break  # not local along this axis
                continue
            extra_macs = macs_of(graph, calls) - whole_macs
            if extra_macs > max_extra_macs:
                break  # more strips have more in common
            tail_bytes = sum(
                TAIL_BYTES[call.name] if call.source is None else _tail_bytes(graph, call.source) for call in calls
            )
            yield _Option(stretch, last, peak_bytes(graph, stretch, calls), tail_bytes - whole_tail_bytes, extra_macs)


def _unbeaten_options(options):
    """Those that no other beats in peak, tail and multiplies at once."""
    kept = []
    for option in sorted(options, key=lambda option: option[2:]):
        if not any(other.tail_bytes <= option.tail_bytes and other.extra_macs <= option.extra_macs for other in kept):
            kept.append(option)
    return kept


def _tail_bytes(graph, number):
    name, _, (made, *_), _ = graph.operators[number]
    if name.endswith("CONV_2D"):
        return CONVOLUTION_TAIL_BYTES + CHANNEL_TAIL_BYTES * graph.tensors[made].shape[-1]
    return TAIL_BYTES.get(name, OTHER_TAIL_BYTES)


class _Writer:
    """Makes the operators of calls, with the tensors and constants that they need, among a file's objects."""

    def __init__(self, root):
        self.root, self.graph = root, root.subgraphs[0]
        self.tensors, self.constants = {}, {}  # Value, or a constant's values and dtype -> number

    def operator(self, call):
        """The operator of a call."""
        inputs = [i if isinstance(i, int) else self._tensor(i) for i in call.inputs]
        if call.source is None:
            operator, options = schema.OperatorT(), f"{OPTIONS[call.name]}Options"
            operator.opcodeIndex = self._opcode(call.name)
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            operator.builtinOptions = getattr(schema, f"{options}T")()
            operator.inputs = inputs
            if call.name == "CONCATENATION":
                operator.builtinOptions.axis = call.detail
            else:
                inputs.insert(1, self._constant(np.int32(call.detail)))
            if call.name == "SLICE":
                inputs.append(self._constant(np.int32(call.output.shape)))
            elif call.name == "PADV2" and len(inputs) == 2:
                inputs.append(self._lowest(call.output.like))
        else:
            operator = copy(self.graph.operators[call.source])
            if call.name == "RESHAPE":
                operator.builtinOptionsType, operator.builtinOptions = 0, None
                inputs[1:] = [self._constant(np.int32(call.output.shape))]
            elif call.becomes_valid:
                operator.builtinOptions = copy(operator.builtinOptions)
                operator.builtinOptions.padding = schema.Padding.VALID
            operator.inputs = inputs
        operator.outputs = [self._tensor(call.output)]
        return operator

    def _tensor(self, value):
        if value.number is not None:
            return value.number
        if value not in self.tensors:
            tensor = copy(self.graph.tensors[value.like])
            tensor.name += f";strip{len(self.tensors)}".encode()
            tensor.shape, tensor.shapeSignature, tensor.buffer = list(value.shape), None, 0
            self.tensors[value] = self._add(tensor)
        return self.tensors[value]

    def _constant(self, values, like=None):
        """The number of a constant, one for all that are equal; with the dtype and scale of a tensor, or int32."""
        key = values.tobytes(), values.shape, like
        if key not in self.constants:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
            self.root.buffers.append(buffer)
            tensor = schema.TensorT() if like is None else copy(self.graph.tensors[like])
            if like is None:
                tensor.type = schema.TensorType.INT32
            tensor.name = f"strips;constant{len(self.constants)}".encode()
            tensor.shape, tensor.shapeSignature = list(values.shape), None
            tensor.buffer = len(self.root.buffers) - 1
            self.constants[key] = self._add(tensor)
        return self.constants[key]

    def _lowest(self, like):
        """The number of the constant that no maximum takes notice of."""
        dtype = np.dtype(graphs.DTYPES[self.graph.tensors[like].type])
        limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
        return self._constant(np.array(limits.min, dtype), like)

    def _opcode(self, name):
        number = getattr(schema.BuiltinOperator, name)
        for place, code in enumerate(self.root.operatorCodes):
            if (code.builtinCode, code.version) == (number, VERSION):
                return place
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = number
        code.version = VERSION
        self.root.operatorCodes.append(code)
        return len(self.root.operatorCodes) - 1

    def _add(self, tensor):
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1
