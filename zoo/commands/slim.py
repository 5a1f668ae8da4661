"""`python -m zoo slim`: less flash on a microcontroller, over anyone's file for TFLM."""

from pathlib import Path

from zoo.command_line import add_command, refuse_existing

SLIM = """\
Rewrites an int8 .tflite file for TFLM, and for no other runtime, so that it takes less flash and gives the same bytes:
parameters of quantisation that TFLM does not read go, and kernels whose weights share a few values, as those of the
variant "clustered" do, become places in tables (look-up tables). TFLM decodes those into the arena before they are
used, so RAM may grow: both are told, and --keep-kernels leaves them.

example:
  python -m zoo slim exported/micro_acdnet_clustered-esc10/micro/body.tflite --out body_slim.tflite
"""


def add(commands):
    """Adds the command to a parser's."""
    parser = add_command(commands, "slim", "a .tflite file for TFLM with less flash and the same bytes out", SLIM)
    parser.add_argument("model", metavar="FILE", type=Path, help=".tflite file, int8")
    parser.add_argument("--out", metavar="FILE", type=Path, required=True, help="the rewritten file")
    parser.add_argument("--keep-kernels", action="store_true", help="no tables: the arena stays as it is")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    parser.set_defaults(run=_slim)


def _slim(args):
    from zoo.atomic import whole_file
    from zoo.export import slim, untrusted

    refuse_existing(args.out, args.overwrite)
    model = untrusted.read(args.model)
    slimmed = slim.slim(model, tables=not args.keep_kernels)
    if len(slimmed.model) < len(model):
        with whole_file(args.out) as unfinished:
            unfinished.write_bytes(slimmed.model)
    print(f"{args.model}: {slimmed.told()}")
