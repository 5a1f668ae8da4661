import numpy as np
import pytest

from tools import event_f1
from zoo.runtime import Event

LABELS = ("dog", "rain")


def event(onset_s, offset_s, label="dog"):
    return Event(onset_s, offset_s, label, 1.0)


def test_onsets_count_once_within_the_collar_and_of_their_own_label():
    events = [event(1, 2), event(5, 6), event(9, 10, "rain")]
    found = [event(1.4, 2), event(0.7, 2), event(5.6, 6), event(9, 10, "dog")]
    # Of three events and four found ones, one pair at 0.5 s, two at 1 s.
    assert event_f1.onset_f1(events, found, LABELS, 0.5) == pytest.approx(2 * 1 / 7)
    assert event_f1.onset_f1(events, found, LABELS, 1.0) == pytest.approx(2 * 2 / 7)


def test_segments_are_whole_seconds():
    events, found = [event(0.5, 2.5)], [event(1.5, 4)]
    # Seconds 0 to 2 against 1 to 3.
    assert event_f1.segment_f1(events, found, LABELS, 10) == pytest.approx(2 * 2 / 6)
    assert event_f1.segment_f1(events, [event(0.5, 2.5, "rain")], LABELS, 10) == 0


def test_pauses_that_a_window_spans_are_no_end():
    rate_hz = 1_000
    clip = np.zeros(5 * rate_hz)
    for start_s in (0.5, 1.5, 4.0):
        clip[round(start_s * rate_hz) : round(start_s * rate_hz) + 200] = 0.1
    stretches = event_f1.loud_stretches(clip, rate_hz, longest_pause_s=1.0)
    np.testing.assert_allclose(stretches, [[0.5, 1.7], [4.0, 4.2]])


def test_the_recording_holds_its_clips_at_their_known_times(esc10_folder):
    waveform, rate_hz, events = event_f1.build(esc10_folder, 1, 60, 0, window_s=1.5)
    assert len(waveform) == 60 * rate_hz and len(events) >= 5
    for one in events:
        inside = waveform[round(one.onset_s * rate_hz) : round(one.offset_s * rate_hz)]
        before = waveform[round((one.onset_s - 0.5) * rate_hz) : round(one.onset_s * rate_hz)]
        assert np.square(inside).mean() > 10 * np.square(before).mean()
