"""What the C sources of an export share: how numbers are written, and how they are compiled and run on this machine."""

import ctypes
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from zoo.errors import ZooError
from zoo.export.tflm import Arena
from zoo.runtime.interpreter import Runner

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


def quantisation(defined):
    """(scale, zero point) of what `defined` found."""
    return float(np.float32(defined["SCALE"].removesuffix("f"))), int(defined["ZERO_POINT"].strip("()"))


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


class Program(Runner):
    """A function of C sources, compiled for this machine: the bytes that a microcontroller makes of it.

    input, output: the `Tensor`s that it takes and gives. scratch: an array, which nobody needs between two calls. held:
    which of both lies beside it in the arena.

    Raises: ZooError without a C compiler, or where it does not compile.
    """

    kernels = "c99"

    def __init__(self, sources, function, input, output, scratch, held):
        self.input, self.output = input, output
        self._scratch, self._held = scratch, held
        self._function = getattr(compiled(*sources), function)
        kinds = (input.dtype, output.dtype, scratch.dtype)
        self._function.argtypes = [np.ctypeslib.ndpointer(kind, flags="C_CONTIGUOUS") for kind in kinds]
        self._function.restype = None

    @property
    def arena(self):
        """Its `Arena`: head alone."""
        return Arena(self._scratch.nbytes + self._held.bytes, 0, {})

    @property
    def arena_bytes(self):
        """Bytes of the whole arena."""
        return self.arena.head_bytes

    def _invoke(self, batch):
        made = np.empty((1, *self.output.shape), self.output.dtype)
        self._function(np.ascontiguousarray(batch), made, self._scratch)
        return made
