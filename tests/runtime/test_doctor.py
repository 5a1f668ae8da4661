"""What the doctor says, held against levels worked out by hand and machines made up for the purpose."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from zoo.runtime.doctor import Finding, Machine, environment, look_at, this_machine

PI = Machine(
    python=(3, 11, 2),
    system="Linux",
    processor="aarch64",
    pointer_bits=64,
    libc="glibc 2.36",
    packages={"numpy": "2.2.6", "ai-edge-litert": "2.3.0", "soundfile": "0.13", "soxr": "1.0", "sounddevice": "0.5"},
    portaudio=True,
    legacy_keras=None,
)
TRAINER = {"tensorflow": "2.16.2", "keras": "3.13.2", "tf-keras": "2.16.0", "kapre": "0.4.1", "numpy": "1.26.4"}


def tone(amplitude=0.5, seconds=1.0, rate=16_000):
    return amplitude * np.sin(2 * np.pi * 500 * np.arange(int(seconds * rate)) / rate)


# --- A recording --------------------------------------------------------------------------------------------------


def test_levels_are_those_of_a_sine():
    """Peak 20 log10 a, rms 3.01 dB under it; half a second of noise 60 dB under full scale is the floor."""
    noise = np.random.default_rng(0).normal(0, 1e-3, 8_000)
    measured = look_at(np.concatenate([tone(0.5), noise]) + 0.01, 16_000).statistics
    assert (measured.seconds, measured.channels, measured.sample_rate_hz) == (1.5, 1, 16_000)
    assert measured.peak_dbfs == pytest.approx(20 * np.log10(0.51), abs=0.01)
    assert measured.rms_dbfs == pytest.approx(-6.02 - 3.01 - 1.76, abs=0.02)  # two thirds of the time: -1.76 dB
    assert measured.noise_floor_dbfs == pytest.approx(-60, abs=0.5)  # 800 values a window: its rms varies by 2.5 %
    assert measured.dc == pytest.approx(0.01, abs=1e-4)


@pytest.mark.parametrize("samples", [
    np.zeros(0), np.zeros(1), np.zeros(16_000), np.full(16_000, np.nan), np.zeros((16_000, 8)), tone() * 32_768,
    np.stack([tone(), tone()], axis=1), np.zeros((0, 2)),
])  # fmt: skip
def test_any_recording_gives_lines_and_json(samples):
    report = look_at(samples.astype(np.float32), 16_000)
    assert report.lines() and all(line and "\n" not in line for line in report.lines())
    text = json.dumps(report.as_dict(), allow_nan=False)
    assert json.loads(text)["healthy"] == report.healthy
    assert [fault["name"] for fault in json.loads(text)["faults"]] == [fault.name for fault in report.faults]


def test_a_fault_is_told_with_its_evidence_and_its_remedy():
    report = look_at(np.clip(4 * tone(0.5), -1, 1), 16_000)
    assert not report.healthy
    assert any(line.startswith("clipping: channel 1 of 1: ") for line in report.lines())
    assert any(line.startswith("    lower the gain") for line in report.lines())


def test_equal_channels_do_not_make_a_recording_ill():
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000)
    report = look_at(np.stack([noise, noise], axis=1), 16_000)
    assert report.healthy and "duplicated_channel (harmless)" in " ".join(report.lines())


def test_an_empty_recording_is_said_to_be_empty():
    assert look_at(np.zeros(0, np.float32), 16_000).lines()[-1] == "no sound: nothing can be told of it"


def test_only_the_first_minute_is_looked_at_and_that_is_said():
    late = np.concatenate([np.random.default_rng(0).normal(0, 0.1, 61 * 8_000), np.full(8_000, np.nan)])
    report = look_at(late.astype(np.float32), 8_000)
    assert report.statistics.seconds == 62 and "looked at the first 60 s" in report.lines()
    assert "not_finite" not in [fault.name for fault in report.faults]


# --- The environment ----------------------------------------------------------------------------------------------


def remedies(machine):
    return {finding.name: finding for finding in environment(machine) if finding.remedy}


def packages(machine, without=(), **more):
    kept = {name: version for name, version in machine.packages.items() if name not in without}
    return machine._replace(packages={**kept, **{name.replace("_", "-"): version for name, version in more.items()}})


def test_a_pi_with_all_that_it_needs_has_nothing_to_mend():
    assert remedies(PI) == {}
    assert [finding.name for finding in environment(PI)][:4] == ["python", "machine", "numpy", "LiteRT"]


def test_a_trainers_machine_has_nothing_to_mend():
    assert remedies(packages(PI, **{name.replace("-", "_"): version for name, version in TRAINER.items()})) == {}


@pytest.mark.parametrize("machine, name, says, needed", [
    (PI._replace(python=(3, 9, 2)), "python", "Python 3.10, 3.11 or 3.12", True),
    (PI._replace(python=(3, 13, 0)), "python", "Python 3.10, 3.11 or 3.12", True),
    (PI._replace(processor="armv7l", pointer_bits=32), "machine", "64-bit", True),
    (PI._replace(pointer_bits=32), "machine", "64-bit", True),  # a 32-bit system on a 64-bit kernel
    (PI._replace(processor="riscv64"), "machine", "no wheel", True),
    (PI._replace(system="Darwin", processor="x86_64", libc=""), "machine", "no wheel", True),
    (PI._replace(libc=""), "machine", "glibc", True),
    (packages(PI, ["numpy"]), "numpy", "pip install numpy", True),
    (packages(PI, ["ai-edge-litert"]), "LiteRT", "pip install ai-edge-litert", True),
    (packages(PI, ["soundfile"]), "soundfile", "pip install 'edge-audio-zoo[audio]'", False),
    (packages(PI, ["soxr"]), "soxr", "pip install 'edge-audio-zoo[audio]'", False),
    (packages(PI, ["sounddevice"]), "sounddevice", "pip install 'edge-audio-zoo[audio]'", False),
    (PI._replace(portaudio=False), "sounddevice", "apt install libportaudio2", False),
])  # fmt: skip
def test_what_is_missing_is_named_with_the_line_that_mends_it(machine, name, says, needed):
    finding = remedies(machine)[name]
    assert says in finding.remedy and finding.needed == needed
    assert "\n" not in finding.line() and finding.line().startswith("MISSING" if needed else "note")


def test_where_litert_has_no_wheel_nobody_is_told_to_install_it():
    pi_zero = packages(PI._replace(processor="armv7l", pointer_bits=32), ["ai-edge-litert"])
    assert "pip install" not in remedies(pi_zero)["LiteRT"].remedy


@pytest.mark.parametrize("changed, without, name, says", [
    ({}, ["tf-keras"], "keras", "pip install 'tf-keras~=2.16.0'"),
    ({"tensorflow": "2.19.0"}, ["tf-keras"], "keras", "pip install 'tf-keras~=2.19.0'"),
    ({"tensorflow": "2.18.1"}, [], "keras", "pip install 'tf-keras~=2.18.0'"),
    ({"numpy": "2.1.0"}, [], "tensorflow", "pip install 'numpy<2'"),
    ({}, ["kapre"], "kapre", "pip install 'edge-audio-zoo[train]'"),
    ({"tensorflow": "2.20.0", "tf_keras": "2.20.0", "tensorflow_io": "0.37.1"}, [], "tensorflow-io", "[train]"),
])  # fmt: skip
def test_packages_that_do_not_go_together_are_named(changed, without, name, says):
    trainer = packages(PI, **{name.replace("-", "_"): version for name, version in TRAINER.items()})
    found = remedies(packages(trainer, without, **changed))
    assert list(found) == [name] and says in found[name].remedy and not found[name].needed


@pytest.mark.parametrize("changed, without", [
    ({"tensorflow": "2.15.0"}, ["tf-keras", "keras"]),  # Keras 2 is its own
    ({"tensorflow": "2.18.0", "tf_keras": "2.18.0", "numpy": "2.1.0"}, []),
])  # fmt: skip
def test_packages_that_go_together_are_left_alone(changed, without):
    trainer = packages(PI, **{name.replace("-", "_"): version for name, version in TRAINER.items()})
    assert remedies(packages(trainer, without, **changed)) == {}


def test_a_wish_for_keras_3_in_the_environment_is_told():
    trainer = packages(PI, **{name.replace("-", "_"): version for name, version in TRAINER.items()})
    assert remedies(trainer._replace(legacy_keras="0"))["keras"].remedy == "export TF_USE_LEGACY_KERAS=1"
    assert remedies(trainer._replace(legacy_keras="1")) == {}


def test_a_device_without_tensorflow_hears_nothing_of_it():
    assert not {"tensorflow", "keras", "kapre"} & {finding.name for finding in environment(PI)}


def test_this_machine_is_seen_as_it_is():
    machine = this_machine()
    assert machine.python == sys.version_info[:3] and machine.packages["numpy"] == np.__version__
    assert all(isinstance(finding, Finding) for finding in environment())


def test_looking_around_imports_none_of_what_is_looked_for():
    command = (
        "import sys\nfrom zoo.runtime import doctor\ndoctor.environment()\n"
        "print(*({'tensorflow', 'keras', 'tf_keras', 'kapre', 'soundfile', 'soxr', 'sounddevice'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    child = subprocess.run(
        [sys.executable, "-c", command],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert child.returncode == 0 and child.stdout.split() == [], child.stderr
