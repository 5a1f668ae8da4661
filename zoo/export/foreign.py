"""Anyone's Keras audio classifier becomes the folder that the zoo's own models become: files, card, micro/.

What it takes is found out: a waveform, or a spectrogram whose settings are read off Kapre's layers or have to be told.
The seam of a waveform's model is named, or found: the deepest layer of the local stretch at its beginning up to which
a stream computes next to nothing twice.
"""

import json
import math
from dataclasses import fields, replace
from pathlib import Path
from typing import NamedTuple

from zoo.backend import keras

import numpy as np

from zoo import assembly, audio, corpus
from zoo.atomic import whole_folder
from zoo.calls import ids_of, nodes_of
from zoo.errors import ZooError
from zoo.export import card, cells, graph, keras_files, log_mel_c, seam
from zoo.export.folder import DECISION_S, Quantisation, versions, write_models
from zoo.export.metadata import About
from zoo.frontends import LogMel, Raw
from zoo.labelling import Multiclass
from zoo.measure import counts, files
from zoo.progress import bar
from zoo.runtime import sums

layers = keras.layers

MOST_COMPUTED_TWICE = 1.05  # of the front's multiplies, column by column instead of all at once
SHORTEST_COLUMN_S = 0.001  # a call of the front end for less is more call than front end
LOWEST_RATE_HZ = 1_000  # whoever passes less means kHz
CROPS_PER_CLIP = 4
CALIBRATION_CROPS = 256
LEVEL_TOLERANCE_DB = 1e-2  # where Kapre's levels differ by more, its layers do something that the spec does not know
MEL_SETTINGS = {
    field.name: field.type
    for field in fields(LogMel)
    if field.name not in ("num_samples", "sample_rate_hz", "num_mels")
}
NEEDED = ("n_fft", "window_samples", "hop_samples", "floor")
REFERENCE = "reference"  # what has the level 0, where that is not the floor


class Parts(NamedTuple):
    """A model, taken apart."""

    front_end: Raw | LogMel
    backbone: keras.Model
    seam_layer: str | None  # of the backbone; None over a log-mel, or where there is none
    note: str  # how the seam was found, or why there is none


