"""The command line that all recipes share."""

import argparse
import os
import re
import shlex
from pathlib import Path

from recipes import settings
from zoo import augment, datasets
from zoo.command_line import OneLineParser
from zoo.compress.search import TUNERS
from zoo.errors import ZooError
from zoo.export.folder import FORMS
from zoo.export.seam import RANGES

ELSEWHERE = {"--data-dir": "DIR", "--teacher": "PATH", "--init-from": "PATH"}
NAMED = ("--open-world", "--outliers")  # NAME:DIR: the data set is told, and its folder is not
AMOUNTS = {"": 1, "k": 1_000, "M": 1_000_000, "Ki": 2**10, "Mi": 2**20}


def parse(recipe, argv):
    """(parser, the arguments in `argv`), with `argv` itself and `command`: the line that repeats the run anywhere."""
    parser = OneLineParser(prog=f"python -m recipes.{recipe.name}", description=recipe.paper, allow_abbrev=False)
    _add_flags(parser, recipe)
    args = parser.parse_args(argv)
    repeats = without([word for word in argv if word != "--overwrite"], "--jobs", "--out")
    args.argv, args.command = argv, _command(parser.prog, repeats)
    return parser, args


def check(recipe, args):
    """Raises: ZooError for flags that contradict each other, or that nothing would heed."""
    given = {word.partition("=")[0] for word in args.argv}
    variants, is_study, is_one = args.variants.split(","), args.study is not None, "TF_CONFIG" not in os.environ
    unknown = [variant for variant in variants if variant not in recipe.variants]
    if unknown:
        raise ZooError(f"{recipe.name}: no variant {unknown[0]!r}; choose of {', '.join(recipe.variants)}")
    if args.teacher and not is_study and not any(map(recipe.is_taught, variants)):
        raise ZooError(f"--teacher: none of {args.variants} is taught; see --help for those that are")
    for flag, is_given, of_it in (
        ("--init-from", args.init_from, ("--freeze",)),
        ("--outliers", args.outliers, ("--background",)),
        ("--study", is_study, ("--cells",)),
        ("--search", args.search, ("--tuner", "--trials", "--flash", "--sram", "--macs")),
    ):
        for other in of_it:
            if other in given and not is_given:
                raise ZooError(f"{other} is of {flag}, which is not given")
    if args.jobs > 1 and not is_one:
        raise ZooError(
            "--jobs shares one machine out, TF_CONFIG joins several for one training: do without one of them"
        )
    if is_study and args.search:
        raise ZooError("--study and --search: one at a time")
    if (is_study or args.search) and (args.fold == "all" or not is_one):
        raise ZooError("--study and --search compare on one test fold: pass --fold N, and no TF_CONFIG")
    if args.search and (args.jobs > 1 or args.seeds > 1):
        raise ZooError(
            "--search trains one candidate at a time, of one seed; several machines share it: docs/search.md"
        )


def for_one(recipe, args, seed, fold, out, left_out=()):
    """The arguments of the same command for one seed and fold alone, without some flags, exported below `out`."""
    argv = without(args.argv, "--seed", "--seeds", "--fold", "--jobs", "--out", *left_out)
    _, one = parse(recipe, [*argv, "--fold", str(fold), "--seed", str(seed), "--out", str(out)])
    return one


def without(argv, *flags):
    """`argv` without these flags and their values."""
    pairs = zip(["", *argv], argv)
    return [word for before, word in pairs if {before, word.partition("=")[0]}.isdisjoint(flags)]


