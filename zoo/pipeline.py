"""tf.data of (waveform, label): the mixed crops that train.

Every random number is a function of (seed, example's number) alone, so that epoch 7 is the same whether the six before
it ran in this process or in one that was killed.
"""

import math
from dataclasses import dataclass

from zoo.backend import tf

import numpy as np

from zoo import audio
from zoo.augment import Augmentation
from zoo.corpus import FULL_SCALE, NO_CLASS
from zoo.errors import ZooError

ALIGNMENT_BYTES = 64  # what TensorFlow asks of memory on any processor


@dataclass(frozen=True)
class Waveforms:
    """How waveforms become training examples and crops to judge by: values of a recipe."""

    mix: str = "between_class"  # or "none"
    sampling: str = "all"  # each clip once an epoch; or "balanced", each class as often: first a class, then its clip
    max_stretch: float = 1.25  # in time and pitch, either way
    max_gain_db: float = 6.0  # either way
    padding: float = 0.5  # of a crop's length: silence before and after a clip, into which crops reach
    eval_crops: int = 10
    trim_db: float | None = None  # `clips_at` cuts dead space out of all clips, those that test too
    augmentation: Augmentation = Augmentation()  # beyond the papers

    def __post_init__(self):
        known = self.mix in ("between_class", "none") and self.sampling in ("all", "balanced")
        if not known or not 0 <= self.padding <= 0.5:
            told = "mix is between_class or none, padding is 0 to 0.5, sampling is all or balanced"
            raise ValueError(f"Waveforms: {told}; got {self}")


def mixed_crops(clips, num_samples, num_classes, waveforms, seed, batch_size, first_epoch, last_epoch):
    """Dataset of batches (waveform (batch, num_samples), label (batch, num_classes)), mixed as `waveforms` says.

    It runs from the start of `first_epoch` to the end of `last_epoch - 1`; an epoch is `steps_per_epoch` batches, in
    which each clip comes once (a few twice, where the batch size does not divide their number), or as many of clips
    that `waveforms.sampling` draws. A clip's partner is of another class; where a clip has several, any other clip is.

    Source: the ACDNet paper, section 3.2.2, equations 3 and 4, with equation 3's exponent as EnvNet-v2 has it.
    Labels of several classes are mixed in that ratio too, as Kong et al. 2020 (PANNs) and Schmid et al. 2023 do.
    """
    has_several = clips.targets.ndim == 2
    if waveforms.mix != "none" and len(clips if has_several else np.unique(clips.targets)) < 2:
        wanted = "two clips; there is but one" if has_several else "clips of two classes; the training folds hold one"
        raise ZooError(f"between-class mixing needs {wanted}")
    padding = int(waveforms.padding * num_samples)
    examples_per_epoch = steps_per_epoch(clips, batch_size) * batch_size
    samples = _tensor(clips.samples)
    starts, ends, targets = tf.constant(clips.starts), tf.constant(clips.ends), tf.constant(clips.targets)
    balanced = waveforms.sampling == "balanced"
    pair = _by_class(clips, seed) if balanced else _each_in_turn(clips, seed, examples_per_epoch)

    def label_of(clip):
        if has_several:
            return tf.cast(targets[clip], tf.float32)
        return tf.where(targets[clip] == NO_CLASS, 1 / num_classes, tf.one_hot(targets[clip], num_classes))

    def example(number):
        draw = tf.random.stateless_uniform([7], [seed, number])
        one, other = pair(number, draw[0])

        def crop(clip, stretch, start):
            stretch = waveforms.max_stretch ** (2 * stretch - 1)
            return _stretched_crop(samples, starts[clip], ends[clip], num_samples, padding, stretch, start)

        gain = 10 ** (waveforms.max_gain_db * (2 * draw[6] - 1) / 20)

        def heard(waveform):
            return waveforms.augmentation.apply(waveform, clips.sample_rate_hz, [seed, number]) * gain

        if waveforms.mix == "none":
            return heard(crop(one, draw[1], draw[2])), label_of(one)
        one_crop, other_crop = crop(one, draw[1], draw[2]), crop(other, draw[3], draw[4])
        ratio = draw[5]
        level_difference_db = audio.level_db(one_crop, clips.sample_rate_hz) - audio.level_db(
            other_crop, clips.sample_rate_hz
        )
        p = 1 / (1 + 10 ** (level_difference_db / 20) * (1 - ratio) / ratio)
        mixed = (p * one_crop + (1 - p) * other_crop) / tf.sqrt(p**2 + (1 - p) ** 2)
        return heard(mixed), ratio * label_of(one) + (1 - ratio) * label_of(other)

    numbers = tf.data.Dataset.range(first_epoch * examples_per_epoch, last_epoch * examples_per_epoch)
    batches = numbers.map(example, num_parallel_calls=tf.data.AUTOTUNE).batch(batch_size, drop_remainder=True)
    return batches.prefetch(tf.data.AUTOTUNE)


