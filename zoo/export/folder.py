"""What users take: one folder for each model and data set."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from zoo import assembly
from zoo.errors import ZooError
from zoo.export import keras_files, micro, mixed, seam, tflite

# Further files of the whole model, for comparison or for a CPU: form -> function (model, calibration) -> bytes.
FORMS = {
    "fp16": lambda model, _: tflite.to_float16(model),
    "dynamic": lambda model, _: tflite.to_dynamic(model),
    "int16x8": tflite.to_int16x8,
    "naive_int8": seam.whole_int8,
}


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


class Written(NamedTuple):
    """What came of the files' making."""

    column_stride_samples: int | None  # None where the front end is not learned: micro/ then holds the body alone
    calibration_accuracy: float  # of the float body, on the crops that the sensitivity is told on
    sensitivity: list  # of the body's tensors to 8 bits: rows of `mixed.sensitivity`, the worst first
    wide: tuple  # the tensors that have 16 bits instead


def write_models(folder, front_end, backbone, seam_layer, hop_columns, calibration, targets, labels, quantisation):
    """`Written`, once every file that runs is there: Keras, .tflite, micro/ with C arrays.

    front_end: the spec (`zoo.frontends`). calibration, targets: unmixed training crops (n, samples), float32 in
    [-1, 1), and their classes (n,).
    """
    folder = Path(folder)
    keras_files.save_h5(assembly.join(front_end.build(), backbone), folder / "model.h5")
    keras_files.save_keras3(folder / "model.h5", folder / "model.keras")

    twin = front_end.build_tflite_twin()
    front, body = assembly.cut(twin, backbone, seam_layer)
    columns = seam.columns_of(front, calibration)
    sensitivity, wide = mixed.sensitivity(body, columns, targets, quantisation.ranges), ()
    if quantisation.max_drop is None:
        micro_files = {"body": seam.int8_body(body, columns, quantisation.ranges)}
    else:
        widened = mixed.widen(body, columns, sensitivity, quantisation.max_drop, quantisation.ranges)
        micro_files, wide = {"body": widened.body}, widened.wide
    whole = assembly.join(twin, backbone)
    (folder / "model.tflite").write_bytes(tflite.to_float(whole))
    (folder / "model_int8.tflite").write_bytes(seam.seam_int8(front, micro_files["body"]))
    for form in quantisation.forms:
        (folder / f"model_{form}.tflite").write_bytes(FORMS[form](whole, calibration))

    front_is_learned = front is not twin
    if front_is_learned:
        micro_files["frontend"] = seam.micro_frontend(front, micro_files["body"], hop_columns, calibration)
        micro_files["model"] = seam.whole_int8(whole, calibration)
    (folder / "micro").mkdir()
    for name, model in micro_files.items():
        (folder / "micro" / f"{name}.tflite").write_bytes(model)
        micro.write_c_array(model, name, folder / "micro")
    micro.write_labels(labels, folder / "micro")
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
    accuracy = float((body.predict(columns, verbose=0).argmax(axis=1) == targets).mean())
    return Written(seam.column_geometry(front)[0] if front_is_learned else None, accuracy, sensitivity, wide)


def write_sums(folder):
    """Writes SHA256SUMS of all files below `folder`, as `sha256sum --check` reads it."""
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in files]
    (Path(folder) / "SHA256SUMS").write_text("".join(lines))
