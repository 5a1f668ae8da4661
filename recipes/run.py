"""The story of every recipe, from top to bottom: recordings, training, compression, export, proof, report.

Whatever is unfinished lies in runs/, and the same command goes on from there.
"""

import json
import shlex
import sys
from pathlib import Path

from recipes.stages import Stages
from zoo import assembly, datasets, evaluation, pipeline, teachers
from zoo.atomic import full_disk_told, whole_folder
from zoo.command_line import OneLineParser
from zoo.errors import ZooError
from zoo.export import card, keras_files
from zoo.export.folder import FORMS, Quantisation, versions, write_models, write_sums
from zoo.export.metadata import About
from zoo.export.seam import RANGES
from zoo.measure import counts, files, microcontroller

RUNS = Path("runs")
COMPARED_CROPS = 20  # on which TFLM's bytes are held against those of LiteRT's reference kernels


def main(recipe, argv=None):
    """Runs `recipe` as the command line asks. Exits with 2, after one line, where the input is bad."""
    parser = OneLineParser(prog=f"python -m recipes.{recipe.name}", description=recipe.paper, allow_abbrev=False)
    _add_flags(parser, recipe)
    args = parser.parse_args(argv)
    args.command = _command(parser.prog, sys.argv[1:] if argv is None else argv)
    try:
        with full_disk_told(Path.cwd()):
            run(recipe.quick() if args.quick else recipe, args)
    except (ZooError, OSError) as error:
        parser.error(error)
    except KeyboardInterrupt:
        parser.exit(130, "\nstopped; the same command goes on from the last finished epoch\n")


def _command(prog, argv):
    """The command line that repeats the run anywhere: data and teacher lie elsewhere for everyone else."""
    words = list(argv)
    for flag, told in (("--data-dir", "DIR"), ("--teacher", "PATH")):
        words = [told if before == flag else word for before, word in zip(["", *words], words)]
        words = [f"{flag}={told}" if word.startswith(f"{flag}=") else word for word in words]
    return f"{prog} {shlex.join(words)}"


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
    taught = [variant for variant in recipe.variants if recipe.is_taught(variant)]
    parser.add_argument("--teacher", metavar="PATH", help=f"who teaches {', '.join(taught)}: an exported folder of a "
                        "zoo model, or YAMNet's published .tflite (default: the base)")  # fmt: skip
    parser.add_argument("--ranges", choices=RANGES, default="percentile", help="what sets int8's range at the seam "
                        "(default %(default)s)")  # fmt: skip
    parser.add_argument("--max-drop", type=float, metavar="SHARE", help="give tensors 16 bits, the worst first, until "
                        "8 bits change at most this share of decisions on training crops")  # fmt: skip
    parser.add_argument("--forms", default="", metavar="A,B", help=f"further .tflite files, of {', '.join(FORMS)}")
    parser.add_argument("--allow-no-gain", action="store_true", help="go on where a step lowers nothing it claims to")
    parser.add_argument("--out", type=Path, default=Path("exported"), metavar="DIR",
                        help="where the exported folders go (default %(default)s)")  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace an exported folder that is there")
    parser.add_argument("--skip-bad", action="store_true", help="leave out clips that do not decode, and count them")
    parser.add_argument("--quick", action="store_true", help=f"every stage in a few minutes: {recipe.quick_epochs} "
                        "epochs, three crops a clip; the figures mean little")  # fmt: skip


