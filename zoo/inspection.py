"""What a data set holds, clip by clip, before anything is trained on it, and whether its folds share sound.

    inspection = look_at(*datasets.find("esc10", cache, "DIR"))
    print("\n".join(inspection.lines()))

Clips are read from their files, as `zoo.datasets` reads them; nothing need be prepared, and a broken clip is named and
passed. Of what lasts longer than a minute the first minute is looked at, as the doctor does.
"""

import io
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import soundfile

from zoo import leakage, preprocess
from zoo.errors import ZooError
from zoo.progress import bar
from zoo.runtime import doctor
from zoo.runtime.faults import LONGEST_S
from zoo.runtime.windows import LOWEST_DBFS

MOST_NAMED = 10  # of a list; the rest is counted
MOST_EXAMPLES = 6
KEPT_WAVEFORMS = 64  # while pairs are confirmed


class Clip(NamedTuple):
    """A clip that can be used, and what it measures."""

    file: str
    labels: tuple[str, ...]
    fold: int
    source: str
    seconds: float
    sample_rate_hz: int
    channels: int
    encoding: str  # of its file
    peak_dbfs: float
    rms_dbfs: float
    zero_crossing_rate: float  # of the first minute, channels averaged
    dead_share: float  # of the first minute: 20 dB and more under its envelope's maximum
    is_silent: bool  # nothing in it is louder than -72 dBFS
    faults: tuple[str, ...]  # by the doctor's names, without those that take long to look for


class Example(NamedTuple):
    """A clip to draw: at most the first minute of it, channels averaged."""

    label: str
    waveform: np.ndarray
    sample_rate_hz: int


