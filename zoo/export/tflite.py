"""A Keras model becomes a .tflite file: batch 1, builtin operators only, the same bytes for the same model."""

import re
import warnings
from contextlib import redirect_stdout
from io import StringIO

from zoo.backend import keras, mlir_quantize, tf

import numpy as np

from zoo.calls import nodes_of
from zoo.errors import ZooError, one_line
from zoo.export import ranges
from zoo.measure.counts import KERNELS
from zoo.runtime.stderr import captured_stderr

layers = keras.layers

FLOAT = [tf.lite.OpsSet.TFLITE_BUILTINS]
INT8 = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
INT16X8 = [tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8]

MOVES = (
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.Cropping1D,
    layers.Cropping2D,
    layers.Dropout,
    layers.Flatten,
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.Permute,
    layers.RepeatVector,
    layers.Reshape,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.ZeroPadding1D,
    layers.ZeroPadding2D,
)


def to_float(model) -> bytes:
    """The file that computes what the model computes.

    Raises: ZooError when an operator is no TFLite builtin, here and below.
    """
    return _convert(model, FLOAT)


def to_float16(model) -> bytes:
    """The file with float16 weights, about half as long: a CPU computes in float32 as ever.

    Raises: ZooError where float16 has no number for a weight.
    """
    for weight in model.weights:
        if np.abs(weight).max(initial=0) > np.finfo(np.float16).max:
            raise ZooError(f"{weight.name}: float16 ends at 65,504, and a weight lies beyond; leave this form out")
    return _convert(model, FLOAT, optimise_for=[tf.float16])


def to_dynamic(model) -> bytes:
    """The file with int8 weights and float activations, which are quantised as they come: dynamic range.

    Weights of under 1,024 numbers stay float, as the converter has it.
    """
    return _convert(model, FLOAT, optimise_for=[])


def to_int8(model, calibration, per_channel=True, tail=0.0) -> bytes:
    """The file with int8 weights and activations, whose ends are int8.

    per_channel: a scale for each channel of a kernel; False gives the whole kernel one, as some runtimes want it. tail:
    the share of a tensor's values that its range leaves out at either end (`zoo.export.ranges`).

    Shape: calibration is float (n, *input_shape), n > 0.
    """
    if not tail:
        return _convert(model, INT8, calibration, tf.int8, per_channel=per_channel)
    narrowed = ranges.clipped(calibrated(model, calibration, per_channel), calibration, tail)
    return quantised(narrowed, per_channel)


def calibrated(model, calibration, per_channel=True) -> bytes:
    """The float file whose tensors carry the ranges that they have on the calibration's samples; see `to_int8`."""
    return _convert(model, INT8, calibration, tf.int8, per_channel=per_channel, calibrates_only=True)


def quantised(calibrated: bytes, per_channel=True) -> bytes:
    """The int8 file of a calibrated one."""
    with captured_stderr():
        return bytes(
            mlir_quantize(calibrated, not per_channel, True, input_data_type=tf.int8, output_data_type=tf.int8)
        )


def to_int16x8(model, calibration) -> bytes:
    """The file with int8 weights and int16 activations, whose ends are int16.

    Shape: calibration is (n, *input_shape), n > 0.
    """
    return _convert(model, INT16X8, calibration, tf.int16)


def check_calibration(model, calibration):
    """Raises ZooError unless calibration is (n, *input_shape), n > 0."""
    if calibration.shape[1:] != model.input_shape[1:] or len(calibration) == 0:
        wanted = ", ".join(map(str, model.input_shape[1:]))
        raise ZooError(f"{model.name}: calibration needs shape (n, {wanted}), n > 0; got {calibration.shape}")


def stored_tensors(model):
    """Names of the layers whose output is a tensor of its own in an int8 file, with a range of its own; inputs first.

    A norm is fused into the convolution before it, a ReLU into whatever it follows alone. What only moves or chooses
    values (MOVES) shares its input's range. The scores are left out: their range is fixed.
    """
    names, nodes = [], nodes_of(model)
    for node in nodes:
        behind = [other.layer for other in nodes if set(node.flat_output_ids) & set(other.flat_input_ids)]
        is_fused = len(behind) == 1 and not node.is_input and _is_fused(behind[0], node.layer)
        if behind and not is_fused and not isinstance(node.layer, MOVES):
            names.append(node.layer.name)
    return names


def _is_fused(layer, before):
    if isinstance(layer, layers.BatchNormalization):
        return type(before).__name__ in KERNELS
    is_relu = isinstance(layer, layers.Activation) and layer.activation is keras.activations.relu
    return isinstance(layer, layers.ReLU) or is_relu


def _convert(
    model, supported_ops, calibration=None, io=tf.float32, optimise_for=None, per_channel=True, calibrates_only=False
):
    inputs = tf.TensorSpec((1, *model.input_shape[1:]), name="input")  # Keras counts its own names up: input_1, input_2
    forward = tf.function(lambda x: model(x, training=False)).get_concrete_function(inputs)
    kept = tf.Module()  # the weights alone: given the model, the converter would trace and save every layer of it
    kept.weights = model.variables
    converter = tf.lite.TFLiteConverter.from_concrete_functions([forward], kept)
    converter.target_spec.supported_ops = supported_ops
    converter._experimental_disable_per_channel = not per_channel
    converter._experimental_calibrate_only = calibrates_only
    if optimise_for is not None:
        converter.optimizations, converter.target_spec.supported_types = [tf.lite.Optimize.DEFAULT], optimise_for
    if calibration is not None:
        check_calibration(model, calibration)
        _check_quantisable(model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([sample[None]] for sample in calibration)
        converter.inference_input_type = converter.inference_output_type = io
    try:
        with warnings.catch_warnings(), captured_stderr():  # the converter's chatter; what matters is in its exception
            warnings.simplefilter("ignore")
            return converter.convert()
    except Exception as error:
        foreign = re.search(r"(?:TF Select|Custom) ops: (.+)", str(error))
        if foreign is None:
            raise ZooError(f"{model.name}: TFLite's converter refuses it: {one_line(error)}") from error
        raise ZooError(f"{model.name}: {foreign.group(1)} is no TFLite builtin; build the model without it") from error


def _check_quantisable(model):
    """Raises ZooError for what would end the process: the converter dies of a loop, and the kernels of a range of 0."""
    for layer in model.layers:
        kernels = [getattr(layer, kernel) for kernel in KERNELS.get(type(layer).__name__, ())]
        if any(not kernel.numpy().any() for kernel in kernels):
            raise ZooError(f"{model.name}: only zeros are left in {layer.name}, which has no range then; remove it")
    recurrent = [layer.name for layer in model.layers if isinstance(layer, (layers.RNN, layers.Bidirectional))]
    if recurrent:
        with redirect_stdout(StringIO()) as operators:
            tf.lite.experimental.Analyzer.analyze(model_content=to_float(model))
        if "WHILE(" in operators.getvalue():
            raise ZooError(f"{model.name}: {recurrent[0]} becomes a loop, which cannot be quantised; use unroll=True")
