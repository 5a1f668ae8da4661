"""Every exported file, opened and scored as its user runs it: Keras in Keras, .tflite in LiteRT, micro/ in TFLM."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from zoo import evaluation
from zoo.atomic import whole_file
from zoo.export import c99, keras_files
from zoo.export.stream import has_stream, open_stream, parts_of
from zoo.export.tflm import TFLM
from zoo.progress import bar
from zoo.runtime.interpreter import LiteRT


@dataclass(frozen=True)
class Exported:
    """Files that together make scores of a waveform: one file, or the stream in micro/."""

    arenas: dict  # path in the folder -> bytes of TFLM's arena, None where there is none
    kernels: str
    run: Callable  # waveforms (n, samples) -> scores (n, classes), float32

    def costs(self, folder):
        """{path in the folder: what the file takes}."""
        return {
            path: {"kernels": self.kernels, "bytes": _bytes_of(Path(folder, path)), "arena_bytes": arena_bytes}
            for path, arena_bytes in self.arenas.items()
        }


def open_folder(folder):
    """The `Exported` of a folder, one after the other: each is opened when it is asked for."""
    folder = Path(folder)
    yield Exported({"model.h5": None}, "keras-2", keras_files.open_h5(folder / "model.h5"))
    if (folder / "model.keras").exists():
        yield Exported({"model.keras": None}, "keras-3", keras_files.Keras3(folder / "model.keras").run)
    for path in sorted(folder.glob("model*.tflite")):
        model = LiteRT(path, num_threads=2)
        yield Exported({path.name: None}, model.kernels, model.run)
    if has_stream(folder / "micro"):
        stream = open_stream(folder / "micro")
        names = [f"micro/{path.name}" for path in parts_of(folder / "micro")]
        arenas = dict(zip(names, (stream.frontend.arena_bytes, stream.body.arena_bytes)))
        yield Exported(arenas, stream.kernels, stream.run)
    if (folder / "micro/model.tflite").exists():
        whole = TFLM(folder / "micro/model.tflite")
        yield Exported({"micro/model.tflite": whole.arena_bytes}, whole.kernels, whole.run)


def score_files(folder, test, judging, cache=None):
    """(scores by file, figures by path): each file run as its users run it, on the clips `test`; model.h5 is the first.

    Scores are float32 (clips, classes); a stream's two files have them together, as "micro/frontend.tflite +
    micro/body.tflite". judging: of `zoo.judging`. cache: folder in which scores are kept, so that a killed run need not
    make them again, or None.
    """
    crops, scores, rows = judging.crops(test), {}, {}
    for exported in open_folder(folder):
        name = " + ".join(exported.arenas)
        scores[name] = _scores(exported, folder, crops, name, cache)
        figures = judging.figures(scores[name], scores["model.h5"], test)
        rows |= {path: {**figures, **costs} for path, costs in exported.costs(folder).items()}
    return scores, rows


def _scores(exported, folder, crops, name, cache):
    """Those that the cache has of the same files and crops; else they are made, and kept."""
    if cache is None:
        return evaluation.clip_scores(exported.run, crops, name)
    digest = hashlib.sha256(b"".join((folder / path).read_bytes() for path in exported.arenas))
    for clip in crops:
        digest.update(clip)
    cached = cache / f"{digest.hexdigest()[:16]}.npy"
    if not cached.exists():
        found = evaluation.clip_scores(exported.run, crops, name)
        with whole_file(cached) as unfinished:
            np.save(unfinished, found)
    return np.load(cached)


def _bytes_of(path):
    """Of a file, or of the tables in a source: its text goes nowhere."""
    return c99.table_bytes(path.read_text()) if path.suffix == ".c" else path.stat().st_size


def differing_bytes(folder, waveforms):
    """How many bytes of columns and of scores differ between TFLM and LiteRT's reference kernels, for micro/'s stream.

    Columns never should. Scores may, by a step: LiteRT since 2 rounds the sums of a dense layer once, TFLM twice.
    """
    tflm, litert = (
        open_stream(Path(folder) / "micro", open_file) for open_file in (TFLM, partial(LiteRT, kernels="reference"))
    )
    columns = tflm.windows_of(waveforms)
    return {
        "crops": len(waveforms),
        "columns": int((columns != litert.windows_of(waveforms)).sum()),
        "scores": int((tflm.body.run_raw(columns) != litert.body.run_raw(columns)).sum()),
    }


def front_end_decisions(folder, front, crops, labelling):
    """How many crops are decided otherwise over the stream's columns than over the float front's.

    front: the Keras model waveform -> columns. crops: an array (crops, samples) for each clip. labelling: of
    `zoo.labelling`. The body is the same for both; a .tflite runs in LiteRT.
    """
    stream = open_stream(Path(folder) / "micro")
    _, body = parts_of(Path(folder) / "micro")
    body = stream.body if body.suffix == ".c" else LiteRT(body, num_threads=2)
    changed = 0
    for waveforms in bar(crops, desc="front end: decisions", unit="clip"):
        exact = body.input.to_raw(front(waveforms, training=False).numpy())
        scores = (body.output.from_raw(body.run_raw(columns)) for columns in (exact, stream.windows_of(waveforms)))
        changed += int((~evaluation.same(*map(labelling.decide, scores))).sum())
    return {"crops": sum(map(len, crops)), "changed": changed}
