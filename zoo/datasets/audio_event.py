"""The TFDS builder of AudioEvent: Freesound clips of 28 kinds of sound, 80 % to train and 20 % to test.

The archive holds train/, with a folder for each class, and test/, without; each clip is named CLASS_NUMBER.wav. That is
how two programs that read it take it; the archive itself was never at hand here. The ACDNet paper says that it splits
80 to 20, and not how: here the fifth of each class whose names have the lowest SHA-256 tests, wherever in the archive
it lies. The archive's own split is not used.

The names of the clips tell nothing of the recordings that they were cut from: each counts as a source of its own, and
pieces of one recording may be on both sides.

Source: Takahashi, Gygli, Pfister and Van Gool 2016, "Deep Convolutional Neural Networks and Data Augmentation for
Acoustic Event Detection", arXiv 1604.07160; Mohaimenuzzaman et al. 2023 (the ACDNet paper)
"""

import re
from collections import Counter, defaultdict
from pathlib import Path

from zoo.datasets.folds import a_fifth
from zoo.datasets.recordings import Recordings, Row
from zoo.errors import ZooError

ARCHIVE_URL = "https://data.vision.ee.ethz.ch/cvl/ae_dataset/ae_dataset.zip"


class AudioEvent(Recordings):
    """AudioEvent: 5,223 clips, unevenly of 28 classes, a fixed split of 80 % and 20 %. Its classes are those that the
    clips are named for.
    """

    TASK = "sounds of every day"
    NUM_CLIPS = 5_223
    NUM_CLASSES = 28
    SAMPLE_RATE_HZ = 16_000
    PROTOCOL = "one fixed split, 80 % and 20 % of each class"
    FOLDS = {"train": 0, "test": 1}
    LICENCE = "none stated"
    HOMEPAGE = "https://data.vision.ee.ethz.ch/cvl/ae_dataset/"
    CITATION = """@inproceedings{takahashi2016deep,
  title={Deep Convolutional Neural Networks and Data Augmentation for Acoustic Event Detection}, author={Takahashi,
         Naoya and Gygli, Michael and Pfister, Beat and Van Gool, Luc}, booktitle={Interspeech},
  pages={2982--2986}, year={2016}}"""
    LAYOUT = "train/CLASS/CLASS_NUMBER.wav and test/CLASS_NUMBER.wav"
    GET = "downloaded from its page"

    @classmethod
    def rows(cls, folder):
        of_class = defaultdict(list)
        for path in sorted(Path(folder).rglob("[!.]*.wav")):
            named = re.fullmatch(r"(.+)_\d+", path.stem)
            if not named:
                raise ZooError(f"{cls.name}: {path} is not named CLASS_NUMBER.wav; rename it, or take it away")
            of_class[named[1]].append(path)
        if not of_class:
            raise cls._lacks(".wav", folder)
        names = Counter(path.name for paths in of_class.values() for path in paths)
        if max(names.values()) > 1:
            raise ZooError(f"{cls.name}: {folder} holds {names.most_common(1)[0][0]} twice; take one of them away")
        tests = {label: a_fifth(path.stem for path in paths) for label, paths in of_class.items()}
        return [
            Row(path.name, path, cls.FOLDS["test" if path.stem in tests[label] else "train"], label, path.stem)
            for label, paths in sorted(of_class.items())
            for path in paths
        ]

    @classmethod
    def obtain(cls, cache):
        return cls._download(cache, ARCHIVE_URL, "its size is not known here")
