"""What `classify` and `listen` share: the model, when its scores make an event, and where events go."""

from contextlib import nullcontext
from pathlib import Path

from zoo.command_line import read_labels, refuse_existing
from zoo.errors import ZooError


def add_arguments(parser):
    """Adds the flags."""
    parser.add_argument("--model", required=True, type=Path, metavar="MODEL", help=".tflite file or exported folder")
    parser.add_argument("--sample-rate-hz", type=int, metavar="HZ", help="of the model, where its file does not tell")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="of the model, one a line, where it does not tell")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of LiteRT (default %(default)s)")
    parser.add_argument(
        "--hop", type=float, default=0.25, metavar="S", help="between decisions (default %(default)s s)"
    )
    parser.add_argument("--on", type=float, metavar="SCORE", help="an event begins (default: the model's, else 0.5)")
    parser.add_argument("--off", type=float, metavar="SCORE", help="and ends below (default 0.3)")
    parser.add_argument("--sensitivity", choices=("low", "medium", "high"), help="of a folder whose model refuses "
                        "unknown sounds (default: medium)")  # fmt: skip
    parser.add_argument("--min", type=float, metavar="S", dest="min_s", help="shortest event (default 0.5 s)")
    parser.add_argument("--smoothing", type=float, metavar="S", dest="smoothing_s", help="of scores (default 0.25 s)")
    parser.add_argument("--quiet-dbfs", type=float, metavar="DBFS",
                        help="level below which nothing is heard (default -60)")  # fmt: skip
    parser.add_argument("--events", type=Path, metavar="FILE", help="write them: .jsonl, .csv, or .txt for Audacity")
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there")


def open_classifier(args):
    """(`Classifier`, `Detection`) as the flags have it."""
    from zoo.runtime import Classifier

    if args.threads < 1:
        raise ZooError("--threads takes 1 or more")
    labels = args.labels and read_labels(args.labels)
    classifier = Classifier(args.model, args.sample_rate_hz, labels, args.threads, args.sensitivity)
    names = ("on", "off", "min_s", "smoothing_s", "quiet_dbfs")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    return classifier, classifier.detection(**given)


def open_events(args):
    """The `EventFile` of --events, to be used in a with statement; without the flag None."""
    if not args.events:
        return nullcontext()
    from zoo.runtime.event_file import EventFile

    refuse_existing(args.events, args.overwrite)
    return EventFile(args.events)
