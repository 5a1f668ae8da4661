"""`python -m zoo listen`: what is heard right now."""

import math
import signal
import sys
import time
from pathlib import Path

from zoo.command_line import add_command
from zoo.commands import hearing
from zoo.errors import ZooError

LISTEN = """\
Listens to a microphone until Ctrl-C, or to what --input gives: a recording, or raw PCM (16 bit, little endian) from a
file or, with -, from the standard input. Each event is printed as it ends; on a terminal a meter shows level and
labels. An unplugged microphone is waited for.

examples:
  python -m zoo listen --model exported/micro_acdnet-esc10
  python -m zoo listen --model model.tflite --json --events heard.csv
  arecord -f S16_LE -r 16000 -t raw | python -m zoo listen --model model.tflite --input - --rate 16000
"""
RAW_ENDINGS = (".raw", ".pcm")
TRIALS = 5  # of the start-up check
LOSS_TOLD_S = 10.0  # at most so often
METER_DB = 60  # that the bar spans, up to full scale
METER_CELLS = 20


def add(commands):
    """Adds the command to a parser's."""
    listen = add_command(commands, "listen", "what is heard right now", LISTEN)
    hearing.add_arguments(listen)
    source = listen.add_mutually_exclusive_group()
    source.add_argument("--device", metavar="NAME", help="microphone, as python -m sounddevice lists them")
    source.add_argument("--input", metavar="FILE|-", help="listen to this instead")
    listen.add_argument("--rate", type=int, metavar="HZ", help="of raw PCM")
    listen.add_argument("--channels", type=int, default=1, metavar="N", help="of raw PCM and of the microphone")
    listen.add_argument("--json", action="store_true", help="events as JSON lines")
    listen.set_defaults(run=_listen)


def _listen(args):
    if not 1 <= args.channels <= 64:
        raise ZooError("--channels takes 1 to 64")
    classifier, detection = hearing.open_classifier(args)
    listener = Listener(classifier, detection, args.hop, args.json)
    listener.check_speed()
    source = _source(args) if args.input else _microphone(args)
    for stop in (signal.SIGINT, signal.SIGTERM):  # a service is stopped by the latter
        signal.signal(stop, listener.stop)
    with hearing.open_events(args) as listener.event_file:
        try:
            if args.input:
                listener.hear(*source)
            else:
                _hear_microphone(listener, source)
        except KeyboardInterrupt:
            listener.finish()
        listener.say(listener.summary())


def _source(args):
    """(blocks of samples, their rate) of --input."""
    from zoo.runtime.recordings import Recording, raw_blocks

    if args.input == "-" or Path(args.input).suffix in RAW_ENDINGS:
        if not args.rate:
            raise ZooError(f"--input {args.input}: raw PCM does not tell its rate; pass --rate")
        return raw_blocks(args.input, args.channels), args.rate
    recording = Recording(args.input)
    return recording.blocks(), recording.sample_rate_hz


def _microphone(args):
    from zoo.runtime.microphone import Microphone

    return Microphone(args.device, args.channels)


def _hear_microphone(listener, microphone):
    from zoo.runtime.microphone import Unplugged

    while True:
        listener.say(f"listening to {microphone.name}, {microphone.sample_rate_hz} Hz; Ctrl-C ends it")
        try:
            listener.hear(microphone.blocks(), microphone.sample_rate_hz, lambda: microphone.lost)
        except Unplugged as error:
            listener.finish()
            listener.say(f"{error}; it is waited for")
            microphone.wait()


class Listener:
    """Hears blocks, prints events as they end, keeps the meter."""

    def __init__(self, classifier, detection, hop_s, as_json):
        self._classifier, self._detection, self._hop_s, self._as_json = classifier, detection, hop_s, as_json
        self.event_file = None
        self._is_deciding, self._is_stopped = False, False
        self._meter = sys.stderr.isatty()
        self._stream, self._events, self._decisions, self._lost = None, 0, 0, lambda: 0
        self._began = None
        self._offset_s = 0.0  # of the stream: a microphone that came back begins a new one

    def check_speed(self):
        """Raises: ZooError where decisions take longer than the time between them, or that is none."""
        import numpy as np

        self._classifier.windows(self._classifier.sample_rate_hz, self._hop_s)
        noise = np.random.default_rng(0).normal(0, 0.1, (1, self._classifier.num_samples))
        self._classifier.scores(noise)
        begun = time.perf_counter()
        for _ in range(TRIALS):
            self._classifier.scores(noise)
        taken_s = (time.perf_counter() - begun) / TRIALS
        told = f"a decision takes {1000 * taken_s:.1f} ms of the {1000 * self._hop_s:.0f} between two"
        if taken_s > self._hop_s:
            raise ZooError(f"this machine does not keep up: {told}; pass a longer --hop, or a smaller model")
        self.say(told)

    def hear(self, blocks, sample_rate_hz, lost=lambda: 0):
        """Hears them all. lost: function that tells how often sound was lost so far."""
        now = time.monotonic()
        self._began = self._began or now
        self._offset_s = now - self._began
        self._stream, self._lost = self._classifier.open_stream(sample_rate_hz, self._hop_s, self._detection), lost
        told, told_at = lost(), -math.inf
        for block in blocks:
            self._take(self._stream.feed(block))
            if self._is_stopped:
                raise KeyboardInterrupt
            if lost() > told and time.monotonic() - told_at > LOSS_TOLD_S:
                told, told_at = lost(), time.monotonic()
                self.say(f"sound was lost, {told} times so far: this machine or its driver does not keep up")
        self.finish()

    def finish(self):
        """Hears the rest; events end."""
        stream, self._stream = self._stream, None
        if stream:
            self._take(stream.close())
            self._tell(stream.ended())

    def stop(self, *_):
        """Handles a signal: it waits until a decision is made, or an event be lost half told."""
        if not self._is_deciding:
            raise KeyboardInterrupt
        self._is_stopped = True

    def _take(self, decisions):
        self._is_deciding = True
        for decision in decisions:
            self._decisions += 1
            self._tell(decision.ended)
            if self._meter:
                self._show(decision)
        self._is_deciding = False

    def _tell(self, events):
        from zoo.runtime.event_file import json_line

        for event in events:
            self._events += 1
            event = event._replace(onset_s=event.onset_s + self._offset_s, offset_s=event.offset_s + self._offset_s)
            if self.event_file:
                self.event_file.write(event)
            self._clear()
            line = f"{event.onset_s:10.2f} {event.offset_s:10.2f}  {event.label} {event.score:.2f}"
            print(json_line(event) if self._as_json else line, flush=True)

    def _show(self, decision):
        filled = round(METER_CELLS * min(1, max(0, 1 + decision.level_dbfs / METER_DB)))
        best = list(self._classifier.ranked(decision.smoothed).items())[:3]
        labels = "quiet" if decision.is_quiet else "  ".join(f"{label} {score:.2f}" for label, score in best)
        bar = "█" * filled + "·" * (METER_CELLS - filled)
        sys.stderr.write(f"\r\x1b[K{decision.level_dbfs:6.1f} dBFS {bar} {labels}")
        sys.stderr.flush()

    def _clear(self):
        if self._meter:
            sys.stderr.write("\r\x1b[K")

    def say(self, line):
        """A line beside the events."""
        self._clear()
        print(line, file=sys.stderr, flush=True)

    def summary(self):
        """What was heard, in a line."""
        return f"{self._decisions} decisions, {self._events} events, sound lost {self._lost()} times"
