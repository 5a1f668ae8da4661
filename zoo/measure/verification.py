"""Whether every figure that an exported folder tells comes out again."""

import itertools
import json
import math
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from zoo import corpus, datasets, decisions, judging, labelling, open_set
from zoo.errors import ZooError
from zoo.export import keras_files, provenance
from zoo.measure import open_world, pooled, proof

TOLERANCE = 1e-9  # of floats, as a share: they were written with all their digits


def measured_again(folder, data_dir, cache, open_world_dir=None):
    """What metrics.json holds, as it comes of the folder's files and the clips; the folder stays as it is.

    data_dir, cache: as of `datasets.load`. open_world_dir: the same for the data set of --open-world, where its figures
    are asked for.

    Raises: ZooError for other clips than those that the folder was made with, and for decisions that are not those
    that it holds.
    """
    folder, told = Path(folder), provenance.read(folder)
    if "enrolled" in told:
        raise ZooError(f"{folder}: no clips tested it since a class was enrolled; do without --data-dir")
    builder = datasets.load(told["dataset"], cache, data_dir, datasets.are_bad_skipped(told["data_fingerprint"]))
    if builder.builder_config.name != told["data_fingerprint"]:
        raise ZooError(
            f"{data_dir}: other clips than those of {folder} (fingerprint {builder.builder_config.name}, there "
            f"{told['data_fingerprint']}); pass the same --data-dir"
        )
    clips = corpus.clips_at(builder, told["sample_rate_hz"], cache, told["trim_db"])
    if told["labels"] != list(builder.class_names):  # of its first classes alone
        clips = clips.where(clips.targets < len(told["labels"]))
    judges = _judging(told, builder)
    world = open_world_dir and _world(told, open_world_dir, cache)

    train, validation, test = clips.split(builder, told["test_fold"])
    calibration, _ = corpus.unmixed_crops(
        train, told["num_samples"], told["calibration_crops"], told["seed"], told["padding"]
    )
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch, folder.name)
        shutil.copytree(folder, copy)
        _, measured = proof.measure(copy, told, judges, test, validation, calibration, world)
        _same_lines(folder, copy, decisions.FILE)
        if world:
            _same_lines(folder, copy, open_set.FILE)
    metrics = told | measured
    trained = decisions.trainings(folder, told["seed"])
    if trained:
        validations = [_of_training(path, clips.split(builder, fold), judges) for (_, fold), path in trained.items()]
        metrics["cross_validation"] = pooled.figures(trained, validations, told["seed"])
    return json.loads(json.dumps(metrics))


def _world(told, folder, cache):
    """The `World` of a provenance.json."""
    recorded = told.get("open_world_fingerprint")  # folders of before 0.10.0 do not tell
    are_bad_skipped = datasets.are_bad_skipped(recorded or told["data_fingerprint"])
    world = open_world.load(told["open_world"], folder, told["labels"], told["sample_rate_hz"], cache, are_bad_skipped)
    if recorded and world.fingerprint != recorded:
        raise ZooError(f"{folder}: other clips than those of --open-world, when it was made; pass the same")
    return world


def _judging(told, builder):
    """The `Judging` of a provenance.json."""
    found = replace(labelling.of(builder), labels=tuple(told["labels"]))
    if told["thresholds"]:
        found = replace(found, thresholds=tuple(told["thresholds"]["by_class"].values()))
    if "rejection" in told:
        points = {name: tuple(point["thresholds"].values()) for name, point in told["rejection"]["points"].items()}
        found = replace(found, points=points)
    return judging.Judging(found, told["num_samples"], told["crops_per_clip"], told["padding"], told["seed"])


def _of_training(path, parts, judges):
    """What a training of several has on the validation clips, or None; its weights are to decide as its table says."""
    _, validation, test = parts
    run = keras_files.open_h5(path.with_suffix(".h5"))
    scores, _ = judges.scored(run, test, f"{path.parent.name}/{path.stem}.h5")
    decided, table = judges.labelling.told(judges.labelling.decide(scores)), decisions.read([path])
    unlike = int((np.array(decided) != table["model.h5"]).sum())
    if unlike:
        raise ZooError(f"{path.with_suffix('.h5')}: decides {unlike} of {len(test)} clips unlike {path.name}")
    if not len(validation):
        return None
    _, figures = judges.scored(run, validation, "validation")
    return figures


def _same_lines(folder, copy, name):
    """Raises: ZooError where a table that was made again does not begin the folder's own."""
    lines, again = ((where / name).read_text(encoding="utf-8").splitlines() for where in (folder, copy))
    unlike = sum(one != other for one, other in itertools.zip_longest(lines[: len(again)], again))
    if unlike:
        raise ZooError(f"{folder / name}: {unlike} of {len(again)} lines come out otherwise")


def unlike(recorded, measured, path=""):
    """Yields a line for each figure of metrics.json, `recorded`, that `measured` has otherwise, or one has alone."""
    if isinstance(recorded, dict) and isinstance(measured, dict):
        for name in (*recorded, *(measured.keys() - recorded.keys())):
            yield from unlike(recorded.get(name), measured.get(name), f"{path}/{name}" if path else name)
    elif isinstance(recorded, list) and isinstance(measured, list) and len(recorded) == len(measured):
        for number, both in enumerate(zip(recorded, measured)):
            yield from unlike(*both, f"{path}/{number}")
    elif not _alike(recorded, measured):
        yield f"{path}: {recorded}, measured {measured}"


def _alike(recorded, measured):
    if isinstance(recorded, float) and isinstance(measured, float):
        return math.isclose(recorded, measured, rel_tol=TOLERANCE)
    return recorded == measured


def fallen(metrics, before):
    """Yields a line for each point of a robustness curve that lies under the interval that it had in `before`."""
    for kind, changes in before.get("robustness", {}).items():
        for value, of_files in changes.items():
            for file, row in of_files.items():
                now = metrics.get("robustness", {}).get(kind, {}).get(value, {}).get(file)
                if now is None:
                    yield f"{kind} {value}, {file}: {row['accuracy']:.2%} before, and not measured now"
                elif row["low"] is not None and now["accuracy"] < row["low"]:
                    before_it = f"{row['low']:.2%} to {row['high']:.2%} before"
                    yield f"{kind} {value}, {file}: {now['accuracy']:.2%}, under {before_it}"
