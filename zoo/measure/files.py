"""Every exported file, opened and scored as its user runs it: Keras in Keras, .tflite in LiteRT, micro/ in TFLM."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from zoo import evaluation, pipeline
from zoo.atomic import whole_file
from zoo.export import keras_files
from zoo.export.interpreter import TFLM, LiteRT
from zoo.export.seam import MicroPair


@dataclass(frozen=True)
class Exported:
    """Files that together make scores of a waveform: one file, or the pair in micro/."""

    arenas: dict  # path in the folder -> bytes of TFLM's arena, None where there is none
    kernels: str
    run: Callable  # waveforms (n, samples) -> scores (n, classes), float32


def open_folder(folder, column_stride_samples):
    """The `Exported` of a folder, one after the other: each is opened when it is asked for.

    column_stride_samples: as `zoo.export.folder.write_models` gave it; None where micro/ holds the body alone, which
    is fed the log-mel of model.h5.
    """
    folder = Path(folder)
    yield Exported({"model.h5": None}, "keras-2", keras_files.open_h5(folder / "model.h5"))
    yield Exported({"model.keras": None}, "keras-3", keras_files.Keras3(folder / "model.keras").run)
    for path in sorted(folder.glob("*.tflite")):
        model = LiteRT(path, num_threads=2)
        yield Exported({path.name: None}, model.kernels, model.run)
    if column_stride_samples is None:
        body, front = TFLM(folder / "micro/body.tflite"), keras_files.open_h5(folder / "model.h5", front_end_only=True)
        arenas = {"micro/body.tflite": body.arena_bytes}
        yield Exported(arenas, body.kernels, lambda waveforms: body.run(front(waveforms)))
    else:
        frontend, body = TFLM(folder / "micro/frontend.tflite"), TFLM(folder / "micro/body.tflite")
        pair = MicroPair(frontend, body, column_stride_samples)
        arenas = {"micro/frontend.tflite": frontend.arena_bytes, "micro/body.tflite": body.arena_bytes}
        yield Exported(arenas, pair.kernels, pair.run)
        whole = TFLM(folder / "micro/model.tflite")
        yield Exported({"micro/model.tflite": whole.arena_bytes}, whole.kernels, whole.run)


def score_files(folder, column_stride_samples, test, num_samples, crops_per_clip, seed, cache):
    """(scores of model.h5, figures of each file by its path): each file run as its users run it, on the clips `test`.

    Scores are float32 (clips, classes). cache: folder in which they are kept, so that a killed run need not make them
    again.
    """
    crops = [pipeline.judging_crops(test.waveform(i), num_samples, crops_per_clip) for i in range(len(test))]
    rows, reference = {}, None
    for exported in open_folder(folder, column_stride_samples):
        digest = hashlib.sha256(b"".join((folder / path).read_bytes() for path in exported.arenas))
        cached = cache / f"{digest.hexdigest()[:16]}-{crops_per_clip}crops.npy"
        if not cached.exists():
            scores = evaluation.clip_scores(exported.run, crops, " + ".join(exported.arenas))
            with whole_file(cached) as unfinished:
                np.save(unfinished, scores)
        scores = np.load(cached)
        reference = scores if reference is None else reference
        correct, reference_correct = (kind.argmax(axis=1) == test.targets for kind in (scores, reference))
        low, high = evaluation.interval(correct, test.sources, seed)
        lost, gained, _ = evaluation.mcnemar(reference_correct, correct)
        figures = {
            "accuracy": evaluation.accuracy(scores, test.targets),
            "low": None if math.isnan(low) else low,  # one source recording has no interval
            "high": None if math.isnan(high) else high,
            "changed_clips": evaluation.changed_decisions(reference, scores),
            "lost_clips": lost,  # right in Keras alone
            "gained_clips": gained,
            "kernels": exported.kernels,
        }
        for path, arena_bytes in exported.arenas.items():
            rows[path] = {**figures, "bytes": (folder / path).stat().st_size, "arena_bytes": arena_bytes}
    return reference, rows


def differing_bytes(folder, column_stride_samples, waveforms):
    """How many bytes of columns and of scores differ between TFLM and LiteRT's reference kernels, for micro/'s pair.

    Columns never should. Scores may, by a step: LiteRT since 2 rounds the sums of a dense layer once, TFLM twice.
    """
    paths = [Path(folder) / "micro" / name for name in ("frontend.tflite", "body.tflite")]
    tflm, litert = (
        MicroPair(*map(open_file, paths), column_stride_samples)
        for open_file in (TFLM, partial(LiteRT, kernels="reference"))
    )
    columns = tflm.columns(waveforms)
    return {
        "crops": len(waveforms),
        "columns": int((columns != litert.columns(waveforms)).sum()),
        "scores": int((tflm.body.run_raw(columns) != litert.body.run_raw(columns)).sum()),
    }
