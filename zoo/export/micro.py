"""C++ sources for a microcontroller: the models as constants, which stay in flash, and the stream that runs them."""

import math
import re
import shutil
from pathlib import Path
from string import Template
from typing import NamedTuple

import numpy as np

from zoo import open_set
from zoo.errors import ZooError
from zoo.export import graph
from zoo.runtime.interpreter import LiteRT

TEMPLATES = Path(__file__).parent / "templates"
COPIED = ("stream.h", "classifier.h", "golden.h", "main.cc", "CMakeLists.txt")
ARRAY_LIMIT_BYTES = 1_000_000  # as text a model takes five times its bytes: larger ones become arrays on demand
C_TYPES = {np.int8: "std::int8_t", np.int16: "std::int16_t"}
# TFLM's op resolver spells these otherwise than the words of the schema's name would have it.
RESOLVER_NAMES = {
    "BATCH_MATMUL": "AddBatchMatMul",
    "CUMSUM": "AddCumSum",
    "PADV2": "AddPadV2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "AddUnidirectionalSequenceLSTM",
}

BYTES_PER_LINE = 16
HEX = np.array([f"0x{byte:02x}," for byte in range(256)], "S5")

HEADER = """#ifndef {guard}
#define {guard}

{declarations}

#endif  // {guard}
"""


class Golden(NamedTuple):
    """Sound, and what a stream has to make of it: the self-test of a board."""

    pcm: np.ndarray  # int16 (samples,)
    columns_per_decision: int
    scores: np.ndarray  # (decisions, classes), as the body gives them


def write_micro(
    folder,
    *,
    frontend,
    body,
    labels,
    points=None,
    sample_rate_hz,
    column_stride_samples,
    column_field_samples,
    arena_bytes,
    golden: Golden,
):
    """Writes all that a board needs beside TFLM and models: settings, operators, labels, golden sound, fixed sources.

    points: {sensitivity: a threshold for each label, in real values}, the usual one among them, where any number of
    labels is heard, none too; without them the highest score decides.
    frontend: the file's bytes; None where the front end is C code, which `zoo.export.log_mel_c` writes. body: the
    file's bytes, or the runner of xnor.c. Columns begin column_stride_samples apart and hear column_field_samples each.
    arena_bytes: what both took together on this host.

    Raises: ZooError for what the stream cannot run, and for golden scores that are not one row for each decision.
    """
    folder, runner = Path(folder), LiteRT(body) if isinstance(body, bytes) else body
    window, scores = runner.input, runner.output
    if not {window.dtype, scores.dtype} <= C_TYPES.keys() or scores.shape != (len(labels),):
        raise ZooError(
            f"a stream needs integer columns, and an integer score for each of {len(labels)} labels; the body takes "
            f"{window} and gives {scores}"
        )
    if column_field_samples < column_stride_samples:
        raise ZooError(
            f"a stream needs columns that leave out no sample; got columns that begin {column_stride_samples} samples "
            f"apart and hear {column_field_samples}"
        )
    columns = 1 + (len(golden.pcm) - column_field_samples) // column_stride_samples
    decisions = count_decisions(columns, window.shape[0], golden.columns_per_decision)
    found = golden.pcm.dtype, golden.scores.dtype, golden.scores.shape
    if decisions < 1 or found != (np.int16, scores.dtype, (decisions, len(labels))):
        raise ZooError(
            f"golden sound makes {decisions} decisions of {len(labels)} scores; got PCM and scores as {found}"
        )

    models = {name: model for name, model in (("frontend", frontend), ("body", body)) if isinstance(model, bytes)}
    kernel_bytes = max(map(convolution_scratch_bytes, models.values()), default=0)
    fill_template(
        "settings.h",
        folder,
        sample_rate_hz=sample_rate_hz,
        column_stride_samples=column_stride_samples,
        column_field_samples=column_field_samples,
        column_values=math.prod(window.shape[1:]),
        column_type=C_TYPES[window.dtype],
        window_columns=window.shape[0],
        classes=len(labels),
        score_type=C_TYPES[scores.dtype],
        score_scale=scores.scale,
        score_zero_point=scores.zero_point,
        measured_bytes=f"{arena_bytes:,}",
        kernel_bytes=f"{kernel_bytes:,}",
        arena_bytes=graph.aligned(arena_bytes + kernel_bytes),
    )
    if models:
        write_operators(folder, *models.values())
        _copy("interpreter.h", folder)
    write_labels(labels, folder)
    write_decision(scores, points, folder)
    _write_golden(golden, folder)
    for name in COPIED:
        _copy(name, folder)
    _copy("memory_tflm.h" if models else "memory_c.h", folder, "memory.h")
    _copy("front_end_tflm.h" if frontend else "front_end_c.h", folder, "front_end.h")
    _copy("window_body_tflm.h" if "body" in models else "window_body_xnor.h", folder, "window_body.h")


