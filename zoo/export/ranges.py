"""What range an int8 tensor gets: all that it reaches, or all but its rarest values.

A scale is a range's 255th part. Where one value in ten thousand reaches twenty times as far as the rest do, as behind
the norms of BC-ResNet, it leaves all others a few steps: those peaks are better cut off.
"""

from zoo.backend import tf

import numpy as np

from zoo.export import flatbuffer, graph

# Left out at either end of a tensor's range. Of 1e-5, 1e-4, 5e-4 and 1e-3 it kept most decisions of BC-ResNet
# as in float, on the crops of ESC-10's fold 5 that its figures in docs/compression.md are of.
TAIL = 1e-4
SAMPLES, VALUES = 128, 512  # of the calibration's, and drawn from each tensor of each


def ends(values, tail=TAIL):
    """(low, high) of values: all but a share `tail` of them at either end. 0 lies in every range.

    Shape: any
    """
    low, high = np.quantile(values, (tail, 1 - tail))
    return min(float(low), 0.0), max(float(high), 0.0)


def drawn(values, count, rng):
    """`count` of the values, or all where there are no more: (values,)."""
    values = np.ravel(values)
    return values if values.size <= count else values[rng.integers(0, values.size, count)]


def clipped(calibrated: bytes, calibration, tail) -> bytes:
    """A calibrated file, whose tensors carry their ranges, with ranges that leave out a share `tail` at either end.

    Its input keeps its own.

    Shape: calibration is (n, *input_shape)
    """
    root = graph.load(calibrated)
    (network,) = root.subgraphs
    ranged = [
        (number, tensor.quantization)
        for number, tensor in enumerate(network.tensors)
        if number not in network.inputs and tensor.quantization is not None and tensor.quantization.min is not None
    ]
    reached = _reached(calibrated, calibration[:SAMPLES], [number for number, _ in ranged])
    for number, range_ in ranged:
        if not len(reached[number]):  # an LSTM's room for what it does not use
            continue
        low, high = ends(reached[number], tail)
        if low < high:  # what is nearly always 0 keeps its peaks: without them it has no range
            range_.min, range_.max = [max(float(range_.min[0]), low)], [min(float(range_.max[0]), high)]
    return flatbuffer.dump(root)


def _reached(model, samples, tensors):
    """{tensor: values of it, drawn over all samples}."""
    interpreter = tf.lite.Interpreter(model_content=model, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    (taken,) = interpreter.get_input_details()
    rng, reached = np.random.default_rng(0), {tensor: [] for tensor in tensors}
    for sample in samples:
        interpreter.set_tensor(taken["index"], sample[None])
        interpreter.invoke()
        for tensor, values in reached.items():
            values.append(drawn(interpreter.get_tensor(tensor), VALUES, rng))
    return {tensor: np.concatenate(values) for tensor, values in reached.items()}
