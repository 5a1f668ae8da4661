"""`python -m zoo report`: runs become rows of docs/results/, and its pages."""

from pathlib import Path

from zoo.command_line import add_command


def add(commands):
    """Adds the command to a parser's."""
    parser = add_command(commands, "report", "add runs to docs/results/, and remake its pages")
    parser.add_argument("folders", nargs="*", metavar="FOLDER", help="exported folder whose run to add, or a study's")
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write both pages as one file, pictures inside")
    parser.set_defaults(run=_report)


def _report(args):
    from zoo import report

    studies = [folder for folder in args.folders if report.pruning.is_study(folder)]
    report.add_runs([folder for folder in args.folders if folder not in studies])
    for folder in studies:
        report.pruning.add(folder)
    report.write_pages()
    print(f"{report.RESULTS}: {len(report.read_runs())} runs")
    if args.html:
        report.write_html(args.html)
        print(f"{args.html}: README.md and papers.md of {report.RESULTS}")
