"""`python -m zoo compare`: two models on the same clips."""

import json

from zoo.command_line import add_command

TEACHES = """Compares two exported folders that were tested on the same clips: their accuracies, the difference of the
two with an interval over source recordings, and McNemar's exact test. Decisions are those of
decisions.csv; of a folder of several folds all of them, of several seeds those of the first."""


def add(commands):
    """Adds the command to a parser's."""
    parser = add_command(commands, "compare", "two models on the same clips, with McNemar's test", TEACHES)
    parser.add_argument("a", metavar="FOLDER_A", help="exported folder")
    parser.add_argument("b", metavar="FOLDER_B", help="another one")
    parser.add_argument("--file", default="model.h5", metavar="NAME",
                        help="whose decisions, e.g. model_int8.tflite (default %(default)s)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the figures for programs")
    parser.set_defaults(run=_compare)


def _compare(args):
    from zoo import comparison

    found = comparison.compare(args.a, args.b, args.file)
    print(json.dumps(found, indent=2) if args.json else comparison.told(found))
