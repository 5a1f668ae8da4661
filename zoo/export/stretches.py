"""A stretch of local operators as the calls that compute it strip by strip, and what they take of memory.

What a strip needs of the input is found backwards, operator by operator (`zoo.export.local`), so that halos are exact.
"""

import itertools
import math
from typing import NamedTuple

from zoo.export.graph import aligned, lifetimes
from zoo.export.local import PADDED, Reach, constant, local_along

MAX_JOINED = 10  # inputs of TFLM's CONCATENATION


class Stretch(NamedTuple):
    """Operators first to last of a file, computed in strips along an axis of the last one's output."""

    first: int
    last: int
    axis: int
    strips: int
    padded_first: bool = False  # what the first operator pads is padded once, before all strips


class Value:
    """What a call takes or gives: a tensor of the file, by its number, or a strip of one (number None)."""

    __slots__ = ("like", "shape", "number", "bytes")

    def __init__(self, graph, like, shape, number=None):
        self.like, self.shape, self.number = like, shape, number  # like: the tensor whose dtype and scale it has
        whole = graph.tensors[like]
        self.bytes = aligned(math.prod(shape) * whole.bytes // math.prod(whole.shape))


class Call(NamedTuple):
    """One operator of the rewritten file."""

    name: str
    source: int | None  # number of the operator that it repeats on a strip
    inputs: tuple  # of Value; a tensor that every strip takes whole is its number
    output: Value
    detail: object = None  # of a SLICE: where it begins; of a padding: its pairs; of a CONCATENATION: its axis
    becomes_valid: bool = False  # what the operator padded by itself is padded before it


class _Row(NamedTuple):
    """One operator of a stretch. What it pads by itself is a row of its own, whose output goes by -1 - its number."""

    name: str
    source: int
    given: tuple  # of (position among the inputs, tensor, Reach): those that are taken in strips
    made: int
    axis: int  # of its output
    padding: tuple | None = None  # pairs, one for each axis
    becomes_valid: bool = False


def calls_of(root, graph, stretch):
    """The stretch as a list of `Call`s, the last of which makes what its last operator made; None if it cannot be.

    root, graph: of `zoo.export.graph`.
    """
    first, last, axis, strips, padded_first = stretch
    made = graph.operators[last].outputs[0]
    rows = _rows(root, graph, first, last, axis)
    if rows is None or not 1 < strips <= min(graph.tensors[made].shape[axis], MAX_JOINED**2):
        return None
    values = _whole_values(graph, rows)
    calls = []
    if padded_first:
        pad, *rows = rows
        tensor = pad.given[0][1]
        if pad.made >= 0 or any(tensor == other for row in rows for _, other, _ in row.given):
            return None  # nothing that an operator pads by itself, or a tensor that is needed as it is, too
        calls.append(_padded(graph, pad, values[tensor], values[pad.made], pad.padding))

    bounds = [values[made].shape[axis] * i // strips for i in range(strips + 1)]
    groups = math.ceil(strips / MAX_JOINED)
    joined = []
    for group in range(groups):
        parts = []
        for number in range(strips * group // groups, strips * (group + 1) // groups):
            strip = _strip(graph, rows, values, made, *bounds[number : number + 2])
            if not strip:
                return None
            calls += strip
            parts.append(strip[-1].output)
        if groups > 1 and len(parts) > 1:
            whole = _along(values[made].shape, axis, sum(part.shape[axis] for part in parts))
            calls.append(Call("CONCATENATION", None, tuple(parts), Value(graph, made, whole), axis))
            parts = [calls[-1].output]
        joined += parts
    calls.append(Call("CONCATENATION", None, tuple(joined), values[made], axis))
    return calls


def peak_bytes(graph, stretch, calls):
    """What lives at once, at most, while these calls run instead of the stretch."""
    first_use, last_use = lifetimes(graph)
    behind = {i: aligned(graph.tensors[i].bytes) for i in last_use if first_use[i] < stretch.first or i in graph.inputs}
    kept = sum(size for i, size in behind.items() if last_use[i] > stretch.last)
    uses = {_same(i): place for place, call in enumerate(calls) for i in call.inputs}
    live = {i: size for i, size in behind.items() if i in uses and last_use[i] <= stretch.last}
    peak = 0
    for place, call in enumerate(calls):
        live[_same(call.output)] = call.output.bytes
        peak = max(peak, kept + sum(live.values()))
        for i in map(_same, call.inputs):
            if uses[i] == place:
                live.pop(i, None)
    return peak


def _same(given):
    """A tensor's number, whether it is taken whole or in strips; the `Value` of what the file does not have."""
    number = getattr(given, "number", given)
    return given if number is None else number


def macs_of(graph, calls):
    """Multiplies of the calls."""
    repeated = ((graph.operators[call.source], call.output.shape) for call in calls if call.source is not None)
    return sum(
        operator.macs * math.prod(shape) // math.prod(graph.tensors[operator.outputs[0]].shape)
        for operator, shape in repeated
    )


def _rows(root, graph, first, last, axis):
    """The stretch's `_Row`s in order; None if it is not local, or something else needs what it makes on the way."""
    made = graph.operators[last].outputs[0]
    made_here = {output for operator in graph.operators[first : last + 1] for output in operator.outputs}
    elsewhere = (operator.inputs for i, operator in enumerate(graph.operators) if not first <= i <= last)
    if (made_here - {made}) & set(itertools.chain(graph.outputs, *elsewhere)):
        return None
    axes, rows = {made: axis}, []
    for number in range(last, first - 1, -1):
        name, inputs, (output, *_), _ = graph.operators[number]
        local = local_along(root, graph, number, axes[output]) if output in axes else None
        if local is None or any(i in made_here and i not in local.reaches for i in inputs):
            return None
        if any(axes.setdefault(tensor, reach.axis) != reach.axis for tensor, reach in local.reaches.items()):
            return None
        given = tuple((place, i, local.reaches[i]) for place, i in enumerate(inputs) if i in local.reaches)
        row = _Row(name, number, given, output, axes[output], becomes_valid=local.padding is not None)
        if name in PADDED:
            row = row._replace(padding=tuple(map(tuple, constant(root, inputs[1]).tolist())))
        rows.append(row)
        if local.padding:
            ((place, tensor, reach),) = given
            rows[-1] = row._replace(given=((place, -1 - number, reach._replace(before=0)),))
            pad = "PADV2" if name == "MAX_POOL_2D" else "PAD"
            given = ((0, tensor, Reach(reach.axis, before=reach.before)),)
            rows.append(_Row(pad, number, given, -1 - number, reach.axis, local.padding))
    return rows[::-1]


def _whole_values(graph, rows):
    """{tensor: Value of it, whole}, of all that the rows take and make."""
    values = {}
    for row in rows:
        for _, tensor, _ in row.given:
            if tensor not in values:
                values[tensor] = Value(graph, tensor, graph.tensors[tensor].shape, tensor)
        if row.made >= 0:
            values[row.made] = Value(graph, row.made, graph.tensors[row.made].shape, row.made)
        else:
            given = values[row.given[0][1]]
            padded = tuple(n + sum(pair) for n, pair in zip(given.shape, row.padding))
            values[row.made] = Value(graph, given.like, padded)
    return values


def _strip(graph, rows, values, made, start, stop):
    """The calls that make [start, stop) of the tensor `made`; None where an operator would have padding alone.

    No calls at all where padding comes to nothing and the rest is the whole input: other strips are padding alone then.
    """
    needed = {made: (start, stop)}
    for row in reversed(rows):
        for _, tensor, reach in row.given:
            low, high = _inside(reach, needed[row.made], values[tensor])
            if low >= high:
                return None
            known_low, known_high = needed.get(tensor, (low, high))
            needed[tensor] = min(low, known_low), max(high, known_high)

    calls, held, sliced = [], {}, {}  # held: tensor -> (Value, where it begins)
    for row in rows:
        inputs = {}
        for place, tensor, reach in row.given:
            low, high = _inside(reach, needed[row.made], values[tensor])
            value, begin = held.get(tensor, (values[tensor], 0))
            if (low, high) != (begin, begin + value.shape[reach.axis]):
                if (tensor, low, high) not in sliced:
                    part = Value(graph, value.like, _along(value.shape, reach.axis, high - low))
                    begins = _along((0,) * len(value.shape), reach.axis, low - begin)
                    calls.append(Call("SLICE", None, (value,), part, begins))
                    sliced[tensor, low, high] = part
                value = sliced[tensor, low, high]
            inputs[place] = value
        start, stop = needed[row.made]
        whole = values[row.made]
        output = Value(graph, whole.like, _along(whole.shape, row.axis, stop - start))
        if row.padding is None:
            operator = graph.operators[row.source]
            taken = tuple(inputs.get(place, i) for place, i in enumerate(operator.inputs))
            calls.append(Call(row.name, row.source, taken, output, None, row.becomes_valid))
        else:
            (reach,) = (reach for _, _, reach in row.given)
            wanted = reach.of(start, stop)
            missing = (max(-wanted[0], 0), max(wanted[1] - whole.shape[row.axis] + sum(row.padding[row.axis]), 0))
            padding = _along(row.padding, row.axis, missing)
            if any(map(any, padding)):
                calls.append(_padded(graph, row, inputs[0], output, padding))
            else:
                output = inputs[0]
        held[row.made] = output, start
    return calls


def _padded(graph, row, value, output, padding):
    fill = graph.operators[row.source].inputs[2:] if row.made >= 0 else ()
    return Call(row.name, None, (value, *fill), output, padding)


def _inside(reach, wanted, value):
    low, high = reach.of(*wanted)
    return max(low, 0), min(high, value.shape[reach.axis])


def _along(items, axis, item):
    return (*items[:axis], item, *items[axis + 1 :])
