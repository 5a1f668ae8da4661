"""A classifier as its file describes itself: rate, length, labels and threshold come from the model's own metadata."""

import hashlib
import json
import math
from itertools import chain
from pathlib import Path

import numpy as np

from zoo.errors import ZooError
from zoo.runtime import metadata, sums
from zoo.runtime.events import Detection
from zoo.runtime.interpreter import LiteRT
from zoo.runtime.isolated import Isolated
from zoo.runtime.stream import Stream
from zoo.runtime.windows import Windows, level_dbfs

IN_A_FOLDER = "model_int8.tflite"  # the one for CPUs
HOP_S = 0.25


class Classifier:
    """A .tflite audio classifier, or the exported folder that holds one.

    A file that stands in the SHA256SUMS beside it runs in this process, any other one in a process of its own: what
    LiteRT lets pass can still kill it.

    labels: tuple of str, in the order of the scores. thresholds: from which score on each label is heard, where any
    number of them may be, or none; () where the highest score decides. sample_rate_hz, num_samples: of the window that
    it hears.
    """

    def __init__(self, path, sample_rate_hz=None, labels=None, num_threads=1, sensitivity=None):
        """sample_rate_hz, labels: for files that do not tell. sensitivity: of an exported folder that has several
        ("low", "medium", "high"), in place of the file's own thresholds.

        Raises: ZooError for what is no classifier of waveforms, and for a file that its SHA256SUMS does not know so.
        """
        self.path = Path(path)
        if self.path.is_dir():
            self.path = self.path / IN_A_FOLDER
        try:
            self._model = self.path.read_bytes()
        except OSError as error:
            raise ZooError(f"{self.path}: {error.strerror}; pass a .tflite file or an exported folder") from error
        self._num_threads, self._embedder = num_threads, None
        self._is_ours = _is_listed(self.path, self._model)
        try:
            self.metadata = metadata.read(self._model)
            self._runner = self._open(self._model)
        except ZooError as error:
            raise ZooError(f"{self.path}: {error}") from error
        told = self.metadata
        self.sample_rate_hz = told and told.sample_rate_hz or sample_rate_hz
        self.labels = tuple(told and told.labels or labels or ())
        self.threshold = told.score_threshold if told else None
        self.thresholds = told.thresholds if told and all(map(_makes_events, told.thresholds)) else ()
        if sensitivity:
            self.thresholds = _thresholds_of(self.path, sensitivity, self.labels)
        self.num_samples = math.prod(self._runner.input.shape)
        self._check()

    def _check(self):
        name, shape, scores = self.path, self._runner.input.shape, self._runner.output.shape
        if self.num_samples != max(shape, default=0) or len(scores) != 1:
            raise ZooError(f"{name}: takes {shape} and gives {scores}: no classifier of waveforms")
        if self.metadata and (self.metadata.channels or 1) > 1:
            raise ZooError(f"{name}: takes {self.metadata.channels} channels; one is what the zoo hears with")
        if not self.sample_rate_hz:
            raise ZooError(f"{name}: does not tell its sample rate; pass sample_rate_hz (--sample-rate-hz)")
        if not self.labels:
            raise ZooError(f"{name}: does not tell its labels; pass labels (--labels FILE)")
        if len(self.labels) != scores[0]:
            raise ZooError(f"{name}: {len(self.labels)} labels for {scores[0]} scores")
        if len(self.thresholds) not in (0, scores[0]):
            raise ZooError(f"{name}: {len(self.thresholds)} thresholds for {scores[0]} scores")

    def scores(self, windows):
        """Scores of windows as they are: at the model's own rate, of its own length.

        Shape: float32 (n, num_samples) -> (n, labels)
        """
        return self._runner.run(self._as_taken(windows))

    def classify(self, waveform, sample_rate_hz, hop_s=HOP_S):
        """{label: score}, the highest first: the mean over windows `hop_s` seconds apart, quiet ones left out.

        Shape: waveform is (time,) or (time, channels), see `zoo.runtime.waveform.mono` for its types. Of any length: a
        short one lies in the middle of silence.
        Raises: ZooError for what is no waveform.
        """
        return self.ranked(self._mean(self.scores, waveform, sample_rate_hz, hop_s))

    def embed(self, waveform, sample_rate_hz, hop_s=HOP_S):
        """What the last dense layer takes, averaged over the windows: a vector by which sounds are told apart.

        Shape: as `classify` -> float32 (width,)
        Raises: ZooError for what is no waveform, and for a model without a dense layer.
        """
        if self._embedder is None:
            from zoo.runtime.embedding import embedding_model  # whose schema weighs on start and memory

            self._embedder = self._open(embedding_model(self._model))

        def embed(windows):
            return self._embedder.run(self._as_taken(windows)).reshape(len(windows), -1)

        return self._mean(embed, waveform, sample_rate_hz, hop_s)

    def stream(self, blocks, sample_rate_hz, hop_s=HOP_S, detection=None):
        """Yields each `Event` of an endless signal as it ends.

        blocks: iterable of samples, (n,) or (n, channels), as they come. hop_s: seconds between decisions. detection:
        when scores make an event; by default `detection()`.

        Raises: ZooError for what is no waveform, and for a rate or a hop that cannot be.
        """
        stream = self.open_stream(sample_rate_hz, hop_s, detection)
        for block in blocks:
            for decision in stream.feed(block):
                yield from decision.ended
        for decision in stream.close():
            yield from decision.ended
        yield from stream.ended()

    def open_stream(self, sample_rate_hz, hop_s=HOP_S, detection=None):
        """The `Stream` to feed by oneself: it tells every decision. Arguments: as `stream`."""
        detection = detection or self.detection()
        return Stream(self.scores, self.windows(sample_rate_hz, hop_s), hop_s, self.labels, detection)

    def detection(self, **settings):
        """`Detection` with these settings, and the model's own thresholds, or threshold, where it has them."""
        if self.thresholds:
            settings = {"on": self.thresholds, **settings}
        elif self.threshold and _makes_events(self.threshold):
            settings = {"on": self.threshold, **settings}
        on = settings.get("on", Detection.on)
        off = tuple(min(each, Detection.off) for each in on) if isinstance(on, tuple) else min(on, Detection.off)
        return Detection(**{"off": off, **settings})

    def windows(self, sample_rate_hz, hop_s=HOP_S):
        """`Windows` of a signal at `sample_rate_hz`, as this model hears them."""
        return Windows(self.num_samples, self.sample_rate_hz, sample_rate_hz, hop_s)

    def decided(self, scores):
        """The labels that the scores are heard as, the highest first: those that reach their thresholds, or the one of
        the highest score.

        Shape: (labels,)
        """
        heard = np.argsort(-scores, kind="stable")
        if self.thresholds:
            return [self.labels[i] for i in heard if scores[i] >= self.thresholds[i]]
        return [self.labels[heard[0]]]

    def ranked(self, scores):
        """{label: score}, the highest first. Shape: (labels,)"""
        return {self.labels[i]: float(scores[i]) for i in np.argsort(-scores, kind="stable")}

    def _as_taken(self, windows):
        windows = np.asarray(windows, np.float32)
        if windows.ndim != 2 or windows.shape[1] != self.num_samples:
            raise ZooError(f"windows of shape {windows.shape}: {self.path} takes (n, {self.num_samples})")
        return windows.reshape(len(windows), *self._runner.input.shape)

    def _mean(self, run, waveform, sample_rate_hz, hop_s):
        mean, windows = Mean(), self.windows(sample_rate_hz, hop_s)
        for window in chain(windows.feed(waveform), windows.close()):
            mean.add(run(window[None])[0], level_dbfs(window) < Detection.quiet_dbfs)
        return mean.value()

    def _open(self, model):
        return LiteRT(model, num_threads=self._num_threads) if self._is_ours else Isolated(model, self._num_threads)


