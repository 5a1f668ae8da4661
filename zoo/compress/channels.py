"""Whole channels go: the lowest are masked while the net is fine-tuned, and cut out round by round."""

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from zoo.compress import check_backbone, copy_of, surgery
from zoo.compress.taylor import TaylorPruning, channels_left, count_channels
from zoo.errors import ZooError


@dataclass(frozen=True)
class PruneChannels:
    """Step: the backbone with ceil((1 - share) x its channels), fine-tuned while they went.

    by, channels_per_step, epochs_per_step, keep: `TaylorPruning`'s. One channel every two epochs is the paper's pace;
    more channels a step is the form that one can afford. plan: the fine-tuning's, over as many epochs as a round takes.

    After each of `rounds` the masked channels are cut out, so that the next round trains a smaller net. The rounds take
    equally many channels: the plan's schedule then runs alike in each, and sizes that fall geometrically would be no
    cheaper, their first rounds, on the widest net, being the longest. What is trained after the last cut is a step of
    its own (`Retrain`).

    Raises: ZooError if a value makes no sense, or if so many channels cannot go.
    Source: Mohaimenuzzaman et al. 2023, sections 4.1 and 4.2.
    """

    share: float
    plan: Any  # zoo.training.Plan
    by: str = "taylor"
    channels_per_step: int = 1
    epochs_per_step: int = 2
    rounds: int = 8
    keep: tuple = ()

    lowers: ClassVar = ("bytes", "macs", "arena_bytes")

    def __post_init__(self):
        self._callback(self.share)  # raises at what makes no sense
        if self.plan is None:
            raise ZooError("PruneChannels: no plan to fine-tune by; pass one, its epochs are set by the share")
        if self.rounds < 1:
            raise ZooError(f"PruneChannels: {self.rounds} rounds remove nothing; pass 1 or more")

    def __call__(self, backbone, finetune):
        check_backbone(backbone)
        self._callback(self.share).epochs(backbone)  # raises before the first round, not before the last
        total = count_channels(backbone)
        net = copy_of(backbone)
        for number, left in enumerate(self.channels_after_rounds(total), start=1):
            pruning = self._callback(1 - left / count_channels(net), backbone=net)
            plan = self.plan.with_epochs(pruning.epochs(net))
            finetune(net, plan, f"round{number}", callbacks=[pruning])
            net = surgery.remove(net, pruning.masked)
        return net

    def channels_after_rounds(self, total):
        """How many of `total` channels each round leaves. There are fewer rounds than steps, or as many."""
        to_remove = total - channels_left(total, self.share)
        steps = math.ceil(to_remove / self.channels_per_step)
        ends = sorted({round(steps * number / self.rounds) for number in range(1, self.rounds + 1)} - {0})
        return [total - min(to_remove, end * self.channels_per_step) for end in ends]

    def quick(self):
        """The same in two or three epochs, at a pace that no net survives."""
        return replace(self, channels_per_step=1_000, epochs_per_step=1, rounds=2)

    def _callback(self, share, backbone=None):
        return TaylorPruning(share, self.channels_per_step, self.epochs_per_step, self.by, self.keep, backbone)