def _number(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _amount(text):
    """Of bytes or multiplies: 96kB is 96,000, 96KiB 98,304."""
    number = re.fullmatch(r"(\d+(?:\.\d+)?)(|k|M|kB|MB|KiB|MiB)", text)
    if not number:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount such as 256kB, 256KiB or 20M")
    return int(float(number[1]) * AMOUNTS[number[2].removesuffix("B")])


def _settings(text):
    try:
        return settings.parse(text)
    except ZooError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _decibels(text):
    try:
        if 0 < (decibels := float(text)) < float("inf"):
            return decibels
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is no number of decibels above 0")


def _augmentation(text):
    try:
        return augment.parse(text)
    except ZooError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _recordings(text):
    name, _, folder = text.partition(":")
    if name not in datasets.DATASETS:
        raise argparse.ArgumentTypeError(f"{text!r} names no data set; as esc50:DIR does")
    return name, folder or None


def _fold(text):
    try:
        return text if text == "all" else int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a fold's number nor all") from error


def _command(prog, argv):
    """The command line that repeats the run anywhere: data, teacher and weights lie elsewhere for everyone else."""

    def told(flag, value):
        return f"{value.partition(':')[0]}:DIR" if flag in NAMED else ELSEWHERE[flag]

    words = []
    for before, word in zip(["", *argv], argv):
        flag, _, value = word.partition("=")
        if before in (*ELSEWHERE, *NAMED):
            word = told(before, word)
        elif flag in (*ELSEWHERE, *NAMED) and value:
            word = f"{flag}={told(flag, value)}"
        words.append(word)
    return f"{prog} {shlex.join(words)}"


def _add_flags(parser, recipe):
    parser.add_argument("--dataset", required=True, choices=datasets.DATASETS, help="what to train and test on")
    parser.add_argument("--data-dir", metavar="DIR", help="folder in the data set's layout, which "
                        "docs/datasets.md tells; without it the clips are downloaded, or made (synth10)")  # fmt: skip
    parser.add_argument("--fold", type=_fold, metavar="N", help="test fold, the others train; 'all': each in its turn, "
                        "for cross-validation (default: the first, or the official test split)")  # fmt: skip
    parser.add_argument("--classes", type=_number, metavar="N", help="train and test on the clips of the data set's "
                        "first N classes alone")  # fmt: skip
    parser.add_argument("--epochs", type=int, help=f"instead of the recipe's {recipe.train.epochs}")
    parser.add_argument("--seed", type=int, default=0, help="repeats a run (default %(default)s)")
    parser.add_argument("--seeds", type=_number, default=1, metavar="N", help="train N times, from --seed and those "
                        "that follow it: one folder, with the mean and both ends over them")  # fmt: skip
    parser.add_argument("--jobs", type=_number, default=1, metavar="N", help="train N folds or seeds at a time, each "
                        "in a process with its share of the cores (default %(default)s)")  # fmt: skip
    parser.add_argument("--front-end", choices=recipe.front_ends, default=next(iter(recipe.front_ends)),
                        help="what the backbone hears (default %(default)s)")  # fmt: skip
    parser.add_argument("--variants", default="base", metavar="A,B", help="which to export, of "
                        f"{', '.join(recipe.variants)} (default %(default)s)")  # fmt: skip
    parser.add_argument("--trim-db", type=_decibels, metavar="DB", help="cut what lies so far under its envelope's "
                        "maximum out of every clip, those that test too; the 2024 paper has 20")  # fmt: skip
    parser.add_argument("--sampling", choices=("all", "balanced"), help="each clip trains once an epoch, or each "
                        f"class trains as often (default {recipe.waveforms.sampling})")  # fmt: skip
    parser.add_argument("--augment", metavar="A,B", type=_augmentation, help="what else is done to sounds that train, "
                        "in place of the recipe's own: noise=LOW:HIGH (dB under them), equaliser=DB (of each octave, "
                        "either way), room=LOW:HIGH (s of reverberation), quieter=DB (at most), masks=SHARE (of "
                        "columns)")  # fmt: skip
    parser.add_argument("--init-from", metavar="PATH", help="weights to begin with: an exported folder of the zoo, or "
                        "YAMNet's yamnet.h5 or .tflite; what fits no layer (the head) begins anew")  # fmt: skip
    parser.add_argument("--freeze", action="store_true", help="train the head alone, on top of --init-from")
    taught = [variant for variant in recipe.variants if recipe.is_taught(variant)]
    parser.set_defaults(study=None, search=False)
    if recipe.study:
        parser.add_argument("--study", choices=("pruning",), help="in place of variants: a grid of ways to prune the "
                            "base, with a row for each in one folder of results")  # fmt: skip
        parser.add_argument("--cells", default="*", metavar="A,B", help="of the study those alone, by name or pattern: "
                            "'hybrid_taylor-80-pruned-*'; docs/compression.md names them (default: all)")  # fmt: skip
    own = ", ".join(settings.of(recipe, next(iter(recipe.front_ends))))
    parser.add_argument("--set", type=_settings, default={}, metavar="A=X", help=f"settings of the recipe: {own}")
    if recipe.search:
        moved = ", ".join(recipe.search)
        parser.add_argument("--search", action="store_true", help=f"in place of variants: search for {moved} under "
                            "--flash, --sram and --macs (docs/search.md)")  # fmt: skip
        parser.add_argument(
            "--tuner", choices=TUNERS, default="bayesian", help="keras-tuner's way (default %(default)s)"
        )
        parser.add_argument("--trials", type=_number, default=20, metavar="N", help="candidates to train; those "
                            "that do not fit are refused before, and do not count (default %(default)s)")  # fmt: skip
        for flag, what in (("--flash", "bytes of flash"), ("--sram", "bytes of RAM"), ("--macs", "multiplies")):
            parser.add_argument(flag, type=_amount, metavar="N", help=f"{what} at most: 256kB, 256KiB or 20M")
    parser.add_argument("--teacher", metavar="PATH", help=f"who teaches {', '.join(taught)}: an exported folder, "
                        "YAMNet's .tflite or openWakeWord's embedding_model.tflite (default: the base)")  # fmt: skip
    parser.add_argument("--ranges", choices=RANGES, default="percentile", help="what sets int8's range at the seam "
                        "(default %(default)s)")  # fmt: skip
    parser.add_argument("--max-drop", type=float, metavar="SHARE", help="give tensors 16 bits, the worst first, until "
                        "8 bits change at most this share of decisions on training crops")  # fmt: skip
    parser.add_argument("--forms", default="", metavar="A,B", help=f"further .tflite files, of {', '.join(FORMS)}")
    parser.add_argument("--reject", type=_number, default=0, metavar="N", help="train N times more, each time without "
                        "some of the classes, to find how sure the model is to be of a sound before it is believed; "
                        "the thresholds go into the files (docs/open-world.md)")  # fmt: skip
    parser.add_argument("--open-world", type=_recordings, metavar="NAME:DIR", help="a data set with "
                        "other classes, as esc50:DIR: the card tells how many of its sounds are taken for one of the "
                        "model's own, and what noise, levels, rates and codecs cost (docs/open-world.md)")  # fmt: skip
    parser.add_argument("--outliers", type=_recordings, metavar="NAME:DIR", help="sounds of other classes train too, "
                        "as many as there are clips: towards scores that are all the same")  # fmt: skip
    parser.add_argument("--background", action="store_true", help="make of --outliers a class of its own instead, the "
                        "last one, with as many clips as another has")  # fmt: skip
    parser.add_argument("--embedding", action="store_true", help="also write embedding.h5 and embedding.tflite, whose "
                        "second output is what the head makes the scores of")  # fmt: skip
    parser.add_argument("--allow-no-gain", action="store_true", help="go on where a step lowers nothing it claims to")
    parser.add_argument("--out", type=Path, default=Path("exported"), metavar="DIR",
                        help="where the exported folders go (default %(default)s)")  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace an exported folder that is there")
    parser.add_argument("--skip-bad", action="store_true", help="leave out clips that do not decode, and count them")
    parser.add_argument("--quick", action="store_true", help=f"every stage in a few minutes: {recipe.quick_epochs} "
                        "epochs, three crops a clip; the figures mean little")  # fmt: skip
