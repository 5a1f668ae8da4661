"""C++ sources for a microcontroller: a model and its labels as constants, which stay in flash."""

from pathlib import Path

import numpy as np

from zoo.errors import ZooError

BYTES_PER_LINE = 16
HEX = np.array([f"0x{byte:02x}," for byte in range(256)], "S5")

HEADER = """#ifndef {guard}
#define {guard}

{declarations}

#endif  // {guard}
"""


def write_c_array(model: bytes, name, folder):
    """Writes name.h and name.cc, which hold the model as `g_name` and its length as `g_name_len`.

    const, so that it stays in flash; aligned to 16 bytes, as TFLM wants a flatbuffer.
    """
    if not (name.isidentifier() and name.isascii()) or not model:
        raise ZooError(f"a C array needs a C name and at least one byte; got {name!r} and {len(model)} bytes")
    data = np.frombuffer(model, np.uint8)
    lines = (HEX[data[i : i + BYTES_PER_LINE]].tobytes().decode() for i in range(0, len(data), BYTES_PER_LINE))
    _write(
        folder,
        name,
        f"alignas(16) extern const unsigned char g_{name}[];\nextern const unsigned int g_{name}_len;",
        f"alignas(16) const unsigned char g_{name}[] = {{\n" + "\n".join(lines) + "\n};\n"
        f"const unsigned int g_{name}_len = {len(data)};\n",
    )


def write_labels(labels, folder):
    """Writes labels.h and labels.cc: `g_labels`, UTF-8, in the order of the scores, and their number `g_labels_len`."""
    if not labels:
        raise ZooError("labels.cc needs at least one label; got none")
    lines = "".join(f'    "{_escaped(label)}",\n' for label in labels)
    _write(
        folder,
        "labels",
        "extern const char* const g_labels[];\nextern const unsigned int g_labels_len;",
        f"const char* const g_labels[] = {{\n{lines}}};\nconst unsigned int g_labels_len = {len(labels)};\n",
    )


def _write(folder, name, declarations, definitions):
    guard = f"{name.upper()}_H_"
    Path(folder, f"{name}.h").write_text(HEADER.format(guard=guard, declarations=declarations))
    Path(folder, f"{name}.cc").write_text(f'#include "{name}.h"\n\n{definitions}')


def _escaped(label):
    """The label inside a C string. Octal escapes end after three digits, hex ones would swallow what follows; a bare
    ? could start a trigraph.
    """
    return "".join(chr(b) if 32 <= b < 127 and b not in b'"\\?' else f"\\{b:03o}" for b in label.encode())
