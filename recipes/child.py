"""One training in a process of its own: a recipe and its command line come over standard input, pickled."""

import pickle
import sys

from recipes import run
from zoo import child


def main():
    """Runs them, until it is done or the process that started it stops."""
    recipe, argv = pickle.load(sys.stdin.buffer)
    child.stop_with_the_parent()
    run.main(recipe, argv)


if __name__ == "__main__":
    main()
