"""Modules of the zoo that run in a process of their own."""

import os
import sys
from pathlib import Path

HOME = Path(__file__).parents[1]


def of_module(module, *arguments):
    """What `subprocess` needs to run a module of this very zoo, from any folder: {"args": ..., "env": ...}."""
    search = os.pathsep.join(filter(None, [str(HOME), os.environ.get("PYTHONPATH")]))
    return {"args": [sys.executable, "-m", module, *arguments], "env": {**os.environ, "PYTHONPATH": search}}
