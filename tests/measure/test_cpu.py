"""`python -m zoo bench` on this machine: the report, as it is printed, sent and held against its schema."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from zoo.backend import keras, tf

import jsonschema
import numpy as np
import pytest

from zoo.__main__ import main
from zoo.export import tflite
from zoo.measure import cpu

ROOT = Path(__file__).parents[2]
SAMPLES = 8_000
# Of what is not in the light install; a module of that name that only raises stands for its absence.
ABSENT = ("tensorflow", "tf_keras", "keras", "kapre", "matplotlib", "scipy", "soundfile", "librosa", "tflite_micro",
          "psutil", "jsonschema")  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder as the zoo exports it: a small waveform classifier as model.tflite, and in int8 as model_int8.tflite."""
    folder = tmp_path_factory.mktemp("exported") / "tiny-esc10"
    folder.mkdir()
    waveform = keras.Input((SAMPLES,), name="waveform")
    x = keras.layers.Reshape((SAMPLES, 1, 1))(waveform)
    x = keras.layers.Conv2D(8, (64, 1), strides=(16, 1), activation="relu")(x)
    x = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))
    net = keras.Model(waveform, x, name="net")
    sounds = np.random.default_rng(0).uniform(-1, 1, (4, SAMPLES)).astype(np.float32)
    (folder / "model.tflite").write_bytes(tflite.to_float(net))
    (folder / "model_int8.tflite").write_bytes(tflite.to_int8(net, sounds))
    return folder


@pytest.fixture(scope="module")
def light(tmp_path_factory):
    """Runs `python -m zoo` where nothing but the light install can be imported, in it and in its children."""
    absent = tmp_path_factory.mktemp("absent")
    for name in ABSENT:
        (absent / f"{name}.py").write_text(f"raise ImportError('{name} is not in the light install')\n")

    def run(*argv, cwd=ROOT):
        search = os.pathsep.join([str(absent), str(ROOT)])
        return subprocess.run(
            [sys.executable, "-m", "zoo", *map(str, argv)],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": search},
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture(scope="module")
def run(made, light, tmp_path_factory):
    """(what is printed, the JSON) of a bench of the folder, in the light install."""
    out = tmp_path_factory.mktemp("out") / "run.json"
    flags = ("--rounds", 20, "--threads", "1,2", "--sample-rate-hz", 16_000, "--watts", 5, "--json", out)
    done = light("bench", made, *flags)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(out.read_text())


def test_a_run_is_as_the_schema_describes_it(run):
    schema = json.loads((ROOT / "docs/results/boards/SCHEMA.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(run[1])


def test_both_files_of_a_folder_are_called_in_turn_and_compared(run, made):
    _, report = run
    assert [model["name"] for model in report["models"]] == ["tiny-esc10/model.tflite", "tiny-esc10/model_int8.tflite"]
    for model in report["models"]:
        content = (made / Path(model["name"]).name).read_bytes()
        assert (model["bytes"], model["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        assert [one["threads"] for one in model["runs"]] == [1, 2]
        for one in model["runs"]:
            assert one["latency_ms"]["n"] == 20 and one["latency_ms"]["median"] <= one["latency_ms"]["p95"]
    for row in report["compared"]:
        below, above = (
            next(one for one in model["runs"] if one["threads"] == row["threads"])["latency_ms"]["median"]
            for model in report["models"]
        )
        assert row["low"] <= row["ratio"] <= row["high"]
        assert row["ratio"] == pytest.approx(above / below, abs=0.02 * row["ratio"])  # medians are rounded to 0.1 us


def test_real_time_and_joules_are_what_they_say(run):
    _, report = run
    assert report["energy"] == "watts given" and report["watts"] == 5
    for model in report["models"]:
        assert model["window_s"] == SAMPLES / 16_000
        for one in model["runs"]:
            median_s = one["latency_ms"]["median"] / 1e3
            assert one["real_time_factor"] == pytest.approx(0.5 / median_s, rel=0.01)  # of figures that are rounded
            assert one["joules"] == pytest.approx(5 * median_s, abs=1e-6)


def test_the_parts_of_the_memory_sum_up_and_each_is_there(run):
    for model in run[1]["models"]:
        *parts, total = model["memory_bytes"].values()
        assert sum(parts) == total
        interpreter, numpy, runtime, opened, work = parts
        assert min(interpreter, numpy, runtime) > 2**20 and min(opened, work) >= 0


def test_what_is_printed_is_what_the_json_holds(run):
    printed, report = run
    assert printed == cpu.told(report) + "\n"
    for model in report["models"]:
        for one in model["runs"]:
            assert f"{one['latency_ms']['median']:.3f}" in printed
        assert f"{model['memory_bytes']['total'] / 1e6:.1f}" in printed


def test_the_command_tells_the_model_and_no_path_of_this_machine(run, made, tmp_path_factory):
    command = run[1]["command"]
    assert command.startswith("python -m zoo bench tiny-esc10 --threads 1,2 --rounds 20")
    assert str(made.parent) not in json.dumps(run[1]) and "--json" not in command


def test_a_file_without_a_rate_has_no_real_time(made):
    report = cpu.report([made / "model.tflite"], [1], 20)
    (model,) = report["models"]
    assert model["window_s"] is None and model["runs"][0]["real_time_factor"] is None
    assert "pass --sample-rate-hz" in cpu.told(report)


@pytest.mark.parametrize(
    "content, line",
    [(None, "no such file"), (b"", "LiteRT cannot run it"), (b"A note, not a model, of some length.", "LiteRT cannot")],
    ids=["missing", "empty", "note"],
)
def test_what_is_no_model_gets_one_line_and_no_file(content, line, tmp_path, refused):
    if content is not None:
        (tmp_path / "odd.tflite").write_bytes(content)
    told = refused(main, "bench", tmp_path / "odd.tflite", "--json", tmp_path / "run.json")
    assert line in told and "odd.tflite" in told and not (tmp_path / "run.json").exists()


@pytest.mark.parametrize(
    "flags, line",
    [
        (["--threads", "one"], "'one' is no list of numbers"),
        (["--threads", "0"], "1 thread or more"),
        (["--rounds", "3"], "20 rounds or more"),
        (["--watts", "0"], "more than 0"),
        (["--picture", "a.png"], "--target tflm"),
        (["--target", "tflm", "--rounds", "30"], "--rounds is for --target cpu"),
        (["another.tflite", "--target", "tflm"], "takes one MODEL"),
    ],
)
def test_flags_that_do_not_fit_are_refused(flags, line, made, refused):
    assert line in refused(main, "bench", made / "model.tflite", *flags)


def test_a_model_of_several_inputs_gets_one_line(tmp_path, refused):
    add = tf.function(lambda one, other: one + other)
    ends = (tf.TensorSpec((1, 4), name=name) for name in ("one", "other"))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([add.get_concrete_function(*ends)], add)
    (tmp_path / "pair.tflite").write_bytes(converter.convert())
    assert "pair.tflite: it takes several inputs" in refused(main, "bench", tmp_path / "pair.tflite")


def test_a_folder_without_models_gets_one_line(tmp_path, refused):
    assert "no model.tflite and no model_int8.tflite" in refused(main, "bench", tmp_path)
