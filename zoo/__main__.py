"""`python -m zoo`: what the zoo holds."""

import argparse
import json
import os
import shlex
import sys
from pathlib import Path

from zoo.command_line import OneLineParser
from zoo.errors import ZooError


def main(argv=None):
    """Runs one command. Exits with 2, after one line, where the input is bad."""
    parser = OneLineParser(prog="python -m zoo", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="every model at its published setting", allow_abbrev=False)
    listing.add_argument("--json", action="store_true", help="as JSON, for programs")
    listing.set_defaults(run=lambda args: _list(args.json))
    report = commands.add_parser("report", help="add runs to docs/results/, and remake its page", allow_abbrev=False)
    report.add_argument("folders", nargs="*", metavar="FOLDER", help="exported folder whose run to add")
    report.set_defaults(run=lambda args: _report(args.folders))
    _add_bench(commands)
    _add_strips(commands)
    _add_export(commands)
    args = parser.parse_args(argv)
    try:
        args.run(args)
    except ZooError as error:
        parser.error(error)
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}" if error.filename else error)
    except KeyboardInterrupt:
        parser.exit(130, "\nstopped; nothing was written\n")


def _report(folders):
    from zoo import report

    report.add_runs(folders)
    report.write_page()
    print(f"{report.RESULTS / 'README.md'}: {len(report.read_runs())} runs")


BENCH = """\
What a model takes of a microcontroller: arena, flash, multiplies of each operator, the operators' list for TFLM, and
which boards it fits. MODEL is any .tflite file, or an exported folder: that is told as a stream, ring and hop included.

example:
  python -m zoo bench --target tflm exported/micro_acdnet-esc10 --picture memory.png
"""


def _add_bench(commands):
    bench = _add_command(commands, "bench", "what a model takes of a microcontroller", BENCH)
    bench.add_argument("model", metavar="MODEL", type=Path, help=".tflite file or exported folder")
    bench.add_argument("--target", required=True, choices=["tflm"], help="TensorFlow Lite for Microcontrollers")
    bench.add_argument("--json", metavar="FILE", type=Path, help="write the report there too")
    bench.add_argument("--picture", metavar="FILE.png", type=Path, help="draw memory over time")
    bench.add_argument("--overwrite", action="store_true", help="replace files that are there")
    bench.set_defaults(run=_bench)


def _bench(args):
    from zoo.atomic import whole_file
    from zoo.measure import bench

    for path in filter(None, [args.json, args.picture]):
        _refuse_existing(path, args.overwrite)
    if args.picture and args.picture.suffix != ".png":
        raise ZooError(f"{args.picture}: pictures are PNG; end the name with .png")
    report = bench.report(args.model)
    print(bench.told(report))
    if args.json:
        with whole_file(args.json) as unfinished:
            unfinished.write_text(json.dumps(report, indent=2) + "\n")
    if args.picture:
        from zoo import plots  # matplotlib is not in the light install

        with whole_file(args.picture) as unfinished:
            plots.memory_over_time(report["files"], unfinished, f"{report['model']}: memory over time")


STRIPS = """\
Rewrites a .tflite file so that its local operators run strip by strip where memory peaks: the same bytes out, less
arena. Any file of one graph will do. Where nothing is won no file is written.

example:
  python -m zoo strips model.tflite --out model_strips.tflite --max-extra 0.01
"""


def _add_strips(commands):
    strips = _add_command(commands, "strips", "a .tflite file with less arena and the same bytes out", STRIPS)
    strips.add_argument("model", metavar="FILE", type=Path, help=".tflite file")
    strips.add_argument("--out", metavar="FILE", type=Path, required=True, help="the rewritten file")
    strips.add_argument("--max-extra", type=float, default=0.05, metavar="SHARE",
                        help="of multiplies that may come on top (default %(default)s)")  # fmt: skip
    strips.add_argument("--check", type=int, default=3, metavar="N",
                        help="random inputs on which the bytes are compared (default %(default)s)")  # fmt: skip
    strips.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    strips.set_defaults(run=_strips)


def _strips(args):
    from zoo.atomic import whole_file
    from zoo.export import strips, verify

    _refuse_existing(args.out, args.overwrite)
    if args.check < 1 or args.max_extra < 0:
        raise ZooError("--check takes 1 or more, --max-extra 0 or more")
    model = args.model.read_bytes()
    try:
        verify.open_file(model)
    except verify.NotForTflm:
        pass  # LiteRT can: the arena is reckoned
    except ZooError as error:
        raise ZooError(f"{args.model}: {error}") from error
    stripped = strips.in_strips(model, args.max_extra, args.check)
    if stripped.stretches:
        with whole_file(args.out) as unfinished:
            unfinished.write_bytes(stripped.model)
    print(f"{args.model}: {stripped.told()}")


