"""A sound on its way through an exported folder, stage by stage, in Keras, in LiteRT and in TFLM.

    decode -> crop -> front end -> body -> labels

golden.npz holds what each stage gave when the folder was written. Later each is given what came before it then, not
what comes before it now: so a fault shows where it is, and not in all that follows.
"""

import tempfile
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from zoo import assembly, audio, corpus
from zoo.datasets import synth10
from zoo.errors import ZooError
from zoo.export import flatbuffer, graph, keras_files, micro, provenance
from zoo.export.folder import LABELS_FILE
from zoo.export.stream import has_stream, open_stream, settings_of
from zoo.runtime import metadata
from zoo.runtime.interpreter import LiteRT
from zoo.runtime.recordings import Recording
from zoo.runtime.waveform import Resampler, mono
from zoo.runtime.windows import Windows

FILE = "golden.npz"
STAGES = ("decode", "crop", "front end", "body", "labels")
FULL_SCALE = 32767  # waveforms are kept in 16 bits
LONGER_S = 0.25  # than the window: so that a crop has something to leave out
SAMPLE_TOLERANCE = 4  # of 16-bit samples, where another build of a resampler rounds otherwise
# Of floats, as a share of the largest: sums in another order. LiteRT's body rounds what its float front gives.
COLUMN_TOLERANCE, SCORE_TOLERANCE, ROUNDED_SCORE_TOLERANCE = 1e-3, 1e-4, 0.01


class Stage(NamedTuple):
    """One stage in one of the three."""

    run: object  # function {earlier stage: what it gave} -> array
    tolerance: float = 0  # how far from what is kept it may be


class Difference(NamedTuple):
    """The first stage of a way that does not give what it gave."""

    way: str
    stage: str
    told: str

    def __str__(self):
        return f"{self.way}, {self.stage}: {self.told}"


def write(folder):
    """Writes golden.npz of an exported folder that has its provenance.json."""
    kept = {}
    with tempfile.TemporaryDirectory() as scratch:
        sound = _golden_sound(folder, scratch)
        for way, open_way in _ways(Path(folder)).items():
            given = {"sound": sound}
            for name, stage in open_way().items():
                given[name] = kept[f"{way}/{name}"] = stage.run(given)
    np.savez_compressed(Path(folder) / FILE, **kept)


def differences(folder):
    """A `Difference` for each way whose stages do not all give what golden.npz holds.

    Raises: ZooError for a folder without golden.npz.
    """
    folder = Path(folder)
    if not (folder / FILE).is_file():
        raise ZooError(f"{folder}: no {FILE}; pass a folder that a recipe of this version exported, or export it again")
    with np.load(folder / FILE) as file:
        kept = dict(file)
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        sound = _golden_sound(folder, scratch)
        for way, open_way in _ways(folder).items():
            given = {"sound": sound, **{name: kept.get(f"{way}/{name}") for name in STAGES}}
            try:
                stages = open_way()
            except ZooError as error:
                found.append(Difference(way, "does not open", str(error)))
                continue
            told = ((name, _told(stage, given, given[name])) for name, stage in stages.items())
            found += [Difference(way, name, reason) for name, reason in told if reason][:1]
    return found


def _told(stage, given, expected):
    """What differs, in words; None where nothing does."""
    try:
        made = stage.run(given)
    except ZooError as error:
        return str(error)
    if expected is None or made.shape != expected.shape:
        return f"gives {made.shape}, gave {getattr(expected, 'shape', 'nothing')}"
    if made.dtype.kind == "U":
        return None if (made == expected).all() else f"{', '.join(made)}; were {', '.join(expected)}"
    off = np.abs(made.astype(np.float64) - expected)
    largest = 1 if made.dtype.kind == "i" else np.abs(expected).max()
    if off.max() <= stage.tolerance * largest:
        return None
    return f"{np.mean(off > stage.tolerance * largest):.1%} of the values differ, by {off.max():.3g} at most"


def _golden_sound(folder, scratch):
    """The path of a clip of synth10, a little longer than the window."""
    told = provenance.read(folder)
    window_s = told["num_samples"] / told["sample_rate_hz"]
    clip = np.resize(synth10.synthesise("bird_chirp", np.random.default_rng(0)), 10 * synth10.SAMPLE_RATE_HZ)
    path = Path(scratch, "golden.wav")
    synth10.write_clip(path, clip[: round((window_s + LONGER_S) * synth10.SAMPLE_RATE_HZ)])
    return path


