"""What users take: one folder for each model and data set."""

import hashlib
from pathlib import Path

from zoo import assembly
from zoo.export import keras_files, micro, seam, tflite


def write_models(folder, front_end, backbone, seam_layer, hop_columns, calibration, labels):
    """The columns' stride in samples, once every file that runs is written: Keras, .tflite, micro/ with C arrays.

    front_end: the spec (`zoo.frontends`). calibration: unmixed training crops (n, samples), float32 in [-1, 1).
    The stride is None where the front end is not learned: micro/ then holds the body alone.
    """
    folder = Path(folder)
    keras_files.save_h5(assembly.join(front_end.build(), backbone), folder / "model.h5")
    keras_files.save_keras3(folder / "model.h5", folder / "model.keras")

    twin = front_end.build_tflite_twin()
    front, body = assembly.cut(twin, backbone, seam_layer)
    columns = seam.columns_of(front, calibration)
    (folder / "model.tflite").write_bytes(tflite.to_float(assembly.join(twin, backbone)))
    (folder / "model_int8.tflite").write_bytes(seam.seam_int8(front, body, columns))

    micro_files = {"body": seam.int8_body(body, columns)}
    front_is_learned = front is not twin
    if front_is_learned:
        micro_files["frontend"] = seam.micro_frontend(front, micro_files["body"], hop_columns, calibration)
        micro_files["model"] = seam.whole_int8(assembly.join(twin, backbone), calibration)
    (folder / "micro").mkdir()
    for name, model in micro_files.items():
        (folder / "micro" / f"{name}.tflite").write_bytes(model)
        micro.write_c_array(model, name, folder / "micro")
    micro.write_labels(labels, folder / "micro")
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
    return seam.column_geometry(front)[0] if front_is_learned else None


def write_sums(folder):
    """Writes SHA256SUMS of all files below `folder`, as `sha256sum --check` reads it."""
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in files]
    (Path(folder) / "SHA256SUMS").write_text("".join(lines))
