import numpy as np
import pytest

from zoo.errors import ZooError
from zoo.runtime.windows import LOWEST_DBFS, Windows, level_dbfs

RATE_HZ = 1_000


def cut(waveform, chunks, num_samples=100, hop_s=0.03):
    windows = Windows(num_samples, RATE_HZ, RATE_HZ, hop_s)
    found = [(windows.seconds, window.copy()) for chunk in chunks for window in windows.feed(chunk)]
    return found, [(windows.seconds, window.copy()) for window in windows.close()]


@pytest.mark.parametrize("chunk_samples", [1, 7, 30, 99, 100, 101, 1_000])
@pytest.mark.parametrize("hop_samples", [1, 30, 100, 250])  # the last leaves gaps
def test_windows_are_the_slices_of_the_signal_in_any_chunking(chunk_samples, hop_samples):
    waveform = np.random.default_rng(0).normal(0, 1, 733).astype(np.float32)
    chunks = np.split(waveform, range(chunk_samples, len(waveform), chunk_samples))
    found, _ = cut(waveform, chunks, hop_s=hop_samples / RATE_HZ)
    slices = np.lib.stride_tricks.sliding_window_view(waveform, 100)[::hop_samples]
    np.testing.assert_array_equal([window for _, window in found], slices)
    assert [round(seconds * RATE_HZ) for seconds, _ in found] == [100 + hop_samples * i for i in range(len(slices))]


def test_the_last_window_ends_with_the_signal_and_is_not_heard_twice():
    waveform = np.linspace(-1, 1, 173, dtype=np.float32)
    _, ((seconds, last),) = cut(waveform, [waveform])
    np.testing.assert_array_equal(last, waveform[-100:])
    assert seconds == 0.173
    assert cut(waveform[:160], [waveform[:160]])[1] == []  # 100 + 2 hops of 30


@pytest.mark.parametrize("length", [1, 2, 50, 70, 99])  # of 70 a hop is missing
def test_a_short_signal_lies_in_the_middle_of_silence(length):
    found, ((_, window),) = cut(None, [np.ones(length, np.float32)])
    assert found == [] and window.sum() == length
    (inside,) = np.nonzero(window)
    before, behind = inside[0], 99 - inside[-1]
    assert abs(before - behind) <= 1


@pytest.mark.parametrize("sample_rate_hz", [RATE_HZ, 2 * RATE_HZ])
def test_what_is_closed_gives_nothing_more(sample_rate_hz):
    windows = Windows(100, RATE_HZ, sample_rate_hz, 0.03)
    assert len([*windows.feed(np.ones(115 * sample_rate_hz // RATE_HZ, np.float32)), *windows.close()]) == 2
    assert list(windows.close()) == []


def test_no_sample_makes_no_window():
    assert cut(None, [np.zeros(0, np.float32)]) == ([], [])


@pytest.mark.parametrize("hop_s", [0, -1, float("nan"), float("inf")])
def test_a_hop_that_cannot_be_is_refused(hop_s):
    with pytest.raises(ZooError, match="hop"):
        Windows(100, RATE_HZ, RATE_HZ, hop_s)


def test_levels_are_those_of_known_signals():
    at = np.arange(1_000)
    assert level_dbfs(np.ones(10, np.float32)) == 0
    assert level_dbfs(np.sin(2 * np.pi * at / 100)) == pytest.approx(-3.0103, abs=1e-4)  # 1 / sqrt 2
    assert level_dbfs(np.zeros(10, np.float32)) == LOWEST_DBFS
