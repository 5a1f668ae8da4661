"""Edge Audio Zoo: audio classifiers that are trained, compressed, exported and measured for edge devices.

Importing `zoo` costs nothing: TensorFlow is loaded by the modules that train and export, through `zoo.backend`.
"""

__version__ = "0.9.0"


def load(source, **settings):
    """The classifier of a shipped model, by its name, or of a folder or an archive: see `zoo.runtime.shipped.load`."""
    from zoo.runtime import shipped

    return shipped.load(source, **settings)
