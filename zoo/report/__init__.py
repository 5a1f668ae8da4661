"""Results are data: runs are rows of docs/results/runs.csv, cited numbers of published.csv; the pages are made of both.

Every function takes the folder in which they lie.
"""

# ruff: noqa: F401
from zoo.report import pruning, search
from zoo.report.pages import write_html, write_pages
from zoo.report.runs import RESULTS, add_runs, read_runs
