"""`python -m zoo verify`: whether an exported folder is what it says."""

import json
from pathlib import Path

from zoo.command_line import add_command
from zoo.errors import ZooError

VERIFY = """\
Whether an exported folder is what it says, in three steps, each of which names what is wrong:

  files    every file is the one that SHA256SUMS lists, and none is there beside them
  stages   a sound of synth10 goes through the folder in Keras, in LiteRT and in TFLM: decode, crop, front end, body,
           labels; the first stage that does not give what it gave when the folder was written is named
  figures  with --data-dir: every file is scored again on the clips that tested it, and each figure of metrics.json is
           held against what comes out. Without metrics.json it is written anew. With --open-world also AUROC, false
           alarms and robustness, which takes minutes

--before takes the same model's folder of an earlier release: a robustness curve that fell below its interval is told.
It ends with 1 where something is wrong.

examples:
  python -m zoo verify exported/micro_acdnet-esc10
  python -m zoo verify exported/micro_acdnet-esc10 --data-dir DIR --open-world DIR50
"""


def add(commands):
    """Adds the command to a parser's."""
    parser = add_command(commands, "verify", "whether an exported folder is what it says", VERIFY)
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="exported folder")
    parser.add_argument("--data-dir", metavar="DIR", help="the recordings that trained and tested it")
    parser.add_argument("--open-world", metavar="DIR", help="those of --open-world, when it was made")
    parser.add_argument("--before", metavar="FOLDER", type=Path, help="the folder of an earlier release")
    parser.set_defaults(run=_verify)


def _verify(args):
    from zoo.commands.data import CACHE
    from zoo.export import golden, provenance
    from zoo.measure import open_world, verification
    from zoo.runtime import sums

    path, told = args.folder / "metrics.json", provenance.read(args.folder)
    recorded = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    if args.open_world and not args.data_dir:
        raise ZooError("--open-world is judged beside the test clips: pass --data-dir, too")
    if args.data_dir:
        if recorded is None and told["open_world"] and not args.open_world:
            raise ZooError(f"{path}: to write it anew takes --open-world, too: {told['open_world']}, when it was made")
        measured = verification.measured_again(args.folder, args.data_dir, CACHE, args.open_world)
        if recorded is None:
            path.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
            print(f"{path}: was not there, and is written anew")
    wrong = _told("files", sums.damaged(args.folder))
    wrong += _told("stages", map(str, golden.differences(args.folder)))
    if args.data_dir and recorded:
        left_out = () if args.open_world else open_world.FIGURES
        held = {name: figures for name, figures in recorded.items() if name not in left_out}
        wrong += _told("figures", verification.unlike(held, measured))
    if args.before:
        if recorded is None and not args.data_dir:
            raise ZooError(f"{path}: not there, and --before compares what it tells; --data-dir writes it anew")
        before = json.loads((args.before / "metrics.json").read_text(encoding="utf-8"))
        wrong += _told("robustness", verification.fallen(recorded or measured, before))
    if wrong:
        raise SystemExit(1)


def _told(step, lines):
    """Prints what is wrong in a step, or that nothing is; the lines."""
    lines = list(lines)
    print("\n".join(f"{step}: {line}" for line in lines) or f"{step}: all is as it was")
    return lines
