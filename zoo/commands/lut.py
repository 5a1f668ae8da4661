"""`python -m zoo lut`: kernels as places in tables of values, over anyone's file for microcontrollers."""

from pathlib import Path

from zoo.command_line import add_command, refuse_existing
from zoo.errors import ZooError

LUT = """\
Rewrites a .tflite file for TFLM so that kernels whose weights share a few values, as those of the variant "clustered"
do, are places in tables (look-up tables): less flash, the same bytes out. TFLM decodes a kernel into the arena before
it is used, so RAM may grow; both are told. Where the file is no smaller none is written. No other runtime reads it.

example:
  python -m zoo lut exported/micro_acdnet_clustered-esc10/micro/body.tflite --out body_lut.tflite
"""


def add(commands):
    """Adds the command to a parser's."""
    parser = add_command(commands, "lut", "a .tflite file for TFLM with kernels in tables of values", LUT)
    parser.add_argument("model", metavar="FILE", type=Path, help=".tflite file, int8")
    parser.add_argument("--out", metavar="FILE", type=Path, required=True, help="the rewritten file")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    parser.set_defaults(run=_lut)


def _lut(args):
    from zoo.atomic import whole_file
    from zoo.export import lut, verify

    refuse_existing(args.out, args.overwrite)
    model = args.model.read_bytes()
    try:
        verify.open_file(model)
    except ZooError as error:
        raise ZooError(f"{args.model}: {error}") from error
    tabled = lut.with_tables(model)
    if tabled.kernels:
        with whole_file(args.out) as unfinished:
            unfinished.write_bytes(tabled.model)
    print(f"{args.model}: {tabled.told()}")
