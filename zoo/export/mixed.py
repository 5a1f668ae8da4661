"""Which tensors 8 bits hurt, and a body in which the worst of them have 16: mixed precision of activations.

A tensor here is what an int8 file stores with a range of its own (`tflite.stored_tensors`), named after the layer that
makes it; the body's input is the "seam". What is chosen here is chosen on training crops, never on the test fold.
"""

import bisect
import itertools
from functools import cache
from typing import NamedTuple

from zoo.backend import keras

import numpy as np

from zoo import evaluation
from zoo.calls import arguments_of, ids_of, nodes_of
from zoo.errors import ZooError
from zoo.export import tflite
from zoo.export.ranges import VALUES, drawn, ends
from zoo.export.seam import append, best_int8, seam_range
from zoo.runtime.interpreter import LiteRT, dequantise, int8_grid, quantise

SEAM = "seam"
NO_NOISE = 1e-20  # 200 dB, of scores that did not move: JSON has no infinity
BATCH = 32  # crops whose tensors are all held at once: ACDNet's are 20 MB a crop


class Row(NamedTuple):
    """What happens when one tensor alone is quantised to 8 bits."""

    tensor: str
    snr_db: float  # of the logits
    metric: float  # of the labelling: accuracy, or mAP
    changed: float  # share of the crops that are decided otherwise than in float


class Mixed(NamedTuple):
    """A body in mixed precision."""

    body: bytes
    wide: tuple  # the tensors of 16 bits, worst first
    changed: float


def sensitivity(body, columns, targets, labelling, ranges="percentile"):
    """One `Row` for each tensor of the body, the worst (lowest signal to noise) first.

    labelling: of `zoo.labelling`. ranges: how `seam_range` chooses the seam's; every other tensor's leaves out the
    rarest of what it reaches on these columns.

    Shape: columns (n, *body.input_shape), targets (n,) or (n, classes)
    """
    tflite.check_calibration(body, columns)
    tensors = _tensors(body)
    batches = [columns[start : start + BATCH] for start in range(0, len(columns), BATCH)]
    rng, reached = np.random.default_rng(0), {name: [] for name in tensors}
    for batch in batches:
        values = _run(body, {}, {tensors[SEAM]: batch})
        for name, found in reached.items():
            found.append(drawn(values[tensors[name]], VALUES * len(batch), rng))
    spans = {name: ends(np.concatenate(found)) for name, found in reached.items()}
    spans[SEAM] = seam_range(columns, ranges)

    exact, rounded = [], {name: [] for name in tensors}
    (scores,) = ids_of(body.outputs)
    for batch in batches:
        values = _run(body, {}, {tensors[SEAM]: batch})
        exact.append(values[scores])
        for name, tensor in tensors.items():
            change = {tensor: _round(np.asarray(values[tensor]), *spans[name])}
            rounded[name].append(_run(body, values, change)[scores])
    exact = np.concatenate(exact)
    rows = [_row(name, exact, np.concatenate(parts), targets, labelling) for name, parts in rounded.items()]
    return sorted(rows, key=lambda row: row.snr_db)


def widen(body, columns, rows, max_drop, labelling, ranges="percentile") -> Mixed:
    """The body with as few of the worst tensors in 16 bits as bisection finds to be enough, and int8 else.

    max_drop: the largest share of the columns that the file, run in LiteRT, may decide otherwise than the float body;
    accuracy cannot fall by more. rows: `sensitivity`'s table. The file's ends are int8, or int16 where they are wide.

    Raises: ZooError where 16 bits everywhere are not enough.
    """
    tflite.check_calibration(body, columns)
    decisions = labelling.decide(body.predict(columns, verbose=0))

    @cache
    def widened(count):
        wide = tuple(row.tensor for row in rows[:count])
        model = mixed_body(body, columns, wide, ranges)
        return Mixed(model, wide, _changed(decisions, labelling.decide(LiteRT(model, num_threads=2).run(columns))))

    def is_enough(count):
        return widened(count).changed <= max_drop

    if is_enough(0):
        return widened(0)
    segments = [_wide_segments(body, [row.tensor for row in rows[:count]]) for count in range(len(rows) + 1)]
    counts = [count for count in range(1, len(segments)) if segments[count] != segments[count - 1]]
    place = bisect.bisect_left(counts, True, key=is_enough)
    if place == len(counts):
        raise ZooError(
            f"{body.name}: with every tensor in 16 bits {widened(counts[-1]).changed:.2%} of the crops are decided "
            f"otherwise than in float, more than max_drop {max_drop:.2%}; allow more"
        )
    return widened(counts[place])


