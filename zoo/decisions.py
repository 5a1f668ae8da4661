"""decisions.csv: what each file of an exported folder decided of each test clip, so that its figures can be made again.

One row a clip: file, source recording, fold, its class, and under each exported file's name the class that it decided;
where a clip has any number of classes, all of them.
"""

import csv
from pathlib import Path

import numpy as np

FILE = "decisions.csv"
FOLDS = "folds"  # of a folder that holds several trainings: where those of the first seed lie, one file a test fold
CLIP = ("file", "source", "fold", "class")


def write(path, clips, labelling, scores):
    """Writes the table. clips: `zoo.corpus.Clips`. scores: {file: (clips, classes)}."""
    targets, *decided = map(labelling.told, (clips.targets, *map(labelling.decide, scores.values())))
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow((*CLIP, *scores))
        for i in range(len(clips)):
            told = (clips.files[i], clips.sources[i], clips.folds[i], targets[i])
            writer.writerow((*told, *(of_file[i] for of_file in decided)))


def read(paths):
    """The tables, one under the other, as {column: strings (clips,)}; columns that not all have are left out."""
    tables = []
    for path in paths:
        with open(path, newline="", encoding="utf-8") as file:
            tables.append(list(csv.DictReader(file)))
    columns = [column for column in tables[0][0] if all(column in table[0] for table in tables)]
    return {column: np.array([row[column] for table in tables for row in table]) for column in columns}


def place(folder, seed, first_seed):
    """Where an exported folder keeps the weights and the decisions of a seed's trainings: N.h5 and N.csv of fold N."""
    return Path(folder, FOLDS + (f"-seed{seed}" if seed != first_seed else ""))


def trainings(folder, first_seed):
    """{(seed, test fold): N.csv}, of all that the folder keeps, in order; N.h5 lies beside it."""
    prefix = f"{FOLDS}-seed"
    seeds = sorted(int(path.name.removeprefix(prefix)) for path in Path(folder).glob(f"{prefix}*"))
    return {
        (seed, int(path.stem)): path
        for seed in (first_seed, *seeds)
        for path in sorted(place(folder, seed, first_seed).glob("*.csv"), key=lambda path: int(path.stem))
    }


def kept(folder):
    """Where a folder keeps its decisions: over all folds where it holds several, of the first seed; [] if nowhere."""
    paths = sorted(Path(folder, FOLDS).glob("*.csv")) or [Path(folder, FILE)]
    return [path for path in paths if path.is_file()]


def of_folder(folder):
    """What a folder decided, by clips' names (`by_clip`); None where it has kept nothing."""
    paths = kept(folder)
    return by_clip(read(paths)) if paths else None


def by_clip(table):
    """A table in the order of its clips' names."""
    order = np.argsort(table["file"], kind="stable")
    return {column: values[order] for column, values in table.items()}
