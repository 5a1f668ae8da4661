"""Anyone's Keras audio classifier becomes the folder that the zoo's own models become: files, card, micro/.

What it takes is found out: a waveform, or a spectrogram whose settings are read off Kapre's layers or have to be told.
The seam of a waveform's model is named, or found: the deepest layer of the local stretch at its beginning up to which
a stream computes next to nothing twice.
"""

import json
import math
from dataclasses import fields
from pathlib import Path
from textwrap import fill
from typing import NamedTuple

from zoo.backend import keras

import numpy as np

from zoo import assembly, audio, pipeline
from zoo.atomic import whole_folder
from zoo.errors import ZooError
from zoo.export import card, keras_files, seam
from zoo.export.folder import Quantisation, versions, write_models, write_sums
from zoo.frontends import LogMel, Raw
from zoo.measure import counts, files
from zoo.progress import bar

MOST_COMPUTED_TWICE = 1.05  # of the front's multiplies, column by column instead of all at once
SHORTEST_COLUMN_S = 0.001  # a call of the front end for less is more call than front end
CROPS_PER_CLIP = 4
CALIBRATION_CROPS = 256
# Where Kapre's decibels and the spec's differ by more, its layers do something that the spec does not know.
LEVEL_TOLERANCE = 1e-2


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
    spectrograms which the model takes, {field: value}.

    Raises: ZooError for what cannot be done, with the layer that stands in the way.
    """
    model = keras_files.load(path)
    if model.output_shape[1:] != (len(labels),):
        raise ZooError(f"{path}: gives {model.output_shape[1:]} for a waveform, and there are {len(labels)} labels")
    parts = take_apart(model, sample_rate_hz, seam_layer, mel)
    front_end = parts.front_end
    calibration, judging = _crops(clips, front_end)
    with whole_folder(folder, overwrite) as unfinished:
        whole = assembly.join(front_end.build(), parts.backbone)
        notes = _keras_notes(whole, unfinished)
        targets = _decisions(whole.predict(calibration, verbose=0))
        written = write_models(
            unfinished, front_end, parts.backbone, parts.seam_layer, calibration, targets, labels, Quantisation()
        )
        metrics = {
            "model": Path(path).name,
            "command": command,
            "sample_rate_hz": sample_rate_hz,
            "num_samples": front_end.num_samples,
            "labels": labels,
            "front_end": repr(front_end),
            "seam": parts.note,
            "notes": notes,
            "parameters": counts.trainable_parameters(parts.backbone),
            "calibration_crops": len(calibration),
            "judging_crops": len(judging),
            "files": _compared(unfinished, written.column_stride_samples, judging),
            "column_stride_samples": written.column_stride_samples,
            "stream": written.memory and {**written.memory._asdict(), "total_bytes": written.memory.total_bytes},
            "strips": {name: strips.figures() for name, strips in written.strips.items()},
            "versions": versions(),
        }
        (unfinished / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
        (unfinished / "card.md").write_text(_card(metrics), encoding="utf-8")
        write_sums(unfinished)
    return metrics


def take_apart(model, sample_rate_hz, seam_layer=None, mel=None) -> Parts:
    """The `Parts` of a model without models inside.

    Raises: ZooError where it takes neither a waveform nor a spectrogram that is understood, by layer.
    """
    first_mel = next((layer for layer in model.layers if type(layer).__module__.startswith("kapre")), None)
    if first_mel is not None:
        return _after_mel_layers(model, sample_rate_hz)
    shape = model.input_shape[1:]
    if mel is not None:
        return _over_log_mel(model, sample_rate_hz, mel)
    if math.prod(shape[1:]) != 1:
        raise ZooError(
            f"{model.name}: takes {shape}, which is no waveform; if it is a log-mel spectrogram (frames, mels), pass "
            f"its settings as --mel, of {', '.join(_mel_settings())}"
        )
    front_end = Raw(sample_rate_hz, shape[0], (-1, *shape[1:]))
    if seam_layer is None:
        return Parts(front_end, model, *_found_seam(front_end, model))
    if seam_layer not in [layer.name for layer in model.layers]:
        raise ZooError(f"{model.name}: no layer {seam_layer!r}; its layers are {_names(model)}")
    stride_samples, _ = seam.column_geometry(assembly.cut(front_end.build_tflite_twin(), model, seam_layer)[0])
    return Parts(front_end, model, seam_layer, f"{seam_layer}, as named: a column every {stride_samples} samples")


def _found_seam(front_end, model):
    """(layer or None, how it was found or why there is none)."""
    twin, found = front_end.build_tflite_twin(), None
    local, why = _local_layers(model)
    for name in local:
        front, _ = assembly.cut(twin, model, name)
        stride_samples, field_samples = seam.column_geometry(front)
        macs, columns = counts.macs(front), front.output_shape[1]
        if stride_samples < SHORTEST_COLUMN_S * front_end.sample_rate_hz or not macs:
            continue
        computed = counts.macs(seam.on_samples(front, field_samples)) * columns / macs
        if computed <= MOST_COMPUTED_TWICE:
            found = name, f"{name}, found: a column every {stride_samples} samples, {computed - 1:+.2%} multiplies"
    return found or (None, f"none, so no stream: {why}")


def _local_layers(model):
    """(names of the layers up to each of which the model is local in time, what the next one is)."""
    consumers = {}
    for node in counts.nodes_of(model):
        for tensor in node.flat_input_ids:
            consumers.setdefault(tensor, []).append(node)
    tensor, names = str(id(model.inputs[0])), []
    while len(consumers.get(tensor, [])) == 1:
        (node,) = consumers[tensor]
        if node.is_input:
            consumers[tensor].remove(node)
            continue
        layer = node.layer
        is_window = type(layer) in seam.WINDOWED
        if is_window and layer.padding != "valid":
            return names, f"{layer.name} pads ({layer.padding!r}), which a stream cannot"
        if not is_window and (
            not isinstance(layer, seam.POINTWISE) or names and isinstance(layer, keras.layers.Reshape)
        ):
            return names, f"{layer.name}, a {type(layer).__name__}, hears more than a window of time"
        if is_window or names:
            names.append(layer.name)
        (tensor,) = node.flat_output_ids
    return names, "its beginning branches" if tensor in consumers else "it ends"


def _after_mel_layers(model, sample_rate_hz):
    """A model whose first layers are Kapre's make its spec, if they are the spec's own."""
    settings, last = {}, None
    for layer in model.layers:
        kind, config = type(layer).__name__, layer.get_config()
        if kind == "STFT":
            settings |= {"n_fft": config["n_fft"], "window_samples": config["win_length"]}
            settings |= {"hop_samples": config["hop_length"]}
        elif kind == "Multiply" and last is not None:
            settings |= {"spectrum": "power"}
        elif kind == "ApplyFilterbank":
            mel = config["filterbank_kwargs"]
            settings |= {"num_mels": mel["n_mels"], "low_hz": mel["f_min"], "high_hz": mel["f_max"]}
        elif kind == "MagnitudeToDecibel":
            settings |= {"floor": config["amin"], "log": "decibel"}
        elif kind == "Rescaling":
            settings |= {"log": "natural"}
        elif kind not in ("InputLayer", "Reshape", "Magnitude"):
            break
        last = layer
    mel_layers = keras.Model(model.input, last.output)
    num_samples = math.prod(model.input_shape[1:])
    try:
        front_end = LogMel(num_samples, sample_rate_hz, **{"spectrum": "magnitude", **settings})
        sounds = np.random.default_rng(0).normal(0, 0.1, (2, num_samples)).astype(np.float32)
        theirs = mel_layers.predict(sounds.reshape(2, *model.input_shape[1:]), verbose=0)
        difference = np.abs(theirs - front_end.build().predict(sounds, verbose=0)).max()
    except (TypeError, ValueError) as error:
        raise ZooError(f"{model.name}: its layers up to {last.name} make no log-mel that is known: {error}") from error
    if difference > LEVEL_TOLERANCE:
        raise ZooError(
            f"{model.name}: up to {last.name} its levels are {difference:.2g} off those of {front_end}: a stream knows "
            "no clip's maximum, no padding and no other norm; train it over zoo.frontends.LogMel"
        )
    return Parts(front_end, keras.Model(last.output, model.output, name=model.name), None, f"{last.name}, the log-mel")


def _over_log_mel(model, sample_rate_hz, settings):
    shape = model.input_shape[1:]
    unknown = set(settings) - set(_mel_settings())
    if unknown:
        raise ZooError(f"--mel: no setting {min(unknown)!r}; they are {', '.join(_mel_settings())}")
    if len(shape) not in (2, 3) or math.prod(shape[2:]) != 1:
        raise ZooError(f"{model.name}: takes {shape}, which is no (frames, mels) or (frames, mels, 1)")
    lengths = LogMel(0, sample_rate_hz, **settings)
    num_samples = lengths.window_samples + lengths.hop_samples * (shape[0] - 1)
    front_end = LogMel(num_samples, sample_rate_hz, num_mels=shape[1], **settings)
    x = keras.Input((*shape[:2], 1), name="log_mel")
    y = keras.layers.Reshape(shape, name="spectrogram")(x) if len(shape) == 2 else x
    return Parts(front_end, keras.Model(x, keras_files.called(model, y), name=model.name), None, "the input, a log-mel")


def _mel_settings():
    return [field.name for field in fields(LogMel) if field.name not in ("num_samples", "sample_rate_hz", "num_mels")]


def _crops(folder, front_end):
    """(crops that calibrate, crops that judge) of a folder of recordings."""
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file() and not path.name.startswith("."))
    if len(paths) < 3:
        raise ZooError(f"{folder}: {len(paths)} files; give a folder of at least three recordings")
    crops = []
    for path in bar(paths, desc="recordings", unit="clip"):
        recording = audio.read(path)
        waveform = audio.decode(recording.encoded, recording.encoding)
        waveform = audio.resample(waveform, recording.sample_rate_hz, front_end.sample_rate_hz).numpy()
        waveform = np.clip(waveform, -1, seam.PCM_PEAK)  # a resampler may overshoot
        crops.append(pipeline.judging_crops(waveform, front_end.num_samples, CROPS_PER_CLIP))
    judging = np.concatenate(crops[::3])
    calibration = np.concatenate([crop for i, crop in enumerate(crops) if i % 3])
    every = math.ceil(len(calibration) / CALIBRATION_CROPS)
    return calibration[::every], judging


def _keras_notes(model, folder):
    """Writes the Keras files, and returns what cannot be done of them."""
    try:
        keras_files.save(model, folder)
    except ZooError as error:
        reason = str(error).removeprefix(f"{folder}/").partition(" using config")[0]
        return [f"There is no model.keras: {reason}"]
    return []


def _compared(folder, column_stride_samples, crops):
    """Each file's bytes, arena and how many crops it decides otherwise than model.h5."""
    rows, exact = {}, None
    for exported in files.open_folder(folder, column_stride_samples):
        decisions = _decisions(exported.run(crops))
        exact = decisions if exact is None else exact
        for name, arena_bytes in exported.arenas.items():
            rows[name] = {
                "bytes": (folder / name).stat().st_size,
                "arena_bytes": arena_bytes,
                "kernels": exported.kernels,
                "changed_crops": int((decisions != exact).sum()),
            }
    return rows


