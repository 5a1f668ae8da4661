"""How often a model hears one of its sounds in an hour of others."""

import numpy as np
from scipy.stats import chi2

from zoo.evaluation import LEVEL
from zoo.progress import bar
from zoo.runtime.events import Hysteresis


def count(classifier, waveforms, points):
    """What is heard in waveforms of other sounds, one behind the other as a single recording.

    classifier: `zoo.runtime.Classifier`. waveforms: float32 (time,), at its own rate. points: {sensitivity: a threshold
    for each class}. Returns {"hours", "points": {sensitivity: {"alarms", "per_hour", "low", "high", "by_class"}}}, as
    JSON holds it: "by_class" counts the alarms of each class that had any.
    """
    stream = classifier.open_stream(classifier.sample_rate_hz)
    decisions = [
        decision for waveform in bar(waveforms, desc="false alarms", unit="clip") for decision in stream.feed(waveform)
    ]
    end_s = decisions[-1].time_s
    found = {}
    for sensitivity, thresholds in points.items():
        hysteresis = Hysteresis(classifier.labels, classifier.detection(on=tuple(thresholds)))
        events = [event for one in decisions for event in hysteresis.feed(one.time_s, one.smoothed)]
        labels = [event.label for event in (*events, *hysteresis.close(end_s))]
        found[sensitivity] = {
            "alarms": len(labels),
            **rate(len(labels), end_s / 3600),
            "by_class": {label: labels.count(label) for label in classifier.labels if label in labels},
        }
    return {"hours": end_s / 3600, "points": found}


def rate(events, hours):
    """{"per_hour", "low", "high"}: the rate of a Poisson process that gave so many events, and its exact interval.

    None in one hour still leaves 3.7 an hour possible.

    Source: Garwood 1936, "Fiducial limits for the Poisson distribution".
    """
    tail = (1 - LEVEL) / 2
    low, high = chi2.ppf(tail, 2 * events) / 2 if events else 0.0, chi2.ppf(1 - tail, 2 * (events + 1)) / 2
    return {"per_hour": events / hours, "low": float(np.float64(low) / hours), "high": float(high / hours)}
