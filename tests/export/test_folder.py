"""The files of an exported folder, and their sums, which are those that sha256sum finds."""

import shutil
import subprocess

from zoo.backend import keras

import numpy as np
import pytest

from zoo.export.folder import FORMS, Quantisation, write_models
from zoo.export.metadata import About
from zoo.frontends import Raw
from zoo.labelling import Multiclass
from zoo.runtime import metadata, sums
from zoo.runtime.interpreter import LiteRT


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
    sums.write(folder)
    checked = check_sums(folder)
    assert checked.returncode == 0
    assert sorted(checked.stdout.splitlines()) == ["card.md: OK", "micro/body.cc: OK"]


@needs_sha256sum
def test_sha256sum_finds_the_file_of_which_a_byte_changed(folder):
    sums.write(folder)
    (folder / "micro" / "body.cc").write_text("nEw")
    checked = check_sums(folder)
    assert checked.returncode == 1
    assert "micro/body.cc: FAILED" in checked.stdout and "card.md: OK" in checked.stdout


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """(folder, what `write_models` gave): a net with a column each 200 samples at 300 Hz, without targets."""
    layers = keras.layers
    sound = keras.Input((1_000, 1), name="sound")
    x = layers.GlobalAveragePooling1D(name="mean")(layers.Conv1D(4, 200, 200, activation="relu", name="columns")(sound))
    net = keras.Model(sound, layers.Dense(3, activation="softmax", name="scores")(x), name="net")
    sounds = np.random.default_rng(0).normal(0, 0.1, (4, 1_000)).astype(np.float32)
    folder, about = tmp_path_factory.mktemp("exported"), About("slow", "", "", "", "CC BY 4.0")
    quantisation = Quantisation(forms=tuple(FORMS))
    front_end = Raw(300, 1_000, (-1, 1))
    labelling = Multiclass([*"abc"])
    return folder, write_models(folder, front_end, net, "columns", sounds, None, labelling, quantisation, about)


def test_columns_that_come_more_seldom_than_decisions_make_one_each(exported):
    """And without targets nobody asks for the sensitivity."""
    folder, written = exported
    assert "g_golden_columns_per_decision = 1;" in (folder / "micro/golden.cc").read_text()
    assert (written.column_stride_samples, written.sensitivity, written.calibration_metric) == (200, (), None)


def test_every_file_for_apps_takes_and_gives_floats_and_says_what_it_is(exported):
    folder, _ = exported
    names = {path.name for path in folder.glob("*.tflite")}
    assert names == {"model.tflite", "model_int8.tflite", *(f"model_{form}.tflite" for form in FORMS)}
    for name in names:
        model, told = LiteRT(folder / name), metadata.read((folder / name).read_bytes())
        dtype = np.int8 if name == "model_edgetpu.tflite" else np.float32  # that chip takes nothing else
        assert (model.input.dtype, model.output.dtype, model.input_shape) == (dtype, dtype, (1_000,)), name
        assert (told.name, told.license, told.sample_rate_hz, told.labels) == ("slow", "CC BY 4.0", 300, tuple("abc"))
    assert (folder / "labels.txt").read_text() == "a\nb\nc\n"


def test_files_for_boards_spend_no_flash_on_metadata(exported):
    folder, _ = exported
    models = sorted((folder / "micro").glob("*.tflite"))
    assert [path.stem for path in models] == ["body", "frontend", "model"]
    for path in models:
        assert metadata.read(path.read_bytes()) is None and b"labels.txt" not in path.read_bytes()
        assert f"g_{path.stem}_len = {path.stat().st_size};" in path.with_suffix(".cc").read_text()
