"""A Keras model becomes a .tflite file: batch 1, builtin operators only, the same bytes for the same model."""

import re
import warnings

from zoo.backend import tf

from zoo.errors import ZooError
from zoo.export.stderr import captured_stderr

FLOAT = [tf.lite.OpsSet.TFLITE_BUILTINS]
INT8 = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
INT16X8 = [tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8]


def to_float(model) -> bytes:
    """The file that computes what the model computes.

    Raises: ZooError when an operator is no TFLite builtin, here and below.
    """
    return _convert(model, FLOAT)


def to_int8(model, calibration, io="int8") -> bytes:
    """The file with int8 weights and activations, whose ends are int8 or, with io="float32", float.

    Shape: calibration is float (n, *input_shape), n > 0.
    """
    return _convert(model, INT8, calibration, tf.as_dtype(io))


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


def _convert(model, supported_ops, calibration=None, io=tf.float32):
    inputs = tf.TensorSpec((1, *model.input_shape[1:]), name="input")  # Keras counts its own names up: input_1, input_2
    forward = tf.function(lambda x: model(x, training=False)).get_concrete_function(inputs)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([forward], model)
    converter.target_spec.supported_ops = supported_ops
    if calibration is not None:
        check_calibration(model, calibration)
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
            raise
        raise ZooError(f"{model.name}: {foreign.group(1)} is no TFLite builtin; build the model without it") from error
