"""The power spectrum of many frames at once, in operators that TFLite has built in and XNNPACK computes.

Cooley and Tukey, An Algorithm for the Machine Calculation of Complex Fourier Series, 1965: a transform of
rows * columns samples is many of `rows`, a turn of each result, and many of `columns`; both are products with a small
matrix here. Frames lie along the last axis throughout: nothing is transposed in between, and each multiply runs over
contiguous numbers. TFLite's own RFFT2D computes in float64, and powers of 2 alone.
"""

from zoo.backend import tf

import numpy as np


def columns_of(n_fft):
    """The columns that a transform of n_fft samples falls into: its largest divisor whose square is up to n_fft / 2.

    Of 512 samples these are 16, of 32 rows; real samples need 17 of the rows' results. A prime has one column: a plain
    DFT, which is right, though neither small nor fast.
    """
    return max(n for n in range(1, n_fft + 1) if n_fft % n == 0 and (n == 1 or 2 * n * n <= n_fft))


def frames_of(waveform, length, hop, count):
    """Frames (batch, length, count) of a waveform (batch, samples): each begins `hop` later; beyond the end are zeros.

    Cut into rows of `hop` samples and stood upright, a waveform holds the first `hop` samples of each frame in a column
    of its own and the next ones in the column beside it: a few slices, where tf.signal.frame gathers.
    """
    shifts = range(-(-length // hop))
    needed = (count + len(shifts) - 1) * hop
    missing = max(0, needed - waveform.shape[1])
    rows = tf.pad(waveform, [[0, 0], [0, missing]]) if missing else waveform[:, :needed]
    upright = tf.transpose(tf.reshape(rows, (-1, needed // hop, hop)), (0, 2, 1))
    return tf.concat([upright[:, : length - i * hop, i : i + count] for i in shifts], axis=1)


def power(waveform, window, hop, n_fft):
    """(power (batch, n, frames), where each bin from 0 to n_fft // 2 stands among the n) of frames times `window`.

    Shape: waveform is (batch, samples); frames are as many as lie wholly in it. As tf.signal.stft has it, a window
    shorter than n_fft is followed by zeros, and of a longer one n_fft samples are heard.
    """
    count = 1 + (waveform.shape[1] - len(window)) // hop
    window = window[:n_fft]
    columns = columns_of(n_fft)
    rows, taps = n_fft // columns, -(-len(window) // columns)  # rows behind the window hold zeros: they are left out
    window = np.pad(window, (0, taps * columns - len(window)))
    kept = rows // 2 + 1  # of the results of real samples: the others are conjugates of these
    turns = -2j * np.pi * np.arange(kept)[:, None]
    down, turn = np.exp(turns * np.arange(taps) / rows), np.exp(turns * np.arange(columns) / n_fft)[..., None]
    across = np.exp(-2j * np.pi * np.outer(np.arange(columns), np.arange(columns)) / columns)

    x = frames_of(waveform, len(window), hop, count) * np.float32(window[:, None])
    x = tf.reshape(x, (-1, taps, columns * count))
    x = tf.linalg.matmul(np.float32(np.concatenate([down.real, down.imag])), x)
    real, imaginary = tf.split(tf.reshape(x, (-1, 2 * kept, columns, count)), 2, axis=1)
    cos, sin = np.float32(turn.real), np.float32(turn.imag)
    x = tf.concat([real * cos - imaginary * sin, real * sin + imaginary * cos], axis=2)
    x = tf.linalg.matmul(np.float32(np.block([[across.real, -across.imag], [across.imag, across.real]])), x)
    real, imaginary = tf.split(x * x, 2, axis=2)

    bins = np.arange(n_fft // 2 + 1)
    bins = np.where(bins % rows < kept, bins, n_fft - bins)  # a conjugate is as strong
    where = bins % rows * columns + bins // rows
    return tf.reshape(real + imaginary, (-1, kept * columns, count)), where.astype(np.int32)
