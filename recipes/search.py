"""`--search`: settings of a recipe under a budget of flash, RAM and multiplies; each trial trained, exported, measured.

Trials are judged on clips that neither train nor test: the data set's own, or else the first of the folds that train.
The test fold is not scored. What was found is trained on all clips that train, and tested, by `--set`.
"""

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path

from recipes import settings
from recipes.stages import Stages
from recipes.task import refuse_another
from zoo import assembly
from zoo.atomic import whole_folder
from zoo.compress import search
from zoo.errors import ZooError
from zoo.export.folder import write_models
from zoo.export.metadata import About
from zoo.measure import analytic, counts, microcontroller
from zoo.report import search as report
from zoo.runtime.interpreter import LiteRT


def own(folder):
    """`folder`; where several processes search, a folder in it for each of them."""
    name = search.process()
    return folder / name if name else folder


def run_search(task, fold):
    """Trains as many candidates as --trials says, and writes a folder with a row for each that was proposed.

    Raises: ZooError where the folder is there already, or nothing fits the budget.
    """
    recipe, args = task.recipe, task.args
    folder = args.out / f"{recipe.name}-{args.dataset}-search"
    if not search.is_worker():
        refuse_another(folder, args)
    budget = search.Budget(args.flash, args.sram, args.macs)
    present = settings.of(recipe, args.front_end)
    space = {name: choices for name, choices in recipe.search.items() if name in present}  # of a front end that has it
    what = (space, present, budget, args.tuner, task.plan, task.front_end, recipe.waveforms, recipe.masks)
    searched = task.run_folder(fold) / f"search-{hashlib.sha256(repr(what).encode()).hexdigest()[:8]}"

    def candidate(chosen, epochs=task.plan.epochs):
        of_it = settings.applied(recipe, args.front_end, chosen)
        plan, front_end = of_it.train.with_epochs(epochs), of_it.front_ends[args.front_end]
        return replace(task, recipe=of_it, plan=plan, front_end=front_end)

    trials = search.search(
        space,
        present,
        lambda chosen: _excess(candidate(chosen), budget),
        lambda chosen, epochs: _assessed(candidate(chosen, epochs), fold, searched / settings.told(chosen)),
        args.tuner,
        args.trials,
        task.plan.epochs,
        searched,
        args.seed,
    )
    if trials is None:
        print("done; what came of it is with the chief")
        return
    told = {
        "model": recipe.name,
        "dataset": args.dataset,
        "front_end": args.front_end,
        "test_fold": fold,
        "tuner": args.tuner,
        **{f"{name}_budget": limit for name, limit in vars(budget).items()},
        "seed": args.seed,
        "command": args.command,
    }
    rows = [
        {
            **told,
            "trial": number,
            "settings": settings.told(trial.settings),
            "epochs": trial.epochs,
            "refused": trial.excess,
            **trial.figures,
        }
        for number, trial in enumerate(trials, start=1)
    ]
    with whole_folder(folder, args.overwrite) as unfinished:
        report.write(unfinished, rows)
    print(f"\n{report.table(rows)}\n\n{folder}: python -m zoo report {folder} adds it to the results")


def _excess(task, budget):
    """What a candidate has too much of, as it is reckoned; "" where it fits. What cannot be built fits nowhere."""
    try:
        sizes = _sizes(task)
        if excess := replace(budget, ram_bytes=None).excess(sizes):
            return excess  # which strips do not lower
        return budget.excess(sizes) and budget.excess(_sizes(task, in_strips=True))
    except ValueError as error:
        return f"cannot be built: {error}"


def _sizes(task, in_strips=False):
    return analytic.sizes(task.front_end, task.new_backbone(), task.recipe.seam, in_strips)


def _assessed(task, fold, folder):
    """{figure: value} of a candidate: trained and exported, its int8 file judged and its stream measured.

    folder: where the training is kept, and goes on after a kill.
    """
    train, choosing, _ = task.split(fold)
    if not len(choosing):
        first = min(train.folds)
        train, choosing = train.where(train.folds != first), train.where(train.folds == first)
        if not len(train):
            raise ZooError(f"--search: all clips that train are of fold {first}, which leaves none to choose by")
    backbone = Stages(task, train, folder).made("base").backbone
    calibration, targets = task.calibration(train)
    with tempfile.TemporaryDirectory() as exported:
        write_models(
            exported, task.front_end, backbone, task.recipe.seam, calibration,
            None if task.quantisation.max_drop is None else targets, task.labelling, task.quantisation, ABOUT,
        )  # fmt: skip
        measured = microcontroller.report(exported)
        _, figures = task.judging.scored(LiteRT(Path(exported) / "model_int8.tflite").run, choosing, "choosing")
    return {
        "clips": len(choosing),
        "accuracy": figures.pop(task.labelling.metric),
        **figures,
        "parameters": counts.trainable_parameters(assembly.join(task.front_end.build(), backbone)),
        "macs": counts.macs(backbone),
        "flash_bytes": measured["flash_bytes"],
        "arena_bytes": measured["stream"]["arena_bytes"],
        "ram_bytes": measured["ram_bytes"],
    }


ABOUT = About(name="candidate", description="", version="", author="", license="")