def mixed_body(body, columns, wide, ranges="percentile") -> bytes:
    """The body, int8 but for the tensors named in `wide`, which the operators that make and take them hold in 16 bits.

    Without any it is `seam.int8_body`. It runs in LiteRT and in TFLM.
    """
    cuts, is_wide = _cuts(body), _wide_segments(body, wide)
    if not is_wide[0]:  # 16 bits have room for the rare peaks
        columns = np.clip(columns, *seam_range(columns, ranges)).astype(np.float32)
    ends = [*(_output(body, name) for name in cuts), body.output]
    model = None
    for is_wide_piece, numbers in itertools.groupby(range(len(cuts)), key=is_wide.__getitem__):
        first, *_, last = [*numbers] * 2
        piece = keras.Model(ends[first], ends[last + 1], name=body.name)
        convert = tflite.to_int16x8 if is_wide_piece else best_int8
        converted = convert(piece, columns)
        model = converted if model is None else append(model, converted)
        columns = piece.predict(columns, verbose=0)
    return model


def _row(tensor, exact, rounded, targets, labelling):
    signal, noisy = map(labelling.logits, (exact, rounded))
    noise = np.sum((noisy - signal) ** 2) / (np.sum(signal**2) or 1)
    snr_db = -10 * np.log10(max(noise, NO_NOISE))
    changed = _changed(labelling.decide(exact), labelling.decide(rounded))
    return Row(tensor, float(snr_db), labelling.measure(rounded, targets), changed)


def _changed(decisions, others):
    """The share of the crops that are decided otherwise."""
    return float(np.mean(~evaluation.same(decisions, others)))


def _round(x, low, high):
    """x as int8 over the range (low, high) would hold it."""
    scale, zero_point = int8_grid(low, high)
    return dequantise(quantise(x, scale, zero_point, np.int8), scale, zero_point)


def _run(body, values, changed):
    """What the body computes of tensors {id: value} behind those of `changed`: all of it where that is its input."""
    changed = dict(changed)
    for node in nodes_of(body):
        if not node.is_input and not changed.keys().isdisjoint(node.flat_input_ids):
            args, kwargs = arguments_of(node, {**values, **changed})
            changed[node.flat_output_ids[0]] = node.layer(*args, **kwargs)
    return changed


def _tensors(body):
    """{name: Keras's id} of the tensors of the body."""
    stored = tflite.stored_tensors(body)
    ids = {node.layer.name: node.flat_output_ids[0] for node in nodes_of(body)}
    return {SEAM: ids[stored[0]], **{name: ids[name] for name in stored[1:]}}


def _output(body, name):
    tensor = _tensors(body)[name]
    (output,) = (node.outputs for node in nodes_of(body) if node.flat_output_ids[0] == tensor)
    return output


def _cuts(body):
    """The tensors past which nothing else runs: there, and nowhere else, the body can be cut in two."""
    cuts, nodes, tensors = [], nodes_of(body), _tensors(body)
    last_use = {i: place for place, node in enumerate(nodes) for i in node.flat_input_ids}
    made = {i: place for place, node in enumerate(nodes) for i in node.flat_output_ids}
    for name, tensor in tensors.items():
        before = [i for i in made if made[i] < made[tensor]]
        if all(last_use[i] <= made[tensor] for i in before):
            cuts.append(name)
    return cuts


def _wide_segments(body, wide):
    """For each stretch between two cuts, whether a tensor that it makes, takes or holds is wide."""
    cuts, tensors = _cuts(body), _tensors(body)
    unknown = set(wide) - set(tensors)
    if unknown:
        raise ZooError(f"{body.name}: no tensor {min(unknown)!r}; its tensors are {', '.join(tensors)}")
    is_wide, passed = [False] * len(cuts), -1
    for name in tensors:
        passed += name in cuts
        if name in wide:
            is_wide[passed] = True
            if name in cuts and passed > 0:
                is_wide[passed - 1] = True
    return is_wide
