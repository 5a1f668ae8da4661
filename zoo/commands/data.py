"""`python -m zoo data`: the data sets, or what one of them holds and whether its folds share sound."""

import json
import sys
from pathlib import Path

from zoo.command_line import add_command, refuse_picture
from zoo.errors import ZooError

DATA = """\
Looks at a data set before anything is trained on it: clips of each class and fold, lengths, levels, rates, zero
crossings, dead space; clips that are silent, broken or clipped, by name; recordings that two folds share, by their
source and by their sound. Ends with 1 where a clip is silent or broken, or folds share a recording.

examples:
  python -m zoo data                                       # all data sets
  python -m zoo data esc10 --data-dir DIR
  python -m zoo data folder --data-dir sounds/ --picture sounds.png
"""
CACHE = Path("runs") / "cache"  # as the recipes have it


def add(commands):
    """Adds the command to a parser's."""
    data = add_command(commands, "data", "what a data set holds, and whether its folds share sound", DATA)
    data.add_argument("name", nargs="?", metavar="NAME", help="data set (default: a list of them all)")
    data.add_argument("--data-dir", metavar="DIR", help="folder in the data set's layout; without it the clips are "
                      "downloaded, or made (synth10)")  # fmt: skip
    data.add_argument("--json", action="store_true", help="as JSON, for programs: every clip and pair")
    data.add_argument("--picture", metavar="FILE.png", type=Path, help="draw balance, lengths, levels and a few clips")
    data.add_argument("--overwrite", action="store_true", help="replace a picture that is there")
    data.set_defaults(run=_data)


def _data(args):
    if args.name is None:
        if args.data_dir or args.picture:
            raise ZooError("--data-dir and --picture are of one data set; name it")
        return _list(args)
    if args.picture:
        refuse_picture(args.picture, args.overwrite)
    from zoo import datasets, inspection

    inspected = inspection.look_at(*datasets.find(args.name, CACHE, args.data_dir))
    print(json.dumps(inspected.as_dict(), indent=2) if args.json else "\n".join(inspected.lines()))
    if args.picture:
        from zoo import plots
        from zoo.atomic import whole_file

        with whole_file(args.picture) as unfinished:
            plots.data_set(inspected, unfinished)
    if not inspected.is_healthy:
        sys.exit(1)


def _list(args):
    from zoo.datasets import DATASETS

    rows = [
        {
            "name": name,
            "task": builder.TASK,
            "clips": builder.NUM_CLIPS,
            "classes": len(builder.LABELS) or builder.NUM_CLASSES,
            "several_labels": builder.MULTI_LABEL,
            "sample_rate_hz": builder.SAMPLE_RATE_HZ,
            "protocol": builder.PROTOCOL,
            "licence": builder.LICENCE,
            "layout": builder.LAYOUT,
            "get": builder.GET,
            "homepage": builder.HOMEPAGE,
            "citation": builder.CITATION,
        }
        for name, builder in DATASETS.items()
    ]
    if args.json:
        print(json.dumps(rows, indent=2))
        return
    longest = max(map(len, DATASETS))
    print(f"{'data set':<{longest}}{'clips':>11}{'classes':>9}{'Hz':>8}  task; protocol; licence; how to get it")
    for row in rows:
        clips, classes, rate_hz = (
            f"{row[name]:,}" if row[name] else "-" for name in ("clips", "classes", "sample_rate_hz")
        )
        told = "; ".join(row[name] for name in ("task", "protocol", "licence", "get"))
        print(f"{row['name']:<{longest}}{clips:>11}{classes:>9}{rate_hz:>8}  {told}")
