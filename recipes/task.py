"""What is asked of a recipe, and whether a folder is what was asked for."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.recipe import Recipe
from zoo import corpus, distribution, labelling, training, transfer
from zoo.errors import ZooError
from zoo.export.folder import Quantisation
from zoo.judging import Judging


@dataclass(frozen=True)
class Task:
    """What is asked of a recipe, and the clips that it gets."""

    recipe: Recipe
    args: Any  # of the command line: `recipes.flags`
    plan: training.Plan  # of the base
    front_end: Any
    quantisation: Quantisation
    builder: Any  # of the data set
    clips: corpus.Clips
    runs: Path  # where trainings are kept
    outliers: Any = None  # of `recipes.outliers`
    world: Any = None  # of `zoo.measure.open_world`: clips that are of none of the classes

    @property
    def labelling(self):
        """Of the clips: one class each, or any number."""
        return labelling.of(self.builder, self.args.classes, self.args.background)

    @property
    def labels(self):
        """The classes, in the order of the scores."""
        return list(self.labelling.labels)

    def split(self, fold):
        """(clips that train, clips to choose by, clips that test) where `fold` tests."""
        return self.clips.split(self.builder, fold)

    def trained_on(self, clips):
        """What a net trains on that learns `clips`: those, and outliers where some are asked for."""
        if not self.outliers:
            return clips
        target = len(self.labels) - 1 if self.args.background else corpus.NO_CLASS
        return clips.with_others(self.outliers_for(clips), target)

    def outliers_for(self, clips):
        """The outliers that train beside `clips`."""
        return self.outliers.drawn(clips, self.args.background, self.args.seed)

    def run_folder(self, fold):
        """Where the trainings of one seed lie whose test fold this is."""
        recipe, args = self.recipe, self.args
        dataset = f"{args.dataset}{args.classes or ''}"
        what = (recipe.name, args.front_end, dataset, self.builder.builder_config.name)
        return self.runs / "-".join([*what, f"fold{fold}", f"{self.plan.epochs}epochs", f"seed{args.seed}"])

    def new_backbone(self):
        """The recipe's backbone over the front end, with new weights."""
        return self.recipe.backbone(self.front_end.build().output_shape[1:], len(self.labels))

    def calibration(self, train):
        """(unmixed crops of clips that train, their classes): what int8's ranges are set by."""
        return self.unmixed(train, self.recipe.calibration_crops)

    def unmixed(self, clips, count):
        """(`count` crops of the clips as they are, their classes)."""
        padding = self.recipe.waveforms.padding
        return corpus.unmixed_crops(clips, self.front_end.num_samples, count, self.args.seed, padding)

    @property
    def judging(self):
        """How clips judge what is made."""
        waveforms, num_samples = self.recipe.waveforms, self.front_end.num_samples
        return Judging(self.labelling, num_samples, waveforms.eval_crops, waveforms.padding, self.args.seed)


def model_name(recipe, args):
    """The recipe's name, and what of the command line makes another net of it."""
    classes = f"_{args.classes}classes" if args.classes else ""
    front_end = "" if args.front_end == next(iter(recipe.front_ends)) else f"_{args.front_end}"
    return f"{recipe.name}{front_end}{'_set' if args.set else ''}{classes}"


def folder_name(recipe, variant, args):
    """What the exported folder of a variant is called."""
    return f"{model_name(recipe, args)}{'' if variant == 'base' else f'_{variant}'}-{args.dataset}"


def refuse_another(folder, args, **more):
    """Raises: ZooError where the folder is there, unless `is_exported`: the command and `more` are what it tells."""
    if folder.exists() and not args.overwrite and not is_exported(folder, args, **more):
        raise ZooError(f"{folder} exists; pass --overwrite to replace it, or another --out")


def is_exported(folder, args, **more):
    """Whether a run of this command, killed later, had finished the folder. more: what else it is to tell of itself."""
    if args.overwrite or not (folder / "metrics.json").is_file():
        return False
    metrics, asked = json.loads((folder / "metrics.json").read_text()), {"command": args.command, **more}
    return {name: metrics.get(name) for name in asked} == asked


def digest_of(path):
    """The digest of the weights that --init-from or --teacher names, whose path no command tells; None without one."""
    return transfer.digest(path) if path else None


def inputs(task):
    """What a command goes by and names no place of, as metrics.json tells it: prints of sounds, digests of weights."""
    args = task.args
    return {
        "data_fingerprint": task.builder.builder_config.name,
        "outliers_fingerprint": task.outliers and task.outliers.fingerprint,
        "open_world_fingerprint": task.world and task.world.fingerprint,
        "begun_with": digest_of(args.init_from),
        "taught_by": digest_of(args.teacher),
    }


def is_finished(folder, task):
    """`is_exported`, of the same inputs, as the chief has it, and told.

    Raises: ZooError where the same command made the folder of others.
    """
    told = inputs(task)
    is_finished = distribution.of_chief(int(is_exported(folder, task.args, **told)), distribution.strategy())
    if is_finished:
        print(f"{folder}: finished before by this command; --overwrite makes it again")
    else:
        refuse_another(folder, task.args, **told)
    return is_finished
