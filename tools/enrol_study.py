"""What `python -m zoo enroll` is worth: three classes that a model never heard, of 1, 5 and 10 recordings each.

Beside it stands a head that is trained again, on all the clips that the model trained on and on those recordings.

    python -m tools.enrol_study exported/micro_acdnet-esc10 --data-dir DIR --runs 6

DIR holds ESC-10 and a part of ESC-50 (docs/datasets.md, esc18). Clips of the model's test fold judge, of its own
classes and of the new ones. The three classes and their recordings, from the other folds, are drawn anew in each run.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from zoo import assembly, corpus, datasets, evaluation, prototypes
from zoo.export import keras_files
from zoo.progress import bar

COUNTS, NEW_CLASSES = (1, 5, 10), 3
CACHE = Path("runs/cache")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a model that a recipe exported, trained on esc10")
    parser.add_argument("--data-dir", required=True, type=Path)
    parser.add_argument("--runs", type=int, default=10, help="(default %(default)s)")
    args = parser.parse_args(argv)
    metrics = json.loads((args.folder / "metrics.json").read_text())
    builder = datasets.load("esc18", CACHE, args.data_dir)
    clips = corpus.clips_at(builder, metrics["sample_rate_hz"], CACHE)
    names = np.array(builder.class_names)[clips.targets]
    embed = assembly.embedder(keras_files.load_exported(args.folder / "model.h5"))
    judging = corpus.JudgingCrops(clips, metrics["num_samples"], metrics["crops_per_clip"], metrics["padding"])
    embeddings = np.stack([embed(crops, training=False).numpy() for crops in bar(judging, desc="embeddings")])
    is_test = clips.folds == metrics["test_fold"]
    is_own = np.isin(names, metrics["labels"])
    own = np.array([metrics["labels"].index(name) if known else -1 for name, known in zip(names, is_own)])
    kept = np.load(args.folder / prototypes.FILE)
    known, targets = kept["embeddings"].astype(np.float64), kept["targets"]
    training = embeddings[~is_test & is_own]
    classes_of = np.repeat(own[~is_test & is_own], training.shape[1])
    training = training.reshape(len(classes_of), -1)
    others = sorted(set(names[~is_own]))
    print("| recordings | head | all | its own classes | the new ones |\n|---:|---|---:|---:|---:|")
    for count in COUNTS:
        right = {"prototypes": [], "trained again": []}
        for run in range(args.runs):
            rng = np.random.default_rng([count, run])
            head, x, y, target = None, training, classes_of, own.copy()
            enrolled, its_targets = known, targets
            for number, name in enumerate(rng.choice(others, NEW_CLASSES, replace=False), start=len(metrics["labels"])):
                target[names == name] = number
                examples = embeddings[rng.choice(np.flatnonzero(~is_test & (names == name)), count, replace=False)]
                head = prototypes.head(enrolled, its_targets, list(examples))
                examples = examples.reshape(-1, examples.shape[-1])
                new = np.full(len(examples), number)
                enrolled, its_targets = np.concatenate([enrolled, examples]), np.concatenate([its_targets, new])
                x, y = np.concatenate([x, examples]), np.concatenate([y, new])
            judges = np.flatnonzero(is_test & (target >= 0))
            again = LogisticRegression(class_weight="balanced", max_iter=1000).fit(x, y)
            for kind, scores in (("prototypes", head.scores), ("trained again", _scores_of(again))):
                decided = scores(embeddings[judges]).mean(axis=1).argmax(axis=1)
                right[kind].append((decided == target[judges], clips.sources[judges], own[judges] >= 0))
        for kind, runs in right.items():
            correct, sources, is_old = map(np.concatenate, zip(*runs))
            told = (_told(correct[part], sources[part]) for part in (slice(None), is_old, ~is_old))
            print(f"| {count} | {kind} | {' | '.join(told)} |")


def _scores_of(model):
    def scores(embeddings):
        flat = model.predict_proba(embeddings.reshape(-1, embeddings.shape[-1]))
        return flat.reshape(*embeddings.shape[:-1], -1)

    return scores


def _told(correct, sources):
    low, high = evaluation.interval(correct, sources, 0)
    return f"{100 * correct.mean():.2f} ({100 * low:.2f} to {100 * high:.2f})"


if __name__ == "__main__":
    main()
