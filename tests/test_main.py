"""`python -m zoo`: figures of the paper, as a program reads them, and strict flags."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.__main__ import main
from zoo.models import MODELS

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def listed():
    """What the real command line prints, from any working directory."""
    return subprocess.run(
        [sys.executable, "-m", "zoo", "list", "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )


def test_list_gives_json_and_nothing_else(listed):
    assert listed.stderr == ""
    assert [row["name"] for row in json.loads(listed.stdout)] == [*MODELS]


# ACDNet: the layers of the paper's table 2 at 50 classes. Counted by hand there and in tests/measure/test_counts.py.
@pytest.mark.parametrize(
    "name, parameters, macs", [("acdnet", 4_735_378, 541_869_356), ("micro_acdnet", 131_474, 14_286_134)]
)
def test_list_gives_a_models_size_and_work(listed, name, parameters, macs):
    (row,) = [row for row in json.loads(listed.stdout) if row["name"] == name]
    assert (row["parameters"], row["macs"]) == (parameters, macs)
    assert (row["input_shape"], row["num_classes"], row["sample_rate_hz"]) == ([30_225, 1, 1], 50, 20_000)


def test_list_for_people_has_a_line_for_each_model(capsys):
    main(["list"])
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.startswith("model") and [line.split()[0] for line in lines] == [*MODELS]
    assert "4,735,378" in lines[0] and "30225x1x1" in lines[0]


@pytest.mark.parametrize("argv", [["list", "--jsn"], ["list", "--js"], ["lst"], []])
def test_what_is_unknown_or_missing_is_refused_with_2(argv, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    assert stopped.value.code == 2
    assert capsys.readouterr().out == ""


def test_a_stop_is_one_line_without_a_traceback(monkeypatch, capsys):
    def stopped(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("zoo.commands.listing._list", stopped)
    with pytest.raises(SystemExit) as ended:
        main(["list"])
    assert ended.value.code == 130 and capsys.readouterr().err == "\nstopped; no file was left half-written\n"


def test_what_the_system_refuses_is_one_line_with_the_file(monkeypatch, capsys):
    def refused(_):
        raise PermissionError(13, "Permission denied", "/root/report.json")

    monkeypatch.setattr("zoo.commands.listing._list", refused)
    with pytest.raises(SystemExit) as ended:
        main(["list"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "python -m zoo: /root/report.json: Permission denied\n"
