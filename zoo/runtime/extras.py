"""What only some devices have: libraries that are asked for when they are needed."""

from importlib import import_module

from zoo.errors import ZooError

AUDIO = "pip install 'edge-audio-zoo[audio]'"
INSTALLED_BY = {"matplotlib": "pip install matplotlib"}
LINKED_WITH = {"sounddevice": "libportaudio2", "soundfile": "libsndfile1", "soxr": "libsoxr0"}


def extra(library, purpose):
    """The library, imported.

    Raises: ZooError with the line that installs it.
    """
    try:
        return import_module(library)
    except ImportError as error:
        raise ZooError(f"{library} is not installed, {purpose}: {INSTALLED_BY.get(library, AUDIO)}") from error
    except OSError as error:  # a library that it is linked with
        raise ZooError(f"{library}: {error}; on Debian and on a Pi: sudo apt install {LINKED_WITH[library]}") from error
