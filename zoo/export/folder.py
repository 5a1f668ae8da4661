"""What users take: one folder for each model and data set."""

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import numpy as np

import zoo
from zoo import assembly, audio
from zoo.datasets import synth10
from zoo.errors import ZooError
from zoo.export import (
    edgetpu,
    equalise,
    flatbuffer,
    keras_files,
    micro,
    mixed,
    seam,
    signs,
    strips,
    tflite,
    xnor,
    xnor_c,
)  # fmt: skip
from zoo.export.log_mel_c import write_log_mel
from zoo.export.metadata import LABELS_FILE, About, with_metadata
from zoo.export.stream import parts_of, stream_of
from zoo.frontends import Raw
from zoo.measure.arena import StreamMemory, stream_memory
from zoo.runtime import sums
from zoo.runtime.interpreter import LiteRT

ONE_CALL_MAX_EXTRA = 0.001  # of the multiplies: micro/model.tflite is there to be compared with
DECISION_S = 0.25  # between two decisions of the self-test, or a column where that takes longer
# Further files of the whole model, for comparison or for a CPU, float32 in and out as apps have it; for the Edge TPU
# int8 in and out: form -> function (model, calibration) -> bytes.
FORMS = {
    "fp16": lambda model, _: tflite.to_float16(model),
    "dynamic": lambda model, _: tflite.to_dynamic(model),
    "int16x8": lambda model, crops: flatbuffer.with_float_ends(tflite.to_int16x8(model, crops)),
    "naive_int8": lambda model, crops: flatbuffer.with_float_ends(tflite.to_int8(model, crops)),
    "edgetpu": edgetpu.one_call,
}
# What a log-mel spoils: its powers span more than 16 bits hold, and the Edge TPU has no logarithm.
FORMS_OF_RAW = ("int16x8", "edgetpu")


@dataclass(frozen=True)
class Quantisation:
    """How 8 bits are made, and of what there are further files.

    Raises: ZooError for a value that is not known.
    """

    ranges: str = "percentile"  # at the seam: one of seam.RANGES
    max_drop: float | None = None  # share of the calibration crops that 8 bits may decide otherwise; None: any
    forms: tuple = ()  # of FORMS: model_<form>.tflite

    def __post_init__(self):
        if self.max_drop is not None and not 0 <= self.max_drop < 1:
            raise ZooError(f"max drop {self.max_drop}: pass a share of the crops, from 0 to below 1")
        unknown = [form for form in self.forms if form not in FORMS]
        if unknown:
            raise ZooError(f"no form {unknown[0]!r}; choose of {', '.join(FORMS)}")

    def check(self, front_end):
        """Raises: ZooError for a form that does not go with this front end (`zoo.frontends`)."""
        spoilt = [form for form in self.forms if form in FORMS_OF_RAW and not isinstance(front_end, Raw)]
        if spoilt:
            raise ZooError(f"form {spoilt[0]!r} is for raw waveforms, not over a log-mel; choose another")


class Written(NamedTuple):
    """What came of the files' making."""

    calibration_metric: float | None = None  # of the float body, on the crops that the sensitivity is told on
    sensitivity: tuple = ()  # of the body's tensors to 8 bits: rows of `mixed.sensitivity`, the worst first
    wide: tuple = ()  # the tensors that have 16 bits instead
    column_stride_samples: int | None = None  # between columns of a stream; None: micro/ holds the one call alone
    strips: dict = {}  # file of micro/ -> its `strips.Stripped`
    memory: StreamMemory | None = None  # of micro/'s stream
    binary_products: int = 0  # for one input: xnor.c counts bits where others multiply


def write_models(
    folder,
    front_end,
    backbone,
    seam_layer,
    calibration,
    targets,
    labelling,
    quantisation,
    about: About,
    with_micro=True,
):
    """`Written`, once every .tflite is there, and, `with_micro`, micro/ with its C sources.

    A log-mel is the seam itself. A waveform's backbone without the layer `seam_layer` cannot be a stream: micro/ then
    holds the one int8 call alone. The files for apps tell what they are (`about`), those for boards do not: flash is
    dear, and labels and rate stand in the sources there.

    front_end: the spec (`zoo.frontends`). calibration, targets: unmixed training crops (n, samples), float32 in
    [-1, 1), and their classes; None where nobody asks for the sensitivity, which max_drop needs. labelling: of
    `zoo.labelling`. with_micro: a large model fits no board, and to tell its sensitivity tensor by tensor takes hours:
    without it that is told for max_drop alone.

    Raises: ZooError for what cannot be converted, and for an operator that TFLM lacks, by layer.
    """
    folder = Path(folder)
    twin = front_end.build_tflite_twin()
    front, body = assembly.cut(twin, backbone, seam_layer)
    is_stream = front is not twin
    if is_stream:
        front = seam.with_8_bit_kernels(front)
    columns = seam.columns_of(front, calibration)
    body = equalise.equalised(body, columns)
    if not with_micro and quantisation.max_drop is None:
        targets = None
    body_file, told = _in_8_bits(body, columns, targets, labelling, quantisation)
    whole = assembly.join(twin, backbone)
    models = {"model": tflite.to_float(whole), "model_int8": seam.seam_int8(front, body_file)}
    models |= {f"model_{form}": FORMS[form](whole, calibration) for form in quantisation.forms}
    for name, model in models.items():
        described = _described(model, about, front_end, labelling)
        (folder / f"{name}.tflite").write_bytes(described)
    (folder / LABELS_FILE).write_text("".join(f"{label}\n" for label in labelling.labels), encoding="utf-8")
    if not with_micro:
        return Written(**told)
    micro_folder = folder / "micro"
    micro_folder.mkdir()
    is_raw, stripped = isinstance(front_end, Raw), {}
    if is_stream or not is_raw:
        parts, told["binary_products"] = _write_body(micro_folder, body, body_file)
        stripped |= parts
        if is_stream:
            told["column_stride_samples"], _ = seam.column_geometry(front)
            micro.write_model(seam.micro_frontend(front, body_file, calibration), "frontend", micro_folder)
        else:
            told["column_stride_samples"] = front_end.hop_samples
            write_log_mel(front_end, LiteRT(body_file).input, micro_folder)
        told["memory"] = write_sources(micro_folder, told["column_stride_samples"], front_end.sample_rate_hz, labelling)
    if is_raw and not xnor.is_folded(body):
        one_call = strips.in_strips(tflite.to_int8(whole, calibration), max_extra=ONE_CALL_MAX_EXTRA)
        stripped["model.tflite"] = one_call
        micro.write_model(one_call.model, "model", micro_folder)
    return Written(**told, strips=stripped)


