"""Runs each notebook from its first cell to its last, as a reader would. Run by `make test-notebooks`.

What comes out lies in runs/notebooks/NAME.ipynb, pictures and all.

    python tests/notebooks/run.py [NOTEBOOK...]
"""

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

OUT = Path("runs/notebooks")
LIMIT_S = 900  # a cell


def main(*paths):
    paths = list(map(Path, paths)) or sorted(Path("notebooks").glob("*.ipynb"))
    OUT.mkdir(parents=True, exist_ok=True)
    failed = 0
    for path in paths:
        notebook, begun = nbformat.read(path, as_version=4), time.monotonic()
        told = "runs"
        try:
            NotebookClient(notebook, timeout=LIMIT_S, resources={"metadata": {"path": path.parent}}).execute()
        except CellExecutionError as error:
            failed, told = failed + 1, f"FAILED\n{error}"
        failing = [line for line in printed(notebook) if line.startswith("python -m ") or ": error: " in line]
        if failing:  # a command that ended with its one line, which a shell's `!` does not raise
            failed, told = failed + 1, f"FAILED: {failing[0]}"
        nbformat.write(notebook, OUT / path.name)
        print(f"{path}: {told} ({time.monotonic() - begun:.0f} s)", flush=True)
    sys.exit(f"test-notebooks: {failed} of {len(paths)} failed" if failed else 0)


def printed(notebook):
    """The lines that the cells printed."""
    outputs = (output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs)
    return [line for output in outputs for line in output.get("text", "").splitlines()]


if __name__ == "__main__":
    main(*sys.argv[1:])
