"""Programs of exported sources, for this host and for a Cortex-M4 in QEMU."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tools import cortex_m
from zoo.export import micro

BOARD = Path(__file__).parent
STRICT = ["-Wall", "-Wextra", "-Werror", "-O1"]
SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover"]


def require(*programs):
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"no {missing[0]}; install gcc-arm-none-eabi, libstdc++-arm-none-eabi-newlib and qemu-system-arm")


def compiled(target, program, sources, *flags):
    """Compiles and links a program for the host or for QEMU's board."""
    if target == "host":
        command = ["g++", "-std=c++17", *STRICT, *SANITIZED, *sources, *flags, "-o", program]
        subprocess.run(command, check=True)
    else:
        require("arm-none-eabi-g++", "qemu-system-arm")
        cortex_m.build(program, sources, *STRICT, *flags)
    return program


def run(target, program, *options):
    """What a program does; options: QEMU's."""
    if target != "host":
        return cortex_m.run(program, *options)
    return subprocess.run([program], capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)


def stand_in(folder, include, columns):
    """Writes to `include` what an exported micro/ is compiled with in place of TFLM: the record of a Python run.

    Returns flags, and the source of the recorded columns. Shape: columns is (columns, 1, ...), as they enter the body
    """
    for source in folder.glob("*.h"):
        for header in re.findall(r'^#include "(tensorflow/.+)"$', source.read_text(), re.MULTILINE):
            (include / header).parent.mkdir(parents=True, exist_ok=True)
            (include / header).write_text('#pragma once\n#include "stand_in.h"\n')
    micro.write_c_array(columns.tobytes(), "columns", include)
    return [f"-I{path}" for path in (folder, include, BOARD, BOARD / "tflm")], include / "columns.cc"
