"""XNOR-Net against the net that it was made of, and that net pruned and in int8: rows of runs.csv, by classes."""

from zoo.report.cells import count, interval, line
from zoo.report.runs import RESULTS, read_runs

PAGE = "xnor.md"
XNOR = "xnor_"  # before the name of the net that it was made of
PRUNED = "_micro"  # behind it
SHARED = ("dataset", "classes", "test_fold", "data_fingerprint")  # of what is compared


def page(results=RESULTS):
    """The lines of xnor.md; [] without a run of XNOR-Net."""
    runs = read_runs(results)
    signs = sorted(filter(_is_of_signs, runs), key=lambda run: (run["dataset"], run["model"], int(run["classes"])))
    if not signs:
        return []
    lines = [
        "# XNOR-Net, pruning and float",
        "",
        "Made from `runs.csv` by `python -m zoo report`, never by hand: the same clips and folds in each group. Float",
        "is `model.h5`; what is pruned runs as `micro/` in int8, XNOR-Net as `micro/` in C that counts bits. Bytes are",
        "of the file, or of the tables of `xnor.c`; RAM is of the stream. Products are those of one input: multiplied,",
        "and of signs.",
        "",
        "| dataset | classes | fold | net | epochs | accuracy | bytes | RAM | multiplied | of signs |",
        "|---|---:|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for run in signs:
        base = run["model"].removeprefix(XNOR)
        for other in runs:
            if other["model"] in (base, f"{base}{PRUNED}") and all(other[name] == run[name] for name in SHARED):
                lines.append(_row(other, "keras" if other["model"] == base else "micro"))
        lines.append(_row(run, "micro"))
    return lines


def _is_of_signs(run):
    return run["binary_products"] not in ("", "0")


def _row(run, name):
    kind = {"keras": "float"}.get(name, "XNOR" if _is_of_signs(run) else "int8")
    of_signs = int(run["binary_products"] or 0)
    ram_bytes = run["stream_bytes"] if name == "micro" else ""
    return line(
        [
            run["dataset"], run["classes"], run["test_fold"], f"{run['model']}, {kind}", run["epochs"],
            interval(*(run[f"{name}_{figure}"] for figure in ("accuracy", "low", "high"))),
            count(run[f"{name}_bytes"]), count(ram_bytes), count(int(run["macs"]) - of_signs), count(of_signs or ""),
        ]
    )  # fmt: skip
