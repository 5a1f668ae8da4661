"""Modules of the zoo that run in a process of their own."""

import os
import signal
import sys
import threading
from pathlib import Path

HOME = Path(__file__).parents[1]


def of_module(module, *arguments):
    """What `subprocess` needs to run a module of this very zoo, from any folder: {"args": ..., "env": ...}."""
    search = os.pathsep.join(filter(None, [str(HOME), os.environ.get("PYTHONPATH")]))
    return {"args": [sys.executable, "-m", module, *arguments], "env": {**os.environ, "PYTHONPATH": search}}


def stop_with_the_parent():
    """Lets the end of standard input be Ctrl-C, to this process and to all that it has started: its process group."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what was begun in the background would not hear it
    threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end():
    os.read(sys.stdin.fileno(), 1)  # not through `sys.stdin`: its lock would be held when Python ends
    os.killpg(0, signal.SIGINT)