def run(recipe, args):
    """Everything that `python -m recipes.NAME` does.

    Raises: ZooError for bad input, before any work whose result it would spoil.
    """
    variants = args.variants.split(",")
    unknown = [variant for variant in variants if variant not in recipe.variants]
    if unknown:
        raise ZooError(f"{recipe.name}: no variant {unknown[0]!r}; choose of {', '.join(recipe.variants)}")
    if args.teacher and not any(map(recipe.is_taught, variants)):
        raise ZooError(f"--teacher: none of {args.variants} is taught; see --help for those that are")
    folders = {variant: args.out / _folder_name(recipe, variant, args) for variant in variants}
    for folder in folders.values():
        if folder.exists() and not args.overwrite and not _exported_by(folder, args.command):
            raise ZooError(f"{folder} exists; pass --overwrite to replace it, or another --out")
    if args.out.exists() and not args.out.is_dir():
        raise ZooError(f"{args.out} is no folder; pass another --out")
    quantisation = Quantisation(args.ranges, args.max_drop, tuple(filter(None, args.forms.split(","))))
    front_end = recipe.front_ends[args.front_end]
    quantisation.check(front_end)
    plan = recipe.train if args.epochs is None else recipe.train.with_epochs(args.epochs)

    # Recordings
    builder = datasets.load(args.dataset, RUNS / "cache", args.data_dir, args.skip_bad)
    labels = builder.info.features["label"].names
    clips = pipeline.clips_at(builder, front_end.sample_rate_hz, RUNS / "cache")
    test, train = clips.where(clips.folds == args.fold), clips.where(clips.folds != args.fold)
    if not len(test):
        raise ZooError(f"{args.dataset}: no fold {args.fold}; its folds are {sorted(set(clips.folds.tolist()))}")
    if not len(train):
        raise ZooError(f"{args.dataset}: fold {args.fold} is the only one; training needs another")
    what = (recipe.name, args.front_end, args.dataset, builder.builder_config.name)
    run_folder = RUNS / "-".join([*what, f"fold{args.fold}", f"{plan.epochs}epochs", f"seed{args.seed}"])

    # Training and compression
    teacher = args.teacher and teachers.open_teacher(args.teacher, labels, train, front_end, args.seed)
    stages = Stages(
        recipe, plan, front_end, train, len(labels), run_folder, args.seed, teacher, args.teacher or "base",
        args.allow_no_gain,
    )  # fmt: skip
    calibration, targets = pipeline.unmixed_crops(train, front_end.num_samples, recipe.calibration_crops, args.seed)
    for variant, folder in folders.items():
        if folder.exists() and not args.overwrite:
            print(f"{folder}: finished before by this command; --overwrite makes it again")
            continue
        made = stages.made(variant)
        metrics = {
            "model": folder.name.removesuffix(f"-{args.dataset}"),
            "dataset": args.dataset,
            "test_fold": args.fold,
            "test_clips": len(test),
            "test_classes": [labels[target] for target in sorted(set(test.targets.tolist()))],
            "train_clips": len(train),
            "crops_per_clip": recipe.waveforms.eval_crops,
            "sample_rate_hz": front_end.sample_rate_hz,
            "num_samples": front_end.num_samples,
            "front_end": args.front_end,
            "labels": labels,
            "epochs": len(made.history),
            "steps": made.steps,
            "seed": args.seed,
            "command": args.command,
            "paper": recipe.paper,
            "data_fingerprint": builder.builder_config.name,
            "skipped_files": list(builder.info.metadata["skipped"]),
            "versions": versions(),
        }
        with whole_folder(folder, args.overwrite) as unfinished:
            # Export
            model = assembly.join(front_end.build(), made.backbone)
            keras_files.save(model, unfinished)
            written = write_models(
                unfinished, front_end, made.backbone, recipe.seam, calibration, targets, labels, quantisation,
                _about(metrics, builder),
            )  # fmt: skip
            column_stride_samples = metrics["column_stride_samples"] = written.column_stride_samples
            metrics["calibration_accuracy"] = written.calibration_accuracy
            metrics["sensitivity"] = [row._asdict() for row in written.sensitivity]
            metrics["wide_tensors"] = written.wide
            # Proof: each file as its users run it, on the test fold, once
            scores, metrics["files"] = files.score_files(
                unfinished, column_stride_samples, test, front_end.num_samples, recipe.waveforms.eval_crops, args.seed,
                run_folder / "scores",
            )  # fmt: skip
            metrics["tflm_bytes_unlike_litert_reference"] = files.differing_bytes(
                unfinished, column_stride_samples, calibration[:COMPARED_CROPS]
            )
            front, _ = assembly.cut(front_end.build_tflite_twin(), made.backbone, recipe.seam)
            metrics["front_end_decisions"] = files.front_end_decisions(
                unfinished, column_stride_samples, front, test, recipe.waveforms.eval_crops
            )
            metrics["stream"] = microcontroller.report(unfinished)["stream"]
            metrics["strips"] = {name: strips.figures() for name, strips in written.strips.items()}
            # Report
            metrics["parameters"] = counts.trainable_parameters(model)
            metrics["macs"] = counts.macs(model)
            metrics["paper_flops"] = counts.paper_flops(model)
            confusion = evaluation.confusion(scores, test.targets, len(labels))
            card.draw_pictures(unfinished, model, recipe.seam, metrics, made.history, confusion)
            if made.pruning:
                base = stages.made("base").backbone
                card.draw_pruning(unfinished, base, made.backbone, made.pruning.saliency, metrics)
            card.write_card(unfinished, metrics, (builder.HOMEPAGE, builder.LICENCE, builder.CITATION))
            write_sums(unfinished)
        print(f"\n{card.table(metrics)}\n\n{folder}: see card.md")


def _about(metrics, builder):
    """What a file says of itself; its weights come of the recordings, so their licence is the weights' too."""
    return About(
        name=metrics["model"],
        description=f"A classifier of {len(metrics['labels'])} sounds, trained on {metrics['dataset']}. Source: "
        f"{metrics['paper']}",
        version=metrics["versions"]["zoo"],
        author="Edge Audio Zoo",
        license=builder.LICENCE,
    )


def _exported_by(folder, command):
    """Whether a run of this command that was killed later had finished the folder."""
    metrics = folder / "metrics.json"
    return metrics.is_file() and json.loads(metrics.read_text())["command"] == command


def _folder_name(recipe, variant, args):
    front_end = "" if args.front_end == next(iter(recipe.front_ends)) else f"_{args.front_end}"
    return f"{recipe.name}{front_end}{'' if variant == 'base' else f'_{variant}'}-{args.dataset}"
