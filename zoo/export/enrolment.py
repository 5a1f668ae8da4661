"""A new class in an exported folder, of a few recordings, without training: all its files get a head of prototypes."""

import shutil
from pathlib import Path

import numpy as np

from zoo import assembly, audio, corpus, open_set, prototypes
from zoo.atomic import whole_folder
from zoo.errors import ZooError
from zoo.export import card, cells, golden, keras_files, micro, provenance
from zoo.export.folder import LABELS_FILE, versions, write_sources
from zoo.export.head import with_head
from zoo.export.metadata import About, with_metadata
from zoo.export.stream import has_stream, settings_of
from zoo.labelling import Multiclass
from zoo.runtime import metadata, sums
from zoo.runtime.embedding import embedding_model
from zoo.runtime.interpreter import LiteRT

TOLERANCE = 1e-3  # of scores: sums of float32 in another order
FOR_APPS = ("model.tflite", "model_int8.tflite")


def enroll(folder, name, recordings, out, overwrite=False):
    """Writes the folder `out`: the model of `folder` with the class `name` beside its own. Returns its metrics.json.

    recordings: sound files of the new class, of any rate; five are a good beginning.

    Raises: ZooError for a folder that has no embeddings of its own classes, for a class that it has, and for
    recordings that do not decode.
    """
    folder, out = Path(folder), Path(out)
    before = provenance.read(folder)
    if not (folder / prototypes.FILE).is_file():
        raise ZooError(
            f"{folder}: no {prototypes.FILE}: its model has no dense head, or several labels a clip; export another one"
        )
    if name in before["labels"]:
        raise ZooError(f"{folder} has a class {name!r}; pass another --name")
    labels = [*before["labels"], name]
    model = keras_files.load_exported(folder / "model.h5")
    embed = assembly.embedder(model)
    crops = [_crops_of(path, before) for path in recordings]
    examples = [embed(one, training=False).numpy() for one in crops]
    with np.load(folder / prototypes.FILE) as kept:
        known, targets = kept["embeddings"].astype(np.float64), kept["targets"]
    noise = np.square(_of_file(folder / "model_int8.tflite", crops) - np.concatenate(examples)).mean(axis=0)
    head = prototypes.head(known, targets, examples, noise)
    known = np.concatenate([known, *examples])
    targets = np.concatenate([targets, np.full(len(known) - len(targets), len(labels) - 1)])
    logits = known @ head.kernel + head.bias
    new = {"kernel": head.kernel, "bias": head.bias, "logits_range": (float(logits.min()), float(logits.max()))}
    labelling = Multiclass(tuple(labels), head.points)
    with whole_folder(out, overwrite) as unfinished:
        keras_files.save(assembly.with_head(model, head.kernel, head.bias), unfinished)
        for file in FOR_APPS:
            _write_for_apps(folder / file, unfinished / file, name, len(recordings), labelling, new)
        _check(unfinished / FOR_APPS[0], head, crops)
        if (folder / "micro").is_dir():
            _write_micro(folder / "micro", unfinished / "micro", labelling, new)
        (unfinished / LABELS_FILE).write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
        np.savez_compressed(unfinished / prototypes.FILE, embeddings=known.astype(np.float16), targets=targets)
        told = _told(before, name, recordings, head, labels)
        provenance.write(unfinished, told)
        shutil.copy(unfinished / provenance.FILE, unfinished / "metrics.json")
        golden.write(unfinished)
        (unfinished / "card.md").write_text(card.joined(_card(told)), encoding="utf-8")
        sums.write(unfinished)
    return told


def _crops_of(path, before):
    """The crops of a recording, as a test clip's. Shape: (crops, samples)"""
    waveform = audio.waveform_of(audio.read(path), before["sample_rate_hz"])
    crops = corpus.judging_crops(waveform, before["num_samples"], before["crops_per_clip"], before["padding"])
    return crops.astype(np.float32)


def _of_file(path, crops):
    """What a .tflite file's last dense layer takes. Shape: [(crops, samples), ...] -> (all crops, width)"""
    run = LiteRT(embedding_model(path.read_bytes())).run
    return np.concatenate([run(one).reshape(len(one), -1) for one in crops])


def _write_for_apps(path, new_path, name, count, labelling, new):
    model = path.read_bytes()
    told = metadata.read(model)
    about = About(
        told.name,
        f"{told.description} {name}: enrolled from {count} recordings.",
        told.version,
        told.author,
        told.license,
    )
    described = with_metadata(
        with_head(model, **new), about, told.sample_rate_hz, labelling.labels, thresholds=labelling.thresholds
    )
    new_path.write_bytes(described)


def _check(path, head, crops):
    """Holds a file's scores against those of the head over its own embeddings. Raises: ZooError where they differ."""
    scores = LiteRT(path).run(np.concatenate(crops))
    off = float(np.abs(scores - head.scores(_of_file(path, crops))).max())
    if off > TOLERANCE:
        raise ZooError(f"{path.name}: a score differs by {off:g} from that of the new head")


def _write_micro(folder, new_folder, labelling, new):
    """micro/ with the new head; a body of signs in C is left out, as its head is no file that could be rewritten."""
    whole, body = folder / "model.tflite", folder / "body.tflite"
    if not (whole.exists() or body.exists()):
        return
    new_folder.mkdir()
    if whole.exists():
        micro.write_model(with_head(whole.read_bytes(), **new), "model", new_folder)
    if has_stream(folder) and body.exists():
        for path in folder.glob("frontend.*"):
            shutil.copy(path, new_folder)
        micro.write_model(with_head(body.read_bytes(), **new), "body", new_folder)
        settings = settings_of(folder)
        write_sources(new_folder, settings["kColumnStrideSamples"], settings["kSampleRateHz"], labelling)


def _told(before, name, recordings, head, labels):
    """How the folder was made, and how the examples are judged by each other. No clip tested it."""
    number = len(labels) - 1
    left_out, threshold = head.left_out, head.points[open_set.USUAL][number]
    kept = (
        "model", "sample_rate_hz", "num_samples", "seam", "crops_per_clip", "padding", "dataset", "metric", "licence",
        "paper", "test_fold",
    )  # fmt: skip
    return {
        **{key: before[key] for key in kept},
        "open_world": None,
        "labels": labels,
        "enrolled": [
            *before.get("enrolled", ()),
            {
                "class": name,
                "recordings": len(recordings),
                "left_out_right": int((left_out.argmax(axis=1) == number).sum()) if len(left_out) else None,
                "left_out_accepted": int((left_out[:, number] >= threshold).sum()) if len(left_out) else None,
            },
        ],
        "rejection": {
            "points": {name: {"thresholds": dict(zip(labels, each))} for name, each in head.points.items()},
        },
        "versions": versions(),
    }


def _card(told):
    rows = [
        f"| {one['class']} | {one['recordings']} | {cells.number(one['left_out_right'])} | "
        f"{cells.number(one['left_out_accepted'])} |"
        for one in told["enrolled"]
    ]
    return [
        f"# {told['model']} on {told['dataset']}, with {len(rows)} classes enrolled",
        "Classes were added by `python -m zoo enroll`, without training: the head is one of prototypes (the means of "
        "the classes' embeddings over the spread that they share, linear discriminant analysis), for the model's own "
        "classes too. The accuracy of the model before tells nothing of this one. Each recording of a new class is "
        "judged by a head of all but it:",
        "\n".join(["| class | recordings | decided right | accepted |", "|---|---:|---:|---:|", *rows]),
        f"Licence of the weights: {told['licence']}, and that of the recordings that were enrolled.",
    ]
