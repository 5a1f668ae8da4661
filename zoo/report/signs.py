"""XNOR-Net against the net that it was made of, and that net pruned and in int8: rows of runs.csv, by classes."""

from pathlib import Path

from zoo import decisions, plots
from zoo.report import paired
from zoo.report.cells import count, interval, line
from zoo.report.runs import RESULTS, folder_name, read_runs

PAGE, PICTURES = "xnor.md", "xnor"  # PICTURES: a folder in docs/results
XNOR = "xnor_"  # before the name of the net that it was made of
PRUNED = ("_micro_fine_tuned", "_micro")  # behind it; the second where there are both
SHARED = ("dataset", "classes", "test_fold", "data_fingerprint")  # of what is compared
FLOAT, INT8, SIGNS = "float", "pruned, int8", "XNOR"
# The columns of runs.csv that judge a net, and what the file that decides is called in decisions.csv.
FILES = {
    FLOAT: ("keras", "model.h5"),
    INT8: ("micro", "micro/body.tflite"),
    SIGNS: ("micro", "micro/xnor.c"),
}


def page(results=RESULTS):
    """The lines of xnor.md, and draws its pictures; [] without a run of XNOR-Net."""
    groups = _groups(read_runs(results))
    if not groups:
        return []
    lines = [
        "# XNOR-Net, pruning and float",
        "",
        "Made from `runs.csv` and the decisions beside it by `python -m zoo report`, never by hand: the same clips",
        "and folds in each group. Float is `model.h5`; what is pruned runs as `micro/` in int8, XNOR-Net as `micro/`",
        "in C that counts bits. Bytes are of the file, or of the tables of `xnor.c`; RAM is of the stream. Products",
        "are those of one input: multiplied, and of signs.",
        "",
        "| dataset | classes | fold | net | epochs | accuracy | bytes | RAM | multiplied | of signs |",
        "|---|---:|---|---|---:|---:|---:|---:|---:|---:|",
        *(_row(kind, run) for group in groups for kind, run in group.items()),
        "",
        "Where XNOR-Net falls behind: its accuracy less that of the other net over the same clips, in points, with its",
        "95 % interval (bootstrap over source recordings). An interval that holds 0 tells of no difference.",
        "",
        "| dataset | classes | fold | against | points | XNOR-Net is |",
        "|---|---:|---|---|---:|---|",
        *(_claim(group, kind, results) for group in groups for kind in (FLOAT, INT8) if kind in group),
        "",
        "What the pruned net multiplies for each product that XNOR-Net does, of signs or not:",
        "",
        "| dataset | classes | pruned | XNOR-Net | times | words of 32 signs and real products | times |",
        "|---|---:|---:|---:|---:|---:|---:|",
        *(_products(group) for group in groups if INT8 in group),
    ]
    for model in dict.fromkeys(_net(group[SIGNS]) for group in groups):
        some = [group for group in groups if _net(group[SIGNS]) == model]
        picture = Path(results) / PICTURES / f"{model}.png"
        picture.parent.mkdir(exist_ok=True)
        points = [(kind, *_point(kind, run)) for group in some for kind, run in group.items()]
        plots.by_classes(points, picture, f"{model} and what it was made of")
        lines += ["", f"![{model}]({PICTURES}/{picture.name})"]
    return lines


def _groups(runs):
    """[{kind of net: its run}], the same clips in each: XNOR-Net's, and what there is to hold it against."""
    groups = []
    for run in sorted(runs, key=lambda run: (_net(run), int(run["classes"] or 0), run["dataset"])):
        if run["binary_products"] in ("", "0"):
            continue
        base = run["model"].removeprefix(XNOR)
        group = {}
        for kind, model in ((FLOAT, base), *((INT8, base + pruned) for pruned in PRUNED)):
            for other in runs:
                if other["model"] == model and all(other[name] == run[name] for name in SHARED):
                    group[kind] = other
        groups.append({**group, SIGNS: run})
    return groups


def _net(run):
    """The model's name, whatever the classes."""
    return run["model"].replace(f"_{run['classes']}classes", "")


def _row(kind, run):
    name, _ = FILES[kind]
    of_signs = int(run["binary_products"] or 0)
    ram_bytes = run["stream_bytes"] if name == "micro" else ""
    return line(
        [
            run["dataset"], run["classes"], run["test_fold"], f"{run['model']}, {kind}", run["epochs"],
            interval(*(run[f"{name}_{figure}"] for figure in ("accuracy", "low", "high"))),
            count(run[f"{name}_bytes"]), count(ram_bytes), count(int(run["macs"]) - of_signs), count(of_signs or ""),
        ]
    )  # fmt: skip


def _claim(group, kind, results):
    signs, other = group[SIGNS], group[kind]
    where = [signs["dataset"], signs["classes"], signs["test_fold"], f"{other['model']}, {kind}"]
    found = [_correct(one, group[one], results) for one in (SIGNS, kind)]
    if None in found:
        return line([*where, "", "its decisions were not kept"])
    (correct, sources), (others, _) = found
    told, sign = paired.difference(correct.astype(int) - others, sources)
    return line([*where, told, ("level", "better", "behind")[sign]])


def _correct(kind, run, results):
    """(whether each clip is decided right, its source recording), in the order of the clips' names."""
    table = decisions.of_folder(Path(results) / folder_name(run))
    if table is None:
        return None
    (column,) = (name for name in table if name.endswith(FILES[kind][1]))
    return table[column] == table["class"], table["source"]


def _products(group):
    pruned, signs = group[INT8], group[SIGNS]
    macs, of_signs = int(signs["macs"]), int(signs["binary_products"])
    words = macs - of_signs + of_signs / 32
    of_pruned = int(pruned["macs"])
    where = [signs["dataset"], signs["classes"], count(of_pruned), count(macs), f"{of_pruned / macs:.2f}"]
    return line([*where, count(round(words)), f"{of_pruned / words:.2f}"])


def _point(kind, run):
    """(classes, accuracy, (low, high)) of a net."""
    name, _ = FILES[kind]
    accuracy, low, high = (float(run[f"{name}_{figure}"]) for figure in ("accuracy", "low", "high"))
    return int(run["classes"]), accuracy, (low, high)