def _in_8_bits(body, columns, targets, labelling, quantisation):
    """(the body's file in int8, what `Written` tells of it). targets: None where the sensitivity is not told."""
    if xnor.is_folded(body):
        if quantisation.max_drop is not None:
            raise ZooError(f"{body.name}: signs are no tensor that 16 bits would help; leave --max-drop out")
        return signs.int8_body(body, columns, *seam.seam_range(columns, quantisation.ranges)), {}
    told = {}
    if targets is not None:
        told["sensitivity"] = mixed.sensitivity(body, columns, targets, labelling, quantisation.ranges)
        told["calibration_metric"] = labelling.measure(body.predict(columns, verbose=0), targets)
    if quantisation.max_drop is None:
        return seam.int8_body(body, columns, quantisation.ranges), told
    widened = mixed.widen(body, columns, told["sensitivity"], quantisation.max_drop, labelling, quantisation.ranges)
    return widened.body, {**told, "wide": widened.wide}


def _write_body(folder, body, body_file):
    """Writes what a stream runs behind its columns; ({file: its `strips.Stripped`}, products of signs)."""
    if xnor.is_folded(body):
        net = xnor.net_of(body, LiteRT(body_file).input)
        xnor_c.write_xnor(net, folder)
        return {}, net.binary_products
    stripped = strips.in_strips(body_file)
    micro.write_model(stripped.model, "body", folder)
    return {"body.tflite": stripped}, 0


def write_embedding(folder, front_end, backbone, labelling, about: About):
    """Writes embedding.h5 and embedding.tflite: the model with a second output, what its head makes the scores of."""
    folder = Path(folder)
    keras_files.save_h5(assembly.with_embedding(front_end.build(), backbone), folder / "embedding.h5")
    model = tflite.to_float(assembly.with_embedding(front_end.build_tflite_twin(), backbone))
    (folder / "embedding.tflite").write_bytes(_described(model, about, front_end, labelling))


def _described(model, about, front_end, labelling):
    return with_metadata(model, about, front_end.sample_rate_hz, labelling.labels, thresholds=labelling.thresholds)


def write_sources(folder, stride_samples, sample_rate_hz, labelling):
    """Adds to micro/ what a board needs beside the models, and returns what the stream takes of memory.

    What the board's self-test has to say comes from TFLM here.
    """
    columns_per_decision = max(1, round(DECISION_S * sample_rate_hz / stride_samples))
    stream = stream_of(folder, stride_samples, columns_per_decision=columns_per_decision)
    pcm = golden_sound(sample_rate_hz, stream.window_samples + 2 * columns_per_decision * stride_samples)
    memory = stream_memory(stream.frontend, stream.body)
    frontend, body = parts_of(folder)
    micro.write_micro(
        folder,
        frontend=None if frontend.suffix == ".c" else frontend.read_bytes(),
        body=stream.body if body.suffix == ".c" else body.read_bytes(),
        labels=labelling.labels,
        points=labelling.points,
        sample_rate_hz=sample_rate_hz,
        column_stride_samples=stride_samples,
        column_field_samples=stream.frontend.input_shape[0],
        arena_bytes=memory.arena_bytes,
        golden=micro.Golden(pcm, columns_per_decision, stream.feed(pcm)),
    )
    return memory


def golden_sound(sample_rate_hz, num_samples):
    """The start of a clip of synth10, repeated where it is too short. Shape: int16 (num_samples,)"""
    clip = synth10.synthesise("bird_chirp", np.random.default_rng(0))
    sound = audio.resample(clip, synth10.SAMPLE_RATE_HZ, sample_rate_hz).numpy()
    return np.round(np.resize(sound, num_samples) * 32767).astype(np.int16)


def add_arrays(folder):
    """Writes the C arrays of an exported folder that were left out for their length, and returns their names.

    Raises: ZooError for what is no exported folder.
    """
    micro_folder = Path(folder) / "micro"
    models = sorted(micro_folder.glob("*.tflite"))
    if not models:
        raise ZooError(f"{folder}: no micro/*.tflite; pass an exported folder that has micro/")
    lacking = [model for model in models if not model.with_suffix(".cc").exists()]
    for model in lacking:
        micro.write_c_array(model.read_bytes(), model.stem, micro_folder)
    if lacking:
        sums.write(folder)
    return [f"micro/{model.stem}.cc" for model in lacking]


def versions():
    """{package: version} of all that has a part in an export."""
    packages = ("tensorflow", "tf-keras", "kapre", "ai-edge-litert", "tflite-micro")
    return {"zoo": zoo.__version__, **{package: metadata.version(package) for package in packages}}
