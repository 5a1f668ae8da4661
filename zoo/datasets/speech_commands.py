"""The TFDS builder of Speech Commands v0.02 in its 12-class task: ten keywords, silence, and all other words.

Two layouts are read: the official archive (a folder for each word, `_background_noise_/`, `validation_list.txt` and
`testing_list.txt`), and any folder of clips with a `meta.csv` of filename, category, speaker and split.

The archive has 35 words and no clip of silence. What makes twelve classes of it is the rule of the official training
code: in each split, as many unknown words and as many seconds of silence as a tenth of its keywords, rounded up: 4,074
+ 2 x 408 = 4,890 clips to test, as in the official test set. Where that code draws at random, a hash chooses the
unknown words, and the silence is evenly spaced seconds of the recordings of background noise, as they are: of each
recording's first eight tenths to train, of the next to validate, of the last to test. They overlap within a split, and
never between two.

Source: Warden 2018, "Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition", arXiv 1804.03209;
https://github.com/tensorflow/tensorflow, tensorflow/examples/speech_commands/input_data.py
"""

import hashlib
import io
import math
import re
from pathlib import Path

import numpy as np
import soundfile
from tensorflow_datasets.core.download.checksums import UrlInfo

from zoo import audio
from zoo.datasets.recordings import Recordings, Row
from zoo.errors import ZooError

ARCHIVE_URL = "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz"
ARCHIVE = UrlInfo(
    size=2_428_923_189,
    checksum="af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
    filename="speech_commands_v0.02.tar.gz",
)  # as TFDS registers it
KEYWORDS = ("down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes")
NOISE = "_background_noise_"
LISTS = {"validation": "validation_list.txt", "test": "testing_list.txt"}

MAX_NUM_WAVS_PER_CLASS = 2**27 - 1  # the official code's name and value
PERCENT = {"validation": 10.0, "test": 10.0}  # of the speakers, where no lists are there
EXTRA_PERCENT = 10.0  # unknown words, and as much silence, of a split's keywords
NOISE_PARTS = {"train": (0.0, 0.8), "validation": (0.8, 0.9), "test": (0.9, 1.0)}  # of each recording's length


