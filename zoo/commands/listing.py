"""`python -m zoo list`: every model at its published setting."""

import json

from zoo.command_line import add_command

TOLD = ("parameters", "macs", "input_shape", "num_classes", "sample_rate_hz", "source")


def add(commands):
    """Adds the command to a parser's."""
    listing = add_command(commands, "list", "every model at its published setting")
    listing.add_argument("--json", action="store_true", help="as JSON, for programs")
    listing.set_defaults(run=_list)


def _list(args):
    from zoo.models import MODELS

    rows = [{"name": name, **{key: getattr(model, key) for key in TOLD}} for name, model in MODELS.items()]
    if args.json:
        print(json.dumps(rows, indent=2))
        return
    longest = max(map(len, MODELS))
    print(f"{'model':<{longest}}{'parameters':>13}{'multiplies':>15}  {'input':<11} source")
    for row in rows:
        shape = "x".join(map(str, row["input_shape"]))
        print(f"{row['name']:<{longest}}{row['parameters']:>13,}{row['macs']:>15,}  {shape:<11} {row['source']}")
