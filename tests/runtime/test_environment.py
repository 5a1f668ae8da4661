"""What the doctor says of machines made up for the purpose, and of this one."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from zoo.runtime.environment import Machine, environment, this_machine

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
TRAINS = {"tensorflow": "2.16.2", "keras": "3.13.2", "tf-keras": "2.16.0", "kapre": "0.4.1", "numpy": "1.26.4"}
TRAINER = PI._replace(packages={**PI.packages, **TRAINS})


def remedies(machine):
    return {finding.name: finding for finding in environment(machine) if finding.remedy}


def packages(machine, without=(), **more):
    kept = {name: version for name, version in machine.packages.items() if name not in without}
    return machine._replace(packages={**kept, **{name.replace("_", "-"): version for name, version in more.items()}})


def test_a_pi_with_all_that_it_needs_has_nothing_to_mend():
    assert remedies(PI) == {}
    assert [finding.name for finding in environment(PI)][:4] == ["python", "machine", "numpy", "LiteRT"]


def test_a_trainers_machine_has_nothing_to_mend():
    assert remedies(TRAINER) == {}


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
    found = remedies(packages(TRAINER, without, **changed))
    assert list(found) == [name] and says in found[name].remedy and not found[name].needed


@pytest.mark.parametrize("changed, without", [
    ({"tensorflow": "2.15.0"}, ["tf-keras", "keras"]),  # Keras 2 is its own
    ({"tensorflow": "2.18.0", "tf_keras": "2.18.0", "numpy": "2.1.0"}, []),
])  # fmt: skip
def test_packages_that_go_together_are_left_alone(changed, without):
    assert remedies(packages(TRAINER, without, **changed)) == {}


def test_a_wish_for_keras_3_in_the_environment_is_told():
    assert remedies(TRAINER._replace(legacy_keras="0"))["keras"].remedy == "export TF_USE_LEGACY_KERAS=1"
    assert remedies(TRAINER._replace(legacy_keras="1")) == {}


def test_a_device_without_tensorflow_hears_nothing_of_it():
    assert not {"tensorflow", "keras", "kapre"} & {finding.name for finding in environment(PI)}


def test_this_machine_is_seen_as_it_is():
    machine = this_machine()
    assert machine.python == sys.version_info[:3] and machine.packages["numpy"] == np.__version__


def test_looking_around_imports_none_of_what_is_looked_for():
    command = (
        "import sys\nfrom zoo.runtime.environment import environment\nenvironment()\n"
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
