"""A stand-in for sounddevice: no machine that tests has a microphone. The real one was tried by hand, see docs."""

import sys
import time
from threading import Thread
from types import SimpleNamespace

import numpy as np
import pytest

from zoo.errors import ZooError
from zoo.runtime import microphone
from zoo.runtime.microphone import Microphone, Unplugged


class PortAudioError(Exception):
    pass


class Device:
    """One input device, which can be pulled out; gives blocks of ones whenever it runs."""

    def __init__(self):
        self.is_there, self.overflows = True, 0
        self.begun = 0

    def query_devices(self, device, kind):
        if not self.is_there:
            raise PortAudioError("Error querying device -1\nmore lines")
        return {"name": "USB microphone", "default_samplerate": 44_100.0, "max_input_channels": 2}

    def InputStream(self, blocksize, channels, callback, **_):  # noqa: N802 (sounddevice's name)
        device = self

        class Stream:
            def __enter__(self):
                if not device.is_there:
                    raise PortAudioError("Device unavailable")
                self.runs = True
                self.thread = Thread(target=self.run, daemon=True)
                self.thread.start()

            def __exit__(self, *_):
                self.runs = False
                self.thread.join()

            def run(self):
                block = np.ones((blocksize, channels), np.float32)
                while self.runs and device.is_there:
                    callback(block, blocksize, None, SimpleNamespace(input_overflow=device.overflows > 0))
                    device.overflows -= device.overflows > 0
                    time.sleep(0.002)

        return Stream()

    def _terminate(self):
        pass

    def _initialize(self):
        self.begun += 1


@pytest.fixture
def device(monkeypatch):
    device = Device()
    names = ("query_devices", "InputStream", "_terminate", "_initialize")
    stand_in = SimpleNamespace(PortAudioError=PortAudioError, **{name: getattr(device, name) for name in names})
    monkeypatch.setitem(sys.modules, "sounddevice", stand_in)
    monkeypatch.setattr(microphone, "SILENT_S", 0.1)
    return device


def test_a_microphone_gives_blocks_at_its_own_rate(device):
    heard = Microphone(channels=2)
    assert (heard.name, heard.sample_rate_hz) == ("USB microphone", 44_100)
    blocks = heard.blocks()
    assert next(blocks).shape == (2_205, 2) and next(blocks).dtype == np.float32
    blocks.close()
    assert heard.lost == 0


def test_a_microphone_that_goes_away_is_told_and_comes_back(device):
    heard = Microphone()
    blocks = heard.blocks()
    next(blocks)
    device.is_there = False
    with pytest.raises(Unplugged, match="USB microphone: gave nothing"):
        for _ in blocks:
            pass
    with pytest.raises(Unplugged, match="Device unavailable"):
        next(heard.blocks())
    Thread(target=lambda: (time.sleep(0.05), setattr(device, "is_there", True)), daemon=True).start()
    heard.wait(pause_s=0.02)
    assert device.begun >= 2  # it looked more than once
    assert len(next(heard.blocks()))


def test_lost_sound_is_counted_whether_the_driver_or_the_listener_is_late(device, monkeypatch):
    heard = Microphone()
    device.overflows = 3
    blocks = heard.blocks()
    for _ in range(5):
        next(blocks)
    assert heard.lost == 3
    monkeypatch.setattr(microphone, "HELD_S", 4 * microphone.BLOCK_S)
    blocks = heard.blocks()
    next(blocks)
    time.sleep(0.05)  # ten blocks and more come meanwhile, and four are kept
    assert heard.lost > 3


def test_what_a_microphone_cannot_do_is_not_waited_for(device):
    with pytest.raises(ZooError, match="USB microphone: has 2 channels, not 3"):
        Microphone(channels=3)
    heard = Microphone()
    device.is_there = False  # it never opened
    with pytest.raises(ZooError, match="Device unavailable") as refused:
        next(heard.blocks())
    assert not isinstance(refused.value, Unplugged)


def test_no_microphone_is_one_line(device):
    device.is_there = False
    with pytest.raises(ZooError, match="^no microphone 'usb': Error querying device -1$"):
        Microphone("usb")


def test_portaudio_that_is_missing_is_told_with_what_installs_it(monkeypatch):
    class Broken:
        def find_spec(self, name, *_):
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(ZooError, match="apt install libportaudio2"):
        Microphone()
