"""The pages of docs/results, each of a module of its own, and the first two as one HTML file, pictures inside."""

import base64
import os
from pathlib import Path

import markdown
from markdown.treeprocessors import Treeprocessor

from zoo.atomic import whole_file
from zoo.report import ours, papers, pruning, search, signs
from zoo.report.runs import RESULTS

HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Edge Audio Zoo: results</title>
<style>
body { font: 15px/1.45 sans-serif; color: #222; max-width: 72em; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; display: block; overflow-x: auto; margin: 1em 0; }
th, td { border-bottom: 1px solid #ddd; padding: .25em .6em; }
img { max-width: 100%; }
pre { overflow-x: auto; background: #f5f5f5; padding: .6em; }
</style>
</head>
"""


def write_pages(results=RESULTS):
    """Remakes each page from the csv files and boards/, and the pictures that it shows.

    Raises: ZooError for what is no run of a board.
    """
    for kind in (ours, papers, pruning, search, signs):
        if lines := kind.page(results):
            (results / kind.PAGE).write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def write_html(path, results=RESULTS):
    """Writes our runs, and ours beside the papers', as they stand in `results`, as one HTML file, pictures inside."""
    path = Path(path)
    converter = markdown.Markdown(extensions=["tables"])
    converter.treeprocessors.register(_Placed(converter, results, path.parent), "placed", 0)
    pages = (results / kind.PAGE for kind in (ours, papers))
    body = converter.convert("\n".join(page.read_text(encoding="utf-8") for page in pages))
    with whole_file(path) as unfinished:
        unfinished.write_text(f"{HEAD}<body>\n{body}\n</body>\n</html>\n", encoding="utf-8")


class _Placed(Treeprocessor):
    """Puts pictures into the page, and lets links lead from where the page lies to where they led."""

    def __init__(self, converter, results, folder):
        super().__init__(converter)
        self.results, self.folder = Path(results), folder

    def run(self, root):
        for image in root.iter("img"):
            data = base64.b64encode((self.results / image.get("src")).read_bytes()).decode()
            image.set("src", f"data:image/png;base64,{data}")
        for link in root.iter("a"):
            link.set("href", Path(os.path.relpath(self.results / link.get("href"), self.folder)).as_posix())
