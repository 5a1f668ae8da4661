"""How near the zoo's YAMNet with the published weights comes to the published file, on every clip of ESC-10.

The file (.tflite) rounds its weights to 8 bits, its DFT and mel bands among them, and LiteRT rounds what enters most of
its layers too. So it is asked twice: as LiteRT runs it, and in float, the same weights without the second rounding.

Run     python -m tools.yamnet_parity --data-dir DIR/esc10 --weights DIR/yamnet/yamnet.tflite
"""

import argparse
from pathlib import Path
from typing import NamedTuple

from zoo.backend import keras

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from recipes.yamnet import LOG_MEL
from zoo import audio
from zoo.datasets.esc import Esc10
from zoo.export import flatbuffer, graph, seam, tflite
from zoo.models import yamnet
from zoo.pretrained import constant, load_published
from zoo.progress import bar
from zoo.runtime.embedding import embedding_model
from zoo.runtime.interpreter import LiteRT

HOP_SAMPLES = 7_680  # between windows: half a patch, as the release has it
SCORE_TOLERANCE = 0.02
LEVEL_TOLERANCE = 0.01
CALIBRATION_FOLD = 1  # of the int8; the other folds judge it


class Heard(NamedTuple):
    """What is made of the windows of a clip: (windows, frames, mels), (windows, 521), (windows, 1024)."""

    log_mel: np.ndarray
    scores: np.ndarray
    embedding: np.ndarray


class Ours:
    """The zoo's front end and backbone, with the published weights."""

    def __init__(self, weights):
        self.front = LiteRT(tflite.to_float(LOG_MEL.build_tflite_twin()))
        self.backbone = yamnet.build((96, 64, 1), yamnet.NUM_CLASSES, classifier_activation="sigmoid")
        load_published(self.backbone, weights)
        embedding = self.backbone.get_layer("embedding").output
        self._both = keras.Model(self.backbone.input, [self.backbone.output, embedding])

    def hear(self, windows):
        """`Heard` of waveforms."""
        return self.judge(self.front.run(windows)[..., 0])

    def judge(self, log_mel):
        """`Heard` of log-mels."""
        return Heard(log_mel, *(given.numpy() for given in self._both(log_mel[..., None], training=False)))


class Published:
    """The published file, or one that was made of it."""

    def __init__(self, model):
        self._scores, self._embedding = LiteRT(model), LiteRT(embedding_model(model))

    def hear(self, windows):
        """`Heard` of waveforms."""
        scores, log_mel = zip(*(self._scores.run_all([window[None]]) for window in windows))
        return Heard(np.stack(log_mel), np.concatenate(scores), self._embedding.run(windows))


def in_float(model: bytes) -> bytes:
    """The file whose 8-bit weights are what they stand for, in float32: nothing is rounded while it runs."""
    root = graph.load(model)
    (described,) = root.subgraphs
    for tensor in described.tensors:
        if graph.DTYPES[tensor.type] == "int8" and root.buffers[tensor.buffer].data is not None:
            root.buffers[tensor.buffer].data = np.frombuffer(constant(root, tensor).tobytes(), np.uint8)
            tensor.type, tensor.quantization = 0, None
    is_cast = {id(operator): graph.name_of(root, operator) == "DEQUANTIZE" for operator in described.operators}
    cast = {op.outputs[0]: op.inputs[0] for op in described.operators if is_cast[id(op)]}
    described.operators = [operator for operator in described.operators if not is_cast[id(operator)]]
    for operator in described.operators:
        operator.inputs = [cast.get(i, i) for i in operator.inputs]
    root.signatureDefs = None
    return flatbuffer.dump(root)


def windows_of(path):
    """The windows of a recording, at the model's rate: (windows, samples)."""
    waveform = audio.waveform_of(audio.read(path), LOG_MEL.sample_rate_hz)
    starts = range(0, len(waveform) - LOG_MEL.num_samples + 1, HOP_SAMPLES)
    return np.stack([waveform[start : start + LOG_MEL.num_samples] for start in starts])