def _thresholds_of(path, sensitivity, labels):
    """Those that metrics.json, beside the file, has for a sensitivity.

    Raises: ZooError where there are none.
    """
    metrics = path.with_name("metrics.json")
    told = json.loads(metrics.read_text(encoding="utf-8")) if metrics.is_file() else {}
    points = told.get("rejection", {}).get("points", {})
    if sensitivity not in points:
        has = f"has {', '.join(points)}" if points else "has none; recipes with --reject find them"
        raise ZooError(f"{path.parent}: no sensitivity {sensitivity!r}: it {has}")
    return tuple(points[sensitivity]["thresholds"][label] for label in labels)


def _makes_events(threshold):
    return 0 < threshold <= 1  # other people's files have 0, or -1, for none


class Mean:
    """The mean over windows, without quiet ones unless all are."""

    def __init__(self):
        self._sums, self._counts = {True: 0, False: 0}, {True: 0, False: 0}

    def add(self, values, is_quiet):
        """Adds what a window gave. Shape: (n,)"""
        self._sums[is_quiet] = self._sums[is_quiet] + values
        self._counts[is_quiet] += 1

    def value(self):
        """The mean. Shape: (n,)

        Raises: ZooError where no window was there.
        """
        is_quiet = not self._counts[False]
        if not self._counts[is_quiet]:
            raise ZooError("there is no sound in it: not one sample")
        return self._sums[is_quiet] / self._counts[is_quiet]


def _is_listed(path, model):
    """Whether the file is one of the zoo's, whole: its folder's SHA256SUMS lists it.

    Raises: ZooError where it is listed with another sum.
    """
    known = sums.listed(path.parent).get(path.name)
    if known and known != hashlib.sha256(model).hexdigest():
        raise ZooError(f"{path}: is not the file that SHA256SUMS lists: damaged or changed; copy it again")
    return bool(known)
