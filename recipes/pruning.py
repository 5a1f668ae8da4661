"""The grid of `--study pruning`: each way to prune a net, as the steps that do it. Values, and nothing that runs.

Source: Mohaimenuzzaman et al. 2023, tables 7 to 10 and 13; Mou and Milanova 2024, section 2.2.
"""

import itertools
from dataclasses import dataclass, replace

from zoo.compress.channels import PruneChannels
from zoo.compress.distill import KINDS, Distillation
from zoo.compress.layerwise import SparsifyLayerwise
from zoo.compress.magnitude import Sparsify
from zoo.compress.retrain import Retrain
from zoo.training import Plan

# Method -> (what makes the weights sparse before, by what the channels are ranked).
METHODS = {
    "magnitude": (None, "magnitude"),
    "taylor": (None, "taylor"),
    "hybrid_magnitude": ("magnitude", "magnitude"),
    "hybrid_taylor": ("magnitude", "taylor"),
    "weight_taylor": ("taylor", "taylor"),
    "layerwise": ("layerwise", "taylor"),  # the 2024 paper's
}
ENDINGS = ("fine_tuned", "retrained", "from_scratch", "distilled")
# Table 10's losses, its L1 to L3, and temperatures: distilled_kl_ce_T3.
DISTILLED = {f"distilled_{kind}_T{t}": Distillation(kind, temperature=t) for kind in KINDS for t in range(1, 6)}
SPARSE = "sparse"  # table 7's: weights alone go
SHARES, SPARSE_SHARES = (0.8, 0.85), (0.85, 0.9, 0.95, 0.98)
SPARSE_BEFORE = 0.95  # of the weights, in a hybrid
FIRST_BLOCKS = ("pruned", "kept")  # the layers before the seam: table 8's odd rows keep their channels


@dataclass(frozen=True)
class PruningStudy:
    """How a recipe's net is pruned in the study."""

    fine_tune: Plan
    while_pruning: Plan
    channels_per_step: int

    def quick(self):
        """The same in two epochs a stage, at a pace that no net survives."""
        return replace(self, fine_tune=self.fine_tune.with_epochs(2), channels_per_step=1_000)


@dataclass(frozen=True)
class Cell:
    """One entry of the grid."""

    method: str
    share: float  # of the channels that go, or of the weights where they alone do
    first_block: str
    ending: str

    @property
    def name(self):
        """What --cells selects by: hybrid_taylor-80-pruned-from_scratch."""
        return f"{self.method}-{round(100 * self.share)}-{self.first_block}-{self.ending}"

    @property
    def pruned(self):
        """The name of what its endings share."""
        return self.name.rpartition("-")[0]

    def variants(self, study, first_block):
        """Variants of a recipe, {name: steps}: what it shares with other cells, each a variant, and itself.

        first_block: the names of the layers that "kept" is about.
        """
        if self.method == SPARSE:
            return {self.name: (Sparsify(self.share, study.fine_tune),)}
        sparse_by, by = METHODS[self.method]
        sparse = f"{SPARSE}_by_{sparse_by}"
        kept = first_block if self.first_block == "kept" else ()
        channels = PruneChannels(self.share, study.while_pruning, by, study.channels_per_step, keep=kept)
        return {
            **({sparse: (_sparsify(sparse_by, study.fine_tune),)} if sparse_by else {}),
            self.pruned: (sparse, channels) if sparse_by else (channels,),
            self.name: (self.pruned, self._retrain(study.fine_tune)),
        }

    def _retrain(self, fine_tune):
        if self.ending in DISTILLED:
            return Retrain("distilled", objective=DISTILLED[self.ending])
        return Retrain(self.ending, fine_tune if self.ending == "fine_tuned" else None)


def _sparsify(by, fine_tune):
    if by == "layerwise":
        return SparsifyLayerwise(SPARSE_BEFORE, fine_tune)
    return Sparsify(SPARSE_BEFORE, fine_tune, by=by)


GRID = {
    cell.name: cell
    for cell in (
        *(Cell(SPARSE, share, "pruned", "fine_tuned") for share in SPARSE_SHARES),
        *itertools.starmap(Cell, itertools.product(METHODS, SHARES, FIRST_BLOCKS, ENDINGS)),
        *(Cell("hybrid_taylor", SHARES[0], "pruned", ending) for ending in DISTILLED),
    )
}
