"""`python -m zoo bench`: what a model takes of a device."""

import argparse
import json
import os
import shlex
from pathlib import Path

from zoo.command_line import add_command, refuse_existing, refuse_picture
from zoo.errors import ZooError

BENCH = """\
What a model takes of a device. MODEL is any .tflite file, or an exported folder.

--target cpu: of this machine, with LiteRT: time by threads, memory part by part, energy where it tells. Of several
models (a folder holds two) each is called in turn, and compared to the first. It needs no TensorFlow: run it on the
board itself, and send the JSON: docs/results/boards/README.md.
--target tflm: of a microcontroller: arena, flash, multiplies of each operator, the operators' list for TFLM, and which
boards it fits. A folder is told as a stream, ring and hop included.

examples:
  python -m zoo bench exported/micro_acdnet-esc10 --threads 1,4 --json raspberry-pi-5-micro_acdnet-esc10.json
  python -m zoo bench --target tflm exported/micro_acdnet-esc10 --picture memory.png
"""
CPU_FLAGS = ("threads", "rounds", "kernels", "sample_rate_hz", "watts")
DEFAULT_ROUNDS = 100
KERNELS = ("xnnpack", "reference")


def add(commands):
    """Adds the command to a parser's."""
    bench = add_command(commands, "bench", "what a model takes of a device", BENCH)
    bench.add_argument("models", metavar="MODEL", nargs="+", type=Path, help=".tflite file or exported folder")
    bench.add_argument("--target", default="cpu", choices=["cpu", "tflm"],
                       help="this machine, or TensorFlow Lite for Microcontrollers (default %(default)s)")  # fmt: skip
    bench.add_argument("--threads", metavar="A,B", type=_threads,
                       help="numbers of threads (default 1,2,4, as far as there are cores)")  # fmt: skip
    bench.add_argument("--rounds", metavar="N", type=int,
                       help=f"calls of each model that are timed (default {DEFAULT_ROUNDS})")  # fmt: skip
    bench.add_argument("--kernels", choices=KERNELS, help=f"of LiteRT (default {KERNELS[0]})")
    bench.add_argument("--sample-rate-hz", metavar="HZ", type=int, help="of files that do not tell it themselves")
    bench.add_argument("--watts", metavar="W", type=float,
                       help="what a meter shows while it works, where the machine does not tell")  # fmt: skip
    bench.add_argument("--json", metavar="FILE", type=Path, help="write the report there too")
    bench.add_argument("--picture", metavar="FILE.png", type=Path, help="draw memory over time (tflm)")
    bench.add_argument("--overwrite", action="store_true", help="replace files that are there")
    bench.set_defaults(run=_bench)


def _threads(text):
    try:
        return [int(count) for count in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers, as 1,4 is") from None


def _bench(args):
    if args.json:
        refuse_existing(args.json, args.overwrite)
    if args.picture:
        refuse_picture(args.picture, args.overwrite)
    report = {"cpu": _on_this_machine, "tflm": _on_a_microcontroller}[args.target](args)
    if args.json:
        from zoo.atomic import whole_file

        with whole_file(args.json) as unfinished:
            unfinished.write_text(json.dumps(report, indent=2) + "\n")


def _on_this_machine(args):
    from zoo.measure import cpu

    if args.picture:
        raise ZooError("--picture draws the arena of --target tflm")
    if any(value is not None and value <= 0 for value in (args.sample_rate_hz, args.watts)):
        raise ZooError("--sample-rate-hz and --watts take what is more than 0")
    report = cpu.report(
        args.models,
        args.threads,
        DEFAULT_ROUNDS if args.rounds is None else args.rounds,
        args.kernels or KERNELS[0],
        args.sample_rate_hz,
        args.watts,
        _command(args),
    )
    print(cpu.told(report))
    return report


def _on_a_microcontroller(args):
    from zoo.measure import microcontroller

    for flag in CPU_FLAGS:
        if getattr(args, flag) is not None:
            raise ZooError(f"--{flag.replace('_', '-')} is for --target cpu: TFLM's figures here are no times")
    if len(args.models) > 1:
        raise ZooError(f"--target tflm takes one MODEL; got {len(args.models)}")
    report = microcontroller.report(args.models[0])
    print(microcontroller.told(report))
    if args.picture:
        from zoo import plots  # matplotlib is not in the light install
        from zoo.atomic import whole_file

        with whole_file(args.picture) as unfinished:
            plots.memory_over_time(report["files"], unfinished, f"{report['model']}: memory over time")
    return report


def _command(args):
    """The command that repeats the run, without where anything lies on this machine, and without what it writes."""
    models = [path if not path.is_absolute() and ".." not in path.parts else path.name for path in args.models]
    words = list(map(os.fspath, models))
    for flag in CPU_FLAGS:
        value = getattr(args, flag)
        if value is not None:
            told = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            words += [f"--{flag.replace('_', '-')}", told]
    return f"python -m zoo bench {shlex.join(words)}"
