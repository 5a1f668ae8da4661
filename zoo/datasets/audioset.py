"""The TFDS builders of AudioSet: two million clips of ten seconds in 527 classes, most of them with several labels.

In the folder lie the official csv files, and anywhere below it the clips, under the names that collectors give them:
`<YTID>.wav`, with a Y in front, with `_<start in ms>` behind or with `_<start in ms>_<end in ms>`, in any format that
soundfile reads. Videos disappear: a clip that is listed but not there is normal, and counted; one that does not decode
is named and left out.

The clips are prepared by Apache Beam, shard by shard. A shard gets its name when all of it is written, and a
preparation that was killed goes on with the shards that are not there yet. The environment's BEAM_OPTIONS says where,
in Beam's own options: `--direct_running_mode=multi_processing --direct_num_workers=8` on this machine's cores, or
`--runner=...` and what belongs to it on a cluster, whose workers need this package and the same folders. Without them
one core works.

Source: Gemmeke et al. 2017, "Audio Set: An ontology and human-labeled dataset for audio events", ICASSP; its 632
categories; https://research.google.com/audioset/download.html for the csv files
"""

import csv
import hashlib
import json
import os
import shlex
import shutil
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from zoo.backend import tf

import soundfile
import tensorflow_datasets as tfds

from zoo.atomic import full_disk_told, whole_file
from zoo.datasets.recordings import Recordings, Row
from zoo.errors import ZooError
from zoo.progress import bar

CLASSES = "class_labels_indices.csv"
BALANCED, UNBALANCED = "balanced_train_segments.csv", "unbalanced_train_segments.csv"
EVALUATION = "eval_segments.csv"
ENDINGS = {f".{name.lower()}" for name in soundfile.available_formats()} | {".aif", ".oga", ".opus"}
SHARD_CLIPS = 128  # some 60 MB, of mono clips of 10 s in FLAC
PROGRESS = ".progress"  # in the folder of shards: the listing of the clips, and what became of those of each shard
BEAM_OPTIONS = "BEAM_OPTIONS"
LOOK_EVERY_S = 1.0


class Shard(NamedTuple):
    """A part of a split: its file, and where its clips stand in the listing."""

    path: Path
    listing: Path
    start_bytes: int
    clips: int

    @property
    def result(self):
        """The file that tells what became of its clips."""
        return self.listing.parent / f"{self.path.name}.json"


