"""A recording becomes a waveform: decode, mix down, resample, level.

soundfile reads a file before anything else does, and names what is broken; tensorflow-io decodes and resamples in the
graph. Waveforms are float32 in [-1, 1], (time,), mono.
"""

import io
from dataclasses import dataclass
from pathlib import Path

from zoo.backend import tf

import numpy as np
import soundfile
import tensorflow_io as tfio

from zoo.errors import ZooError

# What tensorflow-io decodes exactly, and in which type it wants it: encoding -> (decoder, type, full scale).
_DECODERS = {
    "FLAC/PCM_16": (tfio.audio.decode_flac, tf.int16, 2.0**15),
    "FLAC/PCM_24": (tfio.audio.decode_flac, tf.int32, 2.0**31),
    "OGG/VORBIS": (lambda encoded, dtype: tfio.audio.decode_vorbis(encoded), tf.float32, 1.0),
    "WAV/FLOAT": (tfio.audio.decode_wav, tf.float32, 1.0),
}
ENCODINGS = tuple(_DECODERS)

# Its WAV decoder trips over legal files (an odd number of bytes, a title before the samples, a length left open by a
# pipe): integers become FLAC of the same bits, everything else a plain WAV of floats. subtype -> (read as, kept as).
_LOSSLESS = {
    "PCM_U8": ("int16", "PCM_16"),
    "PCM_S8": ("int16", "PCM_16"),
    "PCM_16": ("int16", "PCM_16"),
    "PCM_24": ("int32", "PCM_24"),
}
SHORTEST_S = 0.001  # what is shorter has nothing left after resampling


@dataclass(frozen=True)
class Recording:
    """A sound file's samples at their own rate, in an encoding that `decode` takes."""

    encoded: bytes
    encoding: str
    sample_rate_hz: int


def read(path):
    """The `Recording` at `path`, once all of it has been decoded and found sound. Any format that soundfile reads.

    Raises: ZooError, naming the file, if it does not decode, holds no sound or holds samples that are no number.
    """
    try:
        with soundfile.SoundFile(path) as file:
            encoding, sample_rate_hz = f"{file.format}/{file.subtype}", file.samplerate
            read_as, kept_as = _LOSSLESS.get(file.subtype, ("float32", "FLOAT"))
            samples = file.read(dtype=read_as)
        if len(samples) < SHORTEST_S * sample_rate_hz:
            held = f"{len(samples) or 'no'} samples, less than a millisecond"
            raise ZooError(f"{path}: has {held}; replace the file, or pass --skip-bad")
        if not np.isfinite(samples).all():
            raise ZooError(f"{path}: has samples that are not finite numbers; replace the file, or pass --skip-bad")
        if encoding in _DECODERS and not encoding.startswith("WAV"):
            return Recording(Path(path).read_bytes(), encoding, sample_rate_hz)
        container, rewritten = "WAV" if kept_as == "FLOAT" else "FLAC", io.BytesIO()
        soundfile.write(rewritten, samples, sample_rate_hz, subtype=kept_as, format=container)
        return Recording(rewritten.getvalue(), f"{container}/{kept_as}", sample_rate_hz)
    except (soundfile.LibsndfileError, OSError) as error:
        raise ZooError(f"{path}: does not decode ({error}); replace the file, or pass --skip-bad") from error


def decode(encoded, encoding):
    """Waveform (time,) at the recording's own rate, channels averaged. Runs in a graph.

    encoded, encoding: scalar strings, as `read` gives them.
    """

    def branch(decoder, dtype, full_scale):
        def run():
            samples = tf.cast(decoder(encoded, dtype=dtype), tf.float32)
            return tf.reduce_mean(samples / full_scale, axis=1)  # (time, channels) -> (time,)

        return run

    index = tf.argmax(tf.equal(encoding, ENCODINGS), output_type=tf.int32)
    return tf.switch_case(index, [branch(*row) for row in _DECODERS.values()])


def resample(waveform, from_hz, to_hz):
    """Waveform at `to_hz`. Runs in a graph; `from_hz` may be a tensor.

    tensorflow-io's resampler (Speex) keeps aliases under -90 dB and delays the sound by about 1.6 ms, which no crop
    notices; see tests/test_audio.py for how it compares with soxr.
    """
    return tf.cond(
        tf.equal(tf.cast(from_hz, tf.int64), to_hz),
        lambda: waveform,
        lambda: tfio.audio.resample(waveform[:, None], tf.cast(from_hz, tf.int64), to_hz)[:, 0],
    )


def waveform_of(recording, sample_rate_hz):
    """The waveform of a `Recording` at another rate. Shape: float32 (time,)"""
    waveform = decode(recording.encoded, recording.encoding)
    return resample(waveform, recording.sample_rate_hz, sample_rate_hz).numpy()


def a_weighting_db(frequency_hz):
    """Gain in dB of the A curve at each frequency. Source: IEC 61672-1, 0 dB at 1 kHz."""
    f2 = np.square(np.asarray(frequency_hz, np.float64))
    with np.errstate(divide="ignore"):  # the curve is -inf at 0 Hz
        gain = 12194.0**2 * f2**2 / (
            (f2 + 20.6**2) * np.sqrt((f2 + 107.7**2) * (f2 + 737.9**2)) * (f2 + 12194.0**2)
        )  # fmt: skip
        return 20 * np.log10(gain) + 2.0


LEVEL_FLOOR_DB = -80.0  # silence has a level too, or two silent crops could not be mixed


def level_window(sample_rate_hz):
    """(samples of a window of `level_db`, the A curve's factor for the power at each of its frequencies)."""
    window = 2048 if sample_rate_hz <= 32_000 else 4096  # about 0.1 s, as EnvNet-v2 has it
    weights = 10 ** (a_weighting_db(np.fft.rfftfreq(window, 1 / sample_rate_hz)) / 10)
    return window, weights.astype(np.float32)


def level_db(waveform, sample_rate_hz):
    """Loudest A-weighted level of any window, in dB, scalar. Runs in a graph.

    A waveform shorter than a window (0.1 s) has the level of silence.

    Source: Tokozume et al. 2018 (EnvNet-v2), whose gains g1 and g2 enter equation 3 of the ACDNet paper.
    """
    window, weights = level_window(sample_rate_hz)
    power = tf.square(tf.abs(tf.signal.stft(waveform, window, window // 2)))  # (windows, frequencies)
    loudest = tf.reduce_max(tf.linalg.matvec(power, tf.constant(weights)))
    return 10 * tf.math.log(tf.maximum(loudest, 10 ** (LEVEL_FLOOR_DB / 10))) / np.log(10)
