"""What `python -m recipes.NAME` does: the checks, then one training, or one for each seed and test fold and all of them
in one folder.

Whatever is unfinished lies in runs/, and the same command goes on from there.
"""

import sys
from dataclasses import replace
from pathlib import Path

from zoo.backend import tf

from recipes import cross_validation, flags, held_out, outliers, settings
from recipes.fold import export_fold
from recipes.search import own, run_search
from recipes.study import run_study
from recipes.task import Task, folder_name, refuse_another
from zoo import corpus, datasets, distribution, transfer
from zoo.atomic import full_disk_told
from zoo.errors import ZooError
from zoo.export.folder import Quantisation
from zoo.measure import open_world

RUNS = Path("runs")


def main(recipe, argv=None):
    """Runs `recipe` as the command line asks. Exits with 2, after one line, where the input is bad."""
    parser, args = flags.parse(recipe, sys.argv[1:] if argv is None else argv)
    try:
        workers = distribution.strategy()  # it can be made only before TensorFlow has computed anything
        with full_disk_told(Path.cwd()):
            run(recipe.quick() if args.quick else recipe, args)
        distribution.of_chief(0, workers)  # a worker that left before the chief would be taken for a broken one
    except (ZooError, OSError) as error:
        parser.error(error)
    except tf.errors.UnavailableError:
        parser.error("another worker has stopped; the same command, on each, goes on from the last finished epoch")
    except KeyboardInterrupt:
        parser.exit(130, "\nstopped; the same command goes on from the last finished epoch\n")


def run(recipe, args):
    """Everything that `python -m recipes.NAME` does.

    Raises: ZooError for bad input, before any work whose result it would spoil.
    """
    recipe = as_asked(recipe, args)
    variants = args.variants.split(",")
    flags.check(recipe, args)
    is_study = args.study is not None
    is_grid = is_study or args.search
    folders = {} if is_grid else {variant: args.out / folder_name(recipe, variant, args) for variant in variants}
    for folder in folders.values():
        refuse_another(folder, args)
    if args.out.exists() and not args.out.is_dir():
        raise ZooError(f"{args.out} is no folder; pass another --out")

    runs = own(distribution.own(RUNS)) if args.search else distribution.own(RUNS)
    task, trainings = prepared(recipe, args, runs)
    _, fold = trainings[0]
    if is_study:
        run_study(task, fold)
    elif args.search:
        run_search(task, fold)
    elif len(trainings) == 1:
        export_fold(task, fold, folders)
    else:
        cross_validation.cross_validate(task, trainings, folders)


def prepared(recipe, args, runs):
    """(the `Task`, [(seed, test fold), ...]) that the command line asks for. runs: where trainings are kept.

    Raises: ZooError for bad input.
    """
    front_end = recipe.front_ends[args.front_end]
    quantisation = Quantisation(args.ranges, args.max_drop, tuple(filter(None, args.forms.split(","))))
    quantisation.check(front_end)
    plan = recipe.train if args.epochs is None else recipe.train.with_epochs(args.epochs)
    builder = datasets.load(args.dataset, runs / "cache", args.data_dir, args.skip_bad)
    clips = corpus.clips_at(builder, front_end.sample_rate_hz, runs / "cache", recipe.waveforms.trim_db)
    if args.classes:
        clips = _of_classes(clips, args.classes, builder)
    distribution.check_same("command or data", (args.command, builder.builder_config.name), distribution.strategy())
    test_folds = builder.test_folds(clips.folds.tolist())
    if args.fold != "all":
        test_folds = [test_folds[0] if args.fold is None else args.fold]
    task = Task(recipe, args, plan, front_end, quantisation, builder, clips, runs)
    if builder.MULTI_LABEL and (args.reject or args.open_world or args.outliers):
        raise ZooError("--reject, --open-world and --outliers are for clips of one class each, not of any number")
    others = (front_end.sample_rate_hz, runs / "cache", args.skip_bad)
    if args.open_world:
        task = replace(task, world=open_world.load(*args.open_world, task.labels, *others))
    if args.outliers:
        task = replace(task, outliers=outliers.load(*args.outliers, builder.class_names, *others))
        if task.world and task.world.fingerprint == task.outliers.fingerprint:
            raise ZooError(
                f"--outliers {args.outliers[0]}: what trains is no unknown sound of --open-world; pass another"
            )
    if args.reject:
        held_out.check(task, test_folds[0])
    if args.init_from:
        transfer.check(args.init_from, task.labels, test_folds)
    return task, [(seed, fold) for seed in range(args.seed, args.seed + args.seeds) for fold in test_folds]


def as_asked(recipe, args):
    """The recipe with what --set, --trim-db, --sampling and --augment say in place of its own values."""
    recipe = settings.applied(recipe, args.front_end, args.set)
    asked = {name: getattr(args, name) for name in ("trim_db", "sampling") if getattr(args, name) is not None}
    masks = recipe.masks
    if args.augment:
        asked["augmentation"], masks = args.augment
    return replace(recipe, waveforms=replace(recipe.waveforms, **asked), masks=masks)


def _of_classes(clips, count, builder):
    """Those of the first `count` classes. Raises: ZooError where they are none to choose from."""
    most = len(builder.class_names) - 1
    if builder.MULTI_LABEL or not 2 <= count <= most:
        raise ZooError(f"--classes {count}: 2 to {most} of this data set, and clips of one class each")
    return clips.where(clips.targets < count)
