import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from zoo.__main__ import main
from zoo.runtime import Classifier, Detection

ROOT = Path(__file__).parents[2]
RATE_HZ = 16_000
LOOSE = ["--on", "0.35", "--off", "0.3", "--smoothing", "0", "--min", "0"]


@pytest.fixture
def expected(bands, sound):
    """What the library hears in the sound, as 16-bit PCM holds it."""
    pcm = np.round(sound * 32767).astype("<i2")
    detection = Detection(on=0.35, off=0.3, smoothing_s=0, min_s=0)
    events = list(Classifier(bands.folder).stream([pcm], RATE_HZ, detection=detection))
    assert events
    return pcm, [event._asdict() for event in events]


def heard(text):
    return [json.loads(line) for line in text.splitlines()]


def same(found, expected):
    return len(found) == len(expected) and all(
        one["label"] == other["label"] and abs(one["onset_s"] - other["onset_s"]) < 0.001
        for one, other in zip(found, expected, strict=True)
    )


@pytest.mark.parametrize("name", ["sound.raw", "sound.wav"])
def test_a_file_is_heard_like_a_microphone(bands, expected, name, tmp_path, capsys):
    pcm, events = expected
    if name.endswith(".raw"):
        (tmp_path / name).write_bytes(pcm.tobytes())
    else:
        soundfile.write(tmp_path / name, pcm, RATE_HZ)
    rate = ["--rate", str(RATE_HZ)] if name.endswith(".raw") else []
    events_file = tmp_path / "events.jsonl"
    main(["listen", "--model", str(bands.folder), "--input", str(tmp_path / name), *rate, *LOOSE, "--json",
          "--events", str(events_file)])  # fmt: skip
    told = capsys.readouterr()
    assert same(heard(told.out), events) and told.out == events_file.read_text()
    assert "ms of the 250 between two" in told.err and f"{len(events)} events" in told.err


def listener(bands, *flags):
    command = [sys.executable, "-m", "zoo", "listen", "--model", bands.folder, "--input", "-", "--rate", str(RATE_HZ)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen([*command, *flags], cwd=ROOT, **pipes)


def test_pcm_from_a_pipe_is_heard_as_it_comes(bands, expected):
    pcm, events = expected
    out, err = listener(bands, *LOOSE, "--json").communicate(pcm.tobytes())
    assert same(heard(out.decode()), events) and b"Traceback" not in err


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_ends_the_events_and_sums_up(bands, expected, stop):
    pcm, events = expected
    child = listener(bands, *LOOSE, "--json")
    child.stdin.write(pcm.tobytes())
    child.stdin.flush()
    child.stderr.readline()  # it listens
    time.sleep(1)  # and has heard all of it
    child.send_signal(stop)
    out, err = child.communicate()
    assert child.returncode == 0 and b"Traceback" not in err
    assert same(heard(out.decode()), events) and f"{len(events)} events".encode() in err


@pytest.mark.parametrize(
    "flags, told",
    [
        (["--input", "-"], "pass --rate"),
        (["--input", "none.wav"], "none.wav: no such file"),
        (["--input", "none.raw", "--rate", "16000"], "none.raw"),
        (["--input", "-", "--rate", "1"], "sample rate"),
        (["--input", "-", "--rate", "16000", "--channels", "0"], "--channels"),
        (["--input", "-", "--rate", "16000", "--hop", "0.000001"], "does not keep up"),
    ],
)
def test_what_cannot_be_listened_to_is_one_line(bands, flags, told, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["listen", "--model", str(bands.folder), *flags])
    err = capsys.readouterr().err
    assert ended.value.code == 2 and told in err and "Traceback" not in err
