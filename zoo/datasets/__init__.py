"""The data sets: one TFDS builder each, and the table that names them."""

import io
from contextlib import redirect_stdout
from pathlib import Path

import tensorflow_datasets as tfds

from zoo.datasets.audio_event import AudioEvent
from zoo.datasets.audioset import Audioset, AudiosetBalanced
from zoo.datasets.esc import Esc10, Esc18, Esc50, Frogs, Synth10
from zoo.datasets.folder import Folder
from zoo.datasets.gtzan import Gtzan
from zoo.datasets.recordings import Source
from zoo.datasets.speech_commands import SpeechCommands
from zoo.datasets.urbansound8k import UrbanSound8K
from zoo.errors import ZooError

DATASETS = {
    "esc10": Esc10,
    "esc18": Esc18,
    "esc50": Esc50,
    "urbansound8k": UrbanSound8K,
    "audio_event": AudioEvent,
    "audioset": Audioset,
    "audioset_balanced": AudiosetBalanced,
    "gtzan": Gtzan,
    "frogs": Frogs,
    "speech_commands": SpeechCommands,
    "synth10": Synth10,
    "folder": Folder,
}


def find(name, cache, data_dir=None):
    """(builder class, folder of its clips) of data set `name`; the arguments are those of `load`.

    Raises: ZooError for an unknown data set, or where there is no folder.
    """
    if name not in DATASETS:
        raise ZooError(f"{name}: no such data set; choose one of {', '.join(DATASETS)}")
    builder_class = DATASETS[name]
    if data_dir is not None and not Path(data_dir).is_dir():
        raise ZooError(
            f"{name}: no folder {data_dir}; point --data-dir at the folder that holds {builder_class.LAYOUT}"
        )
    return builder_class, builder_class.obtain(Path(cache)) if data_dir is None else Path(data_dir)


_SKIPPED = "-skip_bad"


def are_bad_skipped(fingerprint):
    """Whether data of this fingerprint were loaded with skip_bad."""
    return fingerprint.endswith(_SKIPPED)


def load(name, cache, data_dir=None, skip_bad=False):
    """The prepared TFDS builder of data set `name`; its config's name is the data's fingerprint.

    data_dir: a folder in the data set's layout; without it the clips are downloaded, or made (synth10).
    cache: folder for what is downloaded, made and prepared. skip_bad: leave broken clips out, and count them.

    Raises: ZooError for an unknown data set, or for a folder or clip that cannot be used.
    """
    builder_class, folder = find(name, cache, data_dir)
    fingerprint = builder_class.fingerprint(folder)
    labels = tuple(builder_class.labels(folder))
    source = Source(name=fingerprint + _SKIPPED * skip_bad, folder=folder, skip_bad=skip_bad, labels=labels)
    builder = builder_class(data_dir=Path(cache) / "tfds", config=source)
    tfds.disable_progress_bar()  # the builders show their own, and TFDS's are many
    with redirect_stdout(io.StringIO()):  # TFDS tells of downloads there, of which there are none
        builder.download_and_prepare()
    return builder
