"""The TFDS builder of one's own sounds: a folder for each class, or a csv.

    sounds/dog/kitchen-1.wav        class dog, recording kitchen
    sounds/dog/kitchen-2.wav        class dog, the same recording
    sounds/horn/street.mp3          class horn, recording street

Parts of one recording are alike: were some of them to train and others to test, a model that remembers would seem to
understand. So what belongs together, a group, is never divided. Where no csv tells the groups, names do: parts of one
recording are named alike but for the numbers behind a - or _ at the end, of three digits at most. A number alone, or
behind the name of the class (dog/7.wav, dog/dog_07.wav), tells of no recording, and such a file is a group of its own.

The csv, if there is one beside the sounds, has the columns filename and category, and where they are known group and
fold. Folds that it does not tell are made by hash: five, or as many as the class with the fewest groups has.
"""

import re
import sys
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

from zoo.datasets.folds import dealt
from zoo.datasets.recordings import Recordings, Row
from zoo.errors import ZooError

NUM_FOLDS = 5
PART_NUMBERS = re.compile(r"((^|[-_])\d{1,3})+$")


class Folder(Recordings):
    """One's own sounds, of any rate and any format that soundfile reads."""

    TASK = "whatever you recorded"
    PROTOCOL = "5 folds (fewer where a class has fewer groups), each tests in its turn; or those of the csv"
    LICENCE = "set by whoever made the recordings"
    LAYOUT = "a folder of sounds for each class, or a csv of filename, category and, if known, group and fold"
    GET = "your own sounds"

    @classmethod
    def rows(cls, folder):
        tables = sorted(Path(folder).glob("[!.]*.csv"))
        if len(tables) > 1:
            raise ZooError(f"{cls.name}: {folder} holds {tables[0].name} and {tables[1].name}; leave one csv there")
        listed = cls._of_table(tables[0]) if tables else cls._of_class_folders(Path(folder))
        labels = sorted({label for _, label, _, _ in listed})
        if len(labels) < 2:
            raise ZooError(f"{cls.name}: {folder} holds one class, {labels[0]!r}; a classifier needs another")
        _, _, told_group, told_fold = listed[0]
        listed = [(file, label, group or group_of(file, label), fold) for file, label, group, fold in listed]
        groups = defaultdict(Counter)
        for _, label, group, _ in listed:
            groups[group][label] += 1
        made, how = ({}, "folds of the csv") if told_fold is not None else cls._made_folds(groups, labels, folder)
        rows = [
            Row(file, Path(folder) / file, made.get(group, fold), label, group) for file, label, group, fold in listed
        ]
        for label in labels:
            folds = {row.fold for row in rows if row.label == label}
            if len(folds) < 2:
                raise ZooError(
                    f"{cls.name}: all clips of {label!r} in {folder} come to be in fold {min(folds)}, so they cannot "
                    "both train and test; give the clips other folds in a csv"
                )
        rule = "of the csv" if told_group else "names that differ in no more than -N or _N at the end"
        _tell(f"{folder}: {len(rows)} clips of {len(labels)} classes; {len(groups)} groups ({rule}); {how}")
        return rows

    @classmethod
    def _made_folds(cls, groups, labels, folder):
        """({group: fold}, what to tell of it) of `groups`, {group: Counter of its clips' classes}."""
        groups_of = {label: [group for group in groups if groups[group][label]] for label in labels}
        fewest = min(labels, key=lambda label: len(groups_of[label]))
        num_folds = min(NUM_FOLDS, len(groups_of[fewest]))
        if num_folds < 2:
            raise ZooError(
                f"{cls.name}: all clips of {fewest!r} in {folder} are of one group, {groups_of[fewest][0]!r}, so they "
                "cannot both train and test; add another recording, or tell the groups in a csv"
            )
        few = f", since {fewest!r} has no more groups" if num_folds < NUM_FOLDS else ""
        return dealt(groups, num_folds), f"{num_folds} folds by hash{few}"

    @classmethod
    def _of_class_folders(cls, folder):
        """[(file, label, None, None)] of all files in the folders of `folder`."""
        listed = []
        for class_folder in sorted(path for path in folder.glob("[!.]*") if path.is_dir()):
            files = sorted(class_folder.glob("[!.]*"))
            inner = [path for path in files if path.is_dir()]
            if inner or not files:
                held = f"the folder {inner[0].name}" if inner else "nothing"
                raise ZooError(f"{cls.name}: {class_folder} holds {held}; a class's folder holds its sounds, no more")
            label = class_folder.name
            listed += [(f"{label}/{path.name}", label, None, None) for path in files]
        if not listed:
            raise cls._lacks("folders of sounds", folder)
        return listed

    @classmethod
    def _of_table(cls, table):
        """[(file, label, group, fold)] of the csv `table`; None for a group or fold where it has no such column."""
        listed, fold_of = [], {}
        for row in cls._table(table, {"filename", "category"}):
            file, label, group, fold = (row.get(column) for column in ("filename", "category", "group", "fold"))
            are_there = all(row.get(column, True) for column in ("filename", "category", "group", "fold"))
            if not are_there or not (fold or "0").isdigit():
                raise ZooError(
                    f"{cls.name}: {table} has a row ({file or 'without a name'}) whose category, group or fold is "
                    "empty, or whose fold is no number; mend the csv"
                )
            if group and fold_of.setdefault(group, fold) != fold:
                raise ZooError(
                    f"{cls.name}: {table} has group {group!r} in folds {fold_of[group]} and {fold}; a group is in one"
                )
            listed.append((file, label, group, fold and int(fold)))
        return listed


def group_of(file, label):
    """The recording that the name of `file` tells: "kitchen" of kitchen-1.wav; the file itself, where it tells none."""
    name = PART_NUMBERS.sub("", Path(file).stem)
    return file if _plain(name) in ("", _plain(label)) else name


def _plain(name):
    return re.sub(r"[-_ ]", "", name).casefold()


@cache  # rows are read more than once
def _tell(line):
    print(line, file=sys.stderr)
