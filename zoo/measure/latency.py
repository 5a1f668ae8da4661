"""How long LiteRT takes over a window of sound: files in turn, in one process, so that a busy moment meets them all."""

import json
import math
import sys
import time
from typing import NamedTuple

import numpy as np

from zoo.measure import energy, guarded
from zoo.runtime.interpreter import LiteRT

LOADS = 5  # times that a file is opened: the median counts
WARM_UP_CALLS = 5
ENERGY_S = 2.0  # RAPL's counters move every millisecond: over so many they are exact enough
RESAMPLES = 2_000
TICK_S = 0.5  # between two words to the process that waits: it may share a core with what is measured


class Timed(NamedTuple):
    """Every file with so many threads. Columns are the files."""

    num_threads: int
    samples: list  # in an input of each file; None where it is no waveform
    load_ms: np.ndarray  # (files,): from the path to an interpreter that may be called
    latency_ms: np.ndarray  # (rounds, files): one call, input and output copied
    joules: list  # of one call, for each file; None where the machine does not tell


def timed(paths, threads, rounds, kernels="xnnpack", on_rounds=lambda count: None):
    """A `Timed` for each number of threads: files A and B are called A B A B, `rounds` times, with one noise.

    on_rounds is told, as they go, how many more rounds are done.

    Raises: ZooError for a file that LiteRT refuses, that takes several inputs, or on which the process ends.
    """
    results = []
    for num_threads in threads:
        request = {"paths": [str(path) for path in paths], "num_threads": num_threads, "rounds": rounds,
                   "kernels": kernels}  # fmt: skip
        answer = guarded.answer_of(__name__, request, on_rounds)
        times = (np.array(answer[kind]) for kind in ("load_ms", "latency_ms"))
        results.append(Timed(num_threads, answer["samples"], *times, answer["joules"]))
    return results


def ratio(latency_ms, to_latency_ms, seed=0):
    """(ratio of the medians, low, high): with its 95 % interval, percentile bootstrap over the rounds, both together.

    Rounds are taken as independent. What changes for longer than a round meets both files, and falls out.

    Shape: (rounds,), (rounds,)
    """
    pairs = np.stack([latency_ms, to_latency_ms])
    drawn = np.random.default_rng(seed).integers(0, pairs.shape[1], (RESAMPLES, pairs.shape[1]))
    above, below = np.median(pairs[:, drawn], axis=2)
    low, high = np.percentile(above / below, (2.5, 97.5))
    above, below = np.median(pairs, axis=1)
    return float(above / below), float(low), float(high)


def _measure(request):
    load_ms, models = [], []
    for path in request["paths"]:
        spent_ms = []
        for _ in range(LOADS):
            start = time.perf_counter()
            model = LiteRT(path, request["kernels"], request["num_threads"])
            spent_ms.append(1e3 * (time.perf_counter() - start))
        load_ms.append(float(np.median(spent_ms)))
        noise = np.random.default_rng(0).uniform(-0.1, 0.1, (1, *model.input.shape))
        models.append((model, [model.input.to_raw(noise)]))
    for model, sound in models:
        for _ in range(WARM_UP_CALLS):
            model.run_all(sound)
    latency_ms = np.empty((request["rounds"], len(models)))
    told, told_at = 0, time.perf_counter()
    for number, row in enumerate(latency_ms):
        for column, (model, sound) in enumerate(models):
            start = time.perf_counter()
            model.run_all(sound)
            row[column] = 1e3 * (time.perf_counter() - start)
        if time.perf_counter() > told_at + TICK_S:
            guarded.tick(number + 1 - told)
            told, told_at = number + 1, time.perf_counter()
    guarded.tick(request["rounds"] - told)
    meter = energy.Meter.open()
    joules = [meter and _joules(meter, *model_and_sound) for model_and_sound in models]
    shapes = [model.input.shape for model, _ in models]
    samples = [math.prod(shape) if shape and math.prod(shape) == max(shape) else None for shape in shapes]
    return {"samples": samples, "load_ms": load_ms, "latency_ms": latency_ms.tolist(), "joules": joules}


def _joules(meter, model, sound):
    """Joules of a call, of calls one after the other."""
    calls, start = 0, time.perf_counter()
    meter.joules()
    while time.perf_counter() < start + ENERGY_S:
        model.run_all(sound)
        calls += 1
    return meter.joules() / calls


if __name__ == "__main__":
    try:
        given = _measure(json.loads(sys.argv[1]))
    except Exception as error:  # whatever Python raises over a file
        given = guarded.refused(error)
    guarded.give(given)
