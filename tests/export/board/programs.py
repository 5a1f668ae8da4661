"""Programs of exported sources, for this host and for a Cortex-M4 in QEMU."""

import shutil
import subprocess
from pathlib import Path

import pytest

BOARD = Path(__file__).parent
STRICT = ["-Wall", "-Wextra", "-Werror", "-O1"]
SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover"]
CORTEX_M4 = ["-mcpu=cortex-m4", "-mthumb"]
WITH_FLOAT_UNIT = [*CORTEX_M4, "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
QEMU = [
    "qemu-system-arm",
    "-M",
    "mps2-an386",
    "-nographic",
    "-semihosting-config",
    "enable=on,target=native",
]


def require(*programs):
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"no {missing[0]}; install gcc-arm-none-eabi, libstdc++-arm-none-eabi-newlib and qemu-system-arm")


def compiled(target, program, sources, *flags):
    """Compiles and links a program for the host or for QEMU's board."""
    if target == "host":
        command = ["g++", "-std=c++17", *STRICT, *SANITIZED, *sources]
    else:
        require("arm-none-eabi-g++", "qemu-system-arm")
        link = ["--specs=rdimon.specs", "-nostartfiles", "-T", BOARD / "mps2.ld"]
        built_as_boards_are = ["-fno-rtti", "-fno-exceptions", "-fno-threadsafe-statics"]
        command = ["arm-none-eabi-g++", "-std=c++17", *STRICT, *WITH_FLOAT_UNIT, *built_as_boards_are, *sources]
        command += [BOARD / "startup.cc", *link]
    subprocess.run([*command, *flags, "-o", program], check=True)
    return program


def run(target, program, *options):
    """What a program does; options: QEMU's."""
    command = [program] if target == "host" else [*QEMU, *options, "-kernel", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
