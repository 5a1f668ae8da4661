"""`--outliers NAME:DIR`: sounds of none of the classes train, too: towards doubt or, with `--background`, as a class.

Source: Hendrycks, Mazeika and Dietterich 2019, "Deep anomaly detection with outlier exposure", section 3: the loss of
an outlier is its distance from scores that are all the same. There each batch has outliers of its own; here they are
clips among the others, and are mixed with them as those are.
"""

from dataclasses import dataclass

import numpy as np

from zoo import corpus, datasets
from zoo.errors import ZooError


@dataclass(frozen=True)
class Outliers:
    """Sounds of none of the classes."""

    dataset: str
    fingerprint: str
    licence: str
    clips: corpus.Clips
    class_names: tuple  # by which their targets count

    def drawn(self, clips, are_a_class, seed):
        """Those that train beside `clips`: as many or, where they are a class, as many as one of the others has."""
        wanted = round(len(clips) / len(np.unique(clips.targets))) if are_a_class else len(clips)
        drawn = np.random.default_rng(seed).choice(len(self.clips), min(wanted, len(self.clips)), replace=False)
        return self.clips.where(np.sort(drawn))


def load(name, folder, labels, sample_rate_hz, cache, skip_bad=False):
    """The `Outliers` of a data set, for a model of these labels. folder, cache, skip_bad: as of `datasets.load`.

    Raises: ZooError where it holds no other class.
    """
    builder = datasets.load(name, cache, folder, skip_bad)
    if builder.MULTI_LABEL:
        raise ZooError(f"--outliers {name}: a clip that may have any label has perhaps a known one; pass another")
    clips, names = corpus.clips_at(builder, sample_rate_hz, cache), np.array(builder.class_names)
    clips = clips.where(~np.isin(names[clips.targets], labels))
    if not len(clips):
        raise ZooError(f"--outliers {name}: holds no clip of other classes than the model's")
    return Outliers(name, builder.builder_config.name, builder.LICENCE, clips, builder.class_names)
