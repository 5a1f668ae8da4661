"""Published embeddings: what networks that others trained on far more sounds make of a waveform.

YAMNet (AudioSet's sounds; tensorflow/models, research/audioset/yamnet) and Google's speech embedding (Lin et al. 2020,
"Training keyword spotters with limited and synthesized speech data"; words of 200 million clips) in the form in which
openWakeWord and its kin carry it, `embedding_model.tflite`: that is Apache-2.0 as YAMNet is.
"""

import math
import struct
from threading import Lock

from zoo.backend import tf

from zoo import hearing
from zoo.errors import ZooError, first_line
from zoo.frontends import LogMel
from zoo.runtime.embedding import embedding_model
from zoo.runtime.interpreter import LiteRT

RATE_HZ = 16_000  # of both

YAMNET_INPUT, YAMNET_WIDTH = (15_600,), 1_024

SPEECH_INPUT, SPEECH_WIDTH = (76, 32, 1), 96  # 0.775 s of log-mel; a longer one gives an embedding each 80 ms
SPEECH_SILENCE = 4_800  # samples on either side: with 0.3 s a word's start and end are heard in some embedding's middle
SPEECH_RANGE = 8.0  # bels under the maximum of what is heard
# Its own log-mel are bels of the power of 16-bit samples, and 2 more. Its frames of 25 ms lie 56 samples later.
SPEECH_FLOOR, SPEECH_DELAY = 1e-10, 56
SPEECH_LEVEL = math.log10(SPEECH_FLOOR * 2**30) + 2  # of the floor


def published(file, content, front_end):
    """Function waveforms -> embedding, float32, which runs in a graph (Dataset.map) and outside of one, and its name.

    It takes what a model with `front_end` (a spec with sample_rate_hz and num_samples) takes; an embedding is the mean
    over all that is heard.

    Shape: (batch, num_samples) -> (batch, 1024) of YAMNet's file, (batch, 96) of the speech embedding's
    Raises: ZooError if `content`, of `file`, is neither.
    """
    try:
        ends = LiteRT(content)
        if (ends.input_shape, ends.output.shape[-1]) == (SPEECH_INPUT, SPEECH_WIDTH):
            name, embed = "speech embedding", _speech(content, front_end)
        else:
            name, embed = "YAMNet", _yamnet(content)
    except (ZooError, ValueError, RuntimeError, struct.error) as error:  # of a file that is cut short, too
        raise ZooError(
            f"{file}: neither YAMNet nor the speech embedding ({first_line(error)}); pass YAMNet's published .tflite, "
            "or the embedding_model.tflite of openWakeWord"
        ) from error

    @tf.function(input_signature=[tf.TensorSpec((None, front_end.num_samples), tf.float32)])
    def embedding(waveforms):
        return embed(hearing.resampled(waveforms, front_end.sample_rate_hz, RATE_HZ))

    return name, embedding


def _yamnet(content):
    network = LiteRT(embedding_model(content))
    if (network.input_shape, network.output.shape) != (YAMNET_INPUT, (YAMNET_WIDTH,)):
        raise ZooError(f"it takes {network.input_shape} and gives {network.output.shape}")
    (num_samples,) = YAMNET_INPUT
    return lambda waveforms: hearing.mean_over_windows(lambda heard: _run(network, heard), waveforms, num_samples)


def _speech(content, front_end):
    num_samples = front_end.num_samples * RATE_HZ // front_end.sample_rate_hz + 2 * SPEECH_SILENCE - 2 * SPEECH_DELAY
    spectrogram = LogMel(num_samples, RATE_HZ, num_mels=32, low_hz=60.0, high_hz=3_800.0, floor=SPEECH_FLOOR)
    log_mel = spectrogram.build()
    network = LiteRT(content, input_shape=log_mel.output_shape[1:])

    def embed(waveforms):
        silence = SPEECH_SILENCE - SPEECH_DELAY
        decibels = log_mel(tf.pad(waveforms, [[0, 0], [silence, silence]]))
        bels = decibels / 10 + SPEECH_LEVEL
        loudest = tf.reduce_max(bels, axis=(1, 2, 3), keepdims=True)
        return tf.reduce_mean(_run(network, tf.maximum(bels, loudest - SPEECH_RANGE)), axis=(1, 2))

    return embed


def _run(network, x):
    """What a LiteRT network makes of a tensor, as an operation of TensorFlow."""
    lock = Lock()  # a parallel map calls from several threads, and an interpreter holds one input

    def run(x):
        with lock:
            return network.run(x)

    return tf.ensure_shape(tf.numpy_function(run, [x], tf.float32), (None, *network.output.shape))
