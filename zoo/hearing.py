"""How a network hears what another one takes: at its own rate, and in windows of its own length. Runs in a graph."""

from zoo.backend import tf

import numpy as np

from zoo import audio


def resampled(waveforms, from_hz, to_hz):
    """The waveforms at `to_hz`.

    Shape: (batch, samples) -> (batch, samples * to_hz // from_hz)
    """
    if from_hz == to_hz:
        return waveforms
    length = waveforms.shape[1] * to_hz // from_hz
    return tf.map_fn(lambda waveform: tf.ensure_shape(audio.resample(waveform, from_hz, to_hz), (length,)), waveforms)


def windows(waveforms, num_samples):
    """Windows of each waveform, spread from its start to its end, about half a window apart.

    All of a sound is heard, as its label tells of all of it. A shorter waveform lies in the middle of silence.

    Shape: (batch, samples) -> (batch, windows, num_samples)
    """
    missing = max(0, num_samples - waveforms.shape[1])
    padded = tf.pad(waveforms, [[0, 0], [missing // 2, missing - missing // 2]])
    last = padded.shape[1] - num_samples
    count = 1 + round(2 * last / num_samples)
    starts = np.linspace(0, last, count).round().astype(int) if count > 1 else [last // 2]
    return tf.stack([padded[:, start : start + num_samples] for start in starts], axis=1)


def mean_over_windows(run, waveforms, num_samples):
    """The mean over a waveform's windows of what `run` gives for a window.

    Shape: (batch, samples) -> (batch, width); run is (n, num_samples) -> (n, width)
    """
    heard = windows(waveforms, num_samples)
    given = run(tf.reshape(heard, (-1, num_samples)))
    return tf.reduce_mean(tf.reshape(given, (-1, heard.shape[1], given.shape[1])), axis=1)
