import warnings

import numpy as np
import pytest
import soxr

from zoo.errors import ZooError
from zoo.runtime.waveform import Resampler, check_rate, mono


@pytest.mark.parametrize(
    "dtype, values",
    [(np.int16, [-(2**15), 0, 2**14]), (np.int32, [-(2**31), 0, 2**30]), (np.uint8, [0, 128, 192])],
)
def test_integers_become_shares_of_full_scale(dtype, values):
    waveform = mono(np.array(values, dtype))
    assert waveform.dtype == np.float32 and waveform.tolist() == [-1.0, 0.0, 0.5]


def test_channels_are_averaged_before_they_are_rounded():
    samples = np.array([[3, 4], [-32768, -32768]], np.int16)
    assert mono(samples).tolist() == [3.5 / 32768, -1.0]


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.zeros((0, 8), np.float32), np.zeros(1, np.int16)])
def test_no_sample_and_one_are_waveforms_too(samples):
    assert mono(samples).shape == (len(samples),)


def test_integers_that_pass_as_floats_are_warned_of_and_loud_floats_are_not():
    with pytest.warns(UserWarning, match="divide int16 by 32768"):
        mono(np.array([1200.0, -8000.0]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mono(np.array([1.5, -2.0], np.float32))


@pytest.mark.parametrize(
    "samples, told",
    [
        (np.array([0.0, np.nan]), "not finite"),
        (np.array([np.inf]), "not finite"),
        (np.zeros((2, 2, 2)), "shape"),
        (np.array(0.5), "shape"),
        (np.array(["dog"]), "type"),
        (np.array([1, 2], np.int64), "type"),
        (np.array([1j]), "type"),
        (np.array([None]), "type"),
    ],
)
def test_what_is_no_waveform_is_refused(samples, told):
    with pytest.raises(ZooError, match=told):
        mono(samples)


@pytest.mark.parametrize("rate_hz", [0, 1, -16_000, 10_000_000, float("nan"), float("inf")])
def test_rates_that_no_sound_has_are_refused(rate_hz):
    with pytest.raises(ZooError, match="sample rate"):
        check_rate(rate_hz)


@pytest.mark.parametrize("from_hz", [8_000, 11_025, 44_100, 48_000, 16_000])
def test_resampling_block_by_block_is_resampling_at_once(from_hz):
    waveform = np.random.default_rng(0).normal(0, 0.1, from_hz).astype(np.float32)
    resampler = Resampler(from_hz, 16_000)
    blocks = np.split(waveform, np.sort(np.random.default_rng(1).integers(0, from_hz, 20)))
    found = np.concatenate([*map(resampler.feed, blocks), resampler.close()])
    wanted = soxr.resample(waveform, from_hz, 16_000)
    assert abs(len(found) - len(wanted)) <= 1
    n = min(len(found), len(wanted))
    np.testing.assert_allclose(found[:n], wanted[:n], atol=2e-6)  # float32's rounding


def test_a_missing_extra_is_told_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "soxr", None)
    with pytest.raises(ZooError, match=r"pip install 'edge-audio-zoo\[audio\]'"):
        Resampler(44_100, 16_000)
    Resampler(16_000, 16_000)  # needs none
