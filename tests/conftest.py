"""Real recordings, what is made of them, and a small classifier: once for all tests.

The zoo is imported inside the fixtures: tests of its light parts are not kept waiting for TensorFlow.
"""

import csv
import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest


@pytest.fixture(scope="session")
def real_recordings():
    """The folder that holds esc10/, esc50_part/, speech_commands/ and urbansound8k_part/."""
    folder = os.environ.get("ZOO_TEST_DATA")
    if not folder:
        pytest.skip("ZOO_TEST_DATA does not name the folder of real recordings")
    assert (Path(folder) / "esc10").is_dir(), f"ZOO_TEST_DATA: no esc10/ in {folder}"
    return Path(folder)


@pytest.fixture(scope="session")
def esc10_folder(real_recordings, tmp_path_factory):
    """A folder in ESC-50's layout: the first clip of each class in each fold of ESC-10, 50 in all."""
    folder = tmp_path_factory.mktemp("esc10")
    with open(real_recordings / "esc10" / "meta" / "esc10.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    first = {(row["category"], row["fold"]): row for row in reversed(rows)}
    (folder / "audio").mkdir()
    (folder / "meta").mkdir()
    for row in first.values():
        shutil.copy(real_recordings / "esc10" / "audio" / row["filename"], folder / "audio")
    with open(folder / "meta" / "esc10.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(first.values())
    return folder


@pytest.fixture(scope="session")
def esc10_builder(esc10_folder, tmp_path_factory):
    """The prepared TFDS builder of `esc10_folder`."""
    from zoo import datasets

    return datasets.load("esc10", tmp_path_factory.mktemp("tfds"), esc10_folder)


@pytest.fixture(scope="session")
def esc10_clips(esc10_builder, tmp_path_factory):
    """Those 50 clips at 20 kHz."""
    from zoo import corpus

    return corpus.clips_at(esc10_builder, 20_000, tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="session")
def noises():
    """Twelve noises in four classes of unlike sizes, and of unlike lengths: shorter and longer than 4,096 samples."""
    from tests.clips import clips_of

    rng = np.random.default_rng(0)
    lengths = rng.integers(2_048, 16_384, 12)
    return clips_of([rng.uniform(-0.5, 0.5, n) for n in lengths], [0, 1, 1, 2, 2, 2, 2, 5, 5, 5, 5, 5])


@pytest.fixture(scope="session")
def without_delay():
    """A function (found, wanted, to_hz, rate_hz) -> both, of one length, without what lies above `to_hz`.

    `found` is moved back by its delay behind `wanted`, which need not be whole samples: it is read off the slope of
    the phase between the two. A tenth of a second at either end, where a moved sound has no end, is left out.
    """

    def align(found, wanted, to_hz, rate_hz):
        n = min(len(found), len(wanted))
        frequency_hz = np.fft.rfftfreq(2 * n, 1 / rate_hz)  # zeros behind, or the end would come round to the start
        found, wanted = (np.fft.rfft(np.asarray(x[:n], np.float64), 2 * n) for x in (found, wanted))
        found[frequency_hz > to_hz] = wanted[frequency_hz > to_hz] = 0
        cross = found * np.conj(wanted)
        whole = np.argmax(np.fft.irfft(cross))
        whole -= 2 * n * (whole > n)
        cross *= np.exp(2j * np.pi * frequency_hz * whole / rate_hz)
        slope = np.sum(np.abs(cross) * frequency_hz * np.angle(cross)) / np.sum(np.abs(cross) * frequency_hz**2)
        delay_s = whole / rate_hz - slope / (2 * np.pi)
        found *= np.exp(2j * np.pi * frequency_hz * delay_s)
        kept = slice(rate_hz // 10, n - rate_hz // 10)
        return np.fft.irfft(found)[kept], np.fft.irfft(wanted)[kept]

    return align


@pytest.fixture(scope="session")
def bands(tmp_path_factory):
    """A small classifier of half seconds at 16 kHz: the Keras model, and its file as an exported folder holds it."""
    from zoo.backend import keras

    from zoo.export import tflite
    from zoo.export.metadata import About, with_metadata
    from zoo.runtime import sums

    layers = keras.layers
    keras.utils.set_random_seed(0)
    waveform = keras.Input((8_000,), name="waveform")
    x = layers.Reshape((-1, 1, 1), name="samples")(waveform)
    x = layers.Conv2D(6, (32, 1), strides=(8, 1), activation="relu", name="conv")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    wide = keras.initializers.RandomNormal(stddev=20, seed=0)  # scores that differ from sound to sound
    scores = layers.Dense(3, activation="softmax", kernel_initializer=wide, name="dense")(x)
    model = keras.Model(waveform, scores, name="bands")

    folder = tmp_path_factory.mktemp("bands")
    about = About("bands", "three bands", "1", "the zoo", "Apache-2.0")
    file = with_metadata(tflite.to_float(model), about, 16_000, ("low", "middle", "high"))
    (folder / "model_int8.tflite").write_bytes(file)
    sums.write(folder)
    return SimpleNamespace(model=model, folder=folder, file=folder / "model_int8.tflite")


@pytest.fixture(scope="session")
def classifier(bands):
    """The `Classifier` of that folder."""
    from zoo.runtime import Classifier

    return Classifier(bands.folder)


@pytest.fixture(scope="session")
def sound():
    """Four seconds that change, at its rate: a tone that rises, noise, and a second of silence."""
    rng, at_s = np.random.default_rng(0), np.arange(4 * 16_000) / 16_000
    x = 0.3 * np.sin(2 * np.pi * (300 + 900 * at_s) * at_s) + rng.normal(0, 0.05, len(at_s))
    x[16_000:32_000] = 0
    return x.astype(np.float32)


@pytest.fixture(scope="session")
def without_bars():
    """A function: text -> its lines, without those of progress."""

    def lines_of(text):
        lines = re.split(r"[\r\n]+", text)
        return [line for line in lines if line.strip() and not re.search(r"\d+%\|.*\|.*\d+/\d+ \[", line)]

    return lines_of


@pytest.fixture
def refused(capfd, without_bars):
    """A function (main, *arguments) -> the one line with which a command refuses; bars of progress may come before."""

    def refuse(main, *arguments):
        capfd.readouterr()  # what the test's own preparations wrote
        with pytest.raises(SystemExit) as stopped:
            main([*map(str, arguments)])
        printed, told = capfd.readouterr()
        lines = without_bars(told)
        assert stopped.value.code == 2 and printed == "" and told.endswith("\n") and len(lines) == 1, told
        assert lines[0].startswith("python -m "), told  # which command it is that refuses
        return lines[0]

    return refuse


# Files of some minutes each: begun first, so that no process is left alone with one at the end.
LONGEST = (
    "recipes/test_variants.py",
    "test_contract.py",
    "recipes/test_open_world.py",
    "recipes/test_outliers.py",
    "recipes/test_verify.py",
    "recipes/test_run.py",
    "recipes/test_folds.py",
    "recipes/test_search.py",
    "recipes/test_study.py",
)
SHARING = ("test_open_world.py", "test_outliers.py", "test_verify.py")  # what `told_of_the_world` exports once


def pytest_collection_modifyitems(items):
    rank = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(LONGEST)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A file stays in one process, and those that share what is exported once stay together."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            path = super()._split_scope(nodeid)
            return "sharing" if path.endswith(SHARING) else path

    return Scheduling(config, log)


def pytest_addoption(parser):
    parser.addoption("--fail-on-skip", action="store_true", help="a skipped test is a failure")


def pytest_sessionfinish(session):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")  # a worker of pytest-xdist has none
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if session.config.getoption("--fail-on-skip") and skipped and session.exitstatus == 0:
        print(f"\n{len(skipped)} tests were skipped, and --fail-on-skip was given")
        session.exitstatus = 1