class Audioset(Recordings):
    """AudioSet: the balanced and the unbalanced segments train, the evaluation segments test."""

    name = "audioset"
    TASK = "sounds of all kinds, several at once"
    MULTI_LABEL = True
    TRAINING = (BALANCED, UNBALANCED)
    NUM_CLIPS = 2_084_320
    NUM_CLASSES = 527
    PROTOCOL = "train and test as published"
    FOLDS = {"train": 0, "test": 1}
    LICENCE = "CC BY 4.0 (the labels; each sound is its video's)"
    HOMEPAGE = "https://research.google.com/audioset/"
    CITATION = """@inproceedings{gemmeke2017audioset,
  title={{Audio Set}: An ontology and human-labeled dataset for audio events}, author={Gemmeke, Jort F. and Ellis,
         Daniel P. W. and Freedman, Dylan and Jansen, Aren and Lawrence, Wade and Moore, R. Channing and Plakal, Manoj
         and Ritter, Marvin}, booktitle={IEEE International Conference on Acoustics, Speech and Signal Processing},
  pages={776--780}, year={2017}}"""
    LAYOUT = f"{CLASSES}, {EVALUATION}, {', '.join(TRAINING)} and, anywhere below it, the clips"
    GET = "the csv files are on its page, and the clips must be cut from the videos"

    @classmethod
    def labels(cls, folder):
        return tuple(cls._names(folder).values())

    @classmethod
    def rows(cls, folder):
        """A list of `Row`, one for each listed clip that is there.

        Raises: ZooError if a csv file is missing or broken, if no clip is there, or if one is there twice.
        """
        return cls._found(folder)[0]

    @classmethod
    def fingerprint(cls, folder):
        """Sixteen hex digits that change with the rows, the classes, and the name or the size of any clip.

        Not with its bytes: to read those of two million clips takes hours.
        """
        digest = hashlib.sha256("\0".join(cls.labels(folder)).encode())
        for row in cls.rows(folder):
            size = row.path.stat().st_size
            digest.update("\0".join([row.file, str(row.fold), *row.label, str(size)]).encode())
        return digest.hexdigest()[:16]

    @classmethod
    def _found(cls, folder):
        """(rows of the clips that are there, {split: how many are not})."""
        names, files, missing, rows = cls._names(folder), _sounds(folder), Counter(), {}
        for table in (*cls.TRAINING, EVALUATION):
            split = "test" if table == EVALUATION else "train"
            for video, start_s, end_s, mids in cls._segments(folder, table):
                unknown = [mid for mid in mids if mid not in names]
                if unknown or video in rows:
                    held = f"the label {unknown[0]}, which {CLASSES} does not" if unknown else f"{video} once more"
                    raise ZooError(f"{cls.name}: {Path(folder) / table} lists {held}; take the official csv files")
                start_ms, end_ms = round(1_000 * start_s), round(1_000 * end_s)
                stems = (video, f"{video}_{start_ms}", f"{video}_{start_ms}_{end_ms}")
                path = next((files[y + stem] for stem in stems for y in ("", "Y") if y + stem in files), None)
                if path is None:
                    missing[split] += 1
                else:
                    label = tuple(names[mid] for mid in mids)
                    rows[video] = Row(os.path.basename(path), Path(path), cls.FOLDS[split], label, video)
        if not rows:
            raise ZooError(
                f"{cls.name}: none of the {missing.total()} listed clips is below {folder}; put them there as "
                "<YTID>.wav, .flac or whatever else soundfile reads"
            )
        return sorted(rows.values(), key=lambda row: (row.fold, row.file)), missing

    @classmethod
    def _names(cls, folder):
        """{mid: display name} of the classes, in the order of the scores."""
        rows = cls._table(cls._csv(folder, CLASSES), {"index", "mid", "display_name"}, names="mid")
        if [row["index"] for row in rows] != [str(index) for index in range(len(rows))]:
            raise ZooError(f"{cls.name}: {Path(folder) / CLASSES} is not numbered from 0 on; take the official one")
        return {row["mid"]: row["display_name"] for row in rows}

    @classmethod
    def _segments(cls, folder, table):
        """(YTID, start in s, end in s, mids) of each line of the csv."""
        path = cls._csv(folder, table)
        with open(path, newline="", encoding="utf-8") as file:
            for number, line in enumerate(csv.reader(file, skipinitialspace=True), start=1):
                if not line or line[0].startswith("#"):
                    continue
                try:
                    video, start_s, end_s, mids = line
                    yield video, float(start_s), float(end_s), mids.split(",")
                except ValueError as error:
                    wanted = 'YTID, start_seconds, end_seconds, "mid,mid"'
                    raise ZooError(f"{cls.name}: {path}, line {number} is not {wanted}; mend the csv") from error

    @classmethod
    def _csv(cls, folder, table):
        path = Path(folder) / table
        if not path.is_file():
            raise cls._lacks(table, folder)
        return path

    def download_and_prepare(self):
        """Prepares what is not prepared yet: a TFDS data set like the others, some minutes or days later.

        Raises: ZooError if Beam is missing, if a shard cannot be written, or if no clip of a split can be used.
        """
        final = Path(self.data_path)
        if final.exists():
            return
        unfinished = final.with_name(f".unfinished-{final.name}")
        shards, missing = self._plan(unfinished)
        todo = [shard for split in shards.values() for shard in split if not shard.path.exists()]
        total = sum(map(len, shards.values()))
        for split, count in missing.items():
            print(f"{self.name}: not there: {count} of the clips to {split}", file=sys.stderr)
        if todo:
            with _shown(unfinished, total, f"{self.name}: prepare"), full_disk_told(unfinished):
                _run(todo, partial(_write, builder_class=type(self), features=self.info.features))
        if any(not shard.path.exists() for shard in todo):  # on a cluster that sees other folders
            raise ZooError(f"{self.name}: Beam has ended, and not all shards are in {unfinished}; look at its workers")
        self._describe(shards, missing)
        self.info.write_to_directory(unfinished)
        unfinished.rename(final)
        for leftover in final.glob(".*"):
            shutil.rmtree(leftover)

    def _plan(self, unfinished):
        """({split: its `Shard`s}, {split: how many of its clips are not there}), and the listing of all clips."""
        rows, missing = self._found(os.path.abspath(self.builder_config.folder))
        listing, shards = unfinished / PROGRESS / "clips.jsonl", {}
        with whole_file(listing) as written, open(written, "wb") as file:
            for split, fold in self.FOLDS.items():
                chosen = [row for row in rows if row.fold == fold]
                firsts = range(0, len(chosen), SHARD_CLIPS)
                name = tfds.core.ShardedFileTemplate(unfinished, None, self.name, split, "tfrecord")
                shards[split] = []
                for number, first in enumerate(firsts):
                    of_shard = chosen[first : first + SHARD_CLIPS]
                    path = Path(name.sharded_filepath(shard_index=number, num_shards=len(firsts)))
                    shards[split].append(Shard(path, listing, file.tell(), len(of_shard)))
                    for row in of_shard:
                        values = (row.file, str(row.path), row.fold, row.label, row.source)
                        file.write(json.dumps(values).encode() + b"\n")
        return {split: found for split, found in shards.items() if found}, missing

    def _describe(self, shards, missing):
        """Tells TFDS of the splits, and the user of the clips that are left out."""
        infos, skipped = [], []
        for split, found in shards.items():
            results = [json.loads(shard.result.read_text(encoding="utf-8")) for shard in found]
            lengths = [result["clips"] for result in results]
            if not sum(lengths):
                raise ZooError(f"{self.name}: none of the clips to {split} can be used; look at one of them")
            name = tfds.core.ShardedFileTemplate(self.data_dir, None, self.name, split, "tfrecord")
            infos.append(tfds.core.SplitInfo(split, lengths, sum(result["bytes"] for result in results), name))
            skipped += [file for result in results for file in result["skipped"]]
        self.info.set_splits(tfds.core.SplitDict(infos))
        self.info.metadata["skipped"] = skipped
        self.info.metadata["missing"] = dict(missing)
        if skipped:
            told = f"{len(skipped)} of the clips; metadata.json in {self.data_dir} names them"
            print(f"{self.name}: left out: {told}", file=sys.stderr)


