"""The story of one test fold: training on the others, compression, export, proof, report."""

from dataclasses import replace

from zoo.backend import keras

import numpy as np

from recipes import held_out
from recipes.stages import Stages
from recipes.task import inputs, is_finished
from zoo import assembly, distribution, evaluation, prototypes, transfer
from zoo.atomic import whole_folder
from zoo.export import card, golden, keras_files, open_world_card, provenance
from zoo.export.folder import versions, write_embedding, write_models
from zoo.export.metadata import About
from zoo.measure import proof
from zoo.runtime import sums


def export_fold(task, fold, folders):
    """Trains on the other folds than `fold`, and writes each variant's folder, {variant: folder}, with its proof.

    Raises: ZooError for bad input, before any work whose result it would spoil.
    """
    recipe, args, front_end, builder = task.recipe, task.args, task.front_end, task.builder
    folders = {variant: folder for variant, folder in folders.items() if not is_finished(folder, task)}
    if not folders:
        return
    train, validation, test = task.split(fold)
    run_folder = task.run_folder(fold)
    stages = Stages(task, train, run_folder)
    calibration, targets = task.calibration(train)
    for variant, folder in folders.items():
        made = stages.made(variant)
        rejection = held_out.find(task, fold, variant) if args.reject else None
        if not distribution.is_chief():
            continue
        with whole_folder(folder, args.overwrite) as unfinished:
            # Export
            backbone = assembly.with_temperature(made.backbone, rejection.temperature) if rejection else made.backbone
            model = assembly.join(front_end.build(), backbone)
            keras_files.save(model, unfinished)
            labelling, thresholds = _tuned(task, unfinished, train, validation)
            if rejection:
                labelling = replace(labelling, points=rejection.points)
            told = _asked(task, fold, folder, made, train, test) | {"thresholds": thresholds}
            if rejection:
                told["rejection"] = {"temperature": rejection.temperature, **rejection.told}
            about = _about(told)
            written = write_models(
                unfinished, front_end, backbone, recipe.seam, calibration, targets, labelling, task.quantisation,
                about, recipe.micro,
            )  # fmt: skip
            if args.embedding:
                write_embedding(unfinished, front_end, backbone, labelling, about)
            has_prototypes = labelling.metric == "accuracy" and not args.background
            if has_prototypes and isinstance(assembly.head(backbone), keras.layers.Dense):
                _write_embeddings(task, unfinished / prototypes.FILE, model, train)
            told |= _of_the_making(written, labelling)
            provenance.write(unfinished, told)
            provenance.write_ledger(unfinished, _ledger(task, train, validation, test))
            golden.write(unfinished)
            # Proof: each file as its users run it, on the test fold, once
            judging = replace(task.judging, labelling=labelling)
            scores, measured = proof.measure(
                unfinished, told, judging, test, validation, calibration, task.world, run_folder / "scores"
            )
            metrics = told | measured
            # Report
            tables = labelling.tables(scores["model.h5"], test.targets)
            card.draw_pictures(unfinished, model, recipe.seam, metrics, made.history, tables)
            if task.world:
                open_world_card.draw(unfinished, metrics)
            if made.pruning:
                base = stages.made("base").backbone
                card.draw_pruning(unfinished, base, made.backbone, made.pruning.saliency, metrics)
            card.write_card(unfinished, metrics, (builder.HOMEPAGE, builder.LICENCE, builder.CITATION))
            sums.write(unfinished)
        print(f"\n{card.table(metrics)}\n\n{folder}: see card.md")


def _asked(task, fold, folder, made, train, test):
    """What provenance.json tells of the data and the training."""
    recipe, args, front_end, builder = task.recipe, task.args, task.front_end, task.builder
    labels = task.labels
    return {
        "model": folder.name.removesuffix(f"-{args.dataset}"),
        "dataset": args.dataset,
        "test_fold": fold,
        "test_clips": len(test),
        "test_classes": [labels[number] for number in task.labelling.present(test.targets)],
        "train_clips": len(train),
        "crops_per_clip": recipe.waveforms.eval_crops,
        "padding": recipe.waveforms.padding,
        "calibration_crops": recipe.calibration_crops,
        "trim_db": recipe.waveforms.trim_db,
        "embedding": args.embedding,
        "open_world": args.open_world and args.open_world[0],
        "outliers": args.outliers and args.outliers[0],
        "sample_rate_hz": front_end.sample_rate_hz,
        "num_samples": front_end.num_samples,
        "front_end": args.front_end,
        "seam": recipe.seam,
        "labels": labels,
        "metric": task.labelling.metric,
        "epochs": len(made.history),
        "steps": made.steps,
        "seed": args.seed,
        "command": args.command,
        "paper": recipe.paper,
        "licence": _licence(task),
        **inputs(task),
        "skipped_files": list(builder.info.metadata["skipped"]),
        "versions": versions(),
    }


def _ledger(task, train, validation, test):
    """{part: (its clips, their classes)}"""
    parts = {"train": train, "validation": validation, "test": test}
    parts = {part: (clips, task.labelling.told(clips.targets)) for part, clips in parts.items()}
    if task.outliers:
        clips, names = task.outliers_for(train), task.outliers.class_names
        parts["outliers"] = clips, [names[number] for number in clips.targets]
    return parts


def _of_the_making(written, labelling):
    """What provenance.json tells of the files' making."""
    columns = ("tensor", "snr_db", labelling.metric, "changed")
    return {
        "column_stride_samples": written.column_stride_samples,
        f"calibration_{labelling.metric}": written.calibration_metric,
        "sensitivity": [dict(zip(columns, row)) for row in written.sensitivity],
        "wide_tensors": written.wide,
        "strips": {name: strips.figures() for name, strips in written.strips.items()},
        "binary_products": written.binary_products,
    }


def _write_embeddings(task, path, model, train):
    """What `python -m zoo enroll` makes a head of."""
    count = max(task.recipe.calibration_crops, prototypes.CROPS * len(task.labels))
    crops, targets = task.unmixed(train, count)
    embeddings = assembly.embedder(model).predict(crops, verbose=0)
    np.savez_compressed(path, embeddings=embeddings.astype(np.float16), targets=targets)


def _tuned(task, folder, train, validation):
    """(the labelling with its thresholds, what is told of them): chosen on clips that do not test."""
    split, clips = ("validation", validation) if len(validation) else ("training", train)

    def score(clips):
        return evaluation.clip_scores(keras_files.open_h5(folder / "model.h5"), task.judging.crops(clips), "thresholds")

    labelling = task.labelling.tuned(score, clips)
    if not labelling.thresholds:
        return labelling, None
    return labelling, {
        "chosen_on": split,
        "clips": len(clips),
        "by_class": dict(zip(task.labels, labelling.thresholds)),
    }


def _licence(task):
    """That of the weights: of the recordings that they come of, and of the weights that they began with."""
    begun = transfer.licence(task.args.init_from).split(" and ") if task.args.init_from else []
    of_outliers = [task.outliers.licence] if task.outliers else []
    return " and ".join(dict.fromkeys([task.builder.LICENCE, *of_outliers, *begun]))


def _about(metrics):
    """What a file says of itself."""
    return About(
        name=metrics["model"],
        description=f"A classifier of {len(metrics['labels'])} sounds, trained on {metrics['dataset']}. Source: "
        f"{metrics['paper']}",
        version=metrics["versions"]["zoo"],
        author="Edge Audio Zoo",
        license=metrics["licence"],
    )