def export_keras(path, folder, sample_rate_hz, labels, clips, seam_layer=None, mel=None, command="", overwrite=False):
    """Writes `folder` and returns its metrics, as metrics.json holds them.

    path: .h5 or .keras of Keras 2 or 3. clips: folder of recordings, of any format and rate, that sound like what the
    model will hear; every third judges, the others set the ranges of int8. mel: settings of the `LogMel` that made the
    spectrograms which the model takes, {field: value}, and its REFERENCE.

    Raises: ZooError for what cannot be done, with the layer that stands in the way.
    """
    if sample_rate_hz < LOWEST_RATE_HZ:
        raise ZooError(f"a sample rate of {sample_rate_hz} Hz is none of sound; pass it in Hz, as 16000")
    model = keras_files.load(path)
    if model.output_shape[1:] != (len(labels),):
        raise ZooError(f"{path}: gives {model.output_shape[1:]} for a waveform, and there are {len(labels)} labels")
    try:
        parts = take_apart(model, sample_rate_hz, seam_layer, mel)
    except ZooError as error:
        raise ZooError(f"{path}: {error}") from error
    front_end = parts.front_end
    calibration, judging = _crops(clips, front_end)
    with whole_folder(folder, overwrite) as unfinished:
        whole = assembly.join(front_end.build(), parts.backbone)
        notes = _keras_notes(whole, unfinished)
        about = About(
            name=Path(path).stem,
            description=f"A classifier of {len(labels)} sounds, which the Edge Audio Zoo converted and did not train",
            version="",
            author="",
            license="",
        )
        written = write_models(
            unfinished, front_end, parts.backbone, parts.seam_layer, calibration, None, Multiclass(labels),
            Quantisation(), about,
        )  # fmt: skip
        metrics = {
            "model": Path(path).name,
            "command": command,
            "sample_rate_hz": sample_rate_hz,
            "num_samples": front_end.num_samples,
            "labels": labels,
            "front_end": repr(front_end),
            "seam": parts.note,
            "notes": [*notes, *_state_notes(unfinished)],
            "parameters": parts.backbone.count_params(),
            "calibration_crops": len(calibration),
            "judging_crops": len(judging),
            "files": _compared(unfinished, judging),
            "column_stride_samples": written.column_stride_samples,
            "stream": written.memory and {**written.memory._asdict(), "total_bytes": written.memory.total_bytes},
            "strips": {name: strips.figures() for name, strips in written.strips.items()},
            "versions": versions(),
        }
        (unfinished / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
        (unfinished / "card.md").write_text(_card(metrics), encoding="utf-8")
        sums.write(unfinished)
    return metrics


def take_apart(model, sample_rate_hz, seam_layer=None, mel=None) -> Parts:
    """The `Parts` of a model without models inside.

    Raises: ZooError where it takes neither a waveform nor a spectrogram that is understood, by layer.
    """
    shape = model.input_shape[1:]
    has_kapre = any(type(layer).__module__.startswith("kapre") for layer in model.layers)
    takes_waveform = math.prod(shape[1:]) == 1
    if mel is not None and (has_kapre or takes_waveform):
        raise ZooError("takes a waveform, so leave out --mel: it tells how spectrograms were made")
    if seam_layer is not None and (has_kapre or not takes_waveform):
        raise ZooError("its seam is the log-mel; leave out --seam")
    if has_kapre:
        return _after_mel_layers(model, sample_rate_hz)
    if takes_waveform:
        return _over_waveform(model, Raw(sample_rate_hz, shape[0], (-1, *shape[1:])), seam_layer)
    if mel is None:
        raise ZooError(
            f"takes {shape}, which is no waveform; if it is a log-mel spectrogram (frames, mels), pass its settings as "
            f"--mel, of {', '.join([*MEL_SETTINGS, REFERENCE])}"
        )
    return _over_log_mel(model, sample_rate_hz, mel)


def _over_waveform(model, front_end, seam_layer):
    local, why = _local_fronts(model)
    if seam_layer is not None:
        names = [layer.name for layer in model.layers]
        if seam_layer not in names:
            raise ZooError(f"no layer {seam_layer!r}; its layers are {', '.join(names)}")
        if seam_layer not in local:
            raise ZooError(f"{seam_layer} is no seam: {why}")
        stride_samples, _ = seam.column_geometry(local[seam_layer])
        return Parts(front_end, model, seam_layer, f"{seam_layer}, as named: a column every {stride_samples} samples")
    found = None
    for name, front in local.items():
        stride_samples, field_samples = seam.column_geometry(front)
        macs = counts.macs(front)
        if macs and SHORTEST_COLUMN_S <= stride_samples / front_end.sample_rate_hz <= DECISION_S:
            computed = counts.macs(seam.on_samples(front, field_samples)) * front.output_shape[1] / macs
            if computed <= MOST_COMPUTED_TWICE:
                found = name, f"{name}, found: a column every {stride_samples} samples, {computed - 1:+.2%} multiplies"
    return Parts(front_end, model, *(found or (None, f"none, so no stream: {why}")))


def _local_fronts(model):
    """({layer: the model up to it}, of those up to which it is local in time, why it is not further on)."""
    nodes, fronts = nodes_of(model), {}
    (tensor,), (scores,) = ids_of(model.inputs), ids_of(model.outputs)
    while True:
        behind = [node for node in nodes if tensor in node.flat_input_ids and not node.is_input]
        if len(behind) != 1:
            return fronts, f"behind {list(fronts)[-1] if fronts else 'its input'} it branches"
        (node,) = behind
        (tensor,) = node.flat_output_ids
        if sum(other.layer is node.layer for other in nodes) > 1:
            return fronts, f"{node.layer.name} is called more than once"
        if tensor == scores:
            return fronts, f"{node.layer.name} makes the scores"
        front = keras.Model(model.input, node.outputs)
        try:
            stride_samples, field_samples = seam.column_geometry(front)
        except ZooError as error:
            return fronts, str(error)
        if field_samples < stride_samples:
            return fronts, f"{node.layer.name} leaves out samples: its columns hear {field_samples} of {stride_samples}"
        fronts[node.layer.name] = front


def _after_mel_layers(model, sample_rate_hz):
    """A model whose first layers are Kapre's make its spec, if they are the spec's own."""
    settings, filterbank, reference, last = {"spectrum": "magnitude"}, None, None, None
    for layer in model.layers:
        kind, config = type(layer).__name__, layer.get_config()
        if kind == "STFT":
            settings |= {"n_fft": config["n_fft"], "window_samples": config["win_length"]}
            settings |= {"hop_samples": config["hop_length"]}
        elif kind == "Multiply":
            settings |= {"spectrum": "power"}
        elif kind == "ApplyFilterbank":
            mel = {"f_min": 0.0, "f_max": None, "n_mels": 128, **config["filterbank_kwargs"]}  # kapre's own defaults
            if mel["sample_rate"] != sample_rate_hz:
                raise ZooError(f"{layer.name} was made for {mel['sample_rate']} Hz, not for {sample_rate_hz}")
            high_hz = mel["f_max"] or sample_rate_hz / 2
            settings |= {"num_mels": mel["n_mels"], "low_hz": mel["f_min"], "high_hz": high_hz}
            filterbank = layer.filterbank
        elif kind == "MagnitudeToDecibel":
            settings |= {"floor": config["amin"], "log": "decibel"}
            reference, levels = max(config["amin"], config["ref_value"]), layer
        elif kind == "Rescaling" and reference:
            settings |= {"log": "natural"}
        elif kind not in ("InputLayer", "Reshape", "Magnitude"):
            break
        last = layer
    if reference is None or filterbank is None:
        raise ZooError(f"up to {last.name} it makes no log-mel, of kapre's STFT, ApplyFilterbank, MagnitudeToDecibel")
    front_end = _checked(LogMel(math.prod(model.input_shape[1:]), sample_rate_hz, **settings))
    loudest = np.sum(filterbank, axis=0).max() * (front_end.window_samples / 2) ** (1 + (front_end.spectrum == "power"))
    if 10 * math.log10(loudest / front_end.floor) > levels.dynamic_range:
        raise ZooError(
            f"{levels.name} cuts levels at {levels.dynamic_range:g} dB under the loudest of each clip, which a stream "
            "cannot know; train it with a dynamic_range that no sound has"
        )
    offset = _offset(front_end, reference)
    sounds = np.random.default_rng(0).normal(0, 0.1, (2, front_end.num_samples)).astype(np.float32)
    theirs = keras.Model(model.input, last.output)(sounds.reshape(2, *model.input_shape[1:]))
    ours = front_end.build()(sounds)
    if theirs.shape != ours.shape or np.abs(theirs - ours - offset).max() > LEVEL_TOLERANCE_DB:
        raise ZooError(
            f"up to {last.name} its levels {theirs.shape[1:]} are not those {ours.shape[1:]} of {front_end}: a stream "
            "knows no padding and no other norm, window or filters; train it over zoo.frontends.LogMel"
        )
    try:
        behind = keras.Model(last.output, model.output)
    except ValueError as error:
        raise ZooError(f"behind {last.name} it still hears something else than the log-mel") from error
    return Parts(front_end, _behind_log_mel(behind, ours.shape[1:], offset), None, f"{last.name}, the log-mel")


def _over_log_mel(model, sample_rate_hz, settings):
    shape, settings = model.input_shape[1:], dict(settings)
    if len(shape) not in (2, 3) or math.prod(shape[2:]) != 1:
        raise ZooError(f"takes {shape}, which is no (frames, mels) or (frames, mels, 1)")
    kinds = {**MEL_SETTINGS, REFERENCE: float}
    for name, value in settings.items():
        if name not in kinds:
            raise ZooError(f"--mel: no setting {name!r}; they are {', '.join(kinds)}")
        try:
            settings[name] = kinds[name](value)
        except ValueError as error:
            kind = {int: "a whole number", float: "a number"}[kinds[name]]
            raise ZooError(f"--mel: {name} is {kind}; got {value!r}") from error
    missing = [name for name in NEEDED if name not in settings and not (name == "floor" and "offset" in settings)]
    if missing:
        raise ZooError(f"--mel: lacks {', '.join(missing)}: how the spectrograms were made has to be told")
    settings.setdefault("high_hz", sample_rate_hz / 2)
    reference = settings.pop(REFERENCE, None)
    if reference is not None and not reference > 0:
        raise ZooError(f"--mel: {REFERENCE} is what has the level 0, above 0; got {reference}")
    try:
        front_end = LogMel(0, sample_rate_hz, num_mels=shape[1], **settings)
    except ValueError as error:
        raise ZooError(f"--mel: {error}") from error
    num_samples = front_end.window_samples + front_end.hop_samples * (shape[0] - 1)
    front_end = _checked(replace(front_end, num_samples=num_samples))
    backbone = _behind_log_mel(model, (*shape[:2], 1), _offset(front_end, reference or front_end.zero_level))
    return Parts(front_end, backbone, None, "the input, a log-mel")


def _checked(front_end):
    """The spec, if a stream can make it.

    Raises: ZooError where not, by setting.
    """
    log_mel_c.check(front_end)
    if not 0 <= front_end.low_hz < front_end.high_hz <= front_end.sample_rate_hz / 2:
        raise ZooError(
            f"mel bands from low_hz {front_end.low_hz:g} to high_hz {front_end.high_hz:g} do not lie between 0 and "
            f"half of {front_end.sample_rate_hz} Hz"
        )
    return front_end


def _offset(front_end, reference):
    """What levels over `reference` lie under the front end's own."""
    return math.log(front_end.zero_level / reference) * (10 / math.log(10) if front_end.log == "decibel" else 1)


def _behind_log_mel(model, shape, offset):
    """The model as a backbone over the levels that a `LogMel` makes."""
    x = y = keras.Input(shape, name="log_mel")
    if offset:
        y = layers.Rescaling(1.0, offset, name=REFERENCE)(y)
    if model.input_shape[1:] != tuple(shape):
        y = layers.Reshape(model.input_shape[1:], name="spectrogram")(y)
    return keras.Model(x, *keras_files.called(model, y), name="model")


def _crops(folder, front_end):
    """(crops that calibrate, crops that judge) of a folder of recordings."""
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file() and not path.name.startswith("."))
    if len(paths) < 3:
        raise ZooError(f"{folder}: {len(paths)} files; give a folder of at least three recordings")
    crops = []
    for path in bar(paths, desc="recordings", unit="clip"):
        try:
            recording = audio.read(path)
        except ZooError as error:
            raise ZooError(str(error).removesuffix(", or pass --skip-bad")) from error
        # A resampler may overshoot.
        waveform = np.clip(audio.waveform_of(recording, front_end.sample_rate_hz), -1, seam.PCM_PEAK)
        crops.append(corpus.judging_crops(waveform, front_end.num_samples, CROPS_PER_CLIP))
    judging = np.concatenate(crops[::3])
    calibration = np.concatenate([crop for i, crop in enumerate(crops) if i % 3])
    calibration = calibration[:: math.ceil(len(calibration) / CALIBRATION_CROPS)]
    if not calibration.any():
        raise ZooError(f"{folder}: holds silence; int8 takes its ranges of recordings as the model will hear them")
    return calibration, judging


