"""`Clips` of given waveforms."""

import numpy as np

from zoo import corpus


def clips_of(waveforms, targets, rate_hz=16_000):
    waveforms = [np.round(np.asarray(x) * 32_768).astype(np.int16) for x in waveforms]
    rows = range(len(targets))
    ends = np.cumsum([len(x) for x in waveforms])
    return corpus.Clips(
        samples=np.concatenate(waveforms),
        starts=np.append(0, ends[:-1]),
        ends=ends,
        targets=np.asarray(targets),
        folds=np.array([1 + row % 5 for row in rows]),
        files=np.array([f"{row}.wav" for row in rows]),
        sources=np.array([str(row) for row in rows]),
        sample_rate_hz=rate_hz,
    )
