"""A file for Google's Edge TPU: int8 in, int8 out, one call, and what that chip takes of operators.

Nothing here was compiled: Coral's edgetpu_compiler could not be had. What it maps is checked by its manual instead.

Source: "TensorFlow models on the Edge TPU" in Coral's documentation, model requirements and supported operations (those
of compiler 16, runtime 14).
"""

import math

from zoo.backend import keras

import numpy as np

from zoo import assembly
from zoo.calls import nodes_of
from zoo.errors import ZooError
from zoo.export import flatbuffer, graph, local, seam, tflite
from zoo.runtime.interpreter import LiteRT

POOLS = tuple(kind for kind, size in seam.WINDOWED.items() if size == "pool_size")
# Operators whose int8 output has the scale of their input: they move or choose numbers.
OF_ONE_SCALE = ("AVERAGE_POOL_2D", "EXPAND_DIMS", "MAX_POOL_2D", "RESHAPE", "SQUEEZE", "TRANSPOSE")
EIGHT_BITS = ("int8", "uint8")
SOFTMAX_ELEMENTS = 16_000
MEAN_DEPTH = 4  # a mean over the channels needs a multiple of so many


def one_call(model, calibration) -> bytes:
    """model_edgetpu.tflite: int8 waveform in, int8 scores out, the range at the seam clipped as in `seam.int8_body`.

    model: a join of front end and backbone. Its seam is the backbone's first pool; without one nothing is clipped. No
    operator clips: a convolution rounds to the scale that its output names, and saturates there.

    Shape: calibration is (n, samples), unmixed training crops.
    Raises: ZooError with what the Edge TPU would not take, operator by operator; a log-mel is such.
    """
    unknown = {operator.name for operator in graph.read(tflite.to_float(model)).operators} - LIMITS.keys()
    if unknown:
        raise ZooError(
            f"{model.name}: the Edge TPU has no {', '.join(sorted(unknown))}; over a log-mel give it micro/body.tflite,"
            " which takes int8 columns"
        )
    join = nodes_of(model)[-1]
    pool = next((layer for layer in getattr(join.layer, "layers", ()) if isinstance(layer, POOLS)), None)
    if pool is None:
        made = tflite.to_int8(model, calibration)
    else:
        made = _clipped(
            *assembly.cut(keras.Model(model.input, join.keras_inputs[0]), join.layer, pool.name), calibration
        )
    lines = unsupported(made)
    if lines:
        raise ZooError(f"{model.name}: the Edge TPU does not take {'; '.join(lines)}")
    return made


def unsupported(model: bytes) -> list:
    """What of a .tflite file the Edge TPU would not take, one line each with the operator and its tensor; [] is good.

    Raises: ZooError for what is no .tflite file, has several graphs or shapes that are open.
    """
    root = graph.load(model)
    read = graph.of(root)
    lines = [
        f"{place} {read.tensors[i].name!r} is {read.tensors[i].dtype}; it takes int8 or uint8"
        for place, ends in (("input", read.inputs), ("output", read.outputs))
        for i in ends
        if read.tensors[i].dtype not in EIGHT_BITS
    ]
    for operator, described in zip(read.operators, root.subgraphs[0].operators):
        lines += [
            f"{operator.name}, which makes {read.tensors[operator.outputs[0]].name!r}: {reason}"
            for reason in _reasons(operator, described.builtinOptions, root, read.tensors)
        ]
    return lines


def _clipped(front, body, calibration):
    """The int8 file of both, the range between them clipped."""
    body_file = seam.int8_body(body, seam.columns_of(front, calibration))
    taken = LiteRT(body_file).input
    front_file = _with_output_scale(tflite.to_int8(front, calibration), taken.scale, taken.zero_point)
    return flatbuffer.concatenate(front_file, body_file)


def _with_output_scale(model, scale, zero_point):
    """An int8 file whose output is rounded to this scale, by the operator that makes its numbers."""
    root = graph.load(model)
    (described,) = root.subgraphs
    makers = {made: operator for operator in described.operators for made in operator.outputs}
    tensor = described.outputs[0]
    while True:
        quantisation = described.tensors[tensor].quantization
        quantisation.scale, quantisation.zeroPoint = np.float32([scale]), np.int64([zero_point])
        maker = makers.get(tensor)
        if maker is None:
            raise ZooError("the front makes no numbers of its own: its input would be scaled")
        if graph.name_of(root, maker) not in OF_ONE_SCALE:
            return flatbuffer.dump(root)
        tensor = maker.inputs[0]