class SpeechCommands(Recordings):
    """Speech Commands v0.02: about 46,000 clips of at most 1 s, 12 classes, fixed splits that share no speaker."""

    TASK = "spoken keywords"
    LABELS = (*KEYWORDS, "silence", "unknown")  # in the order of TFDS, and of MLPerf Tiny's published model
    NUM_CLIPS = 105_829  # of 35 words, of which the 12 classes take fewer
    SAMPLE_RATE_HZ = 16_000
    PROTOCOL = "fixed splits: train, validation, test"
    FOLDS = {"train": 0, "validation": 1, "test": 2}
    LAYOUT = f"{KEYWORDS[0]}/, {KEYWORDS[1]}/, ... and {NOISE}/, or meta.csv"
    GET = "downloaded from its page (2.4 GB)"
    LICENCE = "CC BY 4.0"
    HOMEPAGE = "https://arxiv.org/abs/1804.03209"
    CITATION = """@article{warden2018speech,
  title={{Speech Commands}: A Dataset for Limited-Vocabulary Speech Recognition}, author={Warden, Pete},
  journal={arXiv preprint arXiv:1804.03209}, year={2018}}"""

    @classmethod
    def rows(cls, folder):
        folder = Path(folder)
        rows = cls._of_table(folder) if (folder / "meta.csv").is_file() else cls._of_archive(folder)
        first = {}
        for row in rows:
            if first.setdefault(row.source, row).fold != row.fold:
                raise ZooError(
                    f"{cls.name}: speaker {row.source} is in two splits of {folder} ({first[row.source].file}, "
                    f"{row.file}); a speaker belongs to one, mend the lists or the csv"
                )
        return rows

    @classmethod
    def obtain(cls, cache):
        return cls._download(cache, ARCHIVE_URL, "2.4 GB", ARCHIVE)

    @classmethod
    def _of_table(cls, folder):
        table, rows = folder / "meta.csv", []
        for row in cls._table(table, {"filename", "category", "speaker", "split"}):
            label = row["category"].strip("_")
            if label not in cls.LABELS:
                raise ZooError(f"{cls.name}: {table} holds the unknown class {row['category']!r}; mend the csv")
            if row["split"] not in cls.FOLDS:
                raise ZooError(f"{cls.name}: {table} holds the split {row['split']!r}; use {', '.join(cls.FOLDS)}")
            path = folder / row["filename"]
            rows.append(Row(row["filename"], path, cls.FOLDS[row["split"]], label, row["speaker"]))
        return rows

    @classmethod
    def _of_archive(cls, folder):
        listed = cls._lists(folder)
        files = {path.relative_to(folder).as_posix() for path in folder.glob("[!_.]*/[!.]*.wav")}
        noises = sorted((folder / NOISE).glob("[!.]*.wav"))
        words = {file.split("/")[0] for file in files}
        missing = [f"{word}/" for word in KEYWORDS if word not in words]
        missing += [] if words.difference(KEYWORDS) else ["word beside the keywords"]
        missing += [] if noises else [f"{NOISE}/"]
        if missing:
            raise cls._lacks(f"{missing[0]} with .wav files", folder)
        rows = {split: [] for split in cls.FOLDS}
        for file in sorted(files.union(*listed.values())):  # what is listed and gone shall be missed
            named = re.fullmatch(r"([^/]+)/(.+)_nohash_\d+\.wav", file)
            if not named:
                raise ZooError(f"{cls.name}: {folder / file} is not named SPEAKER_nohash_NUMBER.wav; rename it")
            word, speaker = named.groups()
            in_lists = [split for split in listed if file in listed[split]] or ["train"]
            split = in_lists[0] if listed else which_set(speaker)
            label = word if word in KEYWORDS else "unknown"
            rows[split].append(Row(file, folder / file, cls.FOLDS[split], label, speaker))
        return [row for split in rows for row in cls._twelve_classes(split, rows[split], noises)]

    @classmethod
    def _lists(cls, folder):
        """{split: the files that its list names}, empty where no list is there."""
        there = {split: folder / name for split, name in LISTS.items() if (folder / name).is_file()}
        if len(there) == 1:
            (found,) = there.values()
            raise ZooError(
                f"{cls.name}: {found} is there without the other of {', '.join(LISTS.values())}; put it there, or take "
                "both away, and speakers are split by the official hash"
            )
        return {split: set(path.read_text(encoding="utf-8", errors="replace").split()) for split, path in there.items()}

    @classmethod
    def _twelve_classes(cls, split, rows, noises):
        """The keywords among the `rows` of a split, some of its other words, and silence."""
        keywords = [row for row in rows if row.label != "unknown"]
        extra = math.ceil(len(keywords) * EXTRA_PERCENT / 100)
        unknown = sorted((row for row in rows if row.label == "unknown"), key=lambda row: _sha1(row.file))[:extra]
        silence = [
            row
            for number, noise in enumerate(noises)
            for row in cls._silence(split, noise, len(range(number, extra, len(noises))))
        ]
        if extra and not silence:
            raise ZooError(f"{cls.name}: no recording in {noises[0].parent} is long enough for silence; it takes 10 s")
        return [*keywords, *unknown, *silence]

    @classmethod
    def _silence(cls, split, noise, count):
        """At most `count` seconds, evenly spaced, of the split's part of the recording `noise`."""
        try:
            info = soundfile.info(noise)
        except soundfile.LibsndfileError as error:
            raise ZooError(f"{noise}: does not decode ({error}); replace the file, or take it away") from error
        first, end = (round(share * info.frames) for share in NOISE_PARTS[split])
        if end - first < info.samplerate:
            return []
        starts = np.linspace(first, end - info.samplerate, count).astype(int).tolist()
        source = f"{noise.stem}-{split}"
        return [
            Row(f"{NOISE}/{noise.name}#{start}", noise, cls.FOLDS[split], "silence", source, start)
            for start in dict.fromkeys(starts)
        ]

    @classmethod
    def read(cls, row):
        if row.start_samples is None:
            return super().read(row)
        rate_hz = soundfile.info(row.path).samplerate
        second, _ = soundfile.read(row.path, rate_hz, row.start_samples, dtype="int16")
        encoded = io.BytesIO()
        soundfile.write(encoded, second, rate_hz, subtype="PCM_16", format="FLAC")
        return audio.Recording(encoded.getvalue(), "FLAC/PCM_16", rate_hz)


def which_set(speaker):
    """The split of a speaker by the official hash, which the lists of the archive were made with.

    Source: `which_set` in tensorflow/examples/speech_commands/input_data.py, with its default percentages.
    """
    percent = _sha1(speaker) % (MAX_NUM_WAVS_PER_CLASS + 1) * (100.0 / MAX_NUM_WAVS_PER_CLASS)
    if percent < PERCENT["validation"]:
        return "validation"
    return "test" if percent < PERCENT["validation"] + PERCENT["test"] else "train"


def _sha1(text):
    return int(hashlib.sha1(text.encode()).hexdigest(), 16)
