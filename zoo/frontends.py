"""Front ends: a frozen spec from which come the Keras layers that train and their twin that converts to TFLite.

Waveform in: float32 in [-1, 1], (samples,). Out: what a backbone takes, channels last.
"""

import warnings
from dataclasses import dataclass

from zoo.backend import keras, tf

import kapre
import numpy as np

from zoo import fourier

# By their plain names, as a Sequential inside another has them: with these any model that holds them opens.
KAPRE_LAYERS = {name: kind for name, kind in vars(kapre).items() if isinstance(kind, type)}

GROUPS = 4  # of bands in the TFLite twin: more of them are fewer zeros in its filterbank and more operators


@dataclass(frozen=True)
class Raw:
    """The waveform itself, (samples, 1, 1): the backbone learns its own front end."""

    sample_rate_hz: int
    num_samples: int
    shape: tuple = (-1, 1, 1)  # as the backbone takes it: other people's take (samples,) or (samples, 1)

    def build(self):
        """Keras model (samples,) -> (samples, 1, 1), or what `shape` says."""
        waveform = keras.Input((self.num_samples,), name="waveform")
        return keras.Model(waveform, keras.layers.Reshape(self.shape, name="samples")(waveform), name="raw")

    def build_tflite_twin(self):
        """The same model: it converts as it is."""
        return self.build()


@dataclass(frozen=True)
class LogMel:
    """Log-mel spectrogram, (frames, mels, 1), frames = 1 + (samples - window) // hop; nothing is padded.

    Values are levels over `floor`: log(max(mel, floor) / floor), so that silence is 0 (as a convolution's padding is),
    whatever else the clip holds: a stream has no maximum to refer to. log: "decibel" (10 log10) or "natural" (ln).
    With an `offset` they are log(mel + offset) instead, which may be negative, and there is no floor.

    mel: "slaney", bands and normalisation as librosa has them; or "htk", as TensorFlow has them
    (tf.signal.linear_to_mel_weight_matrix): triangles over the HTK scale, all of height 1, deaf to the mean of the
    signal. At n_fft 512 and 16 kHz the lowest of 128 bands are narrower than a bin: those hold nothing.
    """

    num_samples: int
    sample_rate_hz: int = 16_000
    num_mels: int = 128
    n_fft: int = 512
    window_samples: int = 400
    hop_samples: int = 160
    low_hz: float = 0.0
    high_hz: float = 8_000.0
    spectrum: str = "power"  # or "magnitude"
    floor: float = 1e-8  # of `spectrum` in a mel band: 80 dB under 1, near the noise of 16-bit samples
    log: str = "decibel"  # or "natural"
    mel: str = "slaney"  # or "htk"
    offset: float = 0.0  # where it is not 0, added to `spectrum` in a mel band, in place of the floor

    def __post_init__(self):
        if self.spectrum not in ("power", "magnitude") or self.log not in ("decibel", "natural"):
            raise ValueError(f"LogMel: spectrum is power or magnitude, log is decibel or natural; got {self}")
        if self.mel not in ("slaney", "htk"):
            raise ValueError(f"LogMel: mel is slaney or htk; got {self}")

    @property
    def zero_level(self):
        """What has the level 0, of `spectrum` in a mel band."""
        return 1.0 if self.offset else self.floor

    def filterbank(self):
        """How much of each bin each band hears: float32 (n_fft // 2 + 1, num_mels)."""
        if self.mel == "htk":
            bins = self.n_fft // 2 + 1
            edges_hz = self.low_hz, self.high_hz
            return tf.signal.linear_to_mel_weight_matrix(self.num_mels, bins, self.sample_rate_hz, *edges_hz).numpy()
        return self._slaney().filterbank.numpy()

    def build(self):
        """Keras model (samples,) -> (frames, mels, 1) of Kapre and built-in layers alone: it reloads anywhere."""
        layers = keras.layers
        waveform = keras.Input((self.num_samples,), name="waveform")
        x = layers.Reshape((-1, 1), name="channel")(waveform)
        x = kapre.STFT(
            n_fft=self.n_fft,
            win_length=self.window_samples,
            hop_length=self.hop_samples,
            input_data_format="channels_last",
            output_data_format="channels_last",
            name="stft",
        )(x)
        x = kapre.Magnitude(name="magnitude")(x)
        if self.spectrum == "power":
            x = layers.Multiply(name="power")([x, x])
        x = _times(self.filterbank(), x, "mel") if self.mel == "htk" else self._slaney()(x)
        if self.offset:
            x = layers.Rescaling(1.0, self.offset, name="offset")(x)
        # Kapre clamps to so many dB under each clip's own maximum: a range wider than float32 turns that off.
        lowest = self.offset or self.floor
        x = kapre.MagnitudeToDecibel(ref_value=self.zero_level, amin=lowest, dynamic_range=1e4, name="decibel")(x)
        if self.log == "natural":
            x = layers.Rescaling(np.log(10) / 10, name="natural")(x)
        return keras.Model(waveform, x, name="log_mel")

    def build_tflite_twin(self):
        """The same mathematics in operators that TFLite has built in, in a third of the time that its RFFT2D asks.

        It keeps the small matrices of `zoo.fourier` and of each band the bins that it hears, where Kapre's own TFLite
        layers keep the DFT's matrices and the filterbank whole.
        """
        bands = self.filterbank()
        # The window is divided by it, and the floor is 1 from there on: as a number it would be 0 in float16.
        amplitude = np.sqrt(self.zero_level) if self.spectrum == "power" else self.zero_level
        window = tf.signal.hann_window(self.window_samples).numpy() / amplitude
        waveform = keras.Input((self.num_samples,), name="waveform")
        spectrum, where = fourier.power(waveform, window, self.hop_samples, self.n_fft)
        if self.spectrum == "magnitude":
            spectrum = tf.sqrt(spectrum)
        mel = tf.concat(
            [tf.linalg.matmul(weights, tf.gather(spectrum, where[bins], axis=1)) for bins, weights in _groups(bands)],
            axis=1,
        )  # (batch, mels, 1, frames)
        mel = tf.transpose(mel, (0, 3, 1, 2))
        level = tf.math.log(mel + self.offset if self.offset else tf.maximum(mel, 1.0))
        if self.log == "decibel":
            level = level * (10 / np.log(10))
        return keras.Model(waveform, level, name="log_mel")

    def _slaney(self):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Empty filters")  # told in the docstring
            return kapre.ApplyFilterbank(
                type="mel", filterbank_kwargs=self._filterbank(), data_format="channels_last", name="mel"
            )

    def _filterbank(self):
        return {
            "sample_rate": self.sample_rate_hz,
            "n_freq": self.n_fft // 2 + 1,
            "n_mels": self.num_mels,
            "f_min": self.low_hz,
            "f_max": self.high_hz,
        }


