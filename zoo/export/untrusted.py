"""A .tflite file from anywhere, opened where it can do no harm: in a process of its own, which has an end.

LiteRT's verifier goes over a file's structure, but what it lets pass can still kill TFLM, or keep it busy for ever.
Here either becomes one line.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from ai_edge_litert.interpreter import Interpreter, OpResolverType

from zoo import child
from zoo.errors import ZooError, one_line
from zoo.export import graph
from zoo.export.tflm import TFLM, Arena
from zoo.runtime import metadata
from zoo.runtime.interpreter import Tensor
from zoo.runtime.stderr import captured_stderr

WITHOUT_DELEGATES = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
START_LIMIT_S, FILE_LIMIT_S = 60, 20  # generous: a slow disk and a busy machine are no damage


class NotForTflm(ZooError):
    """A sound file that TFLM cannot run."""


class Opened(NamedTuple):
    """A file that LiteRT's verifier and TFLM took, as far as it is known without running it."""

    graph: graph.Graph
    input: Tensor
    output: Tensor
    arena: Arena


def open_file(model: bytes) -> Opened:
    """The `Opened` of a file.

    Raises: ZooError for what is damaged or no .tflite file or has open shapes; NotForTflm for an operator that TFLM
    lacks (named, with the tensor that it makes), or more arena than there is.
    """
    (opened,) = open_files([model])
    if isinstance(opened, ZooError):
        raise opened
    return opened


def read(path):
    """The bytes of a file that `open_file` opens. Raises: its errors, which begin with the path."""
    model = path.read_bytes()
    try:
        open_file(model)
    except ZooError as error:
        raise type(error)(f"{path}: {error}") from error
    return model


def open_files(models):
    """For each file its `Opened`, or the ZooError that `open_file` raises."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{number}.tflite") for number in range(len(models))]
        for path, model in zip(paths, models):
            path.write_bytes(model)
        waiting = paths
        while waiting:  # a file that ends the process ends it for itself alone: the others get a new one
            ending = _run_child(waiting)
            answered = [path for path in waiting if _answer_to(path).exists()]
            waiting = waiting[len(answered) :]
            if waiting:
                _write_answer(waiting[0], {"error": f"the .tflite file is damaged: TFLM {ending} on it"})
                waiting = waiting[1:]
        return [_opened(model, json.loads(_answer_to(path).read_text())) for path, model in zip(paths, models)]


def _run_child(paths):
    """How the process ended that goes over the files, one after the other."""
    try:
        subprocess.run(
            **child.of_module("zoo.export.untrusted", *map(str, paths)),
            cwd=paths[0].parent,  # where a core dump goes with it
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=START_LIMIT_S + FILE_LIMIT_S * len(paths),
        )
    except subprocess.TimeoutExpired:
        return "comes to no end"
    return "dies"


def _answer_to(path):
    return path.with_suffix(".json")


def _write_answer(path, answer):
    """Whole or not at all: the process may end meanwhile."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(answer))
    unfinished.rename(_answer_to(path))


def _opened(model, answer):
    if "error" in answer:
        return (NotForTflm if answer.get("is_sound") else ZooError)(answer["error"])
    ends = (Tensor.from_json(answer[end]) for end in ("input", "output"))
    return Opened(graph.read(model), *ends, Arena(**answer["arena"]))


def _look_into(model):
    """The answer about a file. Whatever Python raises over a damaged one is damage, told."""
    try:
        _verify(model)
        graph.read(model)
        try:
            tflm = TFLM(model)
        except ZooError as error:
            raise NotForTflm(str(error)) from error
        return {"input": tflm.input.as_json(), "output": tflm.output.as_json(), "arena": tflm.arena._asdict()}
    except ZooError as error:
        return {"error": str(error), "is_sound": isinstance(error, NotForTflm)}
    except ImportError as error:
        return {"error": f"TFLM is not installed here: {error}; pip install tflite-micro"}
    except Exception as error:
        return {"error": f"the .tflite file is damaged: {type(error).__name__}: {one_line(error)}"}


def _verify(model):
    """Raises: ZooError for what LiteRT refuses."""
    metadata.check_mark(model)
    try:
        with captured_stderr():
            # Not the reference kernels: they lack operators that TFLM has.
            Interpreter(model_content=model, experimental_op_resolver_type=WITHOUT_DELEGATES)
    except (ValueError, RuntimeError) as error:
        reason = one_line(error)
        damage = "has an operator that is not known" if "Didn't find op" in reason else "is cut short or damaged"
        raise ZooError(f"the .tflite file {damage}; LiteRT: {reason}") from error


if __name__ == "__main__":
    for given in map(Path, sys.argv[1:]):
        _write_answer(given, _look_into(given.read_bytes()))