def count_decisions(columns, window_columns, columns_per_decision):
    """How many decisions a stream makes on so many columns, the first one on the first whole window.

    Raises: ZooError unless columns_per_decision is positive.
    """
    if columns_per_decision < 1:
        raise ZooError(f"a decision takes at least 1 new column; got columns_per_decision {columns_per_decision}")
    return max(0, 1 + (columns - window_columns) // columns_per_decision)


def resolver_calls(*models: bytes):
    """The methods of TFLM's MicroMutableOpResolver that add the models' operators, each once, sorted.

    Raises: ZooError for a custom operator.
    """
    names = {operator.name for model in models for operator in graph.read(model).operators}
    custom = sorted(names - set(graph.OPERATORS.values()))
    if custom:
        raise ZooError(f"custom operator {custom[0]}: only TFLite's own operators can be listed for TFLM")
    return sorted(RESOLVER_NAMES.get(name) or _resolver_name(name) for name in names)


def write_operators(folder, *models: bytes):
    """Writes operators.h, the resolver of what the models use.

    Raises: ZooError for a custom operator.
    """
    calls = [f"resolver.{call}() == kTfLiteOk" for call in resolver_calls(*models)]
    fill_template("operators.h", folder, count=len(calls), calls=" &&\n         ".join(calls))


def convolution_scratch_bytes(model: bytes):
    """Scratch of CMSIS-NN for the widest convolution, which the host's kernels do without.

    Source: arm_convolve_s8_get_buffer_size for cores without vectors: two unfolded inputs in 16 bits, each padded to
    4 values.
    """
    read = graph.read(model)
    taps = [
        math.prod(read.tensors[operator.inputs[1]].shape[1:])
        for operator in read.operators
        if operator.name in ("CONV_2D", "DEPTHWISE_CONV_2D")
    ]
    return 2 * 2 * 4 * math.ceil(max(taps, default=0) / 4)


def write_model(model: bytes, name, folder):
    """Writes name.tflite and, up to `ARRAY_LIMIT_BYTES`, its C array."""
    Path(folder, f"{name}.tflite").write_bytes(model)
    if len(model) <= ARRAY_LIMIT_BYTES:
        write_c_array(model, name, folder)


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


def read_labels(folder):
    """The labels that labels.cc of a folder micro/ holds, in order."""
    text = (Path(folder) / "labels.cc").read_text(encoding="utf-8")
    return [
        re.sub(rb"\\(\d{3})", lambda octal: bytes([int(octal[1], 8)]), label.encode()).decode()
        for label in re.findall(r'^    "(.*)",$', text, re.MULTILINE)
    ]


def write_decision(scores, points, folder):
    """Writes decision.h, which makes labels of the body's output, the `Tensor` scores.

    points: as of `write_micro`. Thresholds become the lowest scores, in the tensor's own dtype, that reach them.
    """
    if not points:
        _copy("decision_highest.h", folder, "decision.h")
        return
    rows = []
    for thresholds in points.values():
        raw = scores.to_raw(thresholds).astype(np.int32)  # the nearest one may lie below
        rows.append(f"    {{\n{_numbers(raw + (scores.from_raw(raw) < np.float32(thresholds)))}\n    }},")
    names = {name: f"k{name.capitalize()}" for name in points}
    fill_template(
        "decision.h", folder, names=", ".join(names.values()), usual=names[open_set.USUAL], thresholds="\n".join(rows)
    )


def _write_golden(golden, folder):
    (folder / "golden.cc").write_text(
        f'#include "golden.h"\n\n'
        f"const std::int16_t g_golden_pcm[] = {{\n{_numbers(golden.pcm)}\n}};\n"
        f"const unsigned int g_golden_pcm_len = {len(golden.pcm)};\n"
        f"const unsigned int g_golden_columns_per_decision = {golden.columns_per_decision};\n"
        f"const unsigned int g_golden_decisions = {len(golden.scores)};\n"
        f"const zoo::Score g_golden_scores[] = {{\n{_numbers(golden.scores.ravel())}\n}};\n"
    )


def _copy(template, folder, name=None):
    shutil.copyfile(TEMPLATES / template, Path(folder, name or template))


def fill_template(name, folder, **values):
    """Writes the file of templates/name.in, with these values in it."""
    Path(folder, name).write_text(filled(name, **values))


def filled(name, **values):
    """The text of templates/name.in, with these values in it."""
    return Template((TEMPLATES / f"{name}.in").read_text()).substitute(values)


def _numbers(values):
    lines = (values[i : i + BYTES_PER_LINE].tolist() for i in range(0, len(values), BYTES_PER_LINE))
    return "\n".join(" ".join(f"{value}," for value in line) for line in lines)


def _resolver_name(name):
    """CONV_2D -> AddConv2D."""
    return "Add" + "".join(word if word[0].isdigit() else word.capitalize() for word in name.split("_"))


def _write(folder, name, declarations, definitions):
    guard = f"{name.upper()}_H_"
    Path(folder, f"{name}.h").write_text(HEADER.format(guard=guard, declarations=declarations))
    Path(folder, f"{name}.cc").write_text(f'#include "{name}.h"\n\n{definitions}')


def _escaped(label):
    """The label inside a C string. Octal escapes end after three digits, hex ones would swallow what follows; a bare
    ? could start a trigraph.
    """
    return "".join(chr(b) if 32 <= b < 127 and b not in b'"\\?' else f"\\{b:03o}" for b in label.encode())
