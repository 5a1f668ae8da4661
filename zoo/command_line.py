"""The command line's manners: few flags, strict ones, and one line where they are wrong."""

import argparse

from zoo.errors import ZooError


class OneLineParser(argparse.ArgumentParser):
    """A parser whose refusal is one line and exit code 2, without argparse's page of usage."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}\n")


def add_command(commands, name, short, description=None):
    """The parser of a new command. description: what its --help teaches, shown as it is written; else `short`."""
    return commands.add_parser(
        name,
        help=short,
        description=description or short,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def refuse_existing(path, overwrite):
    """Raises: ZooError for a file that is there and shall stay, and for a folder."""
    if path.is_dir() or path.exists() and not overwrite:
        raise ZooError(f"{path} exists; pass --overwrite to replace a file, or another name")


def refuse_picture(path, overwrite):
    """Raises: ZooError for a picture that is no PNG, or is there and shall stay."""
    if path.suffix != ".png":
        raise ZooError(f"{path}: pictures are PNG; end the name with .png")
    refuse_existing(path, overwrite)


def refuse_existing_folder(path, overwrite):
    """Raises: ZooError for a folder that is there and shall stay, or that was not exported."""
    if path.exists() and not (overwrite and (path / "SHA256SUMS").is_file()):
        raise ZooError(f"{path} exists; pass another name, or --overwrite to replace an exported folder")


def read_labels(path):
    """The lines of a file, without empty ones at its end: labels in the order of a model's scores.

    Raises: ZooError for an empty line and for what is no UTF-8.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").rstrip().split("\n")
    except UnicodeDecodeError as error:
        raise ZooError(f"{path}: is no UTF-8; save it as such") from error
    labels = [line.strip() for line in lines]
    if "" in labels:
        raise ZooError(f"{path}: line {labels.index('') + 1} is empty; one label a line")
    return labels
