"""What a .tflite file, or an exported folder as a stream, takes of a microcontroller: arena, flash, multiplies, boards.

A report is a dict as JSON holds it, so that the text, the file and the picture show the same numbers.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from zoo.errors import ZooError
from zoo.export import c99, micro, untrusted
from zoo.export import graph as graphs
from zoo.export.stream import parts_of, settings_of
from zoo.export.tflm import Arena
from zoo.measure import boards
from zoo.measure.arena import stream_memory
from zoo.runtime.interpreter import Tensor

LONGEST_NAME = 40
DECISIONS_PER_S = 4
FOLDER = "pass a .tflite file, or an exported folder that has micro/"
HOST = "Measured with TFLM on a 64-bit host; a 32-bit board takes less."
ON_TOP = "On top come TFLM's own code in flash, the program around it and its stack. Seconds are not guessed."


class InC(NamedTuple):
    """A part of micro/ that is C code, as its header describes it: what `stream_memory` asks of a part."""

    input: Tensor
    arena: Arena
    table_bytes: int


def report(path) -> dict:
    """The report on a .tflite file, or on the stream of an exported folder.

    Raises: ZooError for what cannot be read or what `zoo.export.untrusted` refuses.
    """
    path = Path(path)
    files, stream = _stream(path) if path.is_dir() else ([_of_files({path.name: path})[0][1]], None)
    ram_bytes = stream["total_bytes"] if stream else files[0]["arena"]["total_bytes"]
    flash_bytes = sum(file["flash_bytes"] for file in files)
    return {
        "target": "tflm",
        "model": path.resolve().name,
        "files": files,
        "stream": stream,
        "ram_bytes": ram_bytes,
        "flash_bytes": flash_bytes,
        "boards": [boards.fit(board, ram_bytes, flash_bytes) for board in boards.read_boards()],
    }


def told(report) -> str:
    """The report as text."""
    lines = [f"{report['model']}: RAM {report['ram_bytes']:,} B, flash {report['flash_bytes']:,} B", HOST]
    for file in report["files"]:
        lines += ["", *told_file(file)]
    if report["stream"]:
        lines += ["", *_stream_lines(report["stream"])]
    lines += ["", f"{'board':<28}{'core':<18}{'MHz':>5}{'SRAM needed':>14}{'of':>11}{'flash':>12}{'of':>11}"]
    for board in report["boards"]:
        core = board["core"] + " +float" * board["float_unit"]
        sram, flash = board["sram_needed_bytes"], board["flash_needed_bytes"]
        lines.append(
            f"{board['board']:<28}{core:<18}{board['clock_hz'] / 1e6:>5.0f}{sram:>14,}{board['sram_bytes']:>11,}"
            f"{flash:>12,}{board['flash_bytes']:>11,}  {_verdict(board)}"
        )
    if any(board["constants_in_sram"] for board in report["boards"]):
        lines.append("* copies the program into SRAM before it runs: the model's file takes SRAM as well")
    return "\n".join([*lines, ON_TOP])


def _stream(folder):
    """(reports of both parts, report of the whole) of an exported folder."""
    frontend, body = parts_of(folder / "micro")
    if not body.exists():
        raise ZooError(f"{folder}: no micro/body.tflite; {FOLDER}")
    if not frontend.exists():
        raise ZooError(f"{folder}: no front end in micro/, so no stream; bench its micro/body.tflite alone")
    models = [path for path in (frontend, body) if path.suffix == ".tflite"]
    opened = dict(zip(models, _of_files({f"micro/{path.name}": path for path in models})))
    body, body_row = opened.get(body) or _of_c(body, xnor_in_c(body.with_suffix(".h")))
    front_end, front_row = opened.get(frontend) or _of_c(
        frontend, front_end_in_c(frontend.with_suffix(".h"), body.input.dtype)
    )
    memory = stream_memory(front_end, body)
    settings = settings_of(folder / "micro")
    columns_per_s = {
        "stream": settings["kSampleRateHz"] / settings["kColumnStrideSamples"],
        "whole windows": DECISIONS_PER_S * body.input.shape[0],
    }
    return [front_row, body_row], {
        **memory._asdict(),
        "arena_bytes": memory.arena_bytes,
        "total_bytes": memory.total_bytes,
        "macs_per_column": front_row["macs"],
        "macs_per_decision": body_row["macs"],
        "columns_per_s": columns_per_s,
        "macs_per_s": {
            way: round(columns * (front_row["macs"] or 0) + DECISIONS_PER_S * (body_row["macs"] or 0))
            for way, columns in columns_per_s.items()
        },
        "resolver": sorted({*front_row["resolver"], *body_row["resolver"]}),
    }


def _of_c(source, part):
    return part, _row(f"micro/{source.name}", part.table_bytes, part.table_bytes, part.arena)


def front_end_in_c(header, column_dtype):
    """The `InC` of a frontend.h and its .c. Scratch and column lie in the head: see front_end.h."""
    (field_samples, scratch_floats, mels), table_bytes = _defined(
        header, "FRONTEND_", "FIELD_SAMPLES", "SCRATCH_FLOATS", "MELS"
    )
    head_bytes = scratch_floats * np.dtype(np.float32).itemsize + mels * np.dtype(column_dtype).itemsize
    return InC(Tensor((field_samples,), np.int16, 1 / 32768, 0), Arena(head_bytes, 0, {}), table_bytes)


def xnor_in_c(header):
    """The `InC` of an xnor.h and its .c. Scratch and window lie in the head: see window_body.h."""
    (*shape, words), table_bytes = _defined(
        header, "XNOR_", "COLUMNS", "COLUMN_ROWS", "COLUMN_CHANNELS", "SCRATCH_WORDS"
    )
    columns = Tensor(tuple(shape), np.int8, 0.0, 0)
    return InC(columns, Arena(words * np.dtype(np.uint32).itemsize + columns.bytes, 0, {}), table_bytes)


def _defined(header, prefix, *names):
    """(what a header defines under these names, the bytes of its .c's tables)."""
    try:
        found, source = c99.defined(header.read_text(), prefix), header.with_suffix(".c")
        return [int(found[name]) for name in names], c99.table_bytes(source.read_text())
    except (KeyError, ValueError, OSError) as error:
        raise ZooError(f"{header}: not a header that the zoo writes beside its .c ({error!r})") from error


def _of_files(paths):
    """[(what `zoo.export.untrusted` opened, its report)] of the files {name: path}."""
    try:
        models = {name: path.read_bytes() for name, path in paths.items()}
    except OSError as error:
        raise ZooError(f"{error.filename}: {error.strerror}; {FOLDER}") from error
    pairs = []
    for (name, model), opened in zip(models.items(), untrusted.open_files(models.values())):
        if isinstance(opened, ZooError):
            raise ZooError(f"{paths[name]}: {opened}")
        pairs.append((opened, report_file(name, model, opened)))
    return pairs


def report_file(name, model, opened):
    """The report's part on one file: its bytes, and what `zoo.export.untrusted` opened."""
    read = opened.graph
    operators = [
        {
            "operator": operator.name,
            "layer": read.tensors[operator.outputs[0]].name,
            "output_shape": list(read.tensors[operator.outputs[0]].shape),
            "dtype": read.tensors[operator.outputs[0]].dtype,
            "bytes": sum(read.tensors[tensor].bytes for tensor in operator.outputs),
            "macs": operator.macs,
            "held_bytes": sum(read.tensors[i].bytes for i in live),
            "held": [{"tensor": read.tensors[i].name, "bytes": read.tensors[i].bytes} for i in live],
        }
        for operator, live in zip(read.operators, graphs.live_tensors(read))
    ]
    try:
        resolver = micro.resolver_calls(model)
    except ZooError:  # custom operators, which TFLM has, but no list of names
        resolver = []
    scratch_bytes = micro.convolution_scratch_bytes(model)
    return _row(name, len(model), _constant_bytes(model), opened.arena, operators, resolver, scratch_bytes)


def _constant_bytes(model):
    """Bytes of the file that are weights and the like, each once: tensors may share them."""
    root = graphs.load(model)
    held = {tensor.buffer for tensor in root.subgraphs[0].tensors}
    return sum(len(root.buffers[i].data) for i in held if root.buffers[i].data is not None)


def _row(name, flash_bytes, constant_bytes, arena, operators=(), resolver=(), cmsis_nn_scratch_bytes=0):
    """The report of a part. C code has neither operators nor multiplies that could be counted."""
    sections = {**arena.sections, "what TFLM does not itemise": arena.tail_bytes - sum(arena.sections.values())}
    return {
        "file": name,
        "flash_bytes": flash_bytes,
        "constant_bytes": constant_bytes,
        "arena": {
            "head_bytes": arena.head_bytes,
            "tail_bytes": arena.tail_bytes,
            "total_bytes": arena.head_bytes + arena.tail_bytes,
            "tail_sections": sections if arena.tail_bytes else {},
        },
        "cmsis_nn_scratch_bytes": cmsis_nn_scratch_bytes,
        "operators": list(operators),
        "macs": sum(operator["macs"] for operator in operators) if operators else None,
        "peak_operator": max(range(len(operators)), key=lambda i: operators[i]["held_bytes"]) if operators else None,
        "resolver": list(resolver),
    }


def _verdict(board):
    too_small = [name for name in ("SRAM", "flash") if not board[f"fits_{name.lower()}"]]
    left = f"fits, {board['sram_bytes'] - board['sram_needed_bytes']:,} B of SRAM left"
    return (f"too little {' and '.join(too_small)}" if too_small else left) + " *" * board["constants_in_sram"]


def _stream_lines(stream):
    macs = f"{stream['macs_per_decision']:,} multiplies for each decision"
    if stream["macs_per_column"] is not None:
        macs = f"{stream['macs_per_column']:,} multiplies for each column, {macs}"
    return [
        "as a stream, both on one arena",
        f"{stream['head_bytes']:>12,} B  head of the arena: they run in turn, the larger one counts",
        f"{stream['frontend_tail_bytes']:>12,} B  tail of the front end",
        f"{stream['body_tail_bytes']:>12,} B  tail of the body",
        f"{stream['ring_bytes']:>12,} B  ring of columns",
        f"{stream['hop_bytes']:>12,} B  samples that one column hears",
        f"{stream['total_bytes']:>12,} B  in all, {stream['arena_bytes']:,} of them arena",
        f"  {macs}",
        _per_s_line(stream),
        f"  {_resolver(stream['resolver'])}",
    ]


def _per_s_line(stream):
    kind = "columns" if stream["macs_per_column"] is None else "multiplies"
    ways = stream["columns_per_s" if kind == "columns" else "macs_per_s"]
    ratio = ways["stream"] / ways["whole windows"]
    return (
        f"  a second with {DECISIONS_PER_S} decisions: {ways['stream']:,.0f} {kind}; with whole windows each time "
        f"{ways['whole windows']:,.0f} ({ratio:.2f} of them)"
    )


def told_file(file):
    """The lines on one file of a report."""
    arena = file["arena"]
    lines = [
        file["file"],
        f"{file['flash_bytes']:>12,} B  flash, {file['constant_bytes']:,} of them constants",
        f"{arena['total_bytes']:>12,} B  arena: head {arena['head_bytes']:,}, tail {arena['tail_bytes']:,}",
        *(f"{size_bytes:>16,} B  of the tail: {name}" for name, size_bytes in arena["tail_sections"].items()),
    ]
    if not file["operators"]:
        return [*lines, "              C code: its scratch and the column that it gives are the head"]
    peak = file["operators"][file["peak_operator"]]
    holders = ", ".join(f"{_short(held['tensor'])} {held['bytes']:,}" for held in peak["held"])
    lines += [
        f"{peak['held_bytes']:>12,} B  of tensors at the peak, {peak['operator']}: {holders}",
        f"{file['cmsis_nn_scratch_bytes']:>12,} B  at most of scratch beside them with CMSIS-NN's kernels",
        f"{file['macs']:>12,} multiplies for each call",
        "",
        f"  {'operator':<20}{'output':<42}{'shape':<16}{'dtype':<8}{'bytes':>11}{'held':>11}{'multiplies':>14}",
    ]
    for place, row in enumerate(file["operators"]):
        shape = "x".join(map(str, row["output_shape"]))
        lines.append(
            f"{'>' if place == file['peak_operator'] else ' ':<2}{row['operator']:<20}{_short(row['layer']):<42}"
            f"{shape:<16}{row['dtype']:<8}{row['bytes']:>11,}{row['held_bytes']:>11,}{row['macs']:>14,}"
        )
    return [*lines, "", f"  {_resolver(file['resolver'])}"]


def _resolver(calls):
    return f"MicroMutableOpResolver<{len(calls)}>: {', '.join(calls) or 'not listed, there are custom operators'}"


def _short(name):
    """The first of the names that a fused operator has, its end: there the layer stands."""
    name = name.split(";")[0]
    return name if len(name) <= LONGEST_NAME else "…" + name[1 - LONGEST_NAME :]
