"""The page of web/, in a browser, hears real clips as the runtime does, and right. Run by `make test-page`.

    python tests/web/page.py PAGE MODEL NODE_MODULES
PAGE: the folder that `make page` made. MODEL: the exported folder whose file lies in it.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from zoo.runtime import Classifier

CLIPS_PER_CLASS = 2
LEAST_ALIKE = 0.95  # of the clips: the browser decodes and resamples by itself
LEAST_NAMED, LEAST_RIGHT = 0.5, 0.8  # of the clips; of those that are named


class Refusing(Classifier):
    """As MediaPipe hears: what does not reach its threshold has no score in a window."""

    def scores(self, windows):
        scores = super().scores(windows)
        return np.where(scores >= np.float32(self.thresholds), scores, 0) if self.thresholds else scores


def main(page, model, modules):
    page, model = Path(page), Path(model)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        sys.exit("test-page: no Chromium; on Debian: apt-get install chromium")
    classifier = Refusing(model)
    html = (page / "index.html").read_text()
    hears = f'data-rate="{classifier.sample_rate_hz}" data-samples="{classifier.num_samples}"'
    assert hears in html, f"the page hears otherwise than the model, {hears}"
    sounds = clips_of(model)
    expected = {}
    for path in sounds:
        sound, rate_hz = soundfile.read(path, dtype="float32")
        label, score = next(iter(classifier.classify(sound, rate_hz).items()))
        expected[str(path)] = label if score > 0 else ""
    with tempfile.TemporaryDirectory() as scratch:
        spoken = Path(scratch, "microphone.wav")  # Chromium's false microphone plays WAV alone
        sound, rate_hz = soundfile.read(next(iter(sounds)), dtype="float32")
        soundfile.write(spoken, np.tile(sound, 3), rate_hz, subtype="PCM_16")
        playwright, script = Path(modules, "playwright-core/index.mjs"), Path(__file__).with_name("browse.mjs")
        command = ["node", script, page, chromium, playwright, *sounds, spoken]
        told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    heard = {path: told["files"][path] for path in expected}
    alike = np.mean([heard[path] == label for path, label in expected.items()])
    named = {path: label for path, label in sounds.items() if heard[str(path)]}
    right = np.mean([heard[str(path)] == label for path, label in named.items()])
    print(
        f"page: {len(sounds)} real clips of the fold that tested the model: {len(named)} are named, {right:.0%} of "
        f"them right, {alike:.0%} as by the runtime; the microphone hears {told['microphone']} "
        f"({next(iter(sounds.values()))})"
    )
    assert not told["errors"], told["errors"]
    assert alike >= LEAST_ALIKE and len(named) >= LEAST_NAMED * len(sounds) and right >= LEAST_RIGHT, heard
    assert told["microphone"] == next(iter(sounds.values()))


def clips_of(model):
    """{path: its class} of some clips that tested the model, of each class; the first is right by the runtime, too."""
    data = os.environ.get("ZOO_TEST_DATA")
    if not data:
        sys.exit("test-page: ZOO_TEST_DATA names no folder of real recordings")
    with open(model / "clips.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["part"] == "test"]
    chosen = {}
    for row in rows:
        if list(chosen.values()).count(row["class"]) < CLIPS_PER_CLASS:
            chosen[Path(data, "esc10", "audio", row["file"])] = row["class"]
    return chosen


if __name__ == "__main__":
    main(*sys.argv[1:])
