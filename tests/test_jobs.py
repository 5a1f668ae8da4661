"""Processes side by side: how many at a time, what is told of one that fails, and who stops."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from zoo import child, jobs
from zoo.errors import ZooError

# A job that tells in a file when it begins, and how it ends.
CODE = """
import json, os, sys, time
from zoo import child
what, seconds, events = json.loads(sys.stdin.readline())
child.stop_with_the_parent()
def tell(word):
    with open(events, "a") as file:
        print(what, word, file=file)
tell("begins")
print("first line", os.environ["TF_NUM_INTRAOP_THREADS"], os.environ["OMP_NUM_THREADS"], flush=True)
print("what went wrong", file=sys.stderr)
try:
    time.sleep(seconds)
except KeyboardInterrupt:
    tell("is stopped")
    sys.exit(130)
if what == "dies":
    os.kill(os.getpid(), 9)
tell("ends")
sys.exit(2 if what == "fails" else 0)
"""
# A process that runs one such job, until it is stopped itself.
PARENT = """
import pathlib, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests in the background ignores it
sys.path.insert(0, sys.argv[1])
import test_jobs
test_jobs.run(pathlib.Path(sys.argv[2]), {"long": 60}, 1)
"""


def run(folder, seconds, at_a_time):
    """Runs jobs of so many `seconds`, {name: seconds}."""
    of_module = child.of_module

    def of_code(code):
        command = of_module("")
        return {**command, "args": [sys.executable, "-c", code]}

    child.of_module = of_code
    try:
        given = {
            name: json.dumps((name, long, str(folder / "events"))).encode() + b"\n" for name, long in seconds.items()
        }
        jobs.side_by_side({name: jobs.Job(CODE, given[name], folder / f"{name}.log") for name in given}, at_a_time)
    finally:
        child.of_module = of_module


def events(folder):
    return (folder / "events").read_text().splitlines() if (folder / "events").exists() else []


def test_no_more_run_at_a_time_than_were_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(jobs.machine, "cores", lambda: 9)
    run(tmp_path, {"a": 0.6, "b": 0.1, "c": 0.1}, 2)
    running = most = 0
    for event in events(tmp_path):
        running += {"begins": 1, "ends": -1}[event.split()[1]]
        most = max(most, running)
    assert most <= 2 and len(events(tmp_path)) == 6
    assert (tmp_path / "c.log").read_text() == "first line 4 4\nwhat went wrong\n"  # 9 cores for 2


def test_one_that_fails_is_told_by_its_last_line_and_the_others_stop(tmp_path):
    with pytest.raises(ZooError, match=r"^fails: what went wrong; all that it wrote is in .*fails\.log$"):
        run(tmp_path, {"long": 60, "fails": 1, "later": 0}, 2)
    assert "long is stopped" in events(tmp_path) and "later begins" not in events(tmp_path)


def test_one_that_is_killed_is_told_by_its_signal(tmp_path):
    with pytest.raises(ZooError, match="dies: ended by signal 9"):
        run(tmp_path, {"dies": 0}, 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_when_this_process_ends_none_goes_on(tmp_path, number):
    command = [sys.executable, "-c", PARENT, os.path.dirname(__file__), str(tmp_path)]
    parent = subprocess.Popen(command, env=child.of_module("")["env"], stderr=subprocess.DEVNULL)
    _wait_for("long begins", tmp_path)
    parent.send_signal(number)
    _wait_for("long is stopped", tmp_path)
    assert parent.wait(60) != 0


def _wait_for(event, folder):
    deadline = time.monotonic() + 120  # a busy machine takes its time to start Python twice
    while event not in events(folder):
        assert time.monotonic() < deadline, event
        time.sleep(0.05)
