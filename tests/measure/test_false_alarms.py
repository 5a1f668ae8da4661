"""Alarms in hours of other sounds: counted by hand, and the interval by the Poisson distribution itself."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import poisson

from zoo.measure import false_alarms
from zoo.runtime.events import Detection


@pytest.mark.parametrize("events, hours", [(0, 1.0), (3, 0.76), (40, 2.0)])
def test_the_interval_leaves_a_fortieth_at_either_end(events, hours):
    found = false_alarms.rate(events, hours)
    assert found["per_hour"] == events / hours
    assert poisson.cdf(events, found["high"] * hours) == pytest.approx(0.025)
    if events:
        assert poisson.sf(events - 1, found["low"] * hours) == pytest.approx(0.025)
    else:
        assert found["low"] == 0 and found["high"] == pytest.approx(3.689 / hours, rel=1e-3)


def test_each_sensitivity_counts_its_own_events():
    times = np.arange(1, 41) / 4
    smoothed = np.zeros((40, 2), np.float32)
    smoothed[4:10, 0], smoothed[20:30, 0], smoothed[:, 1] = 0.6, 0.9, 0.2
    decisions = [SimpleNamespace(time_s=time, smoothed=row) for time, row in zip(times, smoothed)]
    classifier = SimpleNamespace(
        sample_rate_hz=4,
        labels=("dog", "rain"),
        open_stream=lambda rate_hz: SimpleNamespace(feed=lambda waveform: decisions[int(waveform[0]) :][:20]),
        detection=lambda on: Detection(on=on, off=tuple(min(each, 0.3) for each in on)),
    )
    found = false_alarms.count(classifier, np.array([[0.0], [20.0]]), {"low": (0.8, 0.8), "high": (0.5, 0.1)})
    assert found["hours"] == 10 / 3600
    assert found["points"]["low"]["by_class"] == {"dog": 1}
    assert found["points"]["high"]["by_class"] == {"dog": 2, "rain": 1} and found["points"]["high"]["alarms"] == 3