def _keras_notes(model, folder):
    """Writes the Keras files, and returns what cannot be done of them."""
    try:
        keras_files.save(model, folder)
    except ZooError as error:
        reason = str(error).replace(f"{folder}/", "").partition(" using config")[0]
        return [f"There is no model.keras: {reason}"]
    return []


def _state_notes(folder):
    """What whoever runs model.tflite has to know of what it keeps from call to call."""
    (subgraph,) = graph.load((folder / "model.tflite").read_bytes()).subgraphs
    if not any(tensor.isVariable for tensor in subgraph.tensors):
        return []
    return [
        "Its recurrent layer keeps a state from call to call: before each window the caller of model.tflite and "
        "model_int8.tflite resets it (reset_all_variables in LiteRT, Reset in TFLM, as micro/ does)."
    ]


def _compared(folder, crops):
    """Each file's bytes, arena and how many crops it decides otherwise than model.h5."""
    rows, exact = {}, None
    for exported in files.open_folder(folder):
        scores = exported.run(crops)
        exact = scores if exact is None else exact
        changed = int((_decisions(scores, exact) != _decisions(exact, exact)).sum())
        rows |= {path: {**costs, "changed_crops": changed} for path, costs in exported.costs(folder).items()}
    return rows


def _decisions(scores, exact):
    """The class of the highest score; of one score alone whether it is above the middle: of 0 to 1, or of logits."""
    if scores.shape[1] > 1:
        return scores.argmax(axis=1)
    is_share = exact.min() >= 0 and exact.max() <= 1
    return scores[:, 0] > (0.5 if is_share else 0)


