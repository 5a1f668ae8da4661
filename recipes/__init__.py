"""Recipes: one page of values for each model, and the one story that runs them.

Recipes are programs, so where Keras cannot be chosen they refuse as programs do: one line, exit code 2.
"""

import sys

from zoo.errors import ZooError

try:
    import zoo.backend  # noqa: F401
except ZooError as error:
    print(error, file=sys.stderr)
    raise SystemExit(2) from error
