"""`python -m zoo classify`: what is heard in recordings."""

import csv
import json
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

from zoo.command_line import add_command, refuse_picture
from zoo.commands import hearing
from zoo.errors import ZooError

CLASSIFY = """\
What a model hears in recordings: of any format, rate, length and number of channels, or folders full of them. The
scores of a recording are the mean over its windows, quiet ones left out; --events tells when each label was heard. Of a
model that hears any number of sounds at a time, all labels are told that reach their thresholds.

examples:
  python -m zoo classify --model exported/micro_acdnet-esc10 dog.wav recordings/
  python -m zoo classify --model model.tflite --csv recordings/ > scores.csv
  python -m zoo classify --model model.tflite night.flac --events night.txt --picture night.png
"""
NONE_HEARD = "no label reaches its threshold"


def add(commands):
    """Adds the command to a parser's."""
    classify = add_command(commands, "classify", "what is heard in recordings", CLASSIFY)
    classify.add_argument("files", nargs="+", metavar="FILE", type=Path, help="recording, or folder of recordings")
    hearing.add_arguments(classify)
    classify.add_argument("--top", type=int, metavar="N", help="labels in the table (default 3, or all that are heard)")
    form = classify.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="as JSON: every score, and the events")
    form.add_argument("--csv", action="store_true", help="as CSV: a column for each label")
    classify.add_argument("--picture", metavar="FILE.png", type=Path, help="draw one recording and its events")
    classify.set_defaults(run=_classify)


def _classify(args):
    from zoo.runtime.extras import extra
    from zoo.runtime.recordings import find_recordings

    if args.top is not None and args.top < 1:
        raise ZooError("--top takes 1 or more")
    files = find_recordings(args.files)
    if len(files) > 1 and (args.events or args.picture):
        raise ZooError(f"--events and --picture tell of one recording; {len(files)} were given")
    if args.picture:
        extra("matplotlib", "to draw")
        refuse_picture(args.picture, args.overwrite)
    classifier, detection = hearing.open_classifier(args)
    rows = csv.writer(sys.stdout)
    if args.csv:
        rows.writerow(["file", "seconds", "label", *classifier.labels])
    told, width = [], min(60, max(len(str(file)) for file in files))
    with hearing.open_events(args) as events:
        for file in files:
            try:
                row = _hear(classifier, detection, file, args, events)
            except ZooError as error:
                row = {"file": str(file), "error": str(error)}
                print(f"python -m zoo classify: {error}", file=sys.stderr)
            told.append(row)
            if args.csv and "error" not in row:
                scores = (row["scores"][label] for label in classifier.labels)
                rows.writerow([file, row["seconds"], "; ".join(row["labels"]), *scores])
            elif not args.json and "error" not in row:
                heard = classifier.thresholds and not args.top
                shown = row["labels"] if heard else list(row["scores"])[: args.top or 3]
                labels = "  ".join(f"{label} {row['scores'][label]:.2f}" for label in shown)
                print(f"{file!s:<{width}} {row['seconds']:>10,.1f} s  {labels or NONE_HEARD}")
    if args.json:
        print(json.dumps(told, indent=2, ensure_ascii=False))
    failed = sum("error" in row for row in told)
    if failed:
        raise ZooError(f"{failed} of {len(files)} recordings were not heard; see above")


def _hear(classifier, detection, file, args, event_file):
    """What is told of one recording: a dict as JSON holds it."""
    from zoo.progress import bar
    from zoo.runtime.classifier import Mean
    from zoo.runtime.recordings import Recording

    recording = Recording(file)
    stream = classifier.open_stream(recording.sample_rate_hz, args.hop, detection)
    overview = None
    if args.picture:
        from zoo.plots.recording import Overview  # matplotlib is not in the light install

        overview = Overview(recording.seconds, recording.sample_rate_hz)
    mean, events, samples = Mean(), [], 0

    def take(decisions):
        for decision in decisions:
            mean.add(decision.scores, decision.is_quiet)
            for event in decision.ended:
                keep(event)

    def keep(event):
        events.append(event)
        if event_file:
            event_file.write(event)

    with warnings.catch_warnings(), bar(total=round(recording.seconds), desc=file.name, unit="s", delay=2) as progress:
        warnings.showwarning = lambda message, *_: print(f"{file}: {message}", file=sys.stderr)
        for block in recording.blocks():
            with _named(file):
                take(stream.feed(block))
            if overview:
                overview.add(block)
            samples += len(block)
            progress.update(samples // recording.sample_rate_hz - progress.n)
    take(stream.close())
    for event in stream.ended():
        keep(event)
    with _named(file):
        scores, labels = classifier.ranked(mean.value()), classifier.decided(mean.value())
    if overview:
        from zoo import plots
        from zoo.atomic import whole_file

        with whole_file(args.picture) as unfinished:
            plots.recording_and_events(overview, events, unfinished, file.name)
    return {
        "file": str(file),
        "seconds": round(samples / recording.sample_rate_hz, 3),
        "sample_rate_hz": recording.sample_rate_hz,
        "labels": labels,
        "scores": scores,
        "events": [event._asdict() for event in events],
    }


@contextmanager
def _named(file):
    """Puts the file's name before what is wrong with its samples."""
    try:
        yield
    except ZooError as error:
        raise ZooError(f"{file}: {error}") from error