def apart(one, other):
    """(the largest difference of the scores of a window, of the mean over the windows)."""
    return np.abs(one.scores - other.scores).max(), np.abs(one.scores.mean(0) - other.scores.mean(0)).max()


def fold_accuracies(embeddings, targets, folds):
    """Of a logistic regression on standardised embeddings, each fold held out once: shares."""
    accuracies = []
    for fold in np.unique(folds):
        head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))
        head.fit(embeddings[folds != fold], targets[folds != fold])
        accuracies.append(head.score(embeddings[folds == fold], targets[folds == fold]))
    return accuracies


def _told_scores(name, pairs):
    of_windows, of_clips = np.array([apart(one, other) for one, other in pairs]).T
    same = np.mean([one.scores.mean(0).argmax() == other.scores.mean(0).argmax() for one, other in pairs])
    print(
        f"{name}: clips within {SCORE_TOLERANCE:g}: {np.sum(of_clips <= SCORE_TOLERANCE)} of {len(pairs)}, the worst "
        f"{of_clips.max():.2g}, the median {np.median(of_clips):.2g}; windows, the worst {of_windows.max():.2g}; the "
        f"same highest class for {same:.2%} of the clips"
    )


def _told_levels(name, pairs):
    difference = np.concatenate([np.abs(one.log_mel - other.log_mel).ravel() for one, other in pairs])
    medians = np.array([np.median(np.abs(one.log_mel - other.log_mel)) for one, other in pairs])
    print(
        f"{name}: median {np.median(difference):.2g}, {np.mean(difference <= LEVEL_TOLERANCE):.1%} within "
        f"{LEVEL_TOLERANCE:g}; of a clip's values the median is within it for {np.sum(medians <= LEVEL_TOLERANCE)} of "
        f"{len(pairs)} clips"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="ESC-10, in ESC-50's layout")
    parser.add_argument("--weights", type=Path, required=True, help="YAMNet's published .tflite")
    args = parser.parse_args()

    ours, content = Ours(args.weights), args.weights.read_bytes()
    files = {"as it runs": Published(content), "in float": Published(in_float(content))}
    rows = Esc10.rows(args.data_dir)
    heard, theirs, judged = [], {name: [] for name in files}, {name: [] for name in files}
    for row in bar(rows, desc="ESC-10", unit="clip"):
        windows = windows_of(row.path)
        heard.append(ours.hear(windows))
        for name, file in files.items():
            theirs[name].append(file.hear(windows))
            judged[name].append(ours.judge(theirs[name][-1].log_mel))
    for name in files:
        _told_scores(f"file {name}, our backbone on its log-mel", list(zip(theirs[name], judged[name])))
        _told_levels(f"file {name}, our log-mel", list(zip(theirs[name], heard)))
        _told_scores(f"file {name}, both from the waveform", list(zip(theirs[name], heard)))
    targets, folds = (np.array([getattr(row, name) for row in rows]) for name in ("label", "fold"))
    heads = {"ours": heard, **{f"the file {name}": clips for name, clips in theirs.items()}}
    heads |= {f"our backbone on the log-mel of the file {name}": clips for name, clips in judged.items()}
    for name, clips in heads.items():
        accuracies = fold_accuracies(np.stack([clip.embedding.mean(0) for clip in clips]), targets, folds)
        print(f"logistic regression on embeddings, {name}: {np.mean(accuracies):.2%}, folds "
              f"{', '.join(f'{accuracy:.2%}' for accuracy in accuracies)}")  # fmt: skip

    is_calibration = folds == CALIBRATION_FOLD
    columns = np.concatenate([clip.log_mel for clip, taken in zip(heard, is_calibration) if taken])[..., None]
    body = LiteRT(seam.int8_body(ours.backbone, columns))
    clips = [clip for clip, taken in zip(heard, is_calibration) if not taken]
    int8 = [clip._replace(scores=body.run(clip.log_mel[..., None])) for clip in clips]
    low, high = seam.seam_range(columns)
    print(f"seam int8, {len(columns)} windows of fold {CALIBRATION_FOLD} calibrate, columns {low:.2f} to {high:.2f}")
    _told_scores("seam int8 and float", list(zip(clips, int8)))


if __name__ == "__main__":
    main()
