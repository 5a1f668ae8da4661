"""Results are data: rows of csv files in docs/results, ours and cited ones, of which the pages are made.

Every function takes the folder in which they lie.
"""

# ruff: noqa: F401
from zoo.report import pruning, search, shipped
from zoo.report.pages import write_html, write_pages
from zoo.report.runs import RESULTS, add_runs, read_runs
