"""What C++ code writes to the standard error stream: Python's `sys.stderr` cannot catch it."""

import os
import sys
import tempfile
from contextlib import contextmanager


@contextmanager
def captured_stderr():
    """A list that holds, after the block, the lines that were written to file descriptor 2 inside it."""
    lines = []
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile("w+", errors="replace") as file:
        os.dup2(file.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            file.seek(0)
            lines += file.read().splitlines()
