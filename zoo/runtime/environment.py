"""What the doctor says of the Python that shall run a model: what is missing, and the line that mends it.

Nothing is imported to see whether it is there: TensorFlow would take seconds, and a broken library would end the visit.
"""

import ctypes.util
import importlib.metadata
import importlib.util
import os
import platform
import re
import struct
import sys
from typing import NamedTuple

from zoo.runtime.extras import AUDIO, LINKED_WITH

LOWEST_PYTHON, HIGHEST_PYTHON = (3, 10), (3, 12)  # as setup.cfg has it
# Where LiteRT has wheels, and there is no source to build from. Source: the files of ai-edge-litert 2.3.0 on PyPI
# (November 2026); google-ai-edge/LiteRT, issue 6043, on 32-bit ARM.
LITERT_WHEELS = (("Linux", "x86_64"), ("Linux", "aarch64"), ("Windows", "amd64"), ("Darwin", "arm64"))
KERAS_3_SINCE = (2, 16)  # of TensorFlow: `tf.keras` is Keras 3 unless tf-keras is asked for
NUMPY_2_SINCE = (2, 18)  # of TensorFlow
TENSORFLOW_IO_WITH = (2, 16)  # the last release of tensorflow-io, 0.37.1, loads beside this TensorFlow

EXTRAS = {"soundfile": "to read files", "soxr": "to change the rate", "sounddevice": "to hear a microphone"}
TRAINING = ("tensorflow", "tf-keras", "keras", "kapre", "tensorflow-io")
SAME = {"tensorflow": ("tensorflow-cpu", "tensorflow-macos", "tf-nightly")}  # other names that it is installed under


class Finding(NamedTuple):
    """One thing that was looked for: what was found, and the line that mends it, empty where nothing is wrong.

    needed: a model does not run before it is mended; other remedies are for who wants the thing.
    """

    name: str
    found: str
    remedy: str = ""
    needed: bool = False

    def line(self):
        mark = "ok" if not self.remedy else "MISSING" if self.needed else "note"
        return f"{mark:8}{self.name}: {self.found}" + (f"; {self.remedy}" if self.remedy else "")


class Machine(NamedTuple):
    """Where a model shall run, as far as it decides whether one can."""

    python: tuple[int, int, int]
    system: str  # Linux, Darwin, Windows
    processor: str  # x86_64, aarch64, armv7l, ...
    pointer_bits: int
    libc: str  # "glibc 2.36", or empty where it is another (Alpine's musl) or none is named
    packages: dict[str, str]  # name -> version of what is installed
    portaudio: bool
    legacy_keras: str | None  # TF_USE_LEGACY_KERAS


def this_machine():
    """The `Machine` that this runs on."""
    packages = {}
    for name in ("numpy", "ai-edge-litert", "tflite-runtime", *EXTRAS, *TRAINING):
        for distribution in (name, *SAME.get(name, ())):
            try:
                packages[name] = importlib.metadata.version(distribution)
                break
            except importlib.metadata.PackageNotFoundError:
                continue
    return Machine(
        python=sys.version_info[:3],
        system=platform.system(),
        processor=platform.machine(),
        pointer_bits=8 * struct.calcsize("P"),
        libc=" ".join(part for part in platform.libc_ver() if part),
        packages=packages,
        # Wheels for Windows and macOS bring the library along.
        portaudio=bool(ctypes.util.find_library("portaudio") or importlib.util.find_spec("_sounddevice_data")),
        legacy_keras=os.environ.get("TF_USE_LEGACY_KERAS"),
    )


def environment(machine=None):
    """A list of `Finding`s on `machine`, or on this one: what runs a model first, then extras, then what trains."""
    machine = machine or this_machine()
    return [
        *_python_and_litert(machine),
        *_audio(machine),
        *(_training(machine) if "tensorflow" in machine.packages else []),
    ]


