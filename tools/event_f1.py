"""How well events are found: half an hour of real clips at known times, heard as one recording.

The clips of one fold come in random order, two to eight seconds apart, over faint noise. A clip is one event, or
several where it is quiet for longer than a window. An event is found where one of its label begins within half a
second, or a second, of it (each counts once, mir_eval matches them); segments are seconds in which a label is heard.

Run     python -m tools.event_f1 --model exported/micro_acdnet-esc10 --data-dir DIR --fold 5
"""

import argparse
import csv
import os
import resource
import time
from pathlib import Path

import mir_eval
import numpy as np
import soundfile

from zoo.runtime import Classifier, Detection, Event
from zoo.runtime.windows import level_dbfs

NOISE_DBFS = -70.0
GAP_S = (2.0, 8.0)
FRAME_S = 0.05  # in which a clip is loud or quiet
BLOCK_S = 1.0
MEMORY_AT_S = (600.0, 1800.0)


def build(data_dir, fold, seconds, seed, window_s):
    """(waveform, its rate, reference events), float32 at the clips' own rate."""
    rng = np.random.default_rng(seed)
    (table,) = (Path(data_dir) / "meta").glob("*.csv")
    with open(table, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["fold"] == str(fold)]
    waveform, events, waiting, at = None, [], [], 0
    while True:
        waiting = waiting or list(rng.permutation(len(rows)))
        row = rows[waiting.pop()]
        clip, rate_hz = soundfile.read(Path(data_dir) / "audio" / row["filename"], dtype="float32")
        if waveform is None:
            waveform = rng.normal(0, 10 ** (NOISE_DBFS / 20), round(seconds * rate_hz)).astype(np.float32)
        at += round(rng.uniform(*GAP_S) * rate_hz)
        if at + len(clip) > len(waveform):
            return waveform, rate_hz, events
        waveform[at : at + len(clip)] += clip
        for onset_s, offset_s in loud_stretches(clip, rate_hz, window_s):
            events.append(Event(at / rate_hz + onset_s, at / rate_hz + offset_s, row["category"], 1.0))
        at += len(clip)


def loud_stretches(clip, rate_hz, longest_pause_s):
    """[(onset, offset)] in seconds of what is not quiet, over pauses that are no longer than given."""
    frame = round(FRAME_S * rate_hz)
    levels = [level_dbfs(clip[start : start + frame]) for start in range(0, len(clip), frame)]
    stretches = []
    for number in np.flatnonzero(np.array(levels) > Detection.quiet_dbfs):
        onset_s, offset_s = number * FRAME_S, (number + 1) * FRAME_S
        if stretches and onset_s - stretches[-1][1] <= longest_pause_s:
            stretches[-1][1] = offset_s
        else:
            stretches.append([onset_s, offset_s])
    return stretches


def onset_f1(events, found, labels, collar_s):
    """F1 of events whose onsets lie within the collar, over all labels together."""
    hits = 0
    for label in labels:
        onsets_s = [np.array([event.onset_s for event in some if event.label == label]) for some in (events, found)]
        hits += len(mir_eval.util.match_events(*onsets_s, collar_s))
    return 2 * hits / (len(events) + len(found))


def segment_f1(events, found, labels, seconds):
    """F1 of whole seconds in which a label is heard."""
    grids = np.zeros((2, len(labels), round(seconds) + 1), bool)
    for grid, some in zip(grids, (events, found), strict=True):
        for event in some:
            grid[labels.index(event.label), int(event.onset_s) : int(np.ceil(event.offset_s))] = True
    return 2 * np.logical_and(*grids).sum() / grids.sum()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help=".tflite file or exported folder")
    parser.add_argument("--data-dir", type=Path, required=True, help="folder in ESC-50's layout")
    parser.add_argument("--fold", type=int, required=True)
    parser.add_argument("--hop", type=float, default=0.5, help="seconds (default %(default)s)")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    classifier = Classifier(args.model)
    seconds = 60 * args.minutes
    window_s = classifier.num_samples / classifier.sample_rate_hz
    waveform, rate_hz, events = build(args.data_dir, args.fold, seconds, args.seed, window_s)
    stream, found, memory_bytes = classifier.open_stream(rate_hz, args.hop), [], {}
    begun, block = time.process_time(), round(BLOCK_S * rate_hz)
    for start in range(0, len(waveform), block):
        for decision in stream.feed(waveform[start : start + block]):
            found += decision.ended
        if (start + block) / rate_hz in MEMORY_AT_S:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            memory_bytes[(start + block) / rate_hz] = pages * resource.getpagesize()
    for decision in stream.close():
        found += decision.ended
    found += stream.ended()
    taken_s = time.process_time() - begun
    print(f"{args.model}, fold {args.fold}, {len(events)} events in {args.minutes:g} minutes, hop {args.hop:g} s")
    for collar_s in (0.5, 1.0):
        print(f"event F1, onsets within {collar_s:g} s: {onset_f1(events, found, classifier.labels, collar_s):.3f}")
    print(f"segment F1, 1 s: {segment_f1(events, found, classifier.labels, seconds):.3f}; {len(found)} events found")
    print(f"{seconds / taken_s:,.0f} times real time, of processor time ({os.cpu_count()} cores here, one thread)")
    told = [f"{size / 1e6:.2f} MB after {at_s / 60:g} min" for at_s, size in memory_bytes.items()]
    print(f"resident memory: {', '.join(told)}")


if __name__ == "__main__":
    main()