def _tensor(samples):
    """The tensor over `samples` where they lie, so that a file's are not brought into memory.

    TensorFlow stops the process at memory that is not aligned. A file's always is; other arrays may have to be copied.
    """
    is_aligned = samples.ctypes.data % ALIGNMENT_BYTES == 0
    return tf.experimental.dlpack.from_dlpack(samples.__dlpack__()) if is_aligned else tf.constant(samples)


def kinds_of(clips):
    """(first clip of each clip's kind, how many are of it): none is mixed with its own kind, which stands together.

    A kind is a class; of several classes no two clips count as alike: each is a kind of its own.
    """
    kinds = clips.targets if clips.targets.ndim == 1 else np.arange(len(clips))
    _, first_of_kind, kind_of, size_of_kind = np.unique(
        kinds, return_index=True, return_inverse=True, return_counts=True
    )
    return first_of_kind[kind_of], size_of_kind[kind_of]


def _each_in_turn(clips, seed, examples_per_epoch):
    """Function (example's number, a draw) -> (clip, its partner in mixing): each clip once, then once more."""
    first_of, size_of = map(tf.constant, kinds_of(clips))

    def pair(number, draw):
        epoch, position = number // examples_per_epoch, number % examples_per_epoch
        lap = epoch * 2 + position // len(clips)  # the second lap of an epoch fills its last batch
        one = tf.random.experimental.index_shuffle(position % len(clips), [seed, lap], max_index=len(clips) - 1)
        # Any clip of another kind: sorted, those are all but one stretch.
        other = tf.cast(draw * tf.cast(len(clips) - size_of[one], tf.float32), tf.int64)
        return one, tf.where(other < first_of[one], other, other + size_of[one])

    return pair


def _by_class(clips, seed):
    """The same, drawn: a class of those that are there, each as likely, then one of its clips, each as likely."""
    has_several = clips.targets.ndim == 2
    class_of, clip_of = np.nonzero(clips.targets.T) if has_several else (clips.targets, np.arange(len(clips)))
    _, first_of_class, size_of_class = np.unique(class_of, return_index=True, return_counts=True)
    clip_of, first_of, size_of = map(tf.constant, (clip_of, first_of_class, size_of_class))
    count = len(first_of_class)

    def up_to(end, draw):
        return tf.cast(draw * tf.cast(end, tf.float32), tf.int64)

    def pair(number, draw):
        draws = tf.random.stateless_uniform([3], tf.random.experimental.stateless_fold_in([seed, number], 1))
        of_one = up_to(count, draws[0])
        # From the next class round to the one before it; of several classes the clips of one class may mix too.
        of_other = (of_one + 1 + up_to(count if has_several else count - 1, draws[1])) % count
        one = clip_of[first_of[of_one] + up_to(size_of[of_one], draws[2])]
        other = clip_of[first_of[of_other] + up_to(size_of[of_other], draw)]
        return one, tf.where(other == one, (one + 1) % len(clips), other)  # never with itself

    return pair


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


def steps_per_epoch(clips, batch_size):
    """Batches in which each clip comes once."""
    return math.ceil(len(clips) / batch_size)
