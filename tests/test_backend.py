"""Keras is chosen in one place, and one line says so where it was chosen before. Each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TELL = """
import sys
from zoo.errors import ZooError
try:
    from zoo.backend import keras, tf
except ZooError as error:
    print(f"refused: {error}")
else:
    print(keras.__name__, keras is tf.keras, "keras" in sys.modules)
"""
ADVICE = "import zoo.backend first, or start Python with TF_USE_LEGACY_KERAS=1"


def tell(first="", **variables):
    """The line that a process prints which runs `first` and imports zoo.backend, with these environment variables."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    child = subprocess.run(
        [sys.executable, "-c", first + TELL],
        cwd=ROOT,
        env={**environment, "TF_CPP_MIN_LOG_LEVEL": "3", **variables},
        capture_output=True,
        text=True,
    )
    assert child.returncode == 0, child.stderr
    (line,) = child.stdout.splitlines()
    return line


@pytest.mark.parametrize("first", ["import keras", "import tensorflow as tf; tf.keras.layers"])
def test_keras_3_that_came_first_is_refused_in_one_line(first):
    line = tell(first)
    assert line.startswith("refused: ") and "imported" in line and line.endswith(ADVICE)


def test_tensorflow_may_come_first_where_the_variable_asks_for_keras_2():
    name, is_tensorflows, _ = tell("import tensorflow as tf; tf.keras.layers", TF_USE_LEGACY_KERAS="1").split()
    assert name.startswith("tf_keras") and is_tensorflows == "True"


def test_the_backend_chooses_keras_2_and_leaves_keras_3_unloaded():
    name, is_tensorflows, keras_3_is_loaded = tell().split()
    assert name.startswith("tf_keras") and (is_tensorflows, keras_3_is_loaded) == ("True", "False")
