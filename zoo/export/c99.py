"""What the C sources of an export share: how numbers are written, and how they are compiled for this machine."""

import ctypes
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from zoo.errors import ZooError

TABLE = r"^static const (?:struct \{[^}]*\} |(\w+) )\w+(?:\[[^\]]*\])+ = \{\n(.*?)^\};"
NUMBER = r"(?<![\w.])-?\d[\w.]*(?:[+-]\d+f)?"
BYTES = {"float": 4, "int8_t": 1, "int16_t": 2, "int32_t": 4, "uint32_t": 4}
OF_A_STRUCT = 2  # what they hold is uint16_t
FLAGS = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Werror")


def literal(x):
    """x as a float of C: nine digits are enough to tell any float32 from its neighbours."""
    text = f"{np.float32(x):.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def rows(items):
    """The lines of a table, eight items each."""
    items = list(items)
    return "\n".join("    " + ", ".join(items[i : i + 8]) + "," for i in range(0, len(items), 8))


def defined(header, prefix):
    """{name without prefix: value as text} of what a header, given as its text, defines under names that begin so."""
    return dict(re.findall(rf"^#define {prefix}(\w+) (\S+)", header, re.MULTILINE))


def table_bytes(source):
    """Bytes of all tables of a source, given as its text: the flash that it takes beside its code."""
    tables = re.findall(TABLE, re.sub(r"/\*.*?\*/", "", source), re.MULTILINE | re.DOTALL)
    return sum(BYTES.get(kind, OF_A_STRUCT) * len(re.findall(NUMBER, text)) for kind, text in tables)


def compiled(*sources):
    """The shared library that this machine's C compiler makes of sources.

    Raises: ZooError without a C compiler, or where they do not compile.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise ZooError(f"{sources[0]}: running it here needs a C compiler, and there is no cc; install gcc or clang")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "library.so")
        command = [compiler, *FLAGS, "-shared", "-fPIC", *sources, "-o", library, "-lm"]
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode != 0:
            told = [line for line in run.stderr.splitlines() if "error" in line] or [f"cc exits with {run.returncode}"]
            raise ZooError(f"{sources[0]} does not compile: {told[0]}")
        return ctypes.CDLL(str(library))  # what is loaded stays when its file goes
