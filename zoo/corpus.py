"""Clips at one rate, decoded once and kept; the crops of them that judge a model, and that set what its files need."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from zoo.backend import tf

import numpy as np

from zoo import audio, preprocess
from zoo.atomic import whole_folder
from zoo.errors import ZooError
from zoo.progress import bar

FULL_SCALE = 32_768.0  # samples are kept as int16; a waveform is int16 / 32768
NO_CLASS = -1  # the target of a clip of none of the classes: it trains towards scores that are all the same
SAMPLES, ROWS = "samples.int16", "rows.npz"  # of a cached data set: the sound, and what is known of each clip


@dataclass(frozen=True)
class Clips:
    """Clips at one rate, sorted by class where each has one. A row for each clip in all columns but `samples`."""

    samples: np.ndarray  # int16, the clips end to end, in any order; of `clips_at` a file, of which pages come and go
    starts: np.ndarray  # int64: clip i is samples[starts[i]:ends[i]]
    ends: np.ndarray  # int64
    targets: np.ndarray  # int64 (clips,); or, where any number of classes is heard in a clip, uint8 (clips, classes)
    folds: np.ndarray
    files: np.ndarray
    sources: np.ndarray
    sample_rate_hz: int

    def __len__(self):
        return len(self.targets)

    def waveform(self, i):
        """Waveform (time,) of clip `i`, float32 in [-1, 1)."""
        return self.samples[self.starts[i] : self.ends[i]] / np.float32(FULL_SCALE)

    def where(self, keep):
        """The clips for which the boolean array `keep` holds, or of these numbers. They share the samples: no sound is
        copied.
        """
        columns = [f.name for f in fields(self) if f.name not in ("samples", "sample_rate_hz")]
        return replace(self, **{name: getattr(self, name)[keep] for name in columns})

    def split(self, builder, test_fold):
        """(clips that train, clips to choose by, clips that test) where `test_fold` tests, as the data set has it."""
        parts = builder.split(self.folds.tolist(), test_fold)
        return tuple(self.where(np.isin(self.folds, folds)) for folds in parts)

    def with_others(self, others, target):
        """These clips and `others`, which get this target. All sounds are copied."""
        columns = {
            name: np.concatenate([getattr(self, name), getattr(others, name)]) for name in ("folds", "files", "sources")
        }
        behind = len(self.samples)
        both = replace(
            self,
            samples=np.concatenate([self.samples, others.samples]),
            starts=np.concatenate([self.starts, others.starts + behind]),
            ends=np.concatenate([self.ends, others.ends + behind]),
            targets=np.concatenate([self.targets, np.full(len(others), target, self.targets.dtype)]),
            **columns,
        )
        return both.where(np.argsort(both.targets, kind="stable"))


def clips_at(builder, sample_rate_hz, cache, trim_db=None):
    """All `Clips` of a prepared TFDS builder at one rate, decoded and resampled once, then read from `cache`.

    trim_db: cut out what lies so far under a clip's envelope (`zoo.preprocess`); None leaves clips as they are.

    Raises: ZooError, naming the clip, where nothing is left of it.
    """
    trimmed = "" if trim_db is None else f"-trim{trim_db:g}db"
    folder = Path(cache) / f"{builder.name}-{builder.builder_config.name}-{sample_rate_hz}hz{trimmed}"
    if not folder.exists():
        _write_clips(builder, sample_rate_hz, folder, trim_db)
    # Writable, though nobody writes: numpy hands no other memory on without copying all of it.
    samples = np.memmap(folder / SAMPLES, np.int16, "r+")
    with np.load(folder / ROWS) as rows:
        return Clips(samples, **rows, sample_rate_hz=sample_rate_hz)


def _write_clips(builder, sample_rate_hz, folder, trim_db):
    def prepare(example):
        waveform = audio.decode(example["encoded"], example["encoding"])
        waveform = audio.resample(waveform, example["sample_rate_hz"], sample_rate_hz)
        samples = tf.clip_by_value(tf.round(waveform * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1)
        return tf.cast(samples, tf.int16), example["label"], example["fold"], example["file"], example["source"]

    dataset = builder.as_dataset(split="all", shuffle_files=False).map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
    progress = bar(dataset.as_numpy_iterator(), total=builder.info.splits.total_num_examples, unit="clip",
                    desc=f"{builder.name}: decode at {sample_rate_hz} Hz")  # fmt: skip
    rows, end = [], 0
    with whole_folder(folder) as unfinished:
        with open(unfinished / SAMPLES, "wb") as file:
            for samples, label, fold, name, source in progress:
                if trim_db is not None:
                    samples = _trimmed(samples, sample_rate_hz, trim_db, f"{builder.name}: {name.decode()}")
                file.write(samples.tobytes())
                start, end = end, end + len(samples)
                class_of = () if builder.MULTI_LABEL else label
                rows.append((class_of, name.decode(), source.decode(), fold, label, start, end))
        rows.sort(key=lambda row: row[:2])
        _, files, sources, folds, labels, starts, ends = zip(*rows, strict=True)
        targets = _multi_hot(labels, len(builder.class_names)) if builder.MULTI_LABEL else labels
        npz = io.BytesIO()  # on a full disk np.savez itself would leave a ZipFile that complains when it is collected
        np.savez(npz, starts=starts, ends=ends, targets=targets, folds=folds, files=files, sources=sources)
        (unfinished / ROWS).write_bytes(npz.getbuffer())


def _trimmed(samples, sample_rate_hz, trim_db, name):
    alive = samples[preprocess.is_alive(samples / np.float32(FULL_SCALE), sample_rate_hz, trim_db)]
    if not len(alive):
        raise ZooError(f"{name} is silent, and nothing is left of it; take it out, or do without --trim-db")
    return alive


def _multi_hot(labels, num_classes):
    targets = np.zeros((len(labels), num_classes), np.uint8)
    for target, classes in zip(targets, labels, strict=True):
        target[classes] = 1
    return targets


def judging_crops(clip, num_samples, count, padding=0.5):
    """Crops (count, num_samples) spread evenly over `clip` (time,) with a share `padding` of a crop of silence around.

    The paper's "T/9" (section 3.2.2) read literally would cover less than half of a clip.
    """
    padded = _padded(clip, num_samples, padding)
    last = len(padded) - num_samples
    starts = np.linspace(0, last, count) if count > 1 else np.array([last / 2])  # a single crop lies in the middle
    return np.stack([padded[start : start + num_samples] for start in starts.round().astype(int)])


@dataclass(frozen=True)
class JudgingCrops(Sequence):
    """`judging_crops` of each of `clips`: a sequence of arrays (crops_per_clip, num_samples), each cut when it is asked
    for, as all those of a large data set would not fit in memory.
    """

    clips: Clips
    num_samples: int
    crops_per_clip: int
    padding: float

    def __len__(self):
        return len(self.clips)

    def __getitem__(self, i):
        if not 0 <= i < len(self):
            raise IndexError(f"no clip {i} of {len(self)}")
        return judging_crops(self.clips.waveform(i), self.num_samples, self.crops_per_clip, self.padding)


def _padded(clip, num_samples, padding):
    """`clip` with silence on either side, and at its end as much as a crop still lacks."""
    padded = np.pad(clip, int(padding * num_samples))
    return np.pad(padded, (0, max(0, num_samples - len(padded))))


def unmixed_crops(clips, num_samples, count, seed, padding=0.5):
    """Crops (count, num_samples) at random places of random clips, as they are, and their targets (count,).

    What ranges are calibrated on, and what precision is chosen by.
    """
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(clips), count, replace=count > len(clips))

    def crop(clip):
        padded = _padded(clip, num_samples, padding)
        start = rng.integers(0, len(padded) - num_samples + 1)
        return padded[start : start + num_samples]

    return np.stack([crop(clips.waveform(i)) for i in chosen]), clips.targets[chosen]
