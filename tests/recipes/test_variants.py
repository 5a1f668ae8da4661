"""The variants of a recipe, from the base to int8: all steps on a small net, a run that is killed, steps that fail."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from zoo.backend import keras

import pytest

from recipes import acdnet as recipe_module
from recipes.run import main
from zoo.compress.retrain import Retrain
from zoo.frontends import Raw
from zoo.measure import payoff
from zoo.models import acdnet

ROOT = Path(__file__).parents[2]
WIDTHS = (4, 8, 4, 6, 6, 6, 6, 6, 6, 8, 8, 6)
# ACDNet's own recipe with every step of it, on a net that trains in seconds.
RECIPE = replace(
    recipe_module.RECIPE,
    backbone=partial(acdnet.build, widths=WIDTHS),
    front_ends={"raw": Raw(sample_rate_hz=20_000, num_samples=8_000)},
    quick_epochs=2,
)

FLAGS = ("--dataset", "esc10", "--data-dir", "tones", "--quick")


def run(folder, *flags):
    """The finished process of a run of RECIPE in `folder`."""
    return subprocess.run(
        [sys.executable, __file__, *FLAGS, *flags],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, write_tones):
    folder = tmp_path_factory.mktemp("variants")
    write_tones(folder / "tones")
    return folder


@pytest.fixture(scope="module")
def exported(workplace):
    """The exported folders of two variants, by variant."""
    finished = run(workplace, "--variants", "micro,micro_qat", "--allow-no-gain")
    assert finished.returncode == 0, finished.stderr
    return {variant: workplace / "exported" / f"acdnet_{variant}-esc10" for variant in ("micro", "micro_qat")}


def metrics_of(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_each_variant_has_a_folder_with_every_file_scored(exported):
    for folder in exported.values():
        files = metrics_of(folder)["files"]
        assert {"model.h5", "model.tflite", "model_int8.tflite", "micro/frontend.tflite", "micro/body.tflite"} <= {
            *files
        }


def test_the_steps_of_a_variant_are_told_with_their_epochs_and_costs(exported):
    steps = {variant: metrics_of(folder)["steps"] for variant, folder in exported.items()}
    assert [step["step"].partition("(")[0] for step in steps["micro_qat"]] == [
        "train", "Sparsify", "PruneChannels", "Retrain", "QuantizeAware",
    ]  # fmt: skip
    assert steps["micro_qat"][:-1] == steps["micro"]  # made once
    for folder in exported.values():
        metrics = metrics_of(folder)
        assert metrics["epochs"] == sum(step["epochs"] for step in metrics["steps"])
        assert metrics["macs"] == metrics["steps"][-1]["macs"]
        assert (folder / "widths.png").exists() and (folder / "pruned.png").exists()


def test_the_pruned_net_has_a_fifth_of_the_channels_rounded_up(exported):
    model = keras.models.load_model(exported["micro"] / "model.h5", compile=False)
    backbone = model.layers[-1]
    widths = [layer.filters for layer in backbone.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len(widths) == 12 and min(widths) >= 1
    assert sum(widths) == -(-sum(WIDTHS) // 5)


def test_the_exported_h5_of_a_variant_holds_no_wrapper(exported):
    for folder in exported.values():
        backbone = keras.models.load_model(folder / "model.h5", compile=False).layers[-1]
        kinds = {type(layer).__module__.partition(".")[0] for layer in backbone.layers}
        assert kinds == {"tf_keras"}


def test_a_run_that_is_killed_while_it_prunes_ends_with_the_same_files(workplace, exported):
    """Once all before is as in the run that was not, SIGKILL in the middle of the pruning; then the same command."""
    again = workplace / "again"
    shutil.copytree(workplace / "tones", again / "tones")
    shutil.copytree(workplace / "runs", again / "runs", ignore=shutil.ignore_patterns("pruned", "micro*"))
    command = [sys.executable, __file__, *FLAGS, "--variants", "micro", "--allow-no-gain"]
    with open(again / "log", "w") as log:
        process = subprocess.Popen(
            command, cwd=again, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=log, stderr=log
        )
        while not list(again.glob("runs/acdnet-*/pruned/*/round1/checkpoints/checkpoint")):
            assert process.poll() is None, (again / "log").read_text()[-2_000:]
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not list(again.glob("runs/acdnet-*/micro"))
    finished = subprocess.run(command, cwd=again, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True)
    assert finished.returncode == 0, finished.stderr
    folder = exported["micro"]
    for name in ("model.tflite", "model_int8.tflite", "micro/body.tflite"):
        assert (again / "exported" / folder.name / name).read_bytes() == (folder / name).read_bytes(), name


def test_the_command_of_finished_folders_says_so_and_leaves_them(workplace, exported, monkeypatch, capfd, refused):
    monkeypatch.chdir(workplace)
    before = {path: path.stat().st_mtime_ns for folder in exported.values() for path in folder.iterdir()}
    main(RECIPE, [*FLAGS, "--variants", "micro,micro_qat", "--allow-no-gain"])
    assert capfd.readouterr().out.count("finished before") == 2
    assert {path: path.stat().st_mtime_ns for folder in exported.values() for path in folder.iterdir()} == before
    assert "--overwrite" in refused(partial(main, RECIPE), *FLAGS, "--variants", "micro", "--allow-no-gain")


# Bad input, in this process


@pytest.fixture
def fresh(workplace, tmp_path, monkeypatch):
    shutil.copytree(workplace / "tones", tmp_path / "tones")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_teacher_without_a_pupil_is_refused_before_any_work(fresh, refused):
    assert "--teacher" in refused(partial(main, RECIPE), *FLAGS, "--variants", "base,micro", "--teacher", "nobody.h5")
    assert not (fresh / "runs").exists()


def test_a_teacher_that_is_not_there_is_refused(fresh, refused):
    told = refused(partial(main, RECIPE), *FLAGS, "--variants", "micro_distilled", "--teacher", "nobody.h5")
    assert "nobody.h5" in told
    assert not (fresh / "exported").exists()


def test_a_step_that_does_not_pay_ends_the_run_and_is_named(fresh, monkeypatch, refused):
    class Boast(Retrain):
        lowers = ("bytes",)

    monkeypatch.setattr(payoff, "cost_of", lambda _: payoff.Cost(1, 1, 1, 1))
    recipe = replace(RECIPE, variants={"base": (), "vain": (Boast("retrained"),)})
    line = refused(partial(main, recipe), *FLAGS, "--variants", "vain", "--epochs", "1")
    assert "Boast" in line and "bytes" in line and "--allow-no-gain" in line
    assert not (fresh / "exported" / "acdnet_vain-esc10").exists()


if __name__ == "__main__":
    main(RECIPE)
