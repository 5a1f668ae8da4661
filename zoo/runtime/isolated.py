"""A .tflite file from anywhere, run where it can do no harm: in a process of its own, which has an end.

LiteRT's verifier goes over a file's structure, but what it lets pass can still kill the process that runs it, keep it
busy for ever or ask for all memory there is. Here each becomes one line.
"""

import json
import os
import signal
import struct
import subprocess
import sys
import weakref
from contextlib import suppress
from threading import Timer

import numpy as np

from zoo import child
from zoo.errors import ZooError, one_line
from zoo.runtime.interpreter import LiteRT, Runner, Tensor

START_LIMIT_S, RUN_LIMIT_S = 60, 20  # generous: a slow card and a busy machine are no damage
MEMORY_LIMIT_BYTES = 4 * 2**30  # of addresses: the largest model of the papers takes a tenth


class Isolated(Runner):
    """The first input and output of a model, as `LiteRT` runs it, at a tenth of a millisecond more a window.

    Raises: ZooError for a file that LiteRT refuses, now or later, or that ends its process.
    """

    kernels = "litert-xnnpack"

    def __init__(self, model: bytes, num_threads=1):
        self._process = subprocess.Popen(
            **child.of_module("zoo.runtime.isolated", str(num_threads)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        weakref.finalize(self, _end, self._process)
        answer = json.loads(self._ask(struct.pack("<Q", len(model)) + model, None, START_LIMIT_S))
        if "error" in answer:
            raise ZooError(answer["error"])
        self.input, self.output = (Tensor.from_json(answer[end]) for end in ("input", "output"))

    def run_all(self, given):
        """The output, in its own dtype, for an array for the input: lists."""
        output = self._ask(given[0].tobytes(), self.output.bytes, RUN_LIMIT_S)
        return [np.frombuffer(output, self.output.dtype).reshape(1, *self.output.shape)]

    def _ask(self, question, answer_bytes, limit_s):
        """The process's answer: so many bytes, or a line."""
        watch = Timer(limit_s, self._process.kill)
        watch.start()
        try:
            self._process.stdin.write(question)
            self._process.stdin.flush()
            pipe = self._process.stdout
            answer = pipe.readline() if answer_bytes is None else pipe.read(answer_bytes)
        except OSError:  # the pipe is broken
            answer = b""
        finally:
            in_time = watch.is_alive()
            watch.cancel()
        if len(answer) < (answer_bytes or 1):
            what = "dies of it" if in_time else f"comes to no end in {limit_s} s"
            raise ZooError(f"the .tflite file is damaged: LiteRT {what}")
        return answer


def _end(process):
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def _serve(num_threads):
    """The child: a model in, its ends out; then for each input its output, until the parent ends."""
    for stop in (signal.SIGINT, signal.SIGTERM):  # meant for the parent, which still asks for its last answers
        signal.signal(stop, signal.SIG_IGN)
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    try:
        import resource  # Unix alone
    except ImportError:
        pass
    else:
        for kind, limit in ((resource.RLIMIT_AS, MEMORY_LIMIT_BYTES), (resource.RLIMIT_CORE, 0)):
            with suppress(ValueError, OSError):  # a stricter limit is there already, or the system knows none
                resource.setrlimit(kind, (limit, limit))
    (size,) = struct.unpack("<Q", questions.read(8))
    try:
        runner = LiteRT(questions.read(size), num_threads=num_threads)
        told = {"input": runner.input.as_json(), "output": runner.output.as_json()}
    except Exception as error:  # whatever Python raises over a damaged file is damage, told
        told = {"error": f"no .tflite file, or a damaged one: {one_line(error)}"}
    answers.write(json.dumps(told).encode() + b"\n")
    answers.flush()
    while "error" not in told and (given := questions.read(runner.input.bytes)):
        batch = np.frombuffer(given, runner.input.dtype).reshape(1, *runner.input.shape)
        answers.write(runner.run_all([batch])[0].tobytes())
        answers.flush()


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
