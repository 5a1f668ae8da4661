"""Rows of results as csv files: dicts of text."""

import csv
from pathlib import Path


def read(path):
    """The rows of a file; [] where there is none."""
    path = Path(path)
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(path, columns, rows):
    """Writes rows, dicts of `columns`."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def grouped(rows, names):
    """{values of the columns `names`: the rows that have them}, in order."""
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return groups
