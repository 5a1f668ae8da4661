"""Sound files and raw PCM, read block by block: a recording of a day takes no more memory than one of a second.

Needs soundfile, of the extra `audio`.
"""

import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from zoo.errors import ZooError
from zoo.runtime.extras import extra
from zoo.runtime.waveform import check_rate

BLOCK_SAMPLES = 2**16  # of all channels together
START_NUMBERS = 2**24  # samples of all channels together
MOST_CHANNELS = 64


class Recording:
    """A sound file of any format that libsndfile reads (WAV, FLAC, Ogg, Opus, MP3, AIFF, CAF ..), of any length.

    sample_rate_hz, channels: as its header has them. seconds: the same; of a damaged file it may not be true.
    """

    def __init__(self, path):
        """Raises: ZooError for what is no recording, in one line."""
        self._soundfile = extra("soundfile", "to read recordings")
        self.path = Path(path)
        try:
            with self._soundfile.SoundFile(self.path) as file:
                self.sample_rate_hz, self.channels = file.samplerate, file.channels
                self.seconds = file.frames / file.samplerate if file.samplerate else 0.0
        except (self._soundfile.SoundFileError, OSError, TypeError) as error:
            raise ZooError(f"{self.path}: {self._reason(error)}") from error
        try:
            check_rate(self.sample_rate_hz)
        except ZooError as error:
            raise ZooError(f"{self.path}: {error}") from error
        if self.channels > MOST_CHANNELS:
            raise ZooError(f"{self.path}: {self.channels} channels: {MOST_CHANNELS} are taken at most")

    def blocks(self):
        """Yields the samples: float32 (n, channels), n as large as a block of 65,536 numbers allows.

        Raises: ZooError where it does not decode.
        """
        frames = BLOCK_SAMPLES // self.channels
        try:
            with self._soundfile.SoundFile(self.path) as file:
                while len(block := file.read(frames, dtype="float32", always_2d=True)):
                    yield block
        except (self._soundfile.SoundFileError, OSError) as error:
            raise ZooError(f"{self.path}: {self._reason(error)}") from error

    def start(self, seconds):
        """The first seconds, or as many as there are and have room (64 MiB): float32 (n, channels)."""
        taken = [np.zeros((0, self.channels), np.float32)]
        left = min(round(seconds * self.sample_rate_hz), START_NUMBERS // self.channels)
        for block in self.blocks():
            taken.append(block[:left])
            left -= len(taken[-1])
            if not left:
                break
        return np.concatenate(taken)

    def _reason(self, error):
        if not self.path.exists():
            return "no such file"
        if not self.path.stat().st_size:
            return "is empty"
        reason = getattr(error, "error_string", None) or getattr(error, "strerror", None) or error
        return f"does not decode ({str(reason).rstrip('.')}); ffmpeg -i makes a WAV of most things"


def raw_blocks(path, channels):
    """Yields the samples of raw PCM, 16 bit and little endian: int16 (n, channels), as they come.

    path: "-" is the standard input, whose blocks are as short as its writer makes them.

    Raises: ZooError for what cannot be read.
    """
    try:
        opened = nullcontext(sys.stdin.buffer) if path == "-" else open(path, "rb")
        with opened as file:
            rest = b""
            while data := file.read1(2 * BLOCK_SAMPLES):
                data = rest + data
                whole = len(data) // (2 * channels) * 2 * channels
                rest = data[whole:]
                if whole:
                    yield np.frombuffer(data[:whole], "<i2").reshape(-1, channels)
    except OSError as error:
        raise ZooError(f"{path}: {error.strerror}") from error


def find_recordings(paths):
    """The files among `paths`, and below their folders all that have the name of a sound file, in order.

    Raises: ZooError for a path that is not there, and a folder without any.
    """
    endings = {f".{name.lower()}" for name in extra("soundfile", "to read recordings").available_formats()}
    endings |= {".aif", ".oga", ".opus"}
    found = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in endings - {".raw"})
            if not inside:
                raise ZooError(f"{path}: no recording in this folder")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise ZooError(f"{path}: no such file")
    return found
