"""How pruning ends: what is left is trained on, or the widths that were found are trained anew."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

from zoo.backend import keras

from zoo.compress import check_backbone
from zoo.compress.distill import Distillation
from zoo.errors import ZooError


class Ending(NamedTuple):
    """How it differs from others."""

    has_new_weights: bool
    is_taught: bool


ENDINGS = {
    "fine_tuned": Ending(has_new_weights=False, is_taught=False),
    "retrained": Ending(has_new_weights=False, is_taught=False),
    "taught": Ending(has_new_weights=False, is_taught=True),
    "from_scratch": Ending(has_new_weights=True, is_taught=False),
    "distilled": Ending(has_new_weights=True, is_taught=True),
}


@dataclass(frozen=True)
class Retrain:
    """Step: the backbone, trained once more.

    ending: "fine_tuned" keeps the weights and takes a short plan of its own; "retrained" keeps them and trains as the
    base was trained, "taught" too, by the recipe's teacher; "from_scratch" does so with new weights, "distilled" too,
    by the teacher.

    Source: Mohaimenuzzaman et al. 2023, section 4.4.1, tables 8 to 10.
    """

    ending: str = "from_scratch"
    plan: Any = None  # None: as the base was trained
    objective: Distillation = Distillation()  # of those that a teacher teaches

    lowers: ClassVar = ()

    def __post_init__(self):
        if self.ending not in ENDINGS:
            raise ZooError(f"Retrain: no ending {self.ending!r}; choose of {', '.join(ENDINGS)}")
        if self.ending == "fine_tuned" and self.plan is None:
            raise ZooError("Retrain: fine_tuned needs a plan of its own; without one it is retrained")

    @property
    def taught(self):
        """Whether it needs a teacher."""
        return ENDINGS[self.ending].is_taught

    @property
    def begins_anew(self):
        """Whether it takes no more than the widths of what it gets."""
        return ENDINGS[self.ending].has_new_weights

    def __call__(self, backbone, finetune):
        check_backbone(backbone)
        trained = keras.models.clone_model(backbone)  # with new weights
        if not self.begins_anew:
            trained.set_weights(backbone.get_weights())
        finetune(trained, self.plan, self.ending, objective=self.objective if self.taught else None)
        return trained

    def quick(self):
        """The same with two epochs, where it has a plan of its own."""
        return self if self.plan is None else replace(self, plan=self.plan.with_epochs(2))
