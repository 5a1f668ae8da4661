"""`--study pruning`: the cells of a grid (`recipes.pruning`), each trained for each seed, in one folder of results.

A cell that was made stays in runs/, and one that was stopped goes on. What cells share (the base, the sparse weights,
the channels that went) is made once a seed.
"""

import itertools
import json
import pickle
from dataclasses import replace
from fnmatch import fnmatch

from recipes import flags
from recipes.pruning import GRID
from recipes.stages import Stages
from recipes.task import model_name, refuse_another
from zoo import assembly, decisions, jobs
from zoo.atomic import whole_file, whole_folder
from zoo.errors import ZooError
from zoo.export import keras_files
from zoo.report import pruning

BASE = "base"  # of which all cells begin


def run_study(task, fold):
    """Trains the cells that --cells names, for each seed, and writes a folder with a row for each of them.

    Raises: ZooError where --cells names none, for clips of several labels, and where a training fails.
    """
    args = task.args
    if task.labelling.metric != "accuracy":
        raise ZooError(f"--study compares nets by accuracy, not by {task.labelling.metric}: pass another --dataset")
    cells = chosen(args.cells)
    folder = args.out / f"{model_name(task.recipe, args)}-{args.dataset}-pruning"
    refuse_another(folder, args)
    seeds = range(args.seed, args.seed + args.seeds)
    if args.jobs > 1:
        _side_by_side(task, fold, cells, seeds)
    rows, tables = [], []
    for seed in seeds:
        one = replace(task, args=flags.for_one(task.recipe, args, seed, fold, args.out))
        for row, table in _trained(one, fold, cells):
            rows.append({**row, "command": args.command})
            tables.append(table)
    with whole_folder(folder, args.overwrite) as unfinished:
        pruning.write(unfinished, rows, tables)
    print(f"\n{pruning.table(rows)}\n\n{folder}: python -m zoo report {folder} adds it to the results")


def chosen(patterns):
    """The names of the cells that one of the patterns selects, in the grid's order."""
    patterns = patterns.split(",")
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in GRID):
            raise ZooError(f"--cells {pattern}: none of the {len(GRID)} cells, such as {next(reversed(GRID))}")
    return [name for name in GRID if any(fnmatch(name, pattern) for pattern in patterns)]


def _side_by_side(task, fold, cells, seeds):
    """Trains them in processes, each a pruned net with its endings: first those of which others begin, then the others.

    Two that run at a time may not train the same: what they share is trained by the first of them.
    """
    recipe = with_cells(task, cells).recipe
    waiting, trained = {}, set()
    for name in cells:
        waiting.setdefault(GRID[name].pruned, []).append(name)
    while waiting:
        now, taken = {}, set()
        for pruned, names in waiting.items():
            made_by = {variant for name in names for variant, _ in recipe.chain(name)}
            shared = {BASE, *made_by} - {pruned, *names} - trained
            if shared.isdisjoint(taken):
                now[pruned] = names
                taken |= shared
        jobs.side_by_side(
            {
                f"{pruned}, seed {seed}": _job(task, fold, seed, names)
                for pruned, names in now.items()
                for seed in seeds
            },
            task.args.jobs,
            "pruning",
        )
        trained |= taken
        waiting = {pruned: names for pruned, names in waiting.items() if pruned not in now}


def _job(task, fold, seed, names):
    """The same command for some cells of a seed alone."""
    out = task.runs / "study" / f"seed{seed}-{names[0]}"
    one = flags.for_one(task.recipe, task.args, seed, fold, out)
    argv = [*flags.without(one.argv, "--cells"), "--cells", ",".join(names), "--overwrite"]
    return jobs.Job("recipes.child", pickle.dumps((task.recipe, argv)), out.with_suffix(".log"))


def _trained(task, fold, cells):
    """(row, path of its decisions) of each cell for the seed of `task`; those that are not there are made."""
    train, _, test = task.split(fold)
    task = with_cells(task, cells)
    task.args.allow_no_gain = True  # a method that does not pay is a result
    stages = Stages(task, train, task.run_folder(fold))
    for name in cells:
        path = stages.folder / "cells" / f"{name}-{stages.digest(task.recipe.chain(name))}.json"
        if not path.exists():
            _score(task, name, stages.made(name), test, path)
        yield json.loads(path.read_text()), path.with_suffix(".csv")


def with_cells(task, cells):
    """The task with cells, and all that they are made by, as the variants of its recipe."""
    recipe, backbone = task.recipe, task.new_backbone()
    before_seam = itertools.takewhile(lambda layer: layer.name != recipe.seam, backbone.layers if recipe.seam else ())
    first_block = tuple(layer.name for layer in before_seam if hasattr(layer, "filters"))
    variants = [GRID[name].variants(recipe.study, first_block) for name in cells]
    variants = {name: steps for some in variants for name, steps in some.items()}
    return replace(task, recipe=replace(recipe, variants=variants))


def _score(task, name, made, test, path):
    cell, seed = GRID[name], task.args.seed
    model = assembly.join(task.front_end.build(), made.backbone)
    scores, figures = task.judging.scored(keras_files.runner(model), test, name)
    ending = made.steps[-1]
    row = {
        "model": model_name(task.recipe, task.args),
        "dataset": task.args.dataset,
        "test_fold": task.args.fold,
        **vars(cell),
        "seed": seed,
        "epochs": ending["epochs"],
        "epochs_before": len(made.history) - ending["epochs"],
        **figures,
        "parameters": made.backbone.count_params(),
        **{figure: ending[figure] for figure in ("macs", "bytes", "gzip_bytes")},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    decisions.write(path.with_suffix(".csv"), test, task.labelling, {pruning.column(row): scores})
    with whole_file(path) as unfinished:
        unfinished.write_text(json.dumps(row))
