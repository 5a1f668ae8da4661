"""tf.data of (waveform, label): clips at one rate, the mixed crops that train, the crops that judge a clip.

Every random number is a function of (seed, example's number) alone, so that epoch 7 is the same whether the six before
it ran in this process or in one that was killed.
"""

import io
import math
from dataclasses import dataclass
from pathlib import Path

from zoo.backend import tf

import numpy as np

from zoo import audio
from zoo.atomic import whole_file
from zoo.errors import ZooError
from zoo.progress import bar

FULL_SCALE = 32_768.0  # samples are kept as int16; a waveform is int16 / 32768


@dataclass(frozen=True)
class Waveforms:
    """How waveforms become training examples and crops to judge by: values of a recipe."""

    mix: str = "between_class"  # or "none"
    max_stretch: float = 1.25  # in time and pitch, either way
    max_gain_db: float = 6.0  # either way
    padding: float = 0.5  # of a crop's length: silence before and after a clip, into which crops reach
    eval_crops: int = 10

    def __post_init__(self):
        if self.mix not in ("between_class", "none") or not 0 <= self.padding <= 0.5:
            raise ValueError(f"Waveforms: mix is between_class or none, padding is 0 to 0.5; got {self}")


@dataclass(frozen=True)
class Clips:
    """Clips at one rate, in memory, sorted by class. One row each in targets, folds, files and sources."""

    samples: np.ndarray  # int16, all clips end to end
    starts: np.ndarray  # int64, (clips + 1,): clip i is samples[starts[i]:starts[i + 1]]
    targets: np.ndarray
    folds: np.ndarray
    files: np.ndarray
    sources: np.ndarray
    sample_rate_hz: int

    def __len__(self):
        return len(self.targets)

    def waveform(self, i):
        """Waveform (time,) of clip `i`, float32 in [-1, 1)."""
        return self.samples[self.starts[i] : self.starts[i + 1]] / np.float32(FULL_SCALE)

    def where(self, keep):
        """The clips for which the boolean array `keep` holds."""
        chosen = np.flatnonzero(keep)
        lengths = np.diff(self.starts)[chosen]
        return Clips(
            np.concatenate([self.samples[self.starts[i] : self.starts[i + 1]] for i in chosen] or [self.samples[:0]]),
            np.concatenate([[0], np.cumsum(lengths)]),
            *(column[chosen] for column in (self.targets, self.folds, self.files, self.sources)),
            self.sample_rate_hz,
        )


def clips_at(builder, sample_rate_hz, cache):
    """All `Clips` of a prepared TFDS builder at one rate, decoded and resampled once, then read from `cache`."""
    path = Path(cache) / f"{builder.name}-{builder.builder_config.name}-{sample_rate_hz}hz.npz"
    if not path.exists():
        _write_clips(builder, sample_rate_hz, path)
    with np.load(path) as file:
        return Clips(**file, sample_rate_hz=sample_rate_hz)


