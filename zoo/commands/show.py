"""`python -m zoo show`: what a .tflite file says of itself, and what it takes and gives."""

import json
import math
from collections import Counter
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path

from zoo.command_line import add_command
from zoo.errors import ZooError, one_line

SHOW = """\
What a .tflite file says of itself (name, licence, rate, labels), what it takes and gives, and of what it is made. Of an
exported folder: each of its files. The file is read, never run: any file of one graph will do.

examples:
  python -m zoo show exported/micro_acdnet-esc10/model_int8.tflite
  python -m zoo show yamnet.tflite --json
"""
SHOWN_LABELS = 12
SHOWN_CHARACTERS = 400  # of a text: other people's descriptions go on


def add(commands):
    """Adds the command to a parser's."""
    show = add_command(commands, "show", "what a .tflite file says of itself, takes and gives", SHOW)
    show.add_argument("path", metavar="FILE|FOLDER", type=Path, help=".tflite file or exported folder")
    show.add_argument("--labels", action="store_true", help="all labels, one a line with its place")
    show.add_argument("--json", action="store_true", help="as JSON, for programs")
    show.set_defaults(run=_show)


def _show(args):
    paths = [args.path]
    if args.path.is_dir():
        paths = sorted(args.path.glob("*.tflite")) + sorted(args.path.glob("micro/*.tflite"))
        if not paths:
            raise ZooError(f"{args.path}: no .tflite file in it; pass a file or an exported folder")
    shown = [_described(path) for path in paths]
    if args.json:
        print(json.dumps(shown if args.path.is_dir() else shown[0], indent=2))
    else:
        print("\n\n".join("\n".join(_lines(file, args.labels)) for file in shown))


def _described(path):
    """All that is shown of a file, as JSON holds it.

    Raises: ZooError for what is damaged or no .tflite file.
    """
    from zoo.export import graph
    from zoo.runtime import metadata

    model = path.read_bytes()
    try:
        told, root = metadata.read(model), graph.load(model)
        (net,) = root.subgraphs
        constants = [t.shape for t in net.tensors if t.shape is not None and root.buffers[t.buffer].data is not None]
        return {
            "file": str(path),
            "bytes": len(model),
            "metadata": told and asdict(told) | {"outputs": [output._asdict() for output in told.outputs]},
            "inputs": [_tensor(net.tensors[i]) for i in net.inputs],
            "outputs": [_tensor(net.tensors[i]) for i in net.outputs],
            "operators": dict(Counter(graph.name_of(root, operator) for operator in net.operators).most_common()),
            "constants": sum(math.prod(map(int, shape)) for shape in constants),
        }
    except ZooError as error:
        raise ZooError(f"{path}: {error}") from error
    except Exception as error:  # whatever Python raises over a damaged file is damage, told
        raise ZooError(f"{path}: the .tflite file is damaged: {type(error).__name__}: {one_line(error)}") from error


def _tensor(tensor):
    from zoo.export.graph import DTYPES

    quantisation = tensor.quantization
    is_quantised = quantisation is not None and quantisation.scale is not None and len(quantisation.scale)
    shape = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature  # the one tells what is open: -1
    return {
        "name": tensor.name.decode(errors="replace"),
        "shape": [] if shape is None else list(map(int, shape)),
        "dtype": DTYPES[tensor.type],
        "scale": float(quantisation.scale[0]) if is_quantised else None,
        "zero_point": int(quantisation.zeroPoint[0]) if is_quantised else None,
    }


def _lines(file, all_labels):
    """The file for people."""
    yield f"{file['file']}: {file['bytes']:,} bytes"
    told = file["metadata"]
    if told is None:
        yield _row("metadata", "none: rate and labels have to be known from elsewhere")
    else:
        yield from _metadata_lines(told, file["inputs"], all_labels)
    for kind in ("input", "output"):
        for tensor in file[f"{kind}s"]:
            scale = "" if tensor["scale"] is None else f", scale {tensor['scale']:g}, zero point {tensor['zero_point']}"
            yield _row(kind, f"{_printable(tensor['name'])}: {tensor['dtype']} {tuple(tensor['shape'])}{scale}")
    operators = ", ".join(f"{count} {name}" for name, count in file["operators"].items())
    yield _row("operators", f"{sum(file['operators'].values())}: {operators}")
    yield _row("constants", f"{file['constants']:,} numbers: weights, biases, tables")


def _metadata_lines(told, inputs, all_labels):
    for name in ("name", "version", "description", "author", "license"):
        if told[name]:
            text = _printable(told[name])
            yield _row(name, text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…")
    rate_hz = told["sample_rate_hz"]
    if rate_hz:
        samples = max(inputs[0]["shape"], default=0) // told["channels"]
        length = f", {samples:,} samples ({samples / rate_hz:.2f} s)" if samples > 0 else ""
        yield _row("sound", f"{rate_hz:,} Hz, {_channels(told['channels'])}{length}")
    for output in told["outputs"]:
        labels, name = list(map(_printable, output["labels"])), _printable(output["name"])
        if output["score_threshold"] is not None:
            yield _row("threshold", f"{output['score_threshold']:g} of {name}")
        thresholds = output["thresholds"]
        if thresholds:
            yield _row("thresholds", f"of each label of {name}, from {min(thresholds):.3g} to {max(thresholds):.3g}")
        if labels and all_labels:
            yield _row("labels", f"{len(labels)} of {name}:")
            reached = [f" from {threshold:.3g} on" for threshold in thresholds]
            for place, (label, threshold) in enumerate(zip_longest(labels, reached, fillvalue="")):
                yield f"{place:>8}  {label}{threshold}"
        elif labels:
            more = f", … --labels shows all {len(labels)}" if len(labels) > SHOWN_LABELS else ""
            yield _row("labels", f"{len(labels)} of {name}: {', '.join(labels[:SHOWN_LABELS])}{more}")
    yield _row("needs", f"TFLite {_printable(told['min_runtime_version']) or 'of any version'}")


def _channels(channels):
    return "mono" if channels == 1 else f"{channels} channels"


def _row(name, text):
    return f"  {name:<12}{text}"


def _printable(text):
    """Without what would move a terminal's cursor: a file may come from anywhere."""
    return "".join(character if character.isprintable() else "�" for character in text)
