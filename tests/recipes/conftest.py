"""Ten classes that are learned in seconds, for whole runs of a recipe."""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

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


@pytest.fixture(scope="session")
def told_of_the_world(tmp_path_factory, write_tones):
    """A folder, exported of tones that are known and of noises that are not; the working directory and the command."""
    from recipes import ds_cnn
    from recipes.run import main
    from zoo.models.ds_cnn import build

    recipe = replace(ds_cnn.RECIPE, backbone=partial(build, width=8, depth=1))
    flags = "--dataset esc10 --data-dir tones --fold 1 --front-end mel --quick --open-world esc50:noises".split()
    workplace = tmp_path_factory.mktemp("open")
    write_tones(workplace / "tones", folds=(1, 2, 2, 3, 3))
    (workplace / "noises" / "audio").mkdir(parents=True)
    (workplace / "noises" / "meta").mkdir()
    rng, rows = np.random.default_rng(0), ["filename,fold,category,src_file"]
    for label in ("cow", "hen", "wind", "dog"):  # unknown the first two; "wind" is for noise, "dog" is known
        for take in range(3):
            soundfile.write(workplace / f"noises/audio/{label}{take}.wav", rng.normal(0, 0.1, 20_000), 20_000)
            rows.append(f"{label}{take}.wav,1,{label},{label}{take}")
    (workplace / "noises" / "meta" / "esc50.csv").write_text("\n".join(rows) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workplace)
        main(recipe, [*flags, "--epochs", "2", "--reject", "2"])
    (folder,) = (workplace / "exported").iterdir()
    return SimpleNamespace(folder=folder, workplace=workplace, recipe=recipe, flags=flags)
