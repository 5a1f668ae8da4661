"""`python -m zoo doctor`: is it the model, the microphone or the installation?"""

import json
import sys
import time
from pathlib import Path

from zoo.command_line import add_command
from zoo.errors import ZooError

DOCTOR = """\
Looks at recordings, or at the microphone and the installation, before a model is blamed: PDM or swapped bytes read as
PCM, clipping, DC, dead or doubled channels, a wrong rate, lost blocks, level, a spectrum unlike the training data's.
Ends with 1 where something is wrong.

examples:
  python -m zoo doctor recording.wav
  python -m zoo doctor                    # the installation, and five seconds of the microphone
"""


def add(commands):
    """Adds the command to a parser's."""
    doctor = add_command(commands, "doctor", "is it the model, the microphone or the installation?", DOCTOR)
    doctor.add_argument("files", nargs="*", metavar="FILE", type=Path, help="recording, or folder of recordings")
    doctor.add_argument("--device", metavar="NAME", help="microphone, as python -m sounddevice lists them")
    doctor.add_argument("--channels", type=int, default=1, metavar="N", help="of the microphone (default %(default)s)")
    doctor.add_argument("--seconds", type=float, default=5, help="of the microphone's sound (default %(default)s)")
    doctor.add_argument("--json", action="store_true", help="as JSON, for programs")
    doctor.set_defaults(run=_doctor)


def _doctor(args):
    if not 0 < args.seconds <= 60 or not 1 <= args.channels <= 64:
        raise ZooError("--seconds takes up to 60, --channels 1 to 64")
    if args.files and (args.device, args.channels, args.seconds) != (None, 1, 5):
        raise ZooError("--device, --channels and --seconds are of a microphone: pass them without files")
    told = _recordings(args) if args.files else _this_machine(args)
    if args.json:
        print(json.dumps(told, indent=2))
    if not told["healthy"]:
        sys.exit(1)


def _recordings(args):
    from zoo.runtime import doctor
    from zoo.runtime.recordings import Recording, find_recordings

    told, healthy = {}, True
    for file in find_recordings(args.files):
        try:
            recording = Recording(file)
            report = doctor.look_at(recording.start(doctor.LONGEST_S), recording.sample_rate_hz)
        except ZooError as error:
            told[str(file)], lines, healthy = {"healthy": False, "error": str(error)}, [str(error)], False
        else:
            told[str(file)], lines, healthy = report.as_dict(), report.lines(), healthy and report.healthy
        if not args.json:
            print("\n    ".join([f"{file}:", *lines]))
    return {"healthy": healthy, "recordings": told}


def _this_machine(args):
    from zoo.runtime.environment import environment

    findings = environment()
    told = {"environment": [finding._asdict() for finding in findings]}
    healthy = not any(finding.needed and finding.remedy for finding in findings)
    if not args.json:
        print("\n".join(finding.line() for finding in findings))
    try:
        report, rate = _microphone(args)
    except ZooError as error:
        told["microphone"] = {"error": str(error)}
        if not args.json:
            print(f"note    microphone: {error}")
        return {"healthy": healthy and args.device is None, **told}
    told["microphone"] = {**report.as_dict(), **rate}
    if not args.json:
        print("\n    ".join(["microphone:", *report.lines(), *rate.values()]))
    return {"healthy": healthy and report.healthy and not rate, **told}


def _microphone(args):
    """(report, what its rate is in truth, if that is another) of some seconds of the microphone.

    Raises: ZooError where there is none.
    """
    import numpy as np

    from zoo.runtime import doctor, faults
    from zoo.runtime.microphone import Microphone

    microphone = Microphone(args.device, args.channels)
    blocks, begun, taken = [], None, 0
    for block in microphone.blocks():
        if begun is None:  # the first block waited for the device to start
            begun = time.monotonic()
            continue
        blocks.append(block)
        taken += len(block)
        if taken >= args.seconds * microphone.sample_rate_hz:
            break
    elapsed_s = time.monotonic() - begun
    rate_hz = faults.true_rate(taken, elapsed_s, microphone.sample_rate_hz)
    told = {} if rate_hz is None else {
        "wrong_rate": f"delivers {taken / elapsed_s:,.0f} samples a second and says {microphone.sample_rate_hz:,}: "
        f"it runs at {rate_hz:,} Hz"
    }  # fmt: skip
    return doctor.look_at(np.concatenate(blocks), microphone.sample_rate_hz), told
