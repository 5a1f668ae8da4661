"""Augmentation beyond the papers: what may happen to a sound between its source and the net, drawn anew each time.

`Augmentation` works on waveforms and is part of `zoo.pipeline`, where every number is a function of the example's own
seed; `SpecAugment` masks the columns of a front end, as a layer that is there in training alone. Gains, stretches and
shifts in time are the pipeline's own (`zoo.pipeline.Waveforms`).
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

from zoo.backend import keras, tf

import numpy as np

from zoo.errors import ZooError

LOWEST_OCTAVE_HZ = 62.5  # where the equaliser's bands begin
STEEPEST_NOISE = 1.0  # noise falls by up to 6 dB an octave: from white to brown
DIRECT_TO_REVERBERANT_DB = (0.0, 12.0)  # how far the microphone may stand from the source
DECAY = float(np.log(1e3))  # natural logarithm of the 60 dB in amplitude by which reverberation times are defined


@dataclass(frozen=True)
class Augmentation:
    """What may be done to a crop; None or 0 leaves a thing out. Ranges are (lowest, highest), drawn uniformly.

    Raises: ZooError for a range that is none.
    """

    noise_snr_db: tuple | None = None  # a crop's level over that of coloured noise
    equaliser_db: float = 0.0  # gain of each octave, either way
    room_s: tuple | None = None  # reverberation time of a simulated room; drawn uniformly in octaves
    quieter_db: float = 0.0  # how much quieter a crop may be, with its noise: a source far away

    def __post_init__(self):
        for name, ends in (("noise_snr_db", self.noise_snr_db), ("room_s", self.room_s)):
            if ends is not None and not (len(ends) == 2 and ends[0] <= ends[1]):
                raise ZooError(f"augmentation {name}: {ends} is no range; pass the lowest and the highest")
        if min(self.equaliser_db, self.quieter_db) < 0 or (self.room_s is not None and self.room_s[0] <= 0):
            raise ZooError(f"augmentation: decibels and seconds of a room are above 0; got {self}")

    def apply(self, waveform, sample_rate_hz, seed):
        """The crop as a room, a microphone and a noisy place would have it, no louder than before. Runs in a graph.

        seed: int (2,), all that the result depends on beside the crop.

        Shape: (time,) -> (time,)
        """
        num_samples = waveform.shape[0]
        tail_samples = int(self.room_s[1] * sample_rate_hz) if self.room_s else 0
        n_fft = 2 ** int(np.ceil(np.log2(num_samples + tail_samples)))
        seeds = tf.random.split(tf.cast(seed, tf.int32), 3)
        level = _rms(waveform)
        spectrum = tf.signal.rfft(waveform, [n_fft])
        if self.room_s:
            spectrum *= tf.signal.rfft(_room(self.room_s, tail_samples, sample_rate_hz, seeds[0]), [n_fft])
        if self.equaliser_db:
            spectrum *= tf.cast(_octave_gains(self.equaliser_db, n_fft, sample_rate_hz, seeds[1]), tf.complex64)
        if self.room_s or self.equaliser_db:
            waveform = tf.signal.irfft(spectrum, [n_fft])[:num_samples]
            waveform *= tf.math.divide_no_nan(level, _rms(waveform))
        if self.noise_snr_db:
            draw = tf.random.stateless_uniform([2], seeds[2])
            low, high = self.noise_snr_db
            noise = _coloured_noise(STEEPEST_NOISE * draw[0], num_samples, seeds[2])
            waveform += noise * level * 10 ** (-(low + (high - low) * draw[1]) / 20)
        if self.quieter_db:
            draw = tf.random.stateless_uniform([], tf.random.experimental.stateless_fold_in(seed, 3))
            waveform *= 10 ** (-self.quieter_db * draw / 20)
        return waveform


def _rms(waveform):
    return tf.sqrt(tf.reduce_mean(tf.square(waveform)))


def _room(room_s, tail_samples, sample_rate_hz, seed):
    """Impulse response (tail_samples + 1,): the direct sound, then noise that dies away.

    Source: Moorer 1979, "About This Reverberation Business", Computer Music Journal 3: exponentially decaying noise.
    """
    draw = tf.random.stateless_uniform([2], seed)
    reverberation_s = room_s[0] * (room_s[1] / room_s[0]) ** draw[0]
    time_s = tf.range(1, tail_samples + 1, dtype=tf.float32) / sample_rate_hz
    tail = tf.random.stateless_normal([tail_samples], seed) * tf.exp(-DECAY * time_s / reverberation_s)
    low, high = DIRECT_TO_REVERBERANT_DB
    tail *= 10 ** (-(low + (high - low) * draw[1]) / 20) / tf.norm(tail)
    return tf.concat([[1.0], tail], axis=0)


def _octave_gains(equaliser_db, n_fft, sample_rate_hz, seed):
    """Gain (n_fft // 2 + 1,) of each frequency: drawn at each octave, in between a straight line in decibels."""
    frequency_hz = np.maximum(np.fft.rfftfreq(n_fft, 1 / sample_rate_hz), LOWEST_OCTAVE_HZ)
    octave = np.log2(frequency_hz / LOWEST_OCTAVE_HZ)
    below = octave.astype(int)
    draws_db = equaliser_db * (2 * tf.random.stateless_uniform([int(below.max()) + 2], seed) - 1)
    above = tf.constant(octave - below, tf.float32)
    gain_db = tf.gather(draws_db, below) * (1 - above) + tf.gather(draws_db, below + 1) * above
    return 10 ** (gain_db / 20)


def _coloured_noise(slope, num_samples, seed):
    """Noise (num_samples,) of level 1 whose amplitude goes with frequency to the power of -slope."""
    white = tf.signal.rfft(tf.random.stateless_normal([num_samples], seed))
    bins = tf.range(tf.shape(white)[0], dtype=tf.float32)
    shape = tf.where(bins > 0, tf.maximum(bins, 1) ** -slope, 0.0)
    noise = tf.signal.irfft(white * tf.cast(shape, tf.complex64), [num_samples])
    return noise / _rms(noise)


class Masks(NamedTuple):
    """How much `SpecAugment` hides: as many stretches of each axis, each of at most this share of it."""

    count: int = 2
    frames: float = 0.2
    bands: float = 0.2


class SpecAugment(keras.__internal__.layers.BaseRandomLayer):
    """Columns in which stretches of time and of frequency are replaced by the columns' mean, while a net trains.

    Not Kapre's layer of this name: its numbers go on from draw to draw, so that a run that was killed and goes on
    would end with other weights. These come of the layer's own generator, which `zoo.training` sets at each epoch.

    Shape: (batch, frames, bands, 1) -> the same
    Source: Park et al. 2019, "SpecAugment", Interspeech, without time warping.
    """

    def __init__(self, count, frames, bands, **kwargs):
        super().__init__(**kwargs)
        self.masks = Masks(count, frames, bands)

    def call(self, columns, training=None):
        if not training:
            return columns
        hidden = self._stretches(columns, 1, self.masks.frames)[:, :, None, None]
        hidden |= self._stretches(columns, 2, self.masks.bands)[:, None, :, None]
        return tf.where(hidden, tf.reduce_mean(columns, axis=[1, 2], keepdims=True), columns)

    def _stretches(self, columns, axis, share):
        """Booleans (batch, length of the axis): where a stretch lies."""
        length = columns.shape[axis]
        draw = self._random_generator.random_uniform([2, tf.shape(columns)[0], self.masks.count, 1])
        lengths = tf.floor(draw[0] * (share * length + 1))
        starts = tf.floor(draw[1] * (length - lengths + 1))
        places = tf.range(length, dtype=tf.float32)
        return tf.reduce_any((places >= starts) & (places < starts + lengths), axis=1)

    def get_config(self):
        return {**super().get_config(), **self.masks._asdict()}


def parse(text):
    """(`Augmentation`, `Masks` or None) of a command line's "noise=6:30,equaliser=6,room=0.1:0.6,quieter=20,masks=0.2".

    Raises: ZooError for what is not written so.
    """
    values, masks = {}, None
    for word in text.split(","):
        name, _, value = word.partition("=")
        numbers = re.fullmatch(r"(-?\d+\.?\d*)(?::(-?\d+\.?\d*))?", value)
        if name == "masks" and numbers and not numbers[2] and 0 < float(value) <= 1:
            masks = Masks(frames=float(value), bands=float(value))
        elif name in ("equaliser", "quieter") and numbers and not numbers[2]:
            values[f"{name}_db"] = float(value)
        elif name in ("noise", "room") and numbers and numbers[2]:
            values[{"noise": "noise_snr_db", "room": "room_s"}[name]] = (float(numbers[1]), float(numbers[2]))
        else:
            raise ZooError(f"{word!r}: write noise=LOW:HIGH, equaliser=DB, room=LOW:HIGH, quieter=DB or masks=SHARE")
    return Augmentation(**values), masks
