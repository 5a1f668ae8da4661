"""`python -m zoo enroll`: a new class from a few recordings."""

from pathlib import Path

from zoo.command_line import add_command, refuse_existing_folder

ENROLL = """\
Adds a class to an exported model from a few recordings of it, without training and in seconds. What the model's head
takes, the embedding, is averaged over the recordings; a head of such prototypes, of the model's own classes too, goes
into model.h5, the .tflite files and micro/. Each recording is then judged by the others: that sets the new class's
threshold, and tells how well it goes. Five recordings are a good beginning, of different places and distances.

examples:
  python -m zoo enroll exported/micro_acdnet-esc10 --name doorbell bell1.wav bell2.wav bell3.wav --out exported/mine
  python -m zoo enroll exported/mine --name kettle kettle/ --out exported/mine2
"""


def add(commands):
    """Adds the command to a parser's."""
    parser = add_command(commands, "enroll", "a new class from a few recordings", ENROLL)
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="exported folder")
    parser.add_argument("recordings", metavar="FILE", nargs="+", type=Path, help="recording, or folder of recordings")
    parser.add_argument("--name", required=True, metavar="LABEL", help="of the new class")
    parser.add_argument("--out", required=True, metavar="FOLDER", type=Path, help="where the new folder goes")
    parser.add_argument("--overwrite", action="store_true", help="replace a folder that is there")
    parser.set_defaults(run=_enroll)


def _enroll(args):
    from zoo.runtime.recordings import find_recordings

    refuse_existing_folder(args.out, args.overwrite)
    recordings = find_recordings(args.recordings)

    from zoo.export import enrolment

    told = enrolment.enroll(args.folder, args.name, recordings, args.out, args.overwrite)["enrolled"][-1]
    judged = (
        f"each judged by the others: {told['left_out_right']} decided right, {told['left_out_accepted']} accepted"
        if told["left_out_right"] is not None
        else "one recording cannot judge itself"
    )
    print(f"{args.out}: {args.name} from {told['recordings']} recordings; {judged}")
