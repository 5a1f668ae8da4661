"""All folds of a model in one exported folder: the files of the first, every fold's weights, figures over all clips."""

import json
import shutil

from zoo import decisions, evaluation
from zoo.atomic import whole_folder
from zoo.export import card
from zoo.export.folder import write_sums

FOLDS = "folds"


def collect(folds, folder, builder, args):
    """Writes `folder` from `folds`, {test fold: the folder exported for it}.

    It holds what the first fold's does, and folds/<fold>.h5 of each; metrics.json and the card tell of all of them.
    """
    first = next(iter(folds.values()))
    metrics = json.loads((first / "metrics.json").read_text())
    metrics["cross_validation"] = _figures(folds, args.seed)
    with whole_folder(folder, args.overwrite) as unfinished:
        shutil.copytree(first, unfinished, dirs_exist_ok=True)
        (unfinished / FOLDS).mkdir()
        for fold, exported in folds.items():
            shutil.copy(exported / "model.h5", unfinished / FOLDS / f"{fold}.h5")
            shutil.copy(exported / decisions.FILE, unfinished / FOLDS / f"{fold}.csv")
        card.write_card(unfinished, metrics, (builder.HOMEPAGE, builder.LICENCE, builder.CITATION))
        write_sums(unfinished)
    print(f"\n{card.cross_validation_table(metrics)}\n\n{folder}: all {len(folds)} folds, see card.md")


def _figures(folds, seed):
    """{"folds": {fold: {file: accuracy}}, "test_clips": of all of them, "files": {file: figures over all clips}}."""
    table = decisions.read([exported / decisions.FILE for exported in folds.values()])
    files = [column for column in table if column not in decisions.CLIP]
    sources, targets, of_fold = table["source"], table["class"], table["fold"]
    return {
        "test_clips": len(targets),
        "folds": {
            str(fold): {file: float((table[file] == targets)[of_fold == str(fold)].mean()) for file in files}
            for fold in folds
        },
        "files": {file: evaluation.figures(table[file], table["model.h5"], targets, sources, seed) for file in files},
    }
