"""A microphone as an endless source of blocks, which counts what was lost and tells when it goes away.

Needs sounddevice, of the extra `audio`, and PortAudio.
"""

import queue
import time

from zoo.errors import ZooError, first_line
from zoo.runtime.extras import extra

BLOCK_S = 0.05
HELD_S = 5.0  # of sound that waits to be heard; what comes on top is lost, and counted
SILENT_S = 3.0  # without a block: the device is gone


class Unplugged(ZooError):
    """The microphone gives nothing any more."""


class Microphone:
    """An input of PortAudio's, at its own rate, all channels that were asked for.

    lost: how often sound was lost, because the machine or the driver did not keep up.
    """

    def __init__(self, device=None, channels=1):
        """device: a number or a part of a name, as `python -m sounddevice` lists them; None: the system's default.

        Raises: Unplugged where there is none.
        """
        self._sounddevice = extra("sounddevice", "to listen to a microphone")
        is_number = isinstance(device, str) and device.isdigit()
        self.device, self.channels, self.lost = int(device) if is_number else device, channels, 0
        self._has_given = False
        self._find()

    def _find(self):
        try:
            found = self._sounddevice.query_devices(self.device, "input")
        except (ValueError, self._sounddevice.PortAudioError) as error:
            name = "" if self.device is None else f" {self.device!r}"
            raise Unplugged(f"no microphone{name}: {first_line(error)}") from error
        if found["max_input_channels"] < self.channels:
            raise ZooError(f"{found['name']}: has {found['max_input_channels']} channels, not {self.channels}")
        self.name, self.sample_rate_hz = found["name"], round(found["default_samplerate"])

    def wait(self, pause_s=2.0):
        """Looks every so often for the device that was asked for, or any default, until one is there."""
        while True:
            time.sleep(pause_s)
            try:
                self._sounddevice._terminate()  # PortAudio lists its devices once: it has to begin again
                self._sounddevice._initialize()
                return self._find()
            except (Unplugged, self._sounddevice.PortAudioError):
                pass

    def blocks(self):
        """Yields samples as they come: float32 (n, channels).

        Raises: Unplugged where it gives nothing for three seconds, or ends; ZooError where it never gave any.
        """
        waiting = queue.Queue(maxsize=round(HELD_S / BLOCK_S))

        def take(samples, _frames, _time, status):  # in PortAudio's thread
            self.lost += bool(status.input_overflow)
            try:
                waiting.put_nowait(samples.copy())  # PortAudio writes the next block into the same memory
            except queue.Full:
                self.lost += 1

        try:
            with self._sounddevice.InputStream(
                samplerate=self.sample_rate_hz,
                blocksize=round(BLOCK_S * self.sample_rate_hz),
                device=self.device,
                channels=self.channels,
                dtype="float32",
                callback=take,
            ):
                while True:
                    block = waiting.get(timeout=SILENT_S)
                    self._has_given = True
                    yield block
        except queue.Empty:
            raise Unplugged(f"{self.name}: gave nothing for {SILENT_S:g} s") from None
        except self._sounddevice.PortAudioError as error:
            kind = Unplugged if self._has_given else ZooError  # a rate that it refuses is not worth waiting for
            raise kind(f"{self.name}: {first_line(error)}") from error
