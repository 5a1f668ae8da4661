"""Progress bars: they move on a terminal, and come twice a minute in a log."""

import sys

from tqdm import tqdm


def bar(*args, **kwargs):
    """A tqdm bar, or one over an iterable; arguments are tqdm's."""
    return tqdm(*args, mininterval=0.1 if sys.stderr.isatty() else 30, **kwargs)
