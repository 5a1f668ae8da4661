"""What the doctor says of recordings, held against levels worked out by hand."""

import json

import numpy as np
import pytest

from zoo.runtime.doctor import look_at


def tone(amplitude=0.5, seconds=1.0, rate=16_000):
    return amplitude * np.sin(2 * np.pi * 500 * np.arange(int(seconds * rate)) / rate)


def test_levels_are_those_of_a_sine():
    """Peak 20 log10 a, rms 3.01 dB under it; half a second of noise 60 dB under full scale is the floor."""
    noise = np.random.default_rng(0).normal(0, 1e-3, 8_000)
    measured = look_at(np.concatenate([tone(0.5), noise]) + 0.01, 16_000).statistics
    assert (measured.seconds, measured.channels, measured.sample_rate_hz) == (1.5, 1, 16_000)
    assert measured.peak_dbfs == pytest.approx(20 * np.log10(0.51), abs=0.01)
    assert measured.rms_dbfs == pytest.approx(-6.02 - 3.01 - 1.76, abs=0.02)  # two thirds of the time: -1.76 dB
    assert measured.noise_floor_dbfs == pytest.approx(-60, abs=0.5)  # 800 values a window: its rms varies by 2.5 %
    assert measured.dc == pytest.approx(0.01, abs=1e-4)


@pytest.mark.parametrize("samples", [
    np.zeros(0), np.zeros(1), np.zeros(16_000), np.full(16_000, np.nan), np.zeros((16_000, 8)), tone() * 32_768,
    np.stack([tone(), tone()], axis=1), np.zeros((0, 2)),
])  # fmt: skip
def test_any_recording_gives_lines_and_json(samples):
    report = look_at(samples.astype(np.float32), 16_000)
    assert report.lines() and all(line and "\n" not in line for line in report.lines())
    text = json.dumps(report.as_dict(), allow_nan=False)
    assert json.loads(text)["healthy"] == report.healthy
    assert [fault["name"] for fault in json.loads(text)["faults"]] == [fault.name for fault in report.faults]


def test_a_fault_is_told_with_its_evidence_and_its_remedy():
    report = look_at(np.clip(4 * tone(0.5), -1, 1), 16_000)
    assert not report.healthy
    assert any(line.startswith("clipping: channel 1 of 1: ") for line in report.lines())
    assert any(line.startswith("    lower the gain") for line in report.lines())


def test_equal_channels_do_not_make_a_recording_ill():
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000)
    report = look_at(np.stack([noise, noise], axis=1), 16_000)
    assert report.healthy and "duplicated_channel (harmless)" in " ".join(report.lines())


def test_an_empty_recording_is_said_to_be_empty():
    assert look_at(np.zeros(0, np.float32), 16_000).lines()[-1] == "no sound: nothing can be told of it"


def test_only_the_first_minute_is_looked_at_and_that_is_said():
    late = np.concatenate([np.random.default_rng(0).normal(0, 0.1, 61 * 8_000), np.full(8_000, np.nan)])
    report = look_at(late.astype(np.float32), 8_000)
    assert report.statistics.seconds == 62 and "looked at the first 60 s" in report.lines()
    assert "not_finite" not in [fault.name for fault in report.faults]