def _decisions(scores):
    return scores.argmax(axis=1)


def _card(metrics):
    lines = [
        "| file | changed decisions | bytes | arena bytes | kernels |",
        "|---|---:|---:|---:|---|",
        *(
            f"| {name} | {row['changed_crops']} of {metrics['judging_crops']} | {row['bytes']:,} | "
            f"{'' if row['arena_bytes'] is None else format(row['arena_bytes'], ',')} | {row['kernels']} |"
            for name, row in metrics["files"].items()
        ),
    ]
    paragraphs = [
        f"# {metrics['model']}",
        f"A classifier of {len(metrics['labels'])} sounds that this project did not train. It takes "
        f"{metrics['num_samples']:,} samples at {metrics['sample_rate_hz']:,} Hz, mono, float32 in [-1, 1], and gives "
        "one score for each line of `labels.txt`.",
        f"Seam: {metrics['seam']}. Front end: {metrics['front_end']}. Parameters: {metrics['parameters']:,}.",
        f"Changed decisions are those that differ from `model.h5` on {metrics['judging_crops']} crops of recordings "
        f"that did not set the ranges of int8; {metrics['calibration_crops']} crops of others did.",
        "\n".join(lines),
        *metrics["notes"],
        *card.micro_note(metrics),
        f"    {metrics['command']}",
    ]
    return "\n\n".join(fill(text, 100) if text[:1].isalpha() else text for text in paragraphs) + "\n"


def _names(model):
    return ", ".join(layer.name for layer in model.layers)
