"""What only some devices have: libraries of the extra `audio`, asked for when they are needed."""

from importlib import import_module

from zoo.errors import ZooError


def extra(library, purpose):
    """The library, imported.

    Raises: ZooError with the line that installs it.
    """
    try:
        return import_module(library)
    except ImportError as error:
        raise ZooError(f"{library} is not installed, {purpose}: pip install 'edge-audio-zoo[audio]'") from error
    except OSError as error:  # sounddevice without PortAudio
        raise ZooError(f"{library}: {error}; on Debian and on a Pi: sudo apt install libportaudio2") from error
