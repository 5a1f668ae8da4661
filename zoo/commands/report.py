"""`python -m zoo report`: runs become rows of docs/results/, and its page."""

from zoo.command_line import add_command


def add(commands):
    """Adds the command to a parser's."""
    parser = add_command(commands, "report", "add runs to docs/results/, and remake its page")
    parser.add_argument("folders", nargs="*", metavar="FOLDER", help="exported folder whose run to add")
    parser.set_defaults(run=_report)


def _report(args):
    from zoo import report

    report.add_runs(args.folders)
    report.write_page()
    print(f"{report.RESULTS / 'README.md'}: {len(report.read_runs())} runs")