def _card(metrics):
    decision = "the highest score" if len(metrics["labels"]) > 1 else "a score above the middle, 0.5 or of logits 0"
    lines = [
        "| file | changed decisions | bytes | arena bytes | kernels |",
        "|---|---:|---:|---:|---|",
        *(
            f"| {name} | {row['changed_crops']} of {metrics['judging_crops']} | {row['bytes']:,} | "
            f"{cells.number(row['arena_bytes'])} | {row['kernels']} |"
            for name, row in metrics["files"].items()
        ),
    ]
    paragraphs = [
        f"# {metrics['model']}",
        f"A classifier of {len(metrics['labels'])} sounds that this project did not train. It takes "
        f"{metrics['num_samples']:,} samples at {metrics['sample_rate_hz']:,} Hz, mono, float32 in [-1, 1], and gives "
        "one score for each line of `labels.txt`.",
        f"Seam: {metrics['seam']}. Front end: {metrics['front_end']}. Parameters: {metrics['parameters']:,}.",
        f"A decision is {decision}. Changed ones differ from those of `model.h5` on {metrics['judging_crops']} crops "
        f"of recordings that did not set the ranges of int8; {metrics['calibration_crops']} crops of others did. "
        "Arenas were measured in TFLM on a 64-bit host.",
        "\n".join(lines),
        *metrics["notes"],
        *card.micro_note(metrics),
        f"    {metrics['command']}",
    ]
    return card.joined(paragraphs)