EXPORT = """\
Makes the whole folder of a model: Keras files, .tflite files, micro/ for microcontrollers, a card with what they cost.

MODEL is anyone's Keras audio classifier (.h5 or .keras, of Keras 2 or 3) that takes a waveform, or a log-mel
spectrogram made by Kapre's layers or, told by --mel, by code of its own. Recordings set the ranges of int8, and every
third of them judges what int8 changed. MODEL may also be a folder that was exported: C arrays that it lacks, because
they are long, are added.

--mel tells of librosa's bands over frames without padding, each under a periodic Hann window: n_fft, window_samples,
hop_samples, low_hz (else 0), high_hz (else half the rate), spectrum (power or magnitude), log (decibel or natural),
floor (what less is counted as) and reference (what has the level 0; else the floor).

examples:
  python -m zoo export model.keras --out exported/mine --sample-rate-hz 16000 --labels labels.txt --clips recordings/
  python -m zoo export spectrogram.h5 --mel n_fft=512,window_samples=400,hop_samples=160,floor=1e-6 ...
  python -m zoo export exported/acdnet-esc10
"""


def _add_export(commands):
    export = _add_command(commands, "export", "a Keras model, or C arrays on demand, as an exported folder", EXPORT)
    export.add_argument("model", metavar="MODEL", type=Path, help=".h5, .keras or exported folder")
    export.add_argument("--out", metavar="FOLDER", type=Path, help="where the folder goes")
    export.add_argument("--sample-rate-hz", type=int, metavar="HZ", help="of the waveforms that the model hears")
    export.add_argument("--labels", type=Path, metavar="FILE", help="one label a line, in the order of the scores")
    export.add_argument("--clips", type=Path, metavar="DIR", help="recordings, of any format and rate")
    export.add_argument("--seam", metavar="LAYER", help="where sound has become columns over time; else it is found")
    export.add_argument("--mel", metavar="KEY=VALUE,..", help="how the spectrograms were made that the model takes")
    export.add_argument("--overwrite", action="store_true", help="replace a folder that is there")
    export.set_defaults(run=_export)


def _export(args):
    needed = {
        "--out": args.out,
        "--sample-rate-hz": args.sample_rate_hz,
        "--labels": args.labels,
        "--clips": args.clips,
    }
    if args.model.is_dir():
        if any(needed.values()):
            raise ZooError(f"{args.model} is an exported folder: it takes no other flags")
        from zoo.export.folder import add_arrays

        added = add_arrays(args.model)
        print(f"{args.model}: {', '.join(added) if added else 'no array was missing'}")
        return
    missing = [flag for flag, value in needed.items() if not value]
    if missing:
        raise ZooError(f"a Keras model needs {', '.join(missing)}; see python -m zoo export --help")
    if args.out.exists() and not (args.overwrite and (args.out / "SHA256SUMS").is_file()):
        raise ZooError(f"{args.out} exists; pass another name, or --overwrite to replace an exported folder")
    labels, mel = _labels(args.labels), args.mel and dict(map(_setting, args.mel.split(",")))

    from zoo.export import foreign

    command = ["python -m zoo export", args.model.name]
    for flag, value in {**needed, "--seam": args.seam, "--mel": args.mel}.items():
        if value:
            command += [flag, shlex.quote(value.name if isinstance(value, Path) else str(value))]
    metrics = foreign.export_keras(
        args.model, args.out, args.sample_rate_hz, labels, args.clips, args.seam, mel, " ".join(command), args.overwrite
    )
    print((args.out / "card.md").read_text(encoding="utf-8"))
    print(f"{args.out}: {len(metrics['files'])} files compared; see card.md")


def _labels(path):
    """The lines of a file, without empty ones at its end."""
    try:
        lines = path.read_text(encoding="utf-8-sig").rstrip().split("\n")
    except UnicodeDecodeError as error:
        raise ZooError(f"{path}: is no UTF-8; save it as such") from error
    labels = [line.strip() for line in lines]
    if "" in labels:
        raise ZooError(f"{path}: line {labels.index('') + 1} is empty; one label a line")
    return labels


def _setting(text):
    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals:
        raise ZooError(f"--mel: {text!r} is no setting; write KEY=VALUE")
    return name, value


def _refuse_existing(path, overwrite):
    if path.is_dir() or path.exists() and not overwrite:
        raise ZooError(f"{path} exists; pass --overwrite to replace a file, or another name")


def _add_command(commands, name, short, description):
    return commands.add_parser(
        name,
        help=short,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def _list(as_json):
    from zoo.measure import counts
    from zoo.models import MODELS

    rows = []
    for name, published in MODELS.items():
        model = published.build(published.input_shape, published.num_classes, published.sample_rate_hz)
        rows.append(
            {
                "name": name,
                "parameters": counts.trainable_parameters(model),
                "macs": counts.macs(model),
                "paper_flops": counts.paper_flops(model),
                "input_shape": list(published.input_shape),
                "num_classes": published.num_classes,
                "sample_rate_hz": published.sample_rate_hz,
                "source": published.source,
            }
        )
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'model':<14}{'parameters':>12}{'multiplies':>14}{'paper counts':>14}  {'input':<16} source")
    for row in rows:
        shape = "x".join(map(str, row["input_shape"]))
        numbers = f"{row['parameters']:>12,}{row['macs']:>14,}{row['paper_flops']:>14,}"
        print(f"{row['name']:<14}{numbers}  {shape:<16} {row['source']}")


if __name__ == "__main__":
    main()