def _python_and_litert(machine):
    packages = machine.packages
    python = ".".join(map(str, machine.python))
    supported = LOWEST_PYTHON <= machine.python[:2] <= HIGHEST_PYTHON
    yield Finding("python", python, "" if supported else "install Python 3.10, 3.11 or 3.12", needed=not supported)

    found = f"{machine.system} on {machine.processor}, {machine.pointer_bits}-bit Python"
    remedy = ""
    if machine.pointer_bits < 64:
        remedy = "LiteRT has no 32-bit wheels: install a 64-bit system (Raspberry Pi OS 64-bit) and its Python"
    elif (machine.system, machine.processor.lower()) not in ((s, p.lower()) for s, p in LITERT_WHEELS):
        remedy = "LiteRT has no wheel for it: use Linux on x86_64 or aarch64, Windows on x86_64 or macOS on arm64"
    elif machine.system == "Linux" and not machine.libc.startswith("glibc"):
        remedy = "LiteRT's wheels want glibc 2.27 or newer: use Debian, Ubuntu or Raspberry Pi OS instead of Alpine"
    yield Finding("machine", found, remedy, needed=bool(remedy))

    yield _package(packages, "numpy", "pip install numpy", needed=True)
    if "ai-edge-litert" in packages:
        yield Finding("LiteRT", packages["ai-edge-litert"])
    elif not supported or remedy:
        yield Finding("LiteRT", "not installed", "mend what stands above first", needed=True)
    else:
        old = ", and tflite-runtime, its forerunner, is not used" if "tflite-runtime" in packages else ""
        yield Finding("LiteRT", f"not installed{old}", "pip install ai-edge-litert", needed=True)


def _package(packages, name, remedy, missing="not installed", needed=False):
    return Finding(name, packages[name]) if name in packages else Finding(name, missing, remedy, needed)


def _audio(machine):
    for name, purpose in EXTRAS.items():
        version = machine.packages.get(name)
        if version is None:
            yield Finding(name, f"not installed, needed {purpose}", AUDIO)
        elif name == "sounddevice" and not machine.portaudio:
            yield Finding(
                name,
                f"{version}, but the library PortAudio is missing, needed {purpose}",
                f"on Debian and on a Pi: sudo apt install {LINKED_WITH[name]}",
            )
        else:
            yield Finding(name, version)


def _training(machine):
    packages = machine.packages
    tensorflow = packages["tensorflow"]
    release = _release(tensorflow)
    short = ".".join(map(str, release))
    numpy_2 = _release(packages.get("numpy", "1"))[0] >= 2
    if numpy_2 and release < NUMPY_2_SINCE:
        found = f"{tensorflow} beside numpy {packages['numpy']}, with which it breaks"
        yield Finding("tensorflow", found, "pip install 'numpy<2'")
    else:
        yield Finding("tensorflow", tensorflow)

    keras, tf_keras, remedy = packages.get("keras"), packages.get("tf-keras"), f"pip install 'tf-keras~={short}.0'"
    if release >= KERAS_3_SINCE and tf_keras is None:
        found = f"{keras or 'not installed'}, no tf-keras: .h5 models open, but nothing of the zoo trains or prunes"
    elif tf_keras is not None and _release(tf_keras) != release:
        found = f"tf-keras {tf_keras} beside TensorFlow {tensorflow}"
    elif tf_keras is not None and machine.legacy_keras not in (None, "1", "true", "True"):
        found = f"tf-keras {tf_keras}, but TF_USE_LEGACY_KERAS={machine.legacy_keras} asks your own scripts for Keras 3"
        remedy = "export TF_USE_LEGACY_KERAS=1"
    else:
        parts = [tf_keras and f"tf-keras {tf_keras}, which the zoo asks for by itself", keras and f"keras {keras}"]
        found, remedy = "; ".join(filter(None, parts)) or "in TensorFlow", ""
    yield Finding("keras", found, remedy)

    train = "pip install 'edge-audio-zoo[train]'"
    yield _package(packages, "kapre", train, "not installed: mel front ends do not train")
    if "tensorflow-io" in packages and release != TENSORFLOW_IO_WITH:
        yield Finding(
            "tensorflow-io",
            f"{packages['tensorflow-io']} beside TensorFlow {tensorflow}, where its library may not load",
            f"{train}, which brings TensorFlow 2.16",
        )


def _release(version):
    """(major, minor) of a version: (2, 16) of "2.16.2" and of "2.16.0rc1"."""
    numbers = [int(number) for number in re.findall(r"\d+", version)[:2]]
    return tuple((numbers + [0, 0])[:2])