def _ways(folder):
    """{way: a function that opens it and gives {stage: `Stage`}}"""
    of_micro = {"TFLM": partial(_in_tflm, folder / "micro")} if has_stream(folder / "micro") else {}
    return {"Keras": partial(_in_keras, folder), "LiteRT": partial(_in_litert, folder), **of_micro}


def _in_keras(folder):
    told = provenance.read(folder)
    model = keras_files.load_exported(folder / "model.h5")
    front, body = assembly.cut(*assembly.parts(model), told["seam"])

    def decode(given):
        return _in_16_bits(audio.waveform_of(audio.read(given["sound"]), told["sample_rate_hz"]))

    def crop(given):
        waveform, num_samples = _as_floats(given["decode"]), model.input_shape[1]
        return _in_16_bits(corpus.judging_crops(waveform, num_samples, 1, told["padding"]))

    return {
        "decode": Stage(decode, SAMPLE_TOLERANCE),
        "crop": Stage(crop, SAMPLE_TOLERANCE),
        "front end": Stage(lambda given: front(_as_floats(given["crop"])).numpy(), COLUMN_TOLERANCE),
        "body": Stage(lambda given: body(given["front end"]).numpy(), SCORE_TOLERANCE),
        "labels": Stage(lambda given: np.array((folder / LABELS_FILE).read_text(encoding="utf-8").splitlines())),
    }


def _in_litert(folder):
    model = (folder / "model_int8.tflite").read_bytes()
    told, whole = metadata.read(model), LiteRT(model, kernels="reference")
    front = LiteRT(_up_to_the_seam(model), kernels="reference")

    def crop(given):
        waveform, rate_hz = _as_floats(given["decode"]), told.sample_rate_hz
        windows = Windows(whole.input.shape[0], rate_hz, rate_hz, LONGER_S)
        return _in_16_bits(next(chain(windows.feed(waveform), windows.close()))[None])

    return {
        "decode": Stage(lambda given: _in_16_bits(_heard(given["sound"], told.sample_rate_hz)), SAMPLE_TOLERANCE),
        "crop": Stage(crop),
        "front end": Stage(lambda given: front.run(_as_floats(given["crop"])), COLUMN_TOLERANCE),
        "body": Stage(lambda given: whole.run(_as_floats(given["crop"])), ROUNDED_SCORE_TOLERANCE),
        "labels": Stage(lambda given: np.array(told.labels)),
    }


def _in_tflm(folder):
    """A stream cuts no crop: it hears on."""
    stream, rate_hz = open_stream(folder), settings_of(folder)["kSampleRateHz"]

    def columns(given):
        stream.reset()
        stream.feed(given["decode"])
        return stream.window()[None]

    return {
        "decode": Stage(lambda given: stream.frontend.input.to_raw(_heard(given["sound"], rate_hz)), SAMPLE_TOLERANCE),
        "front end": Stage(columns),
        "body": Stage(lambda given: stream.body.output.from_raw(stream.body.run_raw(given["front end"]))),
        "labels": Stage(lambda given: np.array(micro.read_labels(folder))),
    }


def _heard(path, sample_rate_hz):
    """The waveform of a sound file as the runtime hears it. Shape: float32 (time,)"""
    recording = Recording(path)
    resampler = Resampler(recording.sample_rate_hz, sample_rate_hz)
    return np.concatenate([*(resampler.feed(mono(block)) for block in recording.blocks()), resampler.close()])


def _up_to_the_seam(model):
    """The file that gives what its body's QUANTIZE takes, in place of its scores."""
    root = graph.load(model)
    operators = graph.of(root).operators
    number = next(number for number, operator in enumerate(operators) if operator.name == "QUANTIZE")
    described = root.subgraphs[0]
    described.operators, described.outputs = described.operators[:number], [operators[number].inputs[0]]
    return flatbuffer.dump(root)


def _in_16_bits(waveform):
    return np.round(np.clip(waveform, -1, 1) * FULL_SCALE).astype(np.int16)


def _as_floats(samples):
    return (samples / FULL_SCALE).astype(np.float32)
