"""`python -m zoo list`: every model at its published setting."""

import json

from zoo.command_line import add_command


def add(commands):
    """Adds the command to a parser's."""
    listing = add_command(commands, "list", "every model at its published setting")
    listing.add_argument("--json", action="store_true", help="as JSON, for programs")
    listing.set_defaults(run=_list)


def _list(args):
    from zoo.measure import counts
    from zoo.models import MODELS

    rows = []
    for name, published in MODELS.items():
        model = published.model()
        rows.append(
            {
                "name": name,
                "parameters": counts.trainable_parameters(model),
                "macs": counts.macs(model),
                "paper_flops": counts.paper_flops(model),
                "input_shape": list(published.input_shape),
                "num_classes": published.num_classes,
                "sample_rate_hz": published.sample_rate_hz,
                "source": published.source,
            }
        )
    if args.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'model':<14}{'parameters':>12}{'multiplies':>14}{'paper counts':>14}  {'input':<16} source")
    for row in rows:
        shape = "x".join(map(str, row["input_shape"]))
        numbers = f"{row['parameters']:>12,}{row['macs']:>14,}{row['paper_flops']:>14,}"
        print(f"{row['name']:<14}{numbers}  {shape:<16} {row['source']}")
