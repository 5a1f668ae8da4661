"""The front end, the ring and the body of micro/ in whatever runs them: what micro/stream.h does, in Python.

A column begins every `stride_samples` and hears `field_samples`; the front end gives one a call. Of the sound only what
the next column still needs is kept, of the columns only the window. Nothing is computed twice.
"""

import re
from pathlib import Path

import numpy as np

from zoo.errors import ZooError
from zoo.export.log_mel_c import LogMelC
from zoo.export.tflm import TFLM
from zoo.export.xnor_c import XnorC


def parts_of(folder):
    """(path of the front end, path of the body) of a folder micro/: .tflite files or, without them, C code."""
    pairs = (("frontend.tflite", "frontend.c"), ("body.tflite", "xnor.c"))
    return tuple(Path(folder, model if Path(folder, model).exists() else source) for model, source in pairs)


def settings_of(folder):
    """{name: number} of the whole numbers in settings.h of a folder micro/.

    Raises: ZooError where it is not there, or not the zoo's.
    """
    path = Path(folder, "settings.h")
    try:
        found = {name: int(number) for name, number in re.findall(r"(k\w+) = (\d+);", path.read_text())}
        return {name: found[name] for name in ("kSampleRateHz", "kColumnStrideSamples")}
    except (OSError, KeyError) as error:
        raise ZooError(
            f"{path}: not there, or not as this zoo writes it; export the model again, or bench micro/*.tflite"
        ) from error


def has_stream(folder):
    """Whether a folder micro/ holds a stream, and not one call alone."""
    return Path(folder, "settings.h").exists()


def open_stream(folder, open_file=TFLM):
    """The `Stream` of a folder micro/, as its settings.h has it.

    Raises: ZooError as `settings_of`.
    """
    return stream_of(folder, settings_of(folder)["kColumnStrideSamples"], open_file)


def stream_of(folder, stride_samples, open_file=TFLM, columns_per_decision=1):
    """The `Stream` of the parts in a folder micro/: open_file runs its .tflite files, this machine's C compiler makes
    its C run.
    """
    frontend, body = parts_of(folder)
    frontend = LogMelC(folder) if frontend.suffix == ".c" else open_file(frontend)
    body = XnorC(folder) if body.suffix == ".c" else open_file(body)
    return Stream(frontend, body, stride_samples, columns_per_decision)


class Stream:
    """An endless sound in, chunk by chunk, a decision out every so many columns once a window is whole.

    frontend, body: runners (`zoo.runtime.interpreter`, `zoo.export.log_mel_c`, `zoo.export.xnor_c`).

    Raises: ZooError unless columns leave the front end as they enter the body.
    """

    def __init__(self, frontend, body, stride_samples, columns_per_decision=1):
        given, taken = frontend.output, body.input
        if given != taken._replace(shape=(1, *taken.shape[1:])):
            raise ZooError(f"the front end gives columns as {given}, the body takes {taken}")
        self.frontend, self.body, self.stride_samples = frontend, body, stride_samples
        self.columns_per_decision = columns_per_decision
        self.kernels = body.kernels
        self.reset()

    @property
    def window_samples(self):
        """What a whole window hears."""
        return self.stride_samples * (self.body.input_shape[0] - 1) + self.frontend.input_shape[0]

    def reset(self):
        """Forgets all that it heard."""
        self._held = np.zeros(0, np.int16)
        self._ring = np.zeros(self.body.input_shape, self.body.input.dtype)
        self._next = 0  # the place in the ring that is written next: the oldest, once the window is whole
        self.columns = 0  # made since then, each once

    def feed(self, pcm):
        """The body's output for each decision that falls due, as it gives it.

        Shape: int16 (samples,) -> (decisions, classes)
        """
        sound, decisions = np.concatenate([self._held, pcm]), []
        start, field_samples, window = 0, self.frontend.input_shape[0], len(self._ring)
        while start + field_samples <= len(sound):
            self._ring[self._next] = self.frontend.run_raw(sound[None, start : start + field_samples])[0, 0]
            self._next = (self._next + 1) % window
            self.columns += 1
            start += self.stride_samples
            if self.columns >= window and (self.columns - window) % self.columns_per_decision == 0:
                decisions.append(self.body.run_raw(self.window()[None])[0])
        self._held = sound[start:]
        return np.array(decisions, self.body.output.dtype).reshape(-1, *self.body.output.shape)

    def window(self):
        """The last columns, the oldest first, as the body takes them."""
        return np.concatenate([self._ring[self._next :], self._ring[: self._next]])

    def windows_of(self, waveforms):
        """The body's input for each waveform, heard from its start.

        Shape: (n, samples) -> (n, *body.input_shape); what fills no further column is left out
        Raises: ZooError when the samples make fewer or more columns than the body takes.
        """
        pcm = self.frontend.input.to_raw(waveforms)
        if not 0 <= pcm.shape[1] - self.window_samples < self.stride_samples:
            raise ZooError(
                f"{len(self._ring)} columns take waveforms of {self.window_samples} samples; got {pcm.shape[1]}"
            )
        windows = np.empty((len(pcm), *self._ring.shape), self._ring.dtype)
        for i, waveform in enumerate(pcm):
            self.reset()
            self.feed(waveform)
            windows[i] = self.window()
        return windows

    def run(self, waveforms):
        """Scores, float32, of waveforms that are one window long.

        Shape: (n, samples) -> (n, classes)
        """
        return self.body.output.from_raw(self.body.run_raw(self.windows_of(waveforms)))
