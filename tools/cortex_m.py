"""Counts the instructions that a .tflite takes in TFLM on a Cortex-M4F, in all and by operator, in QEMU.

The bytes that come out have to be those of TFLM on this machine. In TFLM's checkout, once:

    make -f tensorflow/lite/micro/tools/make/Makefile TARGET=cortex_m_generic TARGET_ARCH=cortex-m4+fp \\
        BUILD_TYPE=release_with_logs OPTIMIZED_KERNEL_DIR=cmsis_nn microlite    # without the last: reference kernels

Run     python -m tools.cortex_m --tflm DIR --library LIB exported/NAME/micro/body.tflite
"""

import argparse
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from zoo.errors import ZooError
from zoo.export import micro
from zoo.export.tflm import TFLM

BOARD = Path(__file__).parent / "board"
CORTEX_M4 = ["-mcpu=cortex-m4", "-mthumb"]
WITH_FLOAT_UNIT = [*CORTEX_M4, "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
BUILT_AS_BOARDS_ARE = ["-fno-rtti", "-fno-exceptions", "-fno-threadsafe-statics"]
QEMU = ["qemu-system-arm", "-M", "mps2-an386", "-nographic", "-semihosting-config", "enable=on,target=native"]
COUNTING = ["-icount", "shift=0"]

LOUDNESS = (3, 10, 30, 90)  # of each input's noise, in steps of its int8


def build(program, sources, *flags):
    """Compiles and links a program for QEMU's board, a Cortex-M4 with a float unit."""
    link = [BOARD / "startup.cc", "--specs=rdimon.specs", "-nostartfiles", "-T", BOARD / "mps2.ld"]
    command = ["arm-none-eabi-g++", "-std=c++17", *WITH_FLOAT_UNIT, *BUILT_AS_BOARDS_ARE, f"-I{BOARD}", *sources]
    subprocess.run([*command, *link, *flags, "-o", program], check=True)


def run(program, *options, timeout_s=300):
    """What a program does on the board: a `CompletedProcess`; options: QEMU's."""
    command = [*QEMU, *options, "-kernel", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, stdin=subprocess.DEVNULL)


def count(model: bytes, tflm, library):
    """(arena bytes, instructions for each input, {operator: instructions for the last one}) of a model in int8.

    tflm: TFLM's checkout or tree. library: its libtensorflow-microlite.a for a Cortex-M4F; built without its log, it
    gives no operators.
    Raises: ZooError where the model is not in int8, fails on the board, or gives other bytes than TFLM here.
    """
    here = TFLM(model)
    if here.input.dtype is not np.int8:
        raise ZooError(f"the model takes {np.dtype(here.input.dtype)}; those that take int8 are counted")
    rng = np.random.default_rng(0)
    noise = [rng.normal(here.input.zero_point, loud, here.input.shape) for loud in LOUDNESS]
    inputs = np.clip(np.round(noise), -128, 127).astype(np.int8)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        micro.write_c_array(model, "model", folder)
        micro.write_c_array(inputs.tobytes(), "inputs", folder)
        micro.write_operators(folder, model)
        downloads = tflm / "tensorflow/lite/micro/tools/make/downloads"
        third_party = downloads if downloads.is_dir() else tflm / "third_party"
        paths = [tflm, third_party / "flatbuffers/include", third_party / "gemmlowp", third_party / "ruy", folder]
        sources = [BOARD / "count_model.cc", folder / "model.cc", folder / "inputs.cc", library]
        flags = ["-O2", "-w", "-DTF_LITE_STATIC_MEMORY", "-DNDEBUG", "-Wl,--gc-sections"]
        build(folder / "count", sources, *flags, *(f"-I{path}" for path in paths))
        ran = run(folder / "count", *COUNTING, timeout_s=3600)
    if ran.returncode:
        raise ZooError(f"the program ended with {ran.returncode}: {ran.stdout[-500:]}{ran.stderr[-500:]}")
    told = [line.split() for line in ran.stdout.splitlines()]
    outputs = [bytes.fromhex(line[1]) for line in told if line[0] == "output"]
    if outputs != [output.tobytes() for output in here.run_raw(inputs)]:
        raise ZooError("the board gives other bytes than TFLM on this machine")
    operators = Counter()
    for kind, *values in told:
        if kind == "operator":
            operators[values[0]] += int(values[1])
    return int(told[0][1]), [int(line[1]) for line in told if line[0] == "instructions"], dict(operators)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL", help="a .tflite that takes int8")
    parser.add_argument("--tflm", type=Path, required=True, metavar="DIR", help="TFLM's checkout or tree")
    parser.add_argument("--library", type=Path, required=True, metavar="LIB", help="its libtensorflow-microlite.a")
    args = parser.parse_args()
    for path in args.models:
        try:
            arena_bytes, runs, operators = count(path.read_bytes(), args.tflm, args.library)
        except (ZooError, OSError, subprocess.CalledProcessError) as error:  # what the compiler says stands above
            parser.exit(1, f"{path}: {error}\n")
        print(f"{path}: {min(runs):,} to {max(runs):,} instructions, {arena_bytes:,} B of arena; bytes as TFLM's here")
        for name, instructions in sorted(operators.items(), key=lambda item: -item[1]):
            print(f"  {name:24} {instructions:14,}")


if __name__ == "__main__":
    main()
