"""Settings: what `--set` and `--search` change of a recipe, by name.

A setting is a field of the training's plan (learning_rate), of the front end (num_mels) or of the recipe itself
(settling_crops), an argument of the backbone's builder (width), or one number of its `widths`: width4 is that of the
fourth layer.
"""

import inspect
import re
from dataclasses import replace
from functools import partial

from zoo.errors import ZooError

OWN = ("settling_crops",)
FIXED = ("epochs", "sample_rate_hz")  # --epochs has the one, and the other stands in a backbone, too


def parse(text):
    """{name: value} of "width=48,learning_rate=3e-3"; numbers are numbers.

    Raises: ZooError for what is no list of such pairs.
    """
    settings = {}
    for pair in filter(None, text.split(",")):
        name, equals, value = pair.partition("=")
        if not (name and equals and value):
            raise ZooError(f"{pair!r} is no NAME=VALUE, such as width=48")
        settings[name] = _value(value)
    return settings


def told(settings):
    """The text of which `parse` makes them."""
    return ",".join(f"{name}={value}" for name, value in settings.items())


def of(recipe, front_end):
    """{setting: its value in the recipe}, with the front end of that name."""
    arguments = _arguments(recipe)
    numbered = {f"width{number}": width for number, width in enumerate(arguments.pop("widths", None) or (), start=1)}
    own = {name: getattr(recipe, name) for name in OWN}
    found = {**arguments, **numbered, **own, **vars(recipe.front_ends[front_end]), **vars(recipe.train)}
    return {name: value for name, value in found.items() if isinstance(value, (int, float, str)) and name not in FIXED}


def applied(recipe, front_end, settings):
    """The recipe with these settings, those of the front end in the one of that name.

    Raises: ZooError for a setting that it does not have, or a value that it refuses.
    """
    known, train, spec, own, arguments = of(recipe, front_end), {}, {}, {}, {}
    for name, value in settings.items():
        if name not in known:
            raise ZooError(f"{recipe.name}: no setting {name!r}; choose of {', '.join(known)}")
        if hasattr(recipe.train, name):
            train[name] = value
        elif hasattr(recipe.front_ends[front_end], name):
            spec[name] = value
        elif name in OWN:
            own[name] = value
        elif number := re.fullmatch(r"width(\d+)", name):
            widths = arguments.get("widths", _arguments(recipe)["widths"])
            arguments["widths"] = tuple(value if i == int(number[1]) else w for i, w in enumerate(widths, start=1))
        else:
            arguments[name] = value
    try:
        changed, plan = replace(recipe.front_ends[front_end], **spec), replace(recipe.train, **train)
    except ValueError as error:
        raise ZooError(f"{told(settings)}: {error}") from error
    return replace(
        recipe,
        train=plan,
        front_ends={**recipe.front_ends, front_end: changed},
        backbone=partial(recipe.backbone, **arguments) if arguments else recipe.backbone,
        **own,
    )


def _arguments(recipe):
    """{argument of the backbone's builder: its value}, without shape and classes."""
    signature = inspect.signature(recipe.backbone).parameters
    return {name: one.default for name, one in signature.items() if name not in ("input_shape", "num_classes")}


def _value(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text
