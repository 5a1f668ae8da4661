"""`python -m zoo pack`: an exported folder as one archive."""

from pathlib import Path

from zoo.command_line import add_command, refuse_existing
from zoo.errors import ZooError

PACK = """\
Writes an exported folder as one .zip, of which others take the model from a path or an address:

  zoo.load("https://example.org/micro_acdnet-esc10.zip#sha256=...")

The sum is printed. The same folder gives the same archive.

example:
  python -m zoo pack exported/micro_acdnet-esc10 --out micro_acdnet-esc10.zip
"""


def add(commands):
    """Adds the command to a parser's."""
    parser = add_command(commands, "pack", "an exported folder as one archive", PACK)
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="exported folder")
    parser.add_argument("--out", required=True, metavar="FILE.zip", type=Path, help="where the archive goes")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    parser.set_defaults(run=_pack)


def _pack(args):
    from zoo.atomic import whole_file
    from zoo.runtime import shipped

    if args.out.suffix != ".zip":
        raise ZooError(f"{args.out}: an archive is a .zip; end the name with it")
    refuse_existing(args.out, args.overwrite)
    with whole_file(args.out) as unfinished:
        found_sum = shipped.pack(args.folder, unfinished)
    print(f"{args.out}#sha256={found_sum}")
