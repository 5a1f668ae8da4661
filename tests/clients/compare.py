"""Every file that an app would take, heard by MediaPipe and by us: same labels, same scores, or it fails.

Run by `make test-clients`, in our environment:  compare.py --client PYTHON FOLDER...
FOLDER holds exported folders. The windows, our scores and what our reader finds in the metadata go to a temporary
folder; `mediapipe_client.py`, run by PYTHON in MediaPipe's environment, opens the files and compares.

The sounds are real clips where ZOO_TEST_DATA names some, else those of synth10.
"""

import argparse
import csv
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import soundfile
import soxr

from zoo.errors import ZooError
from zoo.export import graph, provenance
from zoo.export.stream import has_stream, open_stream
from zoo.runtime import metadata
from zoo.runtime.interpreter import LiteRT

CLIPS = 8  # spread over the classes
SYNTHESISED = Path("runs/clients/sounds/audio")  # made by `make test-clients`
FLOAT_TOLERANCE = 1e-4  # of scores: the same float kernels, of another release, may sum in another order
# Of a score: TFLM's int8 kernels, and a front end of 16 bits, beside LiteRT's. Of 80 windows of Micro-ACDNet's the
# farthest lies at 0.039; over the same columns the bodies are 5 of 256 steps apart at most.
BOARD_TOLERANCE = 0.05
LEAST_ALIKE = 0.95  # of the windows
OTHER_RATE_HZ = 44_100
REFUSED = ("model_edgetpu.tflite",)  # its chip takes int8, MediaPipe takes floats
LEAST_SPREAD = 10  # times the tolerance that a score has to move from window to window: else nothing would show


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--client", required=True, help="Python of the environment that holds MediaPipe")
    parser.add_argument("folders", nargs="+", type=Path, help="folders that hold exported folders")
    args = parser.parse_args()
    paths = [path for folder in args.folders for path in sorted(folder.glob("*/model*.tflite"))]
    if not paths:
        sys.exit(f"test-clients: no */model*.tflite in {', '.join(map(str, args.folders))}: nothing was compared")
    clips = [_read(path) for path in _clip_paths()]
    with tempfile.TemporaryDirectory() as work:
        told = [_tell(path, clips, Path(work, f"{number}.npz")) for number, path in enumerate(paths)]
        Path(work, "files.json").write_text(json.dumps(told))
        client = Path(__file__).with_name("mediapipe_client.py")
        sys.exit(subprocess.run([args.client, client, work]).returncode)


