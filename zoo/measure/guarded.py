"""Measurements in a process of its own: a file that ends it, or has no end itself, becomes one line."""

import json
import signal
import subprocess
import tempfile
from threading import Timer

from zoo import child
from zoo.errors import ZooError, one_line

SILENCE_LIMIT_S = 300  # without a word from the process: a slow board with a large model is no damage

TICK, ANSWER = "tick ", "answer "  # how its lines begin; what the libraries say on the way is none of them


def answer_of(module, request, on_tick=lambda count: None):
    """What `python -m module REQUEST` answers: a dict, as its last line has it.

    request: what JSON can hold. on_tick is called for each `tick(count)` of the process.

    Raises: ZooError for an answer {"error": line}, and for a process that dies or says nothing more; it names no file.
    """
    answer, is_silent = None, False

    def give_up():
        nonlocal is_silent
        is_silent = True
        process.kill()

    with tempfile.TemporaryDirectory() as folder:  # where a core dump goes with it
        process = subprocess.Popen(
            **child.of_module(module, json.dumps(request)),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
        )
        watchdog = _started(Timer(SILENCE_LIMIT_S, give_up))
        try:
            for line in process.stdout:
                watchdog.cancel()
                watchdog = _started(Timer(SILENCE_LIMIT_S, give_up))
                if line.startswith(TICK):
                    on_tick(int(line.removeprefix(TICK)))
                elif line.startswith(ANSWER):
                    answer = json.loads(line.removeprefix(ANSWER))
        finally:
            watchdog.cancel()
            process.kill()  # where this one is stopped: of what has ended nothing is left to kill
            status = process.wait()
            process.stdout.close()
    if answer is None:
        raise ZooError(f"LiteRT {_ending(status, is_silent)}: the file is damaged, or memory ran out")
    if "error" in answer:
        raise ZooError(answer["error"])
    return answer


def tick(count):
    """Says, in the process, that so much more is done."""
    print(f"{TICK}{count}", flush=True)


def give(answer):
    """Gives the answer, in the process."""
    print(ANSWER + json.dumps(answer), flush=True)


def refused(error):
    """The answer that a file cannot be run, in one line."""
    told = one_line(error)
    return {"error": told if isinstance(error, ZooError) else f"LiteRT cannot run it: {told}"}


def _started(timer):
    timer.daemon = True
    timer.start()
    return timer


def _ending(status, is_silent):
    if is_silent:
        return f"says nothing for {SILENCE_LIMIT_S} s on it"
    if status >= 0:
        return f"ends on it with status {status}"
    try:
        return f"dies on it ({signal.Signals(-status).name})"
    except ValueError:
        return f"dies on it (signal {-status})"