def _reasons(operator, options, root, tensors):
    """Why the Edge TPU does not take an operator."""
    if operator.name not in LIMITS:
        yield "it has no such operator"
        return
    given = [tensors[i] for i in operator.inputs if i >= 0]
    made = [tensors[i] for i in operator.outputs]
    for tensor in (*(tensor for tensor in given if not tensor.is_constant), *made):
        if tensor.dtype not in EIGHT_BITS:
            yield f"{tensor.name!r} is {tensor.dtype}, not int8 or uint8"
        if math.prod(tensor.shape[:-3]) > 1:
            yield f"{tensor.name!r} has the shape {tensor.shape}; all but the three innermost sizes must be 1"
    if operator.name in WITH_PARAMETERS:
        for tensor in given[1:]:
            if not tensor.is_constant:
                yield f"its parameters {tensor.name!r} are computed, not constant"
        if given[1].dtype not in EIGHT_BITS:
            yield f"its weights {given[1].name!r} are {given[1].dtype}, not int8 or uint8"
    limit = LIMITS[operator.name]
    reason = limit and limit(options, given, made, lambda place: _numbers(root, operator.inputs[place]))
    if reason:
        yield reason


def _numbers(root, tensor):
    """The int32 numbers of a constant, a list; [] where it is computed."""
    found = local.constant(root, tensor)
    return [] if found is None else found.ravel().tolist()


def _no_activation(options, *_):
    return options.fusedActivationFunction and "it has a fused activation function"


def _concatenation(options, given, *_):
    constants = [tensor.name for tensor in given if tensor.is_constant]
    return _no_activation(options) or (constants and f"it joins the constant {constants[0]!r}")


def _one_dilation(options, *_):
    same = options.dilationWFactor == options.dilationHFactor
    return not same and f"dilation {options.dilationHFactor} by {options.dilationWFactor}: both must be one"


def _dense(options, given, made, _):
    if options.weightsFormat:
        return "its weights are shuffled; only the default format is taken"
    return max(made[0].shape) != math.prod(made[0].shape) and f"its output {made[0].shape} has more than one dimension"


def _not_the_batch(options, given, made, constant):
    axes = [axis % len(given[0].shape) for axis in constant(1)]
    return 0 in axes and len(given[0].shape) > 1 and "it reduces the batch"


def _mean(options, given, made, constant):
    rank = len(given[0].shape)
    axes = [axis % rank for axis in constant(1)]
    depth = given[0].shape[-1]
    if rank > 1 and rank - 1 in axes and depth % MEAN_DEPTH:
        return f"it takes the mean of {depth} channels, no multiple of {MEAN_DEPTH}"
    return _not_the_batch(options, given, made, constant)


def _pack(options, given, *_):
    return options.axis % (len(given[0].shape) + 1) == 0 and "it packs along the batch"


def _pad(options, given, made, constant):
    paddings = constant(1)
    return len(given[0].shape) > 1 and any(paddings[:2]) and "it pads the batch"


def _prelu(options, given, *_):
    slopes = given[1].shape
    return math.prod(slopes) != slopes[-1] and f"its slopes {slopes} are not of one dimension"


def _softmax(options, given, *_):
    shape = given[0].shape
    if max(shape) != math.prod(shape) or math.prod(shape) > SOFTMAX_ELEMENTS:
        return f"its input {shape} is not of one dimension of at most {SOFTMAX_ELEMENTS:,}"
    return None


def _split(options, given, made, constant):
    rank = len(given[1].shape)
    return rank > 1 and 0 in [axis % rank for axis in constant(0)] and "it splits the batch"


def _strided_slice(options, given, made, constant):
    if any(stride != 1 for stride in constant(3)):
        return "its strides are not 1"
    return (options.ellipsisMask or options.newAxisMask) and "it adds axes, or leaves some out"


# Its operators -> function (options, inputs, outputs, numbers of a constant input) -> what is wrong, if anything is.
LIMITS = {
    **dict.fromkeys(
        "ADD EXPAND_DIMS L2_NORMALIZATION LOGISTIC MAXIMUM MINIMUM MUL QUANTIZE RELU RELU6 RELU_N1_TO_1 RESHAPE "
        "RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SLICE SPACE_TO_DEPTH SQUARED_DIFFERENCE SQUEEZE SUB TANH "
        "TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM".split()
    ),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"), _no_activation),
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D"), _one_dilation),
    **dict.fromkeys(("REDUCE_MAX", "REDUCE_MIN", "SUM"), _not_the_batch),
    "CONCATENATION": _concatenation,
    "FULLY_CONNECTED": _dense,
    "MEAN": _mean,
    "PACK": _pack,
    "PAD": _pad,
    "PRELU": _prelu,
    "SOFTMAX": _softmax,
    "SPLIT": _split,
    "STRIDED_SLICE": _strided_slice,
}
WITH_PARAMETERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "PRELU")
