import json
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from zoo.__main__ import main
from zoo.runtime import microphone

RATE_HZ = 16_000


@pytest.fixture
def speech_like():
    """Four seconds of noise that comes and goes: nothing is wrong with its numbers."""
    rng, at_s = np.random.default_rng(0), np.arange(4 * RATE_HZ) / RATE_HZ
    noise = np.convolve(rng.normal(0, 1, len(at_s)), np.exp(-np.arange(40) / 8), "same")
    return (0.05 * noise * (1.1 + np.sin(2 * np.pi * 3 * at_s))).astype(np.float32)


def test_a_recordings_fault_is_told_with_what_to_do_and_a_code(tmp_path, speech_like, capsys):
    clipped = np.clip(30 * speech_like, -0.5, 0.5)
    soundfile.write(tmp_path / "clipped.wav", clipped, RATE_HZ)
    with pytest.raises(SystemExit) as ended:
        main(["doctor", str(tmp_path), "--json"])
    told = json.loads(capsys.readouterr().out)
    (report,) = told["recordings"].values()
    assert ended.value.code == 1 and not told["healthy"]
    assert "clipping" in [fault["name"] for fault in report["faults"]]
    with pytest.raises(SystemExit):
        main(["doctor", str(tmp_path / "clipped.wav")])
    assert "clipping: " in capsys.readouterr().out


def hear(monkeypatch, samples, really_hz):
    """A microphone that says 16 kHz and delivers these samples at another rate, on a clock that only it moves."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("time.monotonic", lambda: clock.now)

    class Microphone:
        sample_rate_hz = RATE_HZ

        def __init__(self, device, channels):
            pass

        def blocks(self):
            for block in np.array_split(np.tile(samples, 5)[:, None], 200):
                yield block
                clock.now += len(block) / really_hz

    monkeypatch.setattr(microphone, "Microphone", Microphone)


def test_a_microphones_rate_is_measured_by_the_clock(monkeypatch, speech_like, capsys):
    hear(monkeypatch, speech_like, 48_000)
    with pytest.raises(SystemExit):
        main(["doctor", "--json", "--seconds", "2"])
    told = json.loads(capsys.readouterr().out)
    assert "it runs at 48,000 Hz" in told["microphone"]["wrong_rate"]
    hear(monkeypatch, speech_like, RATE_HZ * 1.01)  # quartzes differ by less
    try:
        main(["doctor", "--json", "--seconds", "2"])
    except SystemExit:
        pass  # whatever else it says of this noise
    assert "wrong_rate" not in json.loads(capsys.readouterr().out)["microphone"]


def test_without_a_microphone_the_installation_is_told(monkeypatch, capsys):
    def none(*_):
        raise microphone.Unplugged("no microphone: Error querying device -1")

    monkeypatch.setattr(microphone, "Microphone", none)
    main(["doctor"])
    out = capsys.readouterr().out
    assert "LiteRT: " in out and "note    microphone: no microphone" in out


@pytest.mark.parametrize("flags", [["--seconds", "0"], ["--seconds", "nan"], ["--channels", "0"], ["none.wav"]])
def test_what_cannot_be_looked_at_is_one_line(flags, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["doctor", *flags])
    assert ended.value.code == 2 and "Traceback" not in capsys.readouterr().err
