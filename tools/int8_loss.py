"""What int8 costs a model, and what each cure gives back: the same weights in 8 bits, one thing changed a row.

An exported model is quantised on crops of its training folds and held against itself in float on the test fold, each
clip heard as it is judged: accuracy, crops with the same top class, and the signal to noise ratio of what enters the
softmax. Over a log-mel the rows of an int8 waveform are left out: the log-mel stays float.

Run     python -m tools.int8_loss --model exported/micro_acdnet-esc10 --dataset esc10 --data-dir DIR
"""

import argparse
import json
from pathlib import Path

from zoo.backend import keras

import numpy as np

from zoo import assembly, corpus, datasets
from zoo.export import equalise, flatbuffer, graph, keras_files, ranges, seam, tflite
from zoo.models import acdnet
from zoo.runtime.interpreter import LiteRT


def waveform_forms(whole, calibration):
    """{what is done: (.tflite bytes, what is done to each crop)} of a model in int8 from the waveform on."""
    file = flatbuffer.with_float_ends(tflite.to_int8(whole, calibration))
    return {
        "int8 from the waveform on": (file, lambda crop: crop),
        "the same, each crop at its own peak": (file, lambda crop: crop / max(np.abs(crop).max(), 1e-9)),
    }


def body_forms(body, columns):
    """{what is done: .tflite bytes} of a body that gives logits, over columns that stay float: each row adds to the
    ones above it, but for what the export leaves out, which it chooses by scores.
    """
    scored = keras.Model(body.input, keras.layers.Softmax()(body.output), name=body.name)
    clipped = np.clip(columns, *seam.seam_range(columns)).astype(np.float32)
    return {
        "int8 behind the seam, a scale for each kernel": tflite.to_int8(body, columns, per_channel=False),
        "a scale for each channel of a kernel": tflite.to_int8(body, columns),
        "the seam's range clipped": tflite.to_int8(body, clipped),
        "all ranges without their rarest values": tflite.to_int8(body, clipped, tail=ranges.TAIL),
        "channels brought to one range: as exported": _logits_of(
            seam.int8_body(equalise.equalised(scored, columns), columns)
        ),
    }


def _logits_of(model):
    """The file without its last operator, the softmax."""
    root = graph.load(model)
    operators = root.subgraphs[0].operators
    root.subgraphs[0].outputs = [operators.pop().inputs[0]]
    return flatbuffer.dump(root)


def told(exact, found, targets):
    """(accuracy, share of crops decided as in float, dB) of logits (clips, crops, classes), held against `exact`."""
    scores = keras.activations.softmax(keras.backend.constant(found)).numpy()
    noise = np.mean((found - exact) ** 2)
    return (
        float((scores.mean(axis=1).argmax(axis=1) == targets).mean()),
        float((found.argmax(axis=2) == exact.argmax(axis=2)).mean()),
        float(10 * np.log10(np.var(exact) / noise)) if noise else np.inf,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="an exported folder")
    parser.add_argument("--dataset", required=True, choices=datasets.DATASETS)
    parser.add_argument("--data-dir", required=True, metavar="DIR")
    args = parser.parse_args()

    metrics = json.loads((args.model / "metrics.json").read_text())
    front_end, backbone = assembly.parts(keras_files.load_exported(args.model / "model.h5"))
    logits = keras.Model(backbone.input, backbone.layers[-1].input, name=backbone.name)
    front, body = assembly.cut(front_end, logits, acdnet.SEAM)

    builder = datasets.load(args.dataset, Path("runs/cache"), args.data_dir)
    clips = corpus.clips_at(builder, metrics["sample_rate_hz"], Path("runs/cache"))
    train, _, test = clips.split(builder, metrics["test_fold"])
    num_samples, count, padding = (metrics[name] for name in ("num_samples", "crops_per_clip", "padding"))
    calibration, _ = corpus.unmixed_crops(train, num_samples, 256, metrics["seed"], padding)
    crops = np.concatenate(corpus.JudgingCrops(test, num_samples, count, padding))
    columns = front.predict(crops, verbose=0)

    exact = body.predict(columns, verbose=0)
    rows = {"float": (None, exact)}
    if front is not front_end:  # the waveform itself enters the net
        for name, (file, as_given) in waveform_forms(assembly.join(front_end, logits), calibration).items():
            rows[name] = file, LiteRT(file, num_threads=2).run(np.stack([as_given(crop) for crop in crops]))
    for name, file in body_forms(body, front.predict(calibration, verbose=0)).items():
        rows[name] = file, LiteRT(file, num_threads=2).run(columns)
    print("| | accuracy | crops as float decides | signal to noise | bytes |\n|---|---:|---:|---:|---:|")
    by_clip = (len(test), count, -1)
    for name, (file, found) in rows.items():
        accuracy, agreement, snr_db = told(exact.reshape(by_clip), found.reshape(by_clip), test.targets)
        size = "" if file is None else f"{len(file):,}"
        print(f"| {name} | {100 * accuracy:.2f} | {100 * agreement:.2f} | {snr_db:.1f} dB | {size} |")


if __name__ == "__main__":
    main()
