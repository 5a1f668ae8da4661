"""`python -m zoo bench`: what a model takes of a device."""

import json
from pathlib import Path

from zoo.command_line import add_command, refuse_existing
from zoo.errors import ZooError

BENCH = """\
What a model takes of a microcontroller: arena, flash, multiplies of each operator, the operators' list for TFLM, and
which boards it fits. MODEL is any .tflite file, or an exported folder: that is told as a stream, ring and hop included.

example:
  python -m zoo bench --target tflm exported/micro_acdnet-esc10 --picture memory.png
"""


def add(commands):
    """Adds the command to a parser's."""
    bench = add_command(commands, "bench", "what a model takes of a microcontroller", BENCH)
    bench.add_argument("model", metavar="MODEL", type=Path, help=".tflite file or exported folder")
    bench.add_argument("--target", required=True, choices=["tflm"], help="TensorFlow Lite for Microcontrollers")
    bench.add_argument("--json", metavar="FILE", type=Path, help="write the report there too")
    bench.add_argument("--picture", metavar="FILE.png", type=Path, help="draw memory over time")
    bench.add_argument("--overwrite", action="store_true", help="replace files that are there")
    bench.set_defaults(run=_bench)


def _bench(args):
    from zoo.atomic import whole_file
    from zoo.measure import bench

    for path in filter(None, [args.json, args.picture]):
        refuse_existing(path, args.overwrite)
    if args.picture and args.picture.suffix != ".png":
        raise ZooError(f"{args.picture}: pictures are PNG; end the name with .png")
    report = bench.report(args.model)
    print(bench.told(report))
    if args.json:
        with whole_file(args.json) as unfinished:
            unfinished.write_text(json.dumps(report, indent=2) + "\n")
    if args.picture:
        from zoo import plots  # matplotlib is not in the light install

        with whole_file(args.picture) as unfinished:
            plots.memory_over_time(report["files"], unfinished, f"{report['model']}: memory over time")
