import csv
import json

import numpy as np
import pytest

from zoo.errors import ZooError
from zoo.runtime.event_file import EventFile
from zoo.runtime.events import Detection, Event, Hysteresis

LABELS = ("dog", "rain")


def follow(scores, **detection):
    hysteresis = Hysteresis(LABELS, Detection(**{"on": 0.6, "off": 0.4, "min_s": 0.0, **detection}))
    events = [event for at_s, row in enumerate(scores) for event in hysteresis.feed(float(at_s), np.array(row))]
    return events, hysteresis


def test_an_event_begins_above_on_and_lasts_until_below_off():
    events, _ = follow([[0.5, 0], [0.7, 0], [0.9, 0], [0.5, 0], [0.39, 0], [0.5, 0]])
    assert events == [Event(1.0, 4.0, "dog", 0.9)]  # 0.5 neither ended it nor began another


def test_labels_are_followed_apart():
    events, _ = follow([[0.7, 0], [0.7, 0.8], [0.1, 0.8], [0, 0]])
    assert events == [Event(0.0, 2.0, "dog", 0.7), Event(1.0, 3.0, "rain", 0.8)]


def test_what_is_too_short_is_no_event():
    assert follow([[0.9, 0], [0, 0]], min_s=1.5)[0] == []
    assert follow([[0.9, 0], [0.9, 0], [0, 0]], min_s=1.5)[0] == [Event(0.0, 2.0, "dog", 0.9)]


def test_the_signals_end_is_the_end_of_what_is_heard_then():
    events, hysteresis = follow([[0, 0], [0.7, 0]])
    assert events == [] and hysteresis.close(7.5) == [Event(1.0, 7.5, "dog", 0.7)]
    assert hysteresis.close(8.0) == []


@pytest.mark.parametrize(
    "settings", [{"on": 0.3, "off": 0.4}, {"off": 0}, {"on": 1.2}, {"min_s": -1}, {"smoothing_s": -0.1}]
)
def test_settings_that_make_no_event_are_refused(settings):
    with pytest.raises(ZooError):
        Detection(**settings)


@pytest.fixture
def written(tmp_path):
    def write(name):
        with EventFile(tmp_path / name) as file:
            file.write(Event(1.25, 2.0, "crying, baby", 0.75))
            return (tmp_path / name).read_text(encoding="utf-8")  # before it is closed: a power cut takes nothing

    return write


def test_events_are_on_disk_as_they_end_in_the_form_that_the_name_tells(written):
    assert json.loads(written("a.jsonl")) == {"onset_s": 1.25, "offset_s": 2.0, "label": "crying, baby", "score": 0.75}
    rows = list(csv.DictReader(written("a.csv").splitlines()))
    assert rows == [{"onset_s": "1.250", "offset_s": "2.000", "label": "crying, baby", "score": "0.75"}]
    assert written("a.txt") == "1.250000\t2.000000\tcrying, baby\n"  # as Audacity's manual has label tracks


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ZooError, match=".jsonl"):
        EventFile(tmp_path / "events.xml")
