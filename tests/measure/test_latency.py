"""Times, memory and energy of a file on this machine: measured in processes of their own, which may die of a file."""

import json
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from zoo.errors import ZooError
from zoo.measure import energy, guarded, latency, machine


def answering(tmp_path, monkeypatch, script):
    """The answer of a process that runs `script`."""
    (tmp_path / "measuring.py").write_text(f"import os, signal, sys, time\nfrom zoo.measure import guarded\n{script}\n")
    monkeypatch.setenv("PYTHONPATH", os.fspath(tmp_path))
    return guarded.answer_of("measuring", {"number": 7})


def test_the_ratio_is_that_of_the_medians_and_lies_in_its_interval():
    rng = np.random.default_rng(0)
    one, two = rng.normal(30, 1, 400), rng.normal(20, 1, 400)
    ratio, low, high = latency.ratio(one, two)
    assert ratio == np.median(one) / np.median(two) and low < ratio < high
    # The median of 400 normal values is off by 1.25 / 20 of their deviation: 0.3 % of 20, and of 30 less.
    assert low < 1.5 < high and high - low < 0.03


def test_the_interval_holds_the_true_ratio_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    held = 0
    for seed in range(100):
        _, low, high = latency.ratio(rng.lognormal(0, 0.2, 60), rng.lognormal(0, 0.2, 60), seed)
        held += low <= 1 <= high
    assert 88 <= held <= 100  # 95 expected; 88 or fewer come once in 250 times


def test_what_slows_both_down_falls_out_of_the_ratio():
    rng = np.random.default_rng(2)
    slow = np.repeat(rng.uniform(1, 3, 20), 10)  # a busy moment lasts ten rounds
    ratio, low, high = latency.ratio(2 * slow, slow)
    assert ratio == low == high == 2


def test_a_process_that_dies_is_one_line(tmp_path, monkeypatch):
    with pytest.raises(ZooError, match=r"LiteRT dies on it \(SIGSEGV\)") as error:
        answering(tmp_path, monkeypatch, "os.kill(os.getpid(), signal.SIGSEGV)")
    assert "\n" not in str(error.value)


def test_a_process_that_comes_to_no_end_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(guarded, "SILENCE_LIMIT_S", 0.5)
    start = time.monotonic()
    with pytest.raises(ZooError, match="says nothing for 0.5 s"):
        answering(tmp_path, monkeypatch, "time.sleep(60)")
    assert time.monotonic() - start < 20


def test_a_process_that_ends_without_an_answer_is_one_line(tmp_path, monkeypatch):
    with pytest.raises(ZooError, match="ends on it with status 3"):
        answering(tmp_path, monkeypatch, "sys.exit(3)")


def test_what_libraries_print_is_no_answer(tmp_path, monkeypatch):
    script = "print('INFO: answers');guarded.tick(2); guarded.give({'sum': 3}); print('bye')"
    assert answering(tmp_path, monkeypatch, script) == {"sum": 3}


def test_an_error_of_several_lines_becomes_one():
    assert guarded.refused(ValueError("no\n  model")) == {"error": "LiteRT cannot run it: no model"}
    assert guarded.refused(ZooError("told")) == {"error": "told"}


def rapl(folder, package_uj, range_uj=1_000_000):
    """A powercap folder of one package, its core zone, and the whole platform."""
    names = {"intel-rapl:0": "package-0", "intel-rapl:0:0": "core", "intel-rapl:1": "psys"}
    for zone, name in names.items():
        (folder / zone).mkdir(parents=True, exist_ok=True)
        for file, content in (("name", name), ("energy_uj", package_uj), ("max_energy_range_uj", range_uj)):
            (folder / zone / file).write_text(f"{content}\n")


def test_joules_are_those_of_the_package_alone_and_counters_may_run_over(tmp_path):
    rapl(tmp_path, 400_000)
    meter = energy.Meter.open(tmp_path)
    rapl(tmp_path, 900_000)
    assert meter.joules() == 0.5
    rapl(tmp_path, 100_000)  # over the end at 1,000,000
    assert meter.joules() == pytest.approx(0.200001)
    assert meter.joules() == 0


def test_without_counters_there_is_no_meter(tmp_path):
    assert energy.Meter.open(tmp_path / "powercap") is None
    rapl(tmp_path, 5)
    (tmp_path / "intel-rapl:0/energy_uj").unlink()  # as good as one that only root may read
    assert energy.Meter.open(tmp_path) is None


def test_the_machine_tells_neither_its_name_nor_a_path():
    described = json.dumps(machine.describe())
    assert os.uname().nodename not in described and os.path.expanduser("~") not in described.split('"')
    assert machine.describe()["cores"] >= 1 and machine.describe()["memory_bytes"] > 2**27


def test_a_board_is_called_what_its_device_tree_says(tmp_path, monkeypatch):
    (tmp_path / "model").write_bytes(b"Raspberry Pi 4 Model B Rev 1.4\0")
    monkeypatch.setattr(machine, "DEVICE_TREE", tmp_path / "model")
    assert machine.describe()["board"] == "Raspberry Pi 4 Model B Rev 1.4"


def test_the_peak_grows_with_what_is_held():
    """In a process of its own: this one's peak may lie far above what it holds."""
    script = """if True:
        import os
        from zoo.measure.process_memory import peak_bytes
        before = peak_bytes()
        held = os.urandom(2**26)
        print(peak_bytes() - before)
    """
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert 0.95 * 2**26 < int(told.stdout) < 1.1 * 2**26  # pages that were free before, and Python's own


def test_joules_of_a_call_are_those_of_all_calls_shared_out(monkeypatch):
    monkeypatch.setattr(latency, "ENERGY_S", 0.02)
    calls, readings = [], iter([1.0, 6.0])
    meter = SimpleNamespace(joules=lambda: next(readings))
    model = SimpleNamespace(run_all=calls.append)
    assert latency._joules(meter, model, "sound") == 6.0 / len(calls)
