"""What int8 costs a model when each kernel has a scale for each channel, and when it has one alone.

The exported model's backbone is quantised both ways on the same crops of its training folds, over columns that stay
float, and held against itself in float on the test fold: accuracy of clips, crops with the same top class, and the
signal to noise ratio of what enters the softmax. The GTZAN study lost 78 to 6 % by what it takes for the second.

Run     python -m tools.per_tensor --model exported/resnet18-esc10 --dataset esc10 --data-dir DIR
"""

import argparse
import json
from pathlib import Path

from zoo.backend import keras

import numpy as np

import zoo.frontends  # noqa: F401  (the front end holds Kapre's layers)
from zoo import datasets, pipeline
from zoo.export import tflite
from zoo.runtime.interpreter import LiteRT


def compare(backbone, calibration, columns, kernels="xnnpack"):
    """{"per channel": figures, "per tensor": figures} of int8 against float.

    calibration, columns: (n, *input_shape), what sets ranges and what is judged. Figures: "bytes" of the file,
    "agreement" (share of `columns` with the same top class), "signal_to_noise_db" of what the scores are made of, and
    "scores" (n, classes), its own.
    """
    logits = keras.Model(backbone.input, backbone.layers[-1].input)
    exact = logits.predict(columns, verbose=0)
    figures = {}
    for name, per_channel in (("per channel", True), ("per tensor", False)):
        file = tflite.to_int8(logits, calibration, per_channel=per_channel)
        found = LiteRT(file, kernels, num_threads=2).run(columns)
        figures[name] = {
            "bytes": len(file),
            "agreement": float((found.argmax(axis=1) == exact.argmax(axis=1)).mean()),
            "signal_to_noise_db": float(10 * np.log10(np.var(exact) / np.mean((found - exact) ** 2))),
            "scores": keras.activations.softmax(keras.backend.constant(found)).numpy(),
        }
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="an exported folder")
    parser.add_argument("--dataset", required=True, choices=datasets.DATASETS)
    parser.add_argument("--data-dir", required=True, metavar="DIR")
    args = parser.parse_args()

    metrics = json.loads((args.model / "metrics.json").read_text())
    model = keras.models.load_model(args.model / "model.h5", compile=False)
    front, backbone = keras.Model(model.input, model.layers[-2].output), model.layers[-1]
    builder = datasets.load(args.dataset, Path("runs/cache"), args.data_dir)
    clips = pipeline.clips_at(builder, metrics["sample_rate_hz"], Path("runs/cache"))
    split = builder.split(clips.folds.tolist(), metrics["test_fold"])
    train, test = (clips.where(np.isin(clips.folds, folds)) for folds in (split.train, split.test))
    num_samples, count, padding = (metrics[name] for name in ("num_samples", "crops_per_clip", "padding"))
    calibration, _ = pipeline.unmixed_crops(train, num_samples, 128, metrics["seed"], padding)
    crops = np.concatenate(pipeline.judging_crops_of(test, num_samples, count, padding))
    columns = front.predict(crops, verbose=0)
    rows = compare(backbone, front.predict(calibration, verbose=0), columns)
    floats = backbone.predict(columns, verbose=0)
    rows = {"float": {"bytes": None, "agreement": 1.0, "signal_to_noise_db": np.inf, "scores": floats}, **rows}
    print(
        "| kernels' scales | accuracy | crops as float decides | signal to noise | bytes |\n|---|---:|---:|---:|---:|"
    )
    for name, row in rows.items():
        decided = row["scores"].reshape(len(test), -1, row["scores"].shape[1]).mean(axis=1).argmax(axis=1)
        size = "" if row["bytes"] is None else f"{row['bytes']:,}"
        print(
            f"| {name} | {100 * (decided == test.targets).mean():.2f} | {100 * row['agreement']:.2f} "
            f"| {row['signal_to_noise_db']:.1f} dB | {size} |"
        )


if __name__ == "__main__":
    main()
