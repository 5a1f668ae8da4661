"""The story of every recipe, from top to bottom: recordings, training, export, proof, report.

Whatever is unfinished lies in runs/, and the same command goes on from there.
"""

import argparse
import shlex
import sys
from pathlib import Path

from zoo import assembly, datasets, pipeline, training
from zoo.backend import keras
from zoo.errors import ZooError
from zoo.export.folder import ExportedModel

RUNS = Path("runs")
CALIBRATION_CROPS = 256


def main(recipe, argv=None):
    """Runs `recipe` as the command line asks. Exits with 2, after one line, where the input is bad."""
    parser = _Parser(prog=f"python -m recipes.{recipe.name}", description=recipe.paper, allow_abbrev=False)
    _add_flags(parser, recipe)
    args = parser.parse_args(argv)
    args.command = shlex.join([*parser.prog.split(), *(sys.argv[1:] if argv is None else argv)])
    try:
        run(recipe.quick() if args.quick else recipe, args)
    except ZooError as error:
        parser.error(error)
    except OSError as error:  # a full disk, above all
        parser.error(f"{error.filename or args.out}: {error.strerror or error}; the same command goes on from there")
    except KeyboardInterrupt:
        parser.exit(130, "\nstopped; the same command goes on from the last finished epoch\n")


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"{self.prog}: {message}\n")


def _add_flags(parser, recipe):
    parser.add_argument("--dataset", required=True, choices=datasets.DATASETS, help="what to train and test on")
    parser.add_argument("--data-dir", metavar="DIR", help="folder in ESC-50's layout (audio/ and meta/*.csv); "
                        "without it the clips are downloaded, or made (synth10)")  # fmt: skip
    parser.add_argument("--fold", type=int, default=1, help="test fold; the others train (default %(default)s)")
    parser.add_argument("--epochs", type=int, help=f"instead of the published {recipe.train.epochs}")
    parser.add_argument("--seed", type=int, default=0, help="repeats a run (default %(default)s)")
    parser.add_argument("--front-end", choices=recipe.front_ends, default=next(iter(recipe.front_ends)),
                        help="what the backbone hears (default %(default)s)")  # fmt: skip
    parser.add_argument("--variants", default="base", metavar="A,B", help="which to export, of "
                        f"{', '.join(recipe.variants)} (default %(default)s)")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("exported"), metavar="DIR",
                        help="where the exported folders go (default %(default)s)")  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace an exported folder that is there")
    parser.add_argument("--skip-bad", action="store_true", help="leave out clips that do not decode, and count them")
    parser.add_argument("--quick", action="store_true", help=f"every stage in a few minutes: {recipe.quick_epochs} "
                        "epochs, two crops a clip; the figures mean little")  # fmt: skip


def run(recipe, args):
    """Everything that `python -m recipes.NAME` does.

    Raises: ZooError for bad input, before any work whose result it would spoil.
    """
    variants = args.variants.split(",")
    unknown = [variant for variant in variants if variant not in recipe.variants]
    if unknown:
        raise ZooError(f"{recipe.name}: no variant {unknown[0]!r}; choose of {', '.join(recipe.variants)}")
    folders = {variant: args.out / _folder_name(recipe, variant, args) for variant in variants}
    for folder in folders.values():
        if folder.exists() and not args.overwrite:
            raise ZooError(f"{folder} exists; pass --overwrite to replace it, or another --out")
    plan = recipe.train if args.epochs is None else recipe.train.with_epochs(args.epochs)

    # Recordings
    builder = datasets.load(args.dataset, RUNS / "cache", args.data_dir, args.skip_bad)
    labels = builder.info.features["label"].names
    front_end = recipe.front_ends[args.front_end]
    clips = pipeline.clips_at(builder, front_end.sample_rate_hz, RUNS / "cache")
    test, train = clips.where(clips.folds == args.fold), clips.where(clips.folds != args.fold)
    if not len(test) or not len(train):
        raise ZooError(f"{args.dataset}: no fold {args.fold}; its folds are {sorted(set(clips.folds.tolist()))}")
    fingerprint = builder.builder_config.name
    run_folder = RUNS / "-".join(
        [recipe.name, args.front_end, args.dataset, fingerprint, f"fold{args.fold}", f"{plan.epochs}epochs"]
        + [f"seed{args.seed}"]
    )

    # Training
    def finetune(backbone, plan, stage):
        return training.fit(
            assembly.join(front_end.build(), backbone),
            plan,
            lambda first, last: pipeline.mixed_crops(
                train, front_end.num_samples, len(labels), recipe.waveforms, args.seed, plan.batch_size, first, last
            ),
            pipeline.steps_per_epoch(train, plan.batch_size),
            run_folder / stage,
            args.seed,
        )

    keras.utils.set_random_seed(args.seed)
    columns_shape = front_end.build().output_shape[1:]
    base = recipe.backbone(columns_shape, len(labels), front_end.sample_rate_hz)
    history = finetune(base, plan, "base")
    print(history[-1])


def _folder_name(recipe, variant, args):
    front_end = "" if args.front_end == next(iter(recipe.front_ends)) else f"_{args.front_end}"
    return f"{recipe.name}{front_end}{'' if variant == 'base' else f'_{variant}'}-{args.dataset}"