@dataclass(frozen=True)
class Inspection:
    """What `look_at` found. lines() is for a terminal, as_dict() for JSON."""

    name: str
    classes: tuple[str, ...]
    fold_names: dict  # {fold: its name}
    clips: tuple[Clip, ...]
    broken: dict  # {file: what is wrong with it}
    pairs: tuple[leakage.Pair, ...]  # numbers are those of `clips`
    sources_across: dict  # {source: its folds}
    examples: tuple[Example, ...]  # the first clips of a few classes

    @property
    def leaks(self):
        """Pairs that hold the same sound in two folds."""
        return [pair for pair in self.pairs if self.clips[pair.first].fold != self.clips[pair.second].fold]

    @property
    def twins(self):
        """Pairs that hold the same sound in one fold, under two sources: an interval takes them for two."""
        return [pair for pair in self.pairs if self.clips[pair.first].fold == self.clips[pair.second].fold]

    @property
    def is_healthy(self):
        """Whether no clip is broken or silent, and nothing that tests was heard in training."""
        return not (self.broken or self.leaks or self.sources_across or any(clip.is_silent for clip in self.clips))

    def by_class(self):
        """[(class, its clips)], in the order of the classes; a clip counts for each of its labels."""
        held = defaultdict(list)
        for clip in self.clips:
            for label in clip.labels:
                held[label].append(clip)
        return [(label, held[label]) for label in self.classes]

    def lines(self):
        """A table of the classes, and what else there is to tell."""
        seconds = np.array([clip.seconds for clip in self.clips])
        lines = [
            f"{self.name}: {len(self.clips):,} clips of {len(self.classes)} classes in {len(self.fold_names)} folds, "
            f"{seconds.sum() / 60:,.1f} minutes",
            "",
            *self._table(),
            "",
            f"lengths          {_spread(seconds, '.2f', ' s')}",
            f"levels (RMS)     {_spread([clip.rms_dbfs for clip in self.clips], '.1f', ' dBFS')}",
            f"peaks            {_spread([clip.peak_dbfs for clip in self.clips], '.1f', ' dBFS')}",
            f"sample rates     {_counts(f'{clip.sample_rate_hz:,} Hz' for clip in self.clips)}",
            f"encodings        {_counts(clip.encoding for clip in self.clips)}",
            f"channels         {_counts(str(clip.channels) for clip in self.clips)}",
            f"class balance    {self._balance()}",
            f"silent           {_named([clip.file for clip in self.clips if clip.is_silent])}",
            f"broken           {_named(self.broken)}",
        ]
        lines += [f"    {reason}" for reason in list(self.broken.values())[:MOST_NAMED]]
        for name in sorted({"clipping"}.union(*(clip.faults for clip in self.clips))):
            lines.append(f"{name:<16} {_named(clip.file for clip in self.clips if name in clip.faults)}")
        return [*lines, *self._leakage_lines()]

    def _table(self):
        folds = list(self.fold_names)
        longest = max(len("class"), *map(len, self.classes))
        heads = [self.fold_names[fold] for fold in folds]
        widths = [max(4, len(head)) for head in heads]
        told = " ".join(f"{head:>{width}}" for head, width in zip(heads, widths))
        yield f"{'class':<{longest}}  clips  {told}   median s  median dBFS  zero crossings  dead space"
        for label, clips in self.by_class():
            in_fold = Counter(clip.fold for clip in clips)
            counts = " ".join(f"{in_fold[fold]:>{width}}" for fold, width in zip(folds, widths))
            medians = [
                f"{np.median([getattr(clip, name) for clip in clips]):{form}}" if clips else "-"
                for name, form in (("seconds", ".2f"), ("rms_dbfs", ".1f"), ("zero_crossing_rate", ".3f"),
                                   ("dead_share", ".1%"))
            ]  # fmt: skip
            yield (
                f"{label:<{longest}}  {len(clips):>5}  {counts}   {medians[0]:>8}  {medians[1]:>11}  "
                f"{medians[2]:>14}  {medians[3]:>10}"
            )

    def _balance(self):
        sizes = {label: len(clips) for label, clips in self.by_class()}
        few, many = min(sizes, key=sizes.get), max(sizes, key=sizes.get)
        empty = [
            f"{label} in {self.fold_names[fold]}"
            for label, clips in self.by_class()
            for fold in self.fold_names
            if not any(clip.fold == fold for clip in clips)
        ]
        missing = f"; classes without a clip in a fold: {_named(empty)}" if empty else "; each class is in each fold"
        told = f"{sizes[few]} to {sizes[many]} clips a class"
        return f"{told} ({few}, {many}){missing}" if sizes[few] != sizes[many] else f"{told}{missing}"

    def _leakage_lines(self):
        sources = {clip.source for clip in self.clips}
        across = [
            f"{source} ({', '.join(self.fold_names[fold] for fold in folds)})"
            for source, folds in self.sources_across.items()
        ]
        return [
            f"sources          {len(sources):,}; in more than one fold: {_named(across)}",
            f"same sound       pairs in two folds: {len(self.leaks)}; "
            f"in one fold, under two sources: {len(self.twins)}",
            *(f"    {self._told(pair)}" for pair in (*self.leaks, *self.twins)[: 2 * MOST_NAMED]),
        ]

    def _told(self, pair):
        first, second = self.clips[pair.first], self.clips[pair.second]
        where = " and ".join(
            f"{clip.file} ({self.fold_names[clip.fold]}, {'+'.join(clip.labels)}, source {clip.source})"
            for clip in (first, second)
        )
        return (
            f"{where}: {pair.overlap_s:.2f} s from {max(0.0, pair.offset_s):.2f} and {max(0.0, -pair.offset_s):.2f} s, "
            f"{pair.hashes} hashes, correlation {pair.correlation:.2f}"
        )

    def as_dict(self):
        return {
            "name": self.name,
            "classes": self.classes,
            "folds": self.fold_names,
            "healthy": self.is_healthy,
            "clips": [clip._asdict() for clip in self.clips],
            "broken": self.broken,
            "sources_across": self.sources_across,
            "pairs": [
                {
                    **pair._asdict(),
                    "first": self.clips[pair.first].file,
                    "second": self.clips[pair.second].file,
                    "folds": [self.clips[pair.first].fold, self.clips[pair.second].fold],
                }
                for pair in self.pairs
            ],
        }


