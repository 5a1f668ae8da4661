"""`python -m zoo export`: a Keras model from anywhere, or C arrays on demand, as an exported folder."""

import shlex
from pathlib import Path

from zoo.command_line import add_command, read_labels, refuse_existing_folder
from zoo.errors import ZooError

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


def add(commands):
    """Adds the command to a parser's."""
    export = add_command(commands, "export", "a Keras model, or C arrays on demand, as an exported folder", EXPORT)
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
        if any((*needed.values(), args.seam, args.mel, args.overwrite)):
            raise ZooError(f"{args.model} is an exported folder: it takes no other flags")
        from zoo.export.folder import add_arrays

        added = add_arrays(args.model)
        print(f"{args.model}: {', '.join(added) if added else 'no array was missing'}")
        return
    missing = [flag for flag, value in needed.items() if not value]
    if missing:
        raise ZooError(f"a Keras model needs {', '.join(missing)}; see python -m zoo export --help")
    refuse_existing_folder(args.out, args.overwrite)
    labels, mel = read_labels(args.labels), args.mel and dict(map(_setting, args.mel.split(",")))

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


def _setting(text):
    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals:
        raise ZooError(f"--mel: {text!r} is no setting; write KEY=VALUE")
    return name, value
