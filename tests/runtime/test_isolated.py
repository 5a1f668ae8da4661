import os
import signal

import numpy as np
import pytest

from zoo.errors import ZooError
from zoo.runtime import isolated
from zoo.runtime.isolated import Isolated


@pytest.fixture
def child(bands):
    return Isolated(bands.file.read_bytes())


def test_a_child_that_dies_is_one_line(child):
    x = np.zeros((1, 8_000), np.float32)
    assert child.run(x).shape == (1, 3)
    os.kill(child._process.pid, signal.SIGSEGV)
    with pytest.raises(ZooError, match="LiteRT dies of it"):
        child.run(x)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_that_is_meant_for_the_parent_leaves_the_child(child, stop):
    x = np.zeros((1, 8_000), np.float32)
    child.run(x)  # it has begun
    os.kill(child._process.pid, stop)
    assert child.run(x).shape == (1, 3)


def test_a_child_that_hangs_is_ended(child, monkeypatch):
    monkeypatch.setattr(isolated, "RUN_LIMIT_S", 0.3)
    os.kill(child._process.pid, signal.SIGSTOP)
    with pytest.raises(ZooError, match="comes to no end"):
        child.run(np.zeros((1, 8_000), np.float32))


def test_no_child_outlives_its_model(bands):
    model = Isolated(bands.file.read_bytes())
    process = model._process
    del model
    assert process.poll() is not None


@pytest.mark.parametrize("model", [b"", b"dog", b"\x18\0\0\0TFL3" + bytes(100)])
def test_what_is_no_model_is_refused(model):
    with pytest.raises(ZooError, match="no .tflite file, or a damaged one"):
        Isolated(model)
