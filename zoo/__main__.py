"""`python -m zoo`: what the zoo holds."""

import json

from zoo.command_line import OneLineParser
from zoo.errors import ZooError


def main(argv=None):
    """Runs one command. Exits with 2, after one line, where the input is bad."""
    parser = OneLineParser(prog="python -m zoo", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="every model at its published setting", allow_abbrev=False)
    listing.add_argument("--json", action="store_true", help="as JSON, for programs")
    listing.set_defaults(run=lambda args: _list(args.json))
    report = commands.add_parser("report", help="add runs to docs/results/, and remake its page", allow_abbrev=False)
    report.add_argument("folders", nargs="*", metavar="FOLDER", help="exported folder whose run to add")
    report.set_defaults(run=lambda args: _report(args.folders))
    args = parser.parse_args(argv)
    try:
        args.run(args)
    except ZooError as error:
        parser.error(error)


def _report(folders):
    from zoo import report

    report.add_runs(folders)
    report.write_page()
    print(f"{report.RESULTS / 'README.md'}: {len(report.read_runs())} runs")


def _list(as_json):
    from zoo.measure import counts
    from zoo.models import MODELS

    rows = []
    for name, published in MODELS.items():
        model = published.build(published.input_shape, published.num_classes, published.sample_rate_hz)
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
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'model':<14}{'parameters':>12}{'multiplies':>14}{'paper counts':>14}  {'input':<16} source")
    for row in rows:
        shape = "x".join(map(str, row["input_shape"]))
        numbers = f"{row['parameters']:>12,}{row['macs']:>14,}{row['paper_flops']:>14,}"
        print(f"{row['name']:<14}{numbers}  {shape:<16} {row['source']}")


if __name__ == "__main__":
    main()