class AudiosetBalanced(Audioset):
    """AudioSet's 22,160 balanced segments train, the evaluation segments test."""

    name = "audioset_balanced"
    TRAINING = (BALANCED,)
    NUM_CLIPS = 42_531
    LAYOUT = f"{CLASSES}, {EVALUATION}, {BALANCED} and, anywhere below it, the clips"


def _sounds(folder):
    """{name without its ending: path} of all sound files below `folder`."""
    found = {}
    for place, _, files in os.walk(folder, followlinks=True):
        for file in files:
            stem, ending = os.path.splitext(file)
            if ending.lower() in ENDINGS:
                path = os.path.join(place, file)
                if found.setdefault(stem, path) != path:
                    raise ZooError(f"{path} and {found[stem]} are one clip; take one of them away")
    return found


def _run(shards, write):
    """Has Beam `write` each of `shards`."""
    try:
        import apache_beam as beam
        from apache_beam.runners.portability.fn_api_runner import FnApiRunner
    except ImportError as error:
        raise ZooError(
            "AudioSet is prepared by Apache Beam, which is not installed; pip install apache-beam"
        ) from error
    # Never from the command line, where Beam would look by itself.
    options = beam.options.pipeline_options.PipelineOptions(shlex.split(os.environ.get(BEAM_OPTIONS, "")))
    # What Beam calls DirectRunner fetches a program over the network first, and falls back on this one without it.
    is_told = options.view_as(beam.options.pipeline_options.StandardOptions).runner
    with beam.Pipeline(runner=None if is_told else FnApiRunner(), options=options) as pipeline:
        _ = pipeline | beam.Create(shards) | beam.Reshuffle() | beam.Map(write)


def _write(shard, builder_class, features):
    """Writes a shard and its result. Runs on a worker, and again where a worker was lost."""
    if shard.path.exists():
        return
    with open(shard.listing, "rb") as file:
        file.seek(shard.start_bytes)
        listed = [json.loads(file.readline()) for _ in range(shard.clips)]
    num_bytes, skipped = 0, []
    with whole_file(shard.path) as unfinished:
        with tf.io.TFRecordWriter(str(unfinished)) as writer:
            for file, path, fold, label, source in listed:
                try:
                    example = builder_class.example(Row(file, Path(path), fold, label, source))
                except ZooError as error:
                    print(f"left out: {error}", file=sys.stderr)
                    skipped.append(file)
                    continue
                record = features.serialize_example(example)
                writer.write(record)
                num_bytes += len(record)
        result = {"clips": shard.clips - len(skipped), "bytes": num_bytes, "skipped": skipped}
        with whole_file(shard.result) as told:  # before the shard has its name: a shard that is there has a result
            told.write_text(json.dumps(result), encoding="utf-8")


@contextmanager
def _shown(folder, total, what):
    """Shows, while its block runs, how many of `total` shards are in `folder`, whoever writes them."""
    is_over = threading.Event()
    with bar(total=total, initial=_count(folder), desc=what, unit="shard") as progress:

        def watch():
            while not is_over.wait(LOOK_EVERY_S):
                progress.update(_count(folder) - progress.n)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            is_over.set()
            watcher.join()
            progress.update(_count(folder) - progress.n)


def _count(folder):
    return sum(1 for _ in folder.glob("*.tfrecord-*"))
