"""Several trainings of a model, one for each seed and test fold, in one exported folder.

It holds the files of the first of them, the weights and decisions of each, and figures over all clips of all seeds.
What --reject and --open-world find is of the files, and is found for the first training alone.
"""

import hashlib
import json
import pickle
import shutil
from dataclasses import replace

from recipes import flags
from recipes.fold import export_fold
from recipes.task import inputs, is_exported, is_finished
from zoo import __version__, decisions, distribution, jobs
from zoo.atomic import whole_folder
from zoo.errors import ZooError
from zoo.export import card, provenance
from zoo.measure import pooled
from zoo.runtime import sums

OF_THE_FILES = ("--reject", "--open-world")


def cross_validate(task, trainings, folders):
    """Exports each of the `trainings`, (seed, test fold), as a run of its own, and then each variant's folder,
    {variant: folder}, from them all.

    Raises: ZooError where the metric cannot be pooled, and where a training fails.
    """
    args = task.args
    if task.labelling.metric != "accuracy":  # which decisions tell, and those are what a training leaves
        raise ZooError(f"{task.labelling.metric} is not pooled over folds and seeds; pass one --fold and one --seed")
    folders = {variant: folder for variant, folder in folders.items() if not is_finished(folder, task)}
    if not folders:
        return
    staged = _staged(task)
    ones = arguments_of(task.recipe, args, trainings, staged)
    exported = {
        training: {variant: one.out / folder.name for variant, folder in folders.items()}
        for training, one in ones.items()
    }
    if args.jobs > 1:
        unfinished = {
            f"seed {seed}, fold {fold}": jobs.Job(
                "recipes.child", pickle.dumps((task.recipe, one.argv)), one.out.with_suffix(".log")
            )
            for (seed, fold), one in ones.items()
            if not all(is_exported(folder, one) for folder in exported[seed, fold].values())
        }
        jobs.side_by_side(unfinished, args.jobs, "training")
    else:
        for training, one in ones.items():
            world = task.world if one.open_world else None
            export_fold(replace(task, args=one, world=world), training[1], exported[training])
    if distribution.is_chief():
        for variant, folder in folders.items():
            collect({training: exported[training][variant] for training in trainings}, folder, task.builder, args)


def arguments_of(recipe, args, trainings, out):
    """{(seed, test fold): the arguments of the same command for that training alone, exported below `out`}."""
    return {
        (seed, fold): flags.for_one(
            recipe, args, seed, fold, out / f"seed{seed}-fold{fold}", OF_THE_FILES if number else ()
        )
        for number, (seed, fold) in enumerate(trainings)
    }


def collect(exported, folder, builder, args):
    """Writes `folder` from {(seed, test fold): the folder exported for it}; metrics.json and the card tell of all."""
    (first_seed, _), first = next(iter(exported.items()))
    metrics = json.loads((first / "metrics.json").read_text())
    tables = {training: of_one / decisions.FILE for training, of_one in exported.items()}
    validations = [json.loads((of_one / "metrics.json").read_text()).get("validation") for of_one in exported.values()]
    metrics |= {"command": args.command, "cross_validation": pooled.figures(tables, validations, args.seed)}
    with whole_folder(folder, args.overwrite) as unfinished:
        shutil.copytree(first, unfinished, dirs_exist_ok=True)
        for (seed, fold), of_one in exported.items():
            kept = decisions.place(unfinished, seed, first_seed)
            kept.mkdir(exist_ok=True)
            shutil.copy(of_one / "model.h5", kept / f"{fold}.h5")
            shutil.copy(of_one / decisions.FILE, kept / f"{fold}.csv")
        provenance.write(unfinished, provenance.read(unfinished) | {"command": args.command})
        card.write_card(unfinished, metrics, (builder.HOMEPAGE, builder.LICENCE, builder.CITATION))
        sums.write(unfinished)
    print(f"\n{card.cross_validation_table(metrics)}\n\n{folder}: all {len(exported)} trainings, see card.md")


def _staged(task):
    """Where the trainings of a command are exported to: of another command, or of other settings, they are others."""
    settings = (task.args.command, inputs(task), task.plan, task.recipe.waveforms, task.front_end, __version__)
    key = hashlib.sha256(repr(settings).encode()).hexdigest()[:8]
    return task.runs / "folds" / f"{task.builder.builder_config.name}-{key}"
