"""Processes side by side, each with its share of the cores and a log of its own.

When one fails, or this process ends, however it does, the others stop too.
"""

import os
import re
import signal
import subprocess
import time
from contextlib import suppress
from typing import NamedTuple

from zoo import child
from zoo.errors import ZooError
from zoo.measure import machine
from zoo.progress import bar

WAIT_S = 0.2  # between two looks at who has finished
FAREWELL_S = 20  # in which one that is asked to stop ends its step and leaves nothing half-written


class Job(NamedTuple):
    """A module to run, what it is given over standard input, and the path of its log.

    The module reads what it is given, and then calls `child.stop_with_the_parent`.
    """

    module: str
    given: bytes
    log: os.PathLike


def side_by_side(jobs, at_a_time, unit="job"):
    """Runs all `jobs`, {name: Job}, in their order. unit: what one is called, for the progress bar.

    Raises: ZooError where one fails: its name, the last line that it wrote, and its log.
    """
    waiting, running = list(jobs.items()), {}
    with bar(total=len(jobs), desc=f"{unit}s", unit=unit) as progress:
        try:
            while waiting or running:
                while waiting and len(running) < at_a_time:
                    name, job = waiting.pop(0)
                    running[name] = _start(job, at_a_time)
                    progress.set_postfix_str("; ".join(running))
                for name, process in list(running.items()):
                    if process.poll() is not None:
                        _check(name, process.returncode, jobs[name].log)
                        del running[name]
                        progress.set_postfix_str("; ".join(running), refresh=False)
                        progress.update()
                time.sleep(WAIT_S)
        finally:
            _stop(running.values())


def _start(job, at_a_time):
    """The process of a job. Its standard input stays open: when that ends, even by our death, it stops."""
    command = child.of_module(job.module)
    threads = str(max(1, machine.cores() // at_a_time))
    command["env"] |= {
        "TF_NUM_INTRAOP_THREADS": threads,
        "OMP_NUM_THREADS": threads,
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # else the first would take all of a GPU's memory
    }
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with open(job.log, "wb") as file:
        process = subprocess.Popen(
            **command, stdin=subprocess.PIPE, stdout=file, stderr=file, start_new_session=True
        )  # of its own: Ctrl-C comes to this process alone
    with suppress(BrokenPipeError):  # it has died, and its exit code will tell
        process.stdin.write(job.given)
        process.stdin.flush()
    return process


def _stop(processes):
    for process in processes:
        process.stdin.close()
    for process in processes:
        try:
            process.wait(FAREWELL_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _check(name, returncode, log):
    if returncode:
        lines = re.findall(r"[^\r\n]*\S", log.read_text(errors="replace"))
        told = lines[-1] if lines else f"exit code {returncode}"
        if returncode < 0:  # its last line is of before
            told = f"ended by signal {-returncode}; 9 may be for want of memory: run fewer at a time"
        raise ZooError(f"{name}: {told}; all that it wrote is in {log}")