def look_at(builder_class, folder):
    """The `Inspection` of the clips of a data set in `folder`.

    Raises: ZooError if the folder has not the data set's layout, or none of its clips can be used.
    """
    rows, classes = builder_class.rows(folder), tuple(builder_class.labels(folder))
    present = {label for row in rows for label in _labels(row)}
    heard = [name for name in classes if name in present]
    shown = {heard[i] for i in np.linspace(0, len(heard) - 1, min(MOST_EXAMPLES, len(heard))).round().astype(int)}
    clips, kept, prints, broken, examples = [], [], [], {}, {}
    for row in bar(rows, desc=f"{builder_class.name}: look at clips", unit="clip"):
        try:
            samples, sample_rate_hz = _read(builder_class, row)
            clip = _measured(row, samples, sample_rate_hz)
        except ZooError as error:
            broken[row.file] = str(error)
            continue
        clips.append(clip)
        kept.append(row)
        prints.append(leakage.fingerprint(leakage.at_rate(samples, sample_rate_hz)))
        for label in shown.intersection(clip.labels).difference(examples):
            examples[label] = Example(label, _start(samples, sample_rate_hz), sample_rate_hz)
    if not clips:
        raise ZooError(f"{builder_class.name}: no clip of {folder} can be used; {next(iter(broken.values()))}")

    @lru_cache(KEPT_WAVEFORMS)
    def waveform(number):
        return leakage.at_rate(*_read(builder_class, kept[number]))

    names = {fold: name for name, fold in builder_class.FOLDS.items()}
    return Inspection(
        name=builder_class.name,
        classes=classes,
        fold_names={fold: names.get(fold, f"fold {fold}") for fold in sorted({row.fold for row in rows})},
        clips=tuple(clips),
        broken=broken,
        pairs=tuple(leakage.pairs(prints, [(clip.fold, clip.source) for clip in clips], waveform)),
        sources_across=leakage.sources_across([row.fold for row in rows], [row.source for row in rows]),
        examples=tuple(examples[label] for label in classes if label in examples),
    )


def _read(builder_class, row):
    """(samples, float32 (time, channels), sample rate in Hz) of a clip, as its builder reads it."""
    recording = builder_class.read(row)
    return soundfile.read(io.BytesIO(recording.encoded), dtype="float32", always_2d=True)


def _start(samples, sample_rate_hz):
    return samples[: int(LONGEST_S * sample_rate_hz)].mean(axis=1)


def _labels(row):
    return (row.label,) if isinstance(row.label, str) else tuple(row.label)


def _measured(row, samples, sample_rate_hz):
    report, start = doctor.look_at(samples, sample_rate_hz, thorough=False), _start(samples, sample_rate_hz)
    statistics, file = report.statistics, soundfile.info(row.path)
    too_low = any("loudest_dbfs" in fault.measured for fault in report.faults)
    is_silent = too_low or statistics.rms_dbfs == LOWEST_DBFS
    return Clip(
        file=row.file,
        labels=_labels(row),
        fold=row.fold,
        source=row.source,
        seconds=len(samples) / sample_rate_hz,
        sample_rate_hz=sample_rate_hz,
        channels=samples.shape[1],
        encoding=f"{file.format} {file.subtype}",
        peak_dbfs=statistics.peak_dbfs,
        rms_dbfs=statistics.rms_dbfs,
        zero_crossing_rate=preprocess.zero_crossing_rate(start),
        dead_share=float(1 - preprocess.is_alive(start, sample_rate_hz).mean()),
        is_silent=is_silent,
        faults=() if is_silent else tuple(fault.name for fault in report.faults if not fault.harmless),
    )


def _spread(values, form, unit):
    low, middle, high = np.percentile(values, [0, 50, 100])
    told = (f"{value:,{form}}" for value in (low, middle, high))
    return "{0} to {2}{unit}, median {1}".format(*told, unit=unit)


def _counts(values):
    return ", ".join(f"{value}: {count:,}" for value, count in Counter(values).most_common())


def _named(files):
    """How many there are, and the first of them by name."""
    files = list(files)
    more = f" and {len(files) - MOST_NAMED:,} more" if len(files) > MOST_NAMED else ""
    return f"{len(files):,}: {', '.join(files[:MOST_NAMED])}{more}" if files else "none"
