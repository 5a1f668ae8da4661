"""`python -m zoo`: what the zoo holds, and what can be done with a model."""

import os
import sys

from zoo.command_line import OneLineParser
from zoo.commands import (
    bench,
    classify,
    compare,
    data,
    doctor,
    enroll,
    export,
    listen,
    listing,
    pack,
    report,
    show,
    slim,
    strips,
    verify,
)
from zoo.errors import ZooError

# As --help shows them.
COMMANDS = (
    listing,
    data,
    show,
    classify,
    listen,
    doctor,
    bench,
    export,
    enroll,
    strips,
    slim,
    verify,
    pack,
    compare,
    report,
)


def main(argv=None):
    """Runs one command. Exits with 2, after one line, where the input is bad."""
    parser = OneLineParser(prog="python -m zoo", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
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
        parser.exit(130, "\nstopped; no file was left half-written\n")


if __name__ == "__main__":
    main()
