"""`python -m zoo strips`: the strips' pass alone, over anyone's file."""

from pathlib import Path

from zoo.command_line import add_command, refuse_existing
from zoo.errors import ZooError

STRIPS = """\
Rewrites a .tflite file so that its local operators run strip by strip where memory peaks: the same bytes out, less
arena. Any file of one graph will do. Where nothing is won no file is written.

example:
  python -m zoo strips model.tflite --out model_strips.tflite --max-extra 0.01
"""


def add(commands):
    """Adds the command to a parser's."""
    strips = add_command(commands, "strips", "a .tflite file with less arena and the same bytes out", STRIPS)
    strips.add_argument("model", metavar="FILE", type=Path, help=".tflite file")
    strips.add_argument("--out", metavar="FILE", type=Path, required=True, help="the rewritten file")
    strips.add_argument("--max-extra", type=float, default=0.05, metavar="SHARE",
                        help="of multiplies that may come on top (default %(default)s)")  # fmt: skip
    strips.add_argument("--check", type=int, default=3, metavar="N",
                        help="random inputs on which the bytes are compared (default %(default)s)")  # fmt: skip
    strips.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    strips.set_defaults(run=_strips)


def _strips(args):
    from zoo.atomic import whole_file
    from zoo.export import strips, untrusted

    refuse_existing(args.out, args.overwrite)
    if args.check < 1 or args.max_extra < 0:
        raise ZooError("--check takes 1 or more, --max-extra 0 or more")
    try:
        model = untrusted.read(args.model)
    except untrusted.NotForTflm:
        model = args.model.read_bytes()  # LiteRT can: the arena is reckoned
    stripped = strips.in_strips(model, args.max_extra, args.check)
    if stripped.stretches:
        with whole_file(args.out) as unfinished:
            unfinished.write_bytes(stripped.model)
    print(f"{args.model}: {stripped.told()}")
