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


def start(first="", **variables):
    """A process that runs `first`, imports zoo.backend and prints one line, with these environment variables."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    return subprocess.Popen(
        [sys.executable, "-c", first + TELL],
        cwd=ROOT,
        env={**environment, "TF_CPP_MIN_LOG_LEVEL": "3", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def told():
    """{case: the line printed}, of processes that load TensorFlow at the same time."""
    processes = {
        "Keras 3 first": start("import keras"),
        "TensorFlow with Keras 3 first": start("import tensorflow as tf; tf.keras.layers"),
        "TensorFlow first, variable set": start("import tensorflow as tf; tf.keras.layers", TF_USE_LEGACY_KERAS="1"),
        "nothing first": start(),
    }
    lines = {}
    for case, process in processes.items():
        printed, errors = process.communicate()
        assert process.returncode == 0, errors
        (lines[case],) = printed.splitlines()
    return lines


@pytest.mark.parametrize("case", ["Keras 3 first", "TensorFlow with Keras 3 first"])
def test_keras_3_that_came_first_is_refused_in_one_line(told, case):
    assert told[case].startswith("refused: ") and "imported" in told[case] and told[case].endswith(ADVICE)


def test_tensorflow_may_come_first_where_the_variable_asks_for_keras_2(told):
    name, is_tensorflows, _ = told["TensorFlow first, variable set"].split()
    assert name.startswith("tf_keras") and is_tensorflows == "True"


def test_the_backend_chooses_keras_2_and_leaves_keras_3_unloaded(told):
    name, is_tensorflows, keras_3_is_loaded = told["nothing first"].split()
    assert name.startswith("tf_keras") and (is_tensorflows, keras_3_is_loaded) == ("True", "False")
