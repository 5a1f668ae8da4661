"""The files of an exported folder, and their sums, which are those that sha256sum finds."""

import shutil
import subprocess

from zoo.backend import keras

import numpy as np
import pytest

from zoo.export.folder import Quantisation, write_models, write_sums
from zoo.frontends import Raw


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "micro").mkdir()
    for name in ("card.md", "micro/body.cc"):
        (tmp_path / name).write_text("new")
    return tmp_path


needs_sha256sum = pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")


def check_sums(folder):
    return subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, capture_output=True, text=True
    )


@needs_sha256sum
def test_sha256sum_reads_the_sums_and_finds_all_files(folder):
    write_sums(folder)
    checked = check_sums(folder)
    assert checked.returncode == 0
    assert sorted(checked.stdout.splitlines()) == ["card.md: OK", "micro/body.cc: OK"]


@needs_sha256sum
def test_sha256sum_finds_the_file_of_which_a_byte_changed(folder):
    write_sums(folder)
    (folder / "micro" / "body.cc").write_text("nEw")
    checked = check_sums(folder)
    assert checked.returncode == 1
    assert "micro/body.cc: FAILED" in checked.stdout and "card.md: OK" in checked.stdout


def test_columns_that_come_more_seldom_than_decisions_make_one_each(tmp_path):
    """200 samples at 300 Hz; and without targets nobody asks for the sensitivity."""
    layers = keras.layers
    sound = keras.Input((1_000, 1), name="sound")
    x = layers.GlobalAveragePooling1D(name="mean")(layers.Conv1D(4, 200, 200, activation="relu", name="columns")(sound))
    net = keras.Model(sound, layers.Dense(3, activation="softmax", name="scores")(x), name="net")
    sounds = np.random.default_rng(0).normal(0, 0.1, (4, 1_000)).astype(np.float32)
    written = write_models(tmp_path, Raw(300, 1_000, (-1, 1)), net, "columns", sounds, None, [*"abc"], Quantisation())
    assert "g_golden_columns_per_decision = 1;" in (tmp_path / "micro/golden.cc").read_text()
    assert (written.column_stride_samples, written.sensitivity, written.calibration_accuracy) == (200, [], None)
