"""What the decisions of several trainings tell together: each fold tests a model, and each seed makes one."""

import numpy as np

from zoo import decisions, evaluation


def figures(tables, validations, bootstrap_seed):
    """{"test_clips": of all folds, "folds", "seeds": {fold or seed: {file: accuracy}}, "files": {file: figures}}, and
    "validation" where there are such clips.

    The figures are over all clips of all seeds; their interval is over source recordings, each with all its clips and
    seeds.

    tables: {(seed, test fold): decisions.csv}, one seed after the other. validations: of each training what it has on
    clips that neither train nor test, {"accuracy"}, or None.
    """
    table = decisions.read(tables.values())
    seeds = list(dict.fromkeys(seed for seed, _ in tables))
    of_seed, of_fold = np.repeat(seeds, len(table["file"]) // len(seeds)), table["fold"]
    files = [column for column in table if column not in decisions.CLIP]
    sources, targets = table["source"], table["class"]

    def accuracies(of_training):
        return {
            str(one): {file: float((table[file] == targets)[of_training == one].mean()) for file in files}
            for one in dict.fromkeys(of_training.tolist())
        }

    by_seed = accuracies(of_seed)
    told = {
        "test_clips": len(targets) // len(by_seed),
        "folds": accuracies(of_fold),
        "seeds": by_seed,
        "files": {
            file: {
                **evaluation.figures(table[file], table["model.h5"], targets, sources, bootstrap_seed),
                **_ends([found[file] for found in by_seed.values()]),
            }
            for file in files
        },
    }
    if all(validations):
        found = [validation["accuracy"] for validation in validations]
        told["validation"] = {"accuracy": float(np.mean(found)), **_ends(found)}
    return told


def _ends(accuracies):
    return {"lowest": min(accuracies), "highest": max(accuracies)}
