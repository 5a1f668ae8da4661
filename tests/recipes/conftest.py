"""Ten classes that are learned in seconds, for whole runs of a recipe."""

import numpy as np
import pytest
import soundfile


@pytest.fixture(scope="session")
def write_tones():
    return _write_tones


def _write_tones(folder, folds=(1, 2, 2)):
    """Ten classes that differ in pitch, in ESC-50's layout: a clip of each for each of `folds`, in that fold."""
    (folder / "audio").mkdir(parents=True)
    (folder / "meta").mkdir()
    rng, rows = np.random.default_rng(0), ["filename,fold,category,src_file"]
    labels = "dog rooster rain sea_waves crackling_fire crying_baby sneezing clock_tick helicopter chainsaw".split()
    for target, label in enumerate(labels):
        for take, fold in enumerate(folds):
            time_s = np.arange(20_000) / 20_000
            sound = 0.3 * np.sin(2 * np.pi * 200 * 1.4**target * time_s) + rng.normal(0, 0.02, len(time_s))
            soundfile.write(folder / "audio" / f"{label}{take}.wav", sound, 20_000, subtype="PCM_16")
            rows.append(f"{label}{take}.wav,{fold},{label},{target}{take}")
    (folder / "meta" / "esc10.csv").write_text("\n".join(rows) + "\n")
