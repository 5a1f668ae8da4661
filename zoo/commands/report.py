"""`python -m zoo report`: runs become rows of docs/results/, and its pages."""

from pathlib import Path

from zoo.command_line import add_command


def add(commands):
    """Adds the command to a parser's."""
    parser = add_command(commands, "report", "add runs to docs/results/, and remake its pages")
    parser.add_argument("folders", nargs="*", metavar="FOLDER", help="exported folder of a run, a study or a search")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="also write our runs and the papers' as one file, pictures inside"
    )
    parser.set_defaults(run=_report)


def _report(args):
    from zoo import report

    runs = []
    for folder in args.folders:
        if report.pruning.is_study(folder):
            report.pruning.add(folder)
        elif report.search.is_search(folder):
            report.search.add(folder)
        else:
            runs.append(folder)
    report.add_runs(runs)
    report.write_pages()
    report.shipped.write()
    print(f"{report.RESULTS}: {len(report.read_runs())} runs")
    if args.html:
        report.write_html(args.html)
        print(f"{args.html}: README.md and papers.md of {report.RESULTS}")
