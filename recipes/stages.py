"""The backbones of a run: the base is trained, and each variant is made from it by its steps, each step once.

Whatever is trained lies in the run's folder, one folder a stage, and a run that was killed goes on from there.
"""

import hashlib
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from zoo.backend import keras

from recipes.task import Task, digest_of
from zoo import assembly, corpus, pipeline, teachers, training, transfer
from zoo.augment import SpecAugment
from zoo.compress import distill
from zoo.errors import ZooError
from zoo.measure import payoff


@dataclass(frozen=True)
class Made:
    """A backbone, and how it came to be."""

    backbone: Any
    history: list  # one dict for each epoch of all stages, in order
    steps: list  # one dict for each step: its name, variant, epochs and costs
    pruning: Any = None  # the last TaylorPruning that scored its channels


@dataclass
class Stages:
    """Trains and compresses; `made(variant)` gives what comes of it."""

    task: Task
    clips: corpus.Clips  # that train
    folder: Path
    _made: dict = field(default_factory=dict)

    def __post_init__(self):
        if self.task.args.teacher:
            self._teach  # noqa: B018  (one that is refused is to be refused before anything is trained)

    def made(self, variant):
        """`Made` by all the steps of `variant`.

        Raises: ZooError where a step does not lower what it claims to.
        """
        steps = self.task.recipe.chain(variant)
        # Where the weights are new anyway, the base is trained only if it is asked what it thinks.
        made = self._untrained if steps and getattr(steps[0][1], "begins_anew", False) else self._base
        for done in range(1, len(steps) + 1):
            key = steps[:done]
            if key not in self._made:
                self._made[key] = self._step(made, key)
            made = self._made[key]
        return made

    @cached_property
    def _untrained(self):
        backbone = self._new_backbone()
        return Made(backbone, [], [_record("new", "base", [], payoff.cost_of(backbone))])

    def _new_backbone(self):
        task = self.task
        keras.utils.set_random_seed(task.args.seed)
        return task.labelling.with_head(task.new_backbone())

    @cached_property
    def _base(self):
        task, args = self.task, self.task.args
        backbone = self._new_backbone()
        step, frozen = "train", ()
        if args.init_from:
            filled = transfer.fill(backbone, args.init_from, task.labels)
            frozen = transfer.freeze(backbone, filled) if args.freeze else ()
            step = f"train from {Path(args.init_from).name}{', head alone' if args.freeze else ''}"
        stage = f"base-{self.digest()}"
        history = self._fit(backbone, task.plan, stage)
        for layer in frozen:
            layer.trainable = True
        step += self._elsewhere(stage)
        return Made(backbone, history, [_record(step, "base", history, payoff.cost_of(backbone))])

    def digest(self, *values):
        """Eight hex digits of all that a stage's weights depend on and its folder's name does not tell."""
        task = self.task
        waveforms = replace(task.recipe.waveforms, eval_crops=0)  # those judge, and train nothing
        values = (
            task.front_end,
            task.plan,
            waveforms,
            task.recipe.masks,
            digest_of(task.args.init_from),
            task.args.freeze,
            *task.args.set.items(),
            *([task.outliers.fingerprint, task.args.background] if task.outliers else ()),
            *values,
        )
        return hashlib.sha256(repr(values).encode()).hexdigest()[:8]

    def _step(self, made, key):
        variant, step = key[-1]
        taught_by = [digest_of(self.task.args.teacher) or "base" for _, step in key if getattr(step, "taught", False)]
        name = f"{type(step).__name__}-{self.digest(key, *taught_by)}"
        history, pruning, elsewhere = list(made.history), made.pruning, ""

        def finetune(backbone, plan, stage, callbacks=(), objective=None):
            nonlocal pruning, elsewhere
            stage = f"{variant}/{name}/{stage}"
            epochs = self._fit(backbone, plan or self.task.plan, stage, callbacks, objective)
            elsewhere = self._elsewhere(stage) or elsewhere
            pruning = next((callback for callback in callbacks if hasattr(callback, "masked")), pruning)
            history.extend({**epoch, "epoch": len(history) + 1} for epoch in epochs)
            return epochs

        # New weights are the same, whatever was made before in this process.
        keras.utils.set_random_seed(self.task.args.seed)
        backbone = step(made.backbone, finetune)
        before = payoff.Cost(*(made.steps[-1][figure] for figure in payoff.Cost._fields))
        cost = payoff.cost_of(backbone)
        unpaid = payoff.unpaid(before, cost, step.lowers)
        if unpaid and not self.task.args.allow_no_gain:
            raise ZooError(
                f"{variant}: {_told(step)} does not pay: {'; '.join(unpaid)}; --allow-no-gain goes on with it"
            )
        record = _record(_told(step) + elsewhere, variant, history[len(made.history) :], cost)
        return Made(backbone, history, [*made.steps, {**record, "unpaid": unpaid}], pruning)

    def _fit(self, backbone, plan, stage, callbacks=(), objective=None):
        task, masks = self.task, self.task.recipe.masks
        folder = self.folder / stage
        batches, objective = self._examples(plan, folder, objective)
        history = training.fit(
            assembly.join(task.front_end.build(), backbone, masks and SpecAugment(*masks, name="masks")),
            plan,
            batches,
            pipeline.steps_per_epoch(self._heard, plan.batch_size),
            folder,
            task.args.seed,
            callbacks,
            objective or task.labelling.objective,
        )
        if task.recipe.settling_crops:
            training.settle_norms(backbone, self._settling)
        return history

    def _examples(self, plan, folder, objective):
        """(a function (first_epoch, last_epoch) -> tf.data of what trains, the objective it is for or None)."""
        task = self.task

        def batches(first_epoch, last_epoch):
            return pipeline.mixed_crops(
                self._heard, task.front_end.num_samples, len(task.labels), task.recipe.waveforms, task.args.seed,
                plan.batch_size, first_epoch, last_epoch,
            )  # fmt: skip

        if not objective:
            return batches, None
        objective = replace(objective, labelling=task.labelling)
        return distill.taught(batches, self._teach, objective, plan.epochs, folder / "teacher"), objective

    def _elsewhere(self, stage):
        by = training.trained_by(self.folder / stage)
        return f" by {by}" if by else ""

    @cached_property
    def _heard(self):
        return self.task.trained_on(self.clips)

    @cached_property
    def _settling(self):
        """What the backbone hears of the crops that settle its norms."""
        waveforms, _ = self.task.unmixed(self.clips, self.task.recipe.settling_crops)
        return self.task.front_end.build().predict(waveforms, verbose=0)

    @cached_property
    def _teach(self):
        task = self.task
        if task.args.teacher:
            return teachers.open_teacher(task.args.teacher, task.labelling, self.clips, task.front_end, task.args.seed)
        base = assembly.join(task.front_end.build(), self._base.backbone)
        return lambda waveforms: base(waveforms, training=False)


def _record(step, variant, history, cost):
    return {"step": step, "variant": variant, "epochs": len(history), **cost._asdict()}


def _told(step):
    """A step in a word for tables: without its plan, and without what is left at its default."""
    told = {
        f.name: getattr(step, f.name) for f in fields(step) if f.name != "plan" and getattr(step, f.name) != f.default
    }
    return f"{type(step).__name__}({', '.join(f'{name}={value!r}' for name, value in told.items())})"
