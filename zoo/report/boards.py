"""The table of what models take on boards, from the JSON that each run of `python -m zoo bench` on one has left."""

import json
from pathlib import Path

from zoo.errors import ZooError
from zoo.report.cells import line

SCHEMA_VERSION = 1  # that is read here: docs/results/boards/SCHEMA.json

# Boards that are waited for, by what their device tree calls them, and what was published of them.
MOU_MILANOVA = "Mou and Milanova 2024, table 6"
HU_SHAO_JOHAR = "Hu, Shao and Johar, tables 2 and 3 (a Pi of 4 GB)"
AWAITED = {
    "Raspberry Pi 4": (
        f"{MOU_MILANOVA}: 85 %, 3.89 s, 7 W; {HU_SHAO_JOHAR}: ResNet-152 in fp16 77.21 %, 116 MB, dynamic 76.34 %, "
        "59 MB, memory 2.7 to 4.5 GB, estimated"
    ),
    "Raspberry Pi 5": "",
    "Jetson Nano": f"{MOU_MILANOVA}: 88 %, 2.12 s, 10 W",
    "Coral": "",
}
HEAD = (
    "board", "file", "bytes", "kernels", "load ms", "latency ms, median (p95)", "times as long as the first",
    "times real time", "memory MB", "joules", "published by others, of models of their own",
)  # fmt: skip


def read(folder):
    """The runs in a folder, one dict for each JSON but the schema, by file name.

    Raises: ZooError for a file that is no such run.
    """
    runs = []
    for path in sorted(Path(folder).glob("*.json")):
        if path.name == "SCHEMA.json":
            continue
        try:
            run = json.loads(path.read_text(encoding="utf-8"))
            version = run["schema_version"]
        except (ValueError, KeyError, TypeError) as error:
            raise ZooError(f"{path}: no run of `python -m zoo bench --json` ({error!r})") from error
        if version != SCHEMA_VERSION:
            raise ZooError(f"{path}: schema version {version}, this zoo reads {SCHEMA_VERSION}; run its bench again")
        runs.append(run)
    return runs


def table(runs):
    """Lines of Markdown: the boards that are waited for, in order, then all others; empty where nobody has run one."""
    lines = [
        "",
        "## On boards",
        "",
        "What `python -m zoo bench` measured on the board itself, by threads: one window of sound a call",
        "([how to send yours](boards/README.md)). Memory is the peak of the process: Python + numpy + LiteRT + model +",
        "work. An empty row waits for somebody who has the board; what stands beside it was published by others.",
        "",
        line(HEAD),
        "|---|---|---:|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for board, published in AWAITED.items():
        rows = [row for run in runs if board in run["machine"]["board"] for row in _rows(run)] or [[board]]
        lines += [line([*row, *[""] * (len(HEAD) - 1 - len(row)), published]) for row in rows]
    others = [run for run in runs if not any(board in run["machine"]["board"] for board in AWAITED)]
    return lines + [line([*row, ""]) for run in others for row in _rows(run)]


def _rows(run):
    """The cells of each file of a run, all but what others published."""
    machine = run["machine"]
    for model in run["models"]:
        compared = [row for row in run["compared"] if row["model"] == model["name"]]
        memory_bytes = model["memory_bytes"]
        yield [
            f"{machine['board']}, {machine['cores']} cores",
            model["name"],
            f"{model['bytes']:,}",
            run["kernels"],
            f"{model['runs'][0]['load_ms']:.1f}",
            _by_threads(
                (one["threads"], f"{one['latency_ms']['median']:.2f} ({one['latency_ms']['p95']:.2f})")
                for one in model["runs"]
            ),
            _by_threads(
                (row["threads"], f"{row['ratio']:.2f} ({row['low']:.2f} to {row['high']:.2f})") for row in compared
            ),
            _by_threads(
                (one["threads"], f"{one['real_time_factor']:,.0f}")
                for one in model["runs"]
                if one["real_time_factor"] is not None
            ),
            "" if memory_bytes is None else _memory(memory_bytes),
            _by_threads((one["threads"], f"{one['joules']:.4f}") for one in model["runs"] if one["joules"] is not None),
        ]


def _memory(memory_bytes):
    *parts, total = (f"{count / 1e6:.1f}" for count in memory_bytes.values())
    return f"{' + '.join(parts)} = {total}"


def _by_threads(pairs):
    return ", ".join(f"{threads}: {figure}" for threads, figure in pairs)
