"""What may happen to a sound on its way to a model: noise, another level or rate, clipping, a phone, a codec.

`CONDITIONS` names the changes, each a function (waveform, sample_rate_hz) -> waveform, float32 (time,) in [-1, 1], at
the rate of the model; those of `NOISE` take a noise in place of the rate, as long, of any level.
"""

import io
from functools import partial
from types import MappingProxyType

import numpy as np
import soundfile
from scipy import signal

from zoo import audio

CODEC_RATE_HZ = 44_100  # MP3 takes few rates
PHONE_BAND_HZ = 300, 3_400  # ITU-T G.712
LARGEST = 1 - 2**-15  # of 16 bits


def with_noise(waveform, noise, snr_db):
    """The sound, and noise so many dB under its level (RMS); both quieter together where they would be clipped."""
    levels = [np.sqrt(np.mean(np.square(part, dtype=np.float64))) for part in (waveform, noise)]
    mixed = waveform + noise * np.float32(levels[0] / max(levels[1], 1e-9) * 10 ** (-snr_db / 20))
    return mixed / max(1.0, np.abs(mixed).max() / LARGEST)


def at_level(waveform, sample_rate_hz, gain_db):
    """The sound so many dB louder, in the 16 bits of a recorder: what is too loud is clipped, what is quiet, coarse."""
    return np.clip(np.round(waveform * 10 ** (gain_db / 20) * 2**15) / 2**15, -1, LARGEST).astype(np.float32)


def through_rate(waveform, sample_rate_hz, rate_hz):
    """The sound after it was recorded at another rate."""
    return _resampled(_resampled(waveform, sample_rate_hz, rate_hz), rate_hz, sample_rate_hz)


def clipped(waveform, sample_rate_hz, share):
    """The sound with the loudest `share` of its samples cut off."""
    limit = np.quantile(np.abs(waveform), 1 - share)
    return np.clip(waveform, -limit, limit)


def by_phone(waveform, sample_rate_hz):
    """The sound without what a telephone's band leaves out."""
    band = signal.butter(6, PHONE_BAND_HZ, "bandpass", fs=sample_rate_hz, output="sos")
    return signal.sosfiltfilt(band, waveform).astype(np.float32)


def through_codec(waveform, sample_rate_hz, container, subtype):
    """The sound after a file of another format, at the lowest quality but one in ten."""
    encoded = io.BytesIO()
    sound = np.clip(_resampled(waveform, sample_rate_hz, CODEC_RATE_HZ), -1, LARGEST)
    soundfile.write(encoded, sound, CODEC_RATE_HZ, format=container, subtype=subtype, compression_level=0.9)
    encoded.seek(0)
    decoded, _ = soundfile.read(encoded, dtype="float32")
    return _resampled(decoded, CODEC_RATE_HZ, sample_rate_hz)


def _resampled(waveform, from_hz, to_hz):
    return np.asarray(audio.resample(waveform, from_hz, to_hz))


NOISE = "noise"
# Kind -> {value: change}. Values are numbers on one axis, or words.
CONDITIONS = MappingProxyType(
    {
        NOISE: {f"{snr_db} dB": partial(with_noise, snr_db=snr_db) for snr_db in (20, 15, 10, 5, 0, -5)},
        "level": {f"{gain_db:+} dB": partial(at_level, gain_db=gain_db) for gain_db in (-40, -30, -20, -10, 6)},
        "rate": {f"{rate_hz} Hz": partial(through_rate, rate_hz=rate_hz) for rate_hz in (8_000, 16_000, 48_000)},
        "clipping": {f"{share:.0%}": partial(clipped, share=share) for share in (0.01, 0.05, 0.2)},
        "band": {"phone": by_phone},
        "codec": {
            "Ogg Vorbis": partial(through_codec, container="OGG", subtype="VORBIS"),
            "MP3": partial(through_codec, container="MP3", subtype="MPEG_LAYER_III"),
        },
    }
)
