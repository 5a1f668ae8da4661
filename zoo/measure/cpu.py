"""What .tflite files take of this machine's processor: time by threads, memory part by part, energy where it tells.

Needs numpy and LiteRT alone. A report is a dict as docs/results/boards/SCHEMA.json describes it, so that what is
printed, sent and published shows the same numbers.
"""

import datetime
import hashlib
from pathlib import Path

import numpy as np

from zoo.errors import ZooError
from zoo.measure import latency, machine, process_memory
from zoo.progress import bar
from zoo.runtime import metadata

SCHEMA_VERSION = 1
OF_A_FOLDER = ("model.tflite", "model_int8.tflite")  # what an exported folder holds for CPUs
FEWEST_ROUNDS = 20  # for a 95th percentile


def report(models, threads=None, rounds=100, kernels="xnnpack", sample_rate_hz=None, watts=None, command=""):
    """The report on .tflite files and exported folders, in the order given; every later file is compared to the first.

    threads: numbers of threads, each at least 1; without them 1, 2 and 4, as far as there are cores. sample_rate_hz:
    where the files do not tell it. watts: what a meter shows while the machine is at work, where RAPL tells nothing.

    Raises: ZooError for what is no model, what LiteRT refuses, and files on which it dies.
    """
    paths = [path for model in models for path in _files_of(Path(model))]
    threads = threads or [count for count in (1, 2, 4) if count == 1 or count <= machine.cores()]
    if rounds < FEWEST_ROUNDS or min(threads) < 1:
        raise ZooError(f"{rounds} rounds with {threads} threads: pass {FEWEST_ROUNDS} rounds or more, 1 thread or more")
    with bar(paths, desc="memory", unit="file") as progress:  # closed before an error is told
        rows, rates_hz = zip(*(_of_file(path, kernels, max(threads)) for path in progress))
    with bar(total=rounds * len(threads), desc="latency", unit="round") as progress:
        try:
            timed = latency.timed([path.resolve() for path in paths], threads, rounds, kernels, progress.update)
        except ZooError as error:
            raise ZooError(f"{' and '.join(map(str, paths))}, in turn: {error}") from error
    for column, (row, told_hz) in enumerate(zip(rows, rates_hz)):
        samples, rate_hz = timed[0].samples[column], told_hz or sample_rate_hz
        row["window_s"] = samples / rate_hz if samples and rate_hz else None  # no waveform, or a rate that nobody tells
        row["runs"] = [_run(by_threads, column, row["window_s"], watts) for by_threads in timed]
    measured = any(run["joules"] is not None for row in rows for run in row["runs"])
    return {
        "schema_version": SCHEMA_VERSION,
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "command": command,
        "machine": machine.describe(),
        "kernels": f"litert-{kernels}",
        "energy": "watts given" if watts else "RAPL" if measured else "unknown",
        "watts": watts,
        "models": list(rows),
        "compared": [
            {
                "model": row["name"],
                "to": rows[0]["name"],
                "threads": by_threads.num_threads,
                **dict(zip(("ratio", "low", "high"), _ratio(by_threads.latency_ms, column))),
            }
            for column, row in enumerate(rows[1:], start=1)
            for by_threads in timed
        ],
    }


def told(report):
    """The report as text."""
    about = report["machine"]
    memory = "" if about["memory_bytes"] is None else f", {about['memory_bytes'] / 2**30:.1f} GiB"
    lines = [
        f"{about['board']}: {about['cores']} cores {about['architecture']}{memory}, {about['os']}, "
        f"LiteRT {about['litert']}, {report['kernels'].removeprefix('litert-')} kernels",
        "",
        f"{'file':<44}{'threads':>8}{'load ms':>9}{'median ms':>11}{'p95 ms':>9}{'real time':>11}{'joules':>9}",
    ]
    for row in report["models"]:
        for run in row["runs"]:
            times = run["latency_ms"]
            factor = "" if run["real_time_factor"] is None else f"x {run['real_time_factor']:,.0f}"
            joules = "" if run["joules"] is None else f"{run['joules']:.4f}"
            lines.append(
                f"{row['name']:<44}{run['threads']:>8}{run['load_ms']:>9.2f}{times['median']:>11.3f}"
                f"{times['p95']:>9.3f}{factor:>11}{joules:>9}"
            )
    lines += ["", "MB of memory, at its peak".ljust(44) + "".join(f"{part:>12}" for part in _MEMORY)]
    for row in report["models"]:
        parts = row["memory_bytes"] and "".join(f"{row['memory_bytes'][part] / 1e6:>12.1f}" for part in _MEMORY)
        lines.append(f"{row['name']:<44}{parts or '  this system does not tell'}")
    if report["compared"]:
        lines.append("")
    for row in report["compared"]:
        threads = f"{row['threads']} thread{'s' * (row['threads'] > 1)}"
        lines += [
            f"{threads}: {row['model']} takes {row['ratio']:.3f} times as long as {row['to']} "
            f"(95 % interval {row['low']:.3f} to {row['high']:.3f})"
        ]
    if report["energy"] == "unknown":
        lines += ["", "energy: unknown, RAPL does not tell (to root it may); pass --watts with what a meter shows"]
    if any(row["window_s"] is None for row in report["models"]):
        lines += ["", "real time: unknown where a file does not tell its sample rate; pass --sample-rate-hz"]
    return "\n".join(lines)


_MEMORY = (*process_memory.PARTS, "total")


def _files_of(path):
    """The files that MODEL stands for."""
    if not path.is_dir():
        if not path.is_file():
            raise ZooError(f"{path}: no such file; pass a .tflite file, or an exported folder")
        return [path]
    found = [path / name for name in OF_A_FOLDER if (path / name).is_file()]
    if not found:
        raise ZooError(f"{path}: no {' and no '.join(OF_A_FOLDER)}; pass a .tflite file, or an exported folder")
    return found


def _of_file(path, kernels, num_threads):
    """(the report's part on one file, without its times; the rate that it tells). A guarded process opens it first."""
    content = path.read_bytes()
    try:
        memory_bytes = process_memory.split(path.resolve(), kernels, num_threads)
        known = metadata.read(content)
    except ZooError as error:
        raise ZooError(f"{path}: {error}") from error
    row = {
        "name": f"{path.resolve().parent.name}/{path.name}",
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "memory_bytes": memory_bytes,
    }
    return row, known and known.sample_rate_hz


def _run(timed, column, window_s, watts):
    """The figures of one file with so many threads."""
    times = timed.latency_ms[:, column]
    median_ms = float(np.median(times))
    joules = timed.joules[column] if watts is None else watts * median_ms / 1e3
    return {
        "threads": timed.num_threads,
        "load_ms": round(float(timed.load_ms[column]), 3),
        "latency_ms": {
            "median": round(median_ms, 4),
            "p95": round(float(np.percentile(times, 95)), 4),
            "n": len(times),
        },
        "real_time_factor": None if window_s is None else round(1e3 * window_s / median_ms, 1),
        "joules": None if joules is None else round(joules, 6),
    }


def _ratio(latency_ms, column):
    return [round(value, 4) for value in latency.ratio(latency_ms[:, column], latency_ms[:, 0])]