@dataclass(frozen=True)
class MFCC:
    """Mel-frequency cepstral coefficients, (frames, coefficients, 1): the lowest of the DCT of each log-mel column.

    The DCT is that of tf.signal.mfccs_from_log_mel_spectrograms: type 2, each row times sqrt(2 / num_mels).
    """

    log_mel: LogMel
    num_coefficients: int = 10

    @property
    def num_samples(self):
        """Those of its log-mel."""
        return self.log_mel.num_samples

    @property
    def sample_rate_hz(self):
        """That of its log-mel."""
        return self.log_mel.sample_rate_hz

    @property
    def hop_samples(self):
        """That of its log-mel."""
        return self.log_mel.hop_samples

    def dct(self):
        """What each band adds to each coefficient: float64 (num_mels, num_coefficients)."""
        mels = self.log_mel.num_mels
        half_turns = np.outer(np.arange(mels) + 0.5, np.arange(self.num_coefficients)) / mels
        return np.sqrt(2 / mels) * np.cos(np.pi * half_turns)

    def build(self):
        """Keras model (samples,) -> (frames, coefficients, 1) of Kapre and built-in layers alone."""
        return self._behind(self.log_mel.build())

    def build_tflite_twin(self):
        """The same behind the log-mel's own twin."""
        return self._behind(self.log_mel.build_tflite_twin())

    def _behind(self, log_mel):
        return keras.Model(log_mel.input, _times(self.dct(), log_mel.output, "dct"), name="mfcc")


def _times(matrix, x, name):
    """x (batch, frames, n, 1) times a matrix (n, m) that stays, by a dense layer: (batch, frames, m, 1)."""
    layers = keras.layers
    dense = layers.Dense(matrix.shape[1], use_bias=False, kernel_initializer="zeros", trainable=False, name=name)
    x = dense(layers.Permute((1, 3, 2), name=f"to_{name}")(x))
    dense.set_weights([matrix])
    return layers.Permute((1, 3, 2), name=f"from_{name}")(x)


def _groups(bands):
    """(bins (bands, width), weights (bands, 1, width)) of each group of bands of a filterbank (frequencies, mels).

    A band hears a few of all bins. In a group each has as many as the widest one, some of them with a weight of 0.
    """
    for group in np.array_split(bands.T, min(GROUPS, bands.shape[1])):
        heard = group != 0
        first, last = heard.argmax(axis=1), (heard * np.arange(len(bands))).max(axis=1)  # 0 where nothing is heard
        width = 1 + (last - first).max()
        bins = np.minimum(first, len(bands) - width)[:, None] + np.arange(width)
        yield bins, np.take_along_axis(group, bins, axis=1)[:, None]
