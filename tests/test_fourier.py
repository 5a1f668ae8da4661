"""The power spectrum in two stages against numpy's transform in float64."""

from zoo.backend import tf

import numpy as np
import pytest

from zoo import fourier


def by_numpy(waveforms, window, hop, n_fft):
    """Shape: (n, samples) -> (n, bins, frames)."""
    starts = np.arange(0, waveforms.shape[1] - len(window) + 1, hop)
    frames = waveforms[:, starts[:, None] + np.arange(len(window))] * window
    return np.abs(np.fft.rfft(frames, n_fft)).transpose(0, 2, 1) ** 2


@pytest.mark.parametrize("n_fft", [1, 2, 31, 45, 98, 400, 512, 1024])  # also primes, odd ones, no powers of 2
@pytest.mark.parametrize("window_samples", [1, 30, 333, 400, 512])  # also longer than n_fft
@pytest.mark.parametrize("hop", [7, 160, 600])  # also longer than the window
def test_power_is_numpys(n_fft, window_samples, hop):
    rng = np.random.default_rng(0)
    waveforms = rng.uniform(-1, 1, (2, 1_300)).astype(np.float32)
    window = rng.uniform(0, 1, window_samples)
    wanted = by_numpy(waveforms.astype(np.float64), window, hop, n_fft)
    found, where = fourier.power(tf.constant(waveforms), window, hop, n_fft)
    np.testing.assert_allclose(found.numpy()[:, where], wanted, rtol=0, atol=1e-5 * wanted.max())


def test_frames_are_those_of_the_signal_and_zeros_beyond_it():
    waveform = np.arange(1.0, 11.0)[None]
    found = fourier.frames_of(tf.constant(waveform), length=5, hop=3, count=3).numpy()
    np.testing.assert_array_equal(found[0].T, [[1, 2, 3, 4, 5], [4, 5, 6, 7, 8], [7, 8, 9, 10, 0]])


@pytest.mark.parametrize("n_fft, columns", [(1, 1), (31, 1), (45, 3), (256, 8), (512, 16), (1_024, 16), (2_048, 32)])
def test_a_transform_falls_into_few_columns(n_fft, columns):
    assert fourier.columns_of(n_fft) == columns
