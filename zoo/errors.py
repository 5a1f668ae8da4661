"""The one kind of error that a command line turns into a single line and exit code 2."""


class ZooError(Exception):
    """Bad input, told in one line: what was found, where, and what to do about it."""


class Diverged(ZooError):
    """A training whose loss or weights are no numbers any more."""


def first_line(error):
    """What an exception says first: libraries tell of their own insides behind it."""
    return str(error).strip().partition("\n")[0]


def one_line(error):
    """What an exception says, on one line; of one that says nothing the name of its class."""
    return " ".join(str(error).split()) or type(error).__name__
