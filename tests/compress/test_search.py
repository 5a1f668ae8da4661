"""The search: its oracle is told what fits, and what is best is known by hand."""

import json
import os
import socket
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from zoo.compress import search
from zoo.compress.search import Budget, Span
from zoo.errors import Diverged, ZooError

SPACE = {"width": (8, 16, 24, 32, 48, 64, 96, 128), "depth": (1, 2, 3, 4, 5), "learning_rate": Span(1e-4, 1e-1)}
Sizes = namedtuple("Sizes", "flash_bytes ram_bytes macs")
BUDGET = Budget(flash_bytes=10_000, macs=20_000_000)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """One process asks for a trial only when there is one."""
    monkeypatch.setattr(search, "WAIT_S", 0)


def sizes(settings):
    return Sizes(settings["width"] ** 2 * settings["depth"], 0, 4_097 * settings["width"] ** 2)


def excess(settings):
    return BUDGET.excess(sizes(settings))


def assess(settings, epochs):
    """More is better, and a rate of about 1e-2: of what fits the best is 48 wide and 4 deep."""
    rate = abs(1 - 100 * settings["learning_rate"])
    accuracy = 1 - 1 / (1 + sizes(settings).flash_bytes / 1_000) - 0.01 * min(rate, 1) - 0.1 / epochs
    return {"accuracy": accuracy, "macs": sizes(settings).macs}


def searched(folder, trials=20, tuner="bayesian", assess=assess, start=None, epochs=9):
    return search.search(SPACE, start or {}, excess, assess, tuner, trials, epochs, folder, seed=0)


def test_a_bayesian_search_begins_where_it_is_told_and_ends_near_the_best_that_fits(tmp_path):
    ran = searched(tmp_path, start={"width": 24, "depth": 2, "learning_rate": 0.01})
    assert ran[0].settings == {"width": 24, "depth": 2, "learning_rate": 0.01}
    trained = [trial for trial in ran if not trial.excess]
    assert len(trained) == 20 and len({str(trial.settings) for trial in ran}) == len(ran)
    best = max(trained, key=lambda trial: trial.figures["accuracy"]).settings
    assert 5_000 < sizes(best).flash_bytes <= 10_000  # of 40 nets the five largest that fit


def test_what_does_not_fit_is_refused_untrained_and_says_what_is_too_much(tmp_path):
    asked = []
    ran = searched(
        tmp_path, trials=2, start={"width": 128, "depth": 5}, assess=lambda *one: asked.append(one) or assess(*one)
    )
    assert ran[0].settings["width"] == 128 and ran[0].figures == {}
    assert ran[0].excess == "flash_bytes 81,920 of 10,000, macs 67,125,248 of 20,000,000"
    assert len(asked) == 2 and all(excess(settings) == "" for settings, _ in asked)


def test_hyperband_gives_the_better_third_more_epochs(tmp_path):
    ran = [trial for trial in searched(tmp_path, trials=100, tuner="hyperband") if not trial.excess]
    assert {trial.epochs for trial in ran} == {1, 3, 9}
    promoted = [trial.settings for trial in ran if trial.epochs == 3]
    assert all(settings in [trial.settings for trial in ran if trial.epochs == 1] for settings in promoted[:3])


def test_a_search_that_was_stopped_goes_on_and_trains_nothing_twice(tmp_path):
    calls = []

    def dies(settings, epochs):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(settings)
        return assess(settings, epochs)

    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path, trials=6, assess=dies)
    again = []
    ran = searched(tmp_path, trials=6, assess=lambda *asked: again.append(asked[0]) or assess(*asked))
    assert len(again) == 4 and not [settings for settings in again if settings in calls]
    assert len([trial for trial in ran if not trial.excess]) == 6


def test_a_training_that_diverges_is_told_and_the_search_goes_on(tmp_path):
    def diverges(settings, epochs):
        if settings["learning_rate"] == 0.1:
            raise Diverged("epoch 1: the loss is nan")
        return assess(settings, epochs)

    ran = searched(tmp_path, trials=2, start={"width": 16, "depth": 1, "learning_rate": 0.1}, assess=diverges)
    assert ran[0].excess == "epoch 1: the loss is nan" and sum(not trial.excess for trial in ran) == 2


def test_what_a_trial_raises_ends_the_search_with_that_error(tmp_path):
    def breaks(settings, epochs):
        raise ZooError("the disk is full")

    with pytest.raises(ZooError, match="the disk is full"):
        searched(tmp_path, assess=breaks)


def test_a_budget_that_nothing_fits_is_refused_with_what_is_too_much(tmp_path, monkeypatch):
    monkeypatch.setattr(search, "MOST_REFUSED", 2)
    with pytest.raises(ZooError, match="nothing fits the budget: .* of 5"):
        search.search(
            SPACE, {}, lambda settings: Budget(5).excess(sizes(settings)), assess, "bayesian", 3, 1, tmp_path, 0
        )


PROCESS = """
import json, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_search import searched
ran = searched(Path({folder!r}) / sys.argv[1], trials=6)
print(json.dumps(ran and [(trial.settings, trial.figures) for trial in ran if not trial.excess]))
"""


def test_two_workers_and_a_chief_search_the_same_space_and_the_chief_has_all_of_it(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = PROCESS.format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    processes = {
        name: subprocess.Popen(
            [sys.executable, "-c", program, name],
            env={
                **os.environ,
                "KERASTUNER_TUNER_ID": name,
                "KERASTUNER_ORACLE_IP": "127.0.0.1",
                "KERASTUNER_ORACLE_PORT": str(port),
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("chief", "worker1", "worker2")
    }
    told = {name: process.communicate(timeout=300)[0] for name, process in processes.items()}
    assert [process.returncode for process in processes.values()] == [0, 0, 0]
    chief, *workers = (json.loads(lines.strip().splitlines()[-1]) for lines in told.values())
    assert workers == [None, None] and len(chief) == 6
    # Nothing was rounded on its way: float32 ends at 2 ** 24.
    assert all(figures == assess(settings, 9) for settings, figures in chief)
    assert all(settings["width"] in SPACE["width"] and settings["depth"] in SPACE["depth"] for settings, _ in chief)