def _write_clips(builder, sample_rate_hz, path):
    def prepare(example):
        waveform = audio.decode(example["encoded"], example["encoding"])
        waveform = audio.resample(waveform, example["sample_rate_hz"], sample_rate_hz)
        samples = tf.clip_by_value(tf.round(waveform * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1)
        return tf.cast(samples, tf.int16), example["label"], example["fold"], example["file"], example["source"]

    dataset = builder.as_dataset(split="all", shuffle_files=False).map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
    progress = bar(dataset, total=builder.info.splits.total_num_examples, unit="clip",
                    desc=f"{builder.name}: decode at {sample_rate_hz} Hz")  # fmt: skip
    rows = [(*example[:3], example[3].decode(), example[4].decode()) for example in map(_to_numpy, progress)]
    rows.sort(key=lambda row: (row[1], row[3]))
    samples, targets, folds, files, sources = zip(*rows, strict=True)
    npz = io.BytesIO()  # on a full disk np.savez itself would leave a ZipFile that complains when it is collected
    with whole_file(path) as unfinished:
        np.savez(npz, samples=np.concatenate(samples), starts=np.cumsum([0, *map(len, samples)]),
                 targets=targets, folds=folds, files=files, sources=sources)  # fmt: skip
        unfinished.write_bytes(npz.getbuffer())


def _to_numpy(example):
    return tuple(part.numpy() for part in example)


def mixed_crops(clips, num_samples, num_classes, waveforms, seed, batch_size, first_epoch, last_epoch):
    """Dataset of batches (waveform (batch, num_samples), label (batch, num_classes)), mixed as `waveforms` says.

    It runs from the start of `first_epoch` to the end of `last_epoch - 1`; an epoch is `steps_per_epoch` batches, in
    which each clip comes once (a few twice, where the batch size does not divide their number).

    Source: the ACDNet paper, section 3.2.2, equations 3 and 4, with equation 3's exponent as EnvNet-v2 has it.
    """
    classes, first_of_class, size_of_class = np.unique(clips.targets, return_index=True, return_counts=True)
    if waveforms.mix != "none" and len(classes) < 2:
        raise ZooError("between-class mixing needs clips of two classes; the training folds hold one")
    padding = int(waveforms.padding * num_samples)
    examples_per_epoch = steps_per_epoch(clips, batch_size) * batch_size
    samples, starts, targets = tf.constant(clips.samples), tf.constant(clips.starts), tf.constant(clips.targets)
    first_of = tf.constant(first_of_class[np.searchsorted(classes, clips.targets)])
    size_of = tf.constant(size_of_class[np.searchsorted(classes, clips.targets)])

    def example(number):
        epoch, position = number // examples_per_epoch, number % examples_per_epoch
        lap = epoch * 2 + position // len(clips)  # the second lap of an epoch fills its last batch
        draw = tf.random.stateless_uniform([7], [seed, number])
        one = tf.random.experimental.index_shuffle(position % len(clips), [seed, lap], max_index=len(clips) - 1)
        # Any clip of another class: sorted by class, those are all but one stretch.
        other = tf.cast(draw[0] * tf.cast(len(clips) - size_of[one], tf.float32), tf.int64)
        other = tf.where(other < first_of[one], other, other + size_of[one])

        def crop(clip, stretch, start):
            stretch = waveforms.max_stretch ** (2 * stretch - 1)
            return _stretched_crop(samples, starts[clip], starts[clip + 1], num_samples, padding, stretch, start)

        gain = 10 ** (waveforms.max_gain_db * (2 * draw[6] - 1) / 20)
        if waveforms.mix == "none":
            return crop(one, draw[1], draw[2]) * gain, tf.one_hot(targets[one], num_classes)
        one_crop, other_crop = crop(one, draw[1], draw[2]), crop(other, draw[3], draw[4])
        ratio = draw[5]
        level_difference_db = audio.level_db(one_crop, clips.sample_rate_hz) - audio.level_db(
            other_crop, clips.sample_rate_hz
        )
        p = 1 / (1 + 10 ** (level_difference_db / 20) * (1 - ratio) / ratio)
        mixed = (p * one_crop + (1 - p) * other_crop) / tf.sqrt(p**2 + (1 - p) ** 2)
        label = ratio * tf.one_hot(targets[one], num_classes) + (1 - ratio) * tf.one_hot(targets[other], num_classes)
        return mixed * gain, label

    numbers = tf.data.Dataset.range(first_epoch * examples_per_epoch, last_epoch * examples_per_epoch)
    batches = numbers.map(example, num_parallel_calls=tf.data.AUTOTUNE).batch(batch_size, drop_remainder=True)
    return batches.prefetch(tf.data.AUTOTUNE)


def _stretched_crop(samples, start, end, num_samples, padding, stretch, position):
    """Crop (num_samples,) of the clip samples[start:end], `stretch` times as long, `padding` samples of silence around.

    position: where in the padded clip the crop lies, 0 (its start) to 1 (its end). Only what the crop needs is
    interpolated (linearly, as EnvNet-v2 does), not the clip.
    """
    length = end - start
    stretched_length = tf.floor(tf.cast(length, tf.float64) * tf.cast(stretch, tf.float64))
    last = tf.maximum(stretched_length + 2 * (padding - num_samples // 2), 0)  # where the last crop begins
    first = tf.floor(tf.cast(position, tf.float64) * (last + 1)) - padding
    # float64: a clip of some minutes has more samples than float32 has steps to tell apart.
    at = (first + tf.range(num_samples, dtype=tf.float64)) / tf.cast(stretch, tf.float64)
    left = tf.cast(tf.floor(at), tf.int64)

    def sample(index):
        inside = (index >= 0) & (index < length)
        value = tf.gather(samples, start + tf.clip_by_value(index, 0, length - 1))
        return tf.where(inside, tf.cast(value, tf.float32) / FULL_SCALE, 0.0)

    fraction = tf.cast(at - tf.floor(at), tf.float32)
    return sample(left) * (1 - fraction) + sample(left + 1) * fraction


def judging_crops(clip, num_samples, count, padding=0.5):
    """Crops (count, num_samples) spread evenly over `clip` (time,) with a share `padding` of a crop of silence around.

    The paper's "T/9" (section 3.2.2) read literally would cover less than half of a clip.
    """
    padded = _padded(clip, num_samples, padding)
    last = len(padded) - num_samples
    starts = np.linspace(0, last, count) if count > 1 else np.array([last / 2])  # a single crop lies in the middle
    return np.stack([padded[start : start + num_samples] for start in starts.round().astype(int)])


def judging_crops_of(clips, num_samples, count, padding=0.5):
    """`judging_crops` of each of `clips`: a list of arrays (count, num_samples)."""
    return [judging_crops(clips.waveform(i), num_samples, count, padding) for i in range(len(clips))]


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


def steps_per_epoch(clips, batch_size):
    """Batches in which each clip comes once."""
    return math.ceil(len(clips) / batch_size)
