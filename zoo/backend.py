"""The only place that chooses Keras: TensorFlow with legacy Keras 2 (tf-keras), which TF-MOT and Kapre's training need.

Import `tf` and `keras` from here, never from their own packages.
"""

import logging
import os
import sys

from zoo.errors import ZooError

if "keras" in sys.modules and sys.modules["keras"].__version__.startswith("3"):
    raise ZooError(
        f"Keras {sys.modules['keras'].__version__} was imported before the zoo, which trains with Keras 2 (tf-keras): "
        "import zoo.backend first, or start Python with TF_USE_LEGACY_KERAS=1"
    )
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # a machine without a GPU is no error worth six lines

import tensorflow as tf  # noqa: E402  (after the choice above)
from tensorflow.lite.python.convert import mlir_quantize  # noqa: E402
from tensorflow.python.autograph.core import config as autograph_config  # noqa: E402

if not tf.keras.__name__.startswith("tf_keras"):
    raise ZooError(
        "TensorFlow was imported with Keras 3 before the zoo, which trains with Keras 2 (tf-keras): "
        "import zoo.backend first, or start Python with TF_USE_LEGACY_KERAS=1"
    )

# AutoGraph leaves the package `keras` alone but does not know it under the name `tf_keras`: rewriting all of that code
# takes 20 s at the first training step of each process, and changes nothing.
autograph_config.CONVERSION_RULES += (autograph_config.DoNotConvert("tf_keras"),)

# Warnings of TensorFlow and TFDS that a user of the zoo can do nothing about; errors are still told.
logging.getLogger("absl").setLevel(logging.ERROR)
tf.get_logger().setLevel(logging.ERROR)

keras = tf.keras

# Dropout draws from generators that live in variables, so that a checkpoint holds them and a run can be resumed.
keras.backend.experimental.enable_tf_random_generator()

__all__ = ["keras", "mlir_quantize", "tf"]