def _clip_paths():
    real = os.environ.get("ZOO_TEST_DATA")
    folder = Path(real) / "esc10" / "audio" if real else SYNTHESISED
    paths = sorted(path for path in folder.glob("*") if path.suffix in (".ogg", ".wav", ".flac"))
    if not paths:
        sys.exit(f"test-clients: no clips in {folder}: nothing was compared")
    return paths[:: max(1, len(paths) // CLIPS)][:CLIPS]


def _read(path):
    """(waveform (time,) float32, its rate in Hz)."""
    waveform, rate_hz = soundfile.read(path, dtype="float32")
    return waveform.reshape(len(waveform), -1).mean(axis=1), rate_hz


def _tell(path, clips, scores_path):
    """What our reader and our interpreter make of a file: the scores and clips in an .npz, the rest returned."""
    model = path.read_bytes()
    try:
        told = metadata.read(model)
    except ZooError as error:
        sys.exit(f"test-clients: {path}: {error}")
    if told is None or told.sample_rate_hz is None or not told.labels:
        sys.exit(f"test-clients: {path}: no metadata with a rate and labels: an older export? make it again")
    described = {"path": str(path), "metadata": {**asdict(told), "labels": told.labels, "thresholds": told.thresholds}}
    if path.name in REFUSED:
        return {**described, "refused": True}
    runner, arrays = LiteRT(model), {}
    (num_samples,) = runner.input_shape
    sounds = _lengths(clips, told.sample_rate_hz, num_samples)
    if told.thresholds and path.name == "model_int8.tflite" and has_stream(path.parent / "micro"):
        sounds += _of_the_test_fold(path.parent, told.sample_rate_hz, num_samples)
        _check_board(path.parent, told, runner, np.concatenate([_windows(sound, num_samples)[:1] for sound in sounds]))
    for number, waveform in enumerate(sounds):
        arrays[f"clip{number}"], arrays[f"scores{number}"] = waveform, runner.run(_windows(waveform, num_samples))
    tolerance = FLOAT_TOLERANCE + _step(model)
    scores = np.concatenate([arrays[name] for name in arrays if name.startswith("scores")])
    if np.ptp(scores, axis=0).max() < LEAST_SPREAD * tolerance:
        sys.exit(f"test-clients: {path}: its scores hardly move from sound to sound: nothing would show")
    waveform, rate_hz = clips[0]
    arrays["other_rate"] = _resampled(waveform, rate_hz, OTHER_RATE_HZ)
    at_rate = _resampled(arrays["other_rate"], OTHER_RATE_HZ, told.sample_rate_hz)
    arrays["other_rate_scores"] = runner.run(_windows(at_rate, num_samples))
    np.savez(scores_path, **arrays)
    return {
        **described,
        "refused": False,
        "arrays": str(scores_path),
        "num_samples": num_samples,
        "tolerance": tolerance,
        "other_rate_hz": OTHER_RATE_HZ,
    }


def _of_the_test_fold(folder, rate_hz, num_samples):
    """A window of each clip that tested the folder's model, where those recordings are there."""
    audio = Path(os.environ.get("ZOO_TEST_DATA", ""), provenance.read(folder)["dataset"], "audio")
    with open(folder / provenance.LEDGER, newline="", encoding="utf-8") as file:
        paths = [audio / row["file"] for row in csv.DictReader(file) if row["part"] == "test"]
    waveforms = (_resampled(*_read(path), rate_hz)[:num_samples] for path in paths if path.exists())
    return [np.resize(waveform, num_samples) for waveform in waveforms]


def _check_board(folder, told, runner, windows):
    """Ends where micro/, with the thresholds of its decision.h, accepts other labels than the file does.

    A score may be as far off as 8 bits of another kernel round: what lies so near its threshold is not compared.
    """
    stream = open_stream(folder / "micro")
    source = (folder / "micro/decision.h").read_text()
    names = re.search(r"enum Sensitivity \{ (.*?) \}", source)[1].split(", ")
    rows = re.findall(r"\{\s*([-\d,\s]+?),?\s*\},", source)
    lowest = np.array(dict(zip(names, rows, strict=True))["kMedium"].split(","), int)
    raw, scores = stream.body.run_raw(stream.windows_of(windows)), runner.run(windows)
    on_board, farthest = raw >= lowest, np.abs(stream.body.output.from_raw(raw) - scores).max()
    accepted = scores >= np.float32(told.thresholds)
    is_near = np.abs(scores - np.float32(told.thresholds)) <= BOARD_TOLERANCE
    alike = (on_board == accepted).all(axis=1)
    print(f"{folder.name}: micro/ accepts {on_board.any(axis=1).sum()} of {len(windows)} windows, "
          f"{runner.kernels} {accepted.any(axis=1).sum()}; the same labels of {alike.sum()}; "
          f"scores {farthest:.3f} apart at most")  # fmt: skip
    if not ((on_board == accepted) | is_near).all() or alike.mean() < LEAST_ALIKE:
        sys.exit(f"test-clients: {folder}: micro/ accepts other sounds than the file")


def _lengths(clips, rate_hz, num_samples):
    """The clips at the model's rate, whole; then two of the first one: exactly two windows, and a third of one."""
    waveforms = [_resampled(waveform, from_hz, rate_hz) for waveform, from_hz in clips]
    return [*waveforms, np.resize(waveforms[0], 2 * num_samples), waveforms[0][: num_samples // 3]]


def _windows(waveform, num_samples):
    """As MediaPipe cuts a clip: one window behind the other, silence behind the last. Shape: (n, num_samples)"""
    count = -(-len(waveform) // num_samples)
    return np.pad(waveform, (0, count * num_samples - len(waveform))).reshape(count, num_samples)


def _resampled(waveform, from_hz, to_hz):
    return soxr.resample(waveform, from_hz, to_hz).astype(np.float32)


def _step(model):
    """What one step of an integer output is worth as a score, 0 where the output was never one."""
    root = graph.load(model)
    (net,) = root.subgraphs
    last = next(operator for operator in net.operators if net.outputs[0] in operator.outputs)
    quantisation = net.tensors[last.inputs[0]].quantization
    if graph.name_of(root, last) != "DEQUANTIZE" or quantisation is None or quantisation.scale is None:
        return 0.0
    return float(quantisation.scale[0])


if __name__ == "__main__":
    main()
