"""What a recipe is: values, and nothing that runs."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from recipes.pruning import PruningStudy
from zoo.augment import Masks
from zoo.frontends import MFCC, LogMel, Raw
from zoo.pipeline import Waveforms
from zoo.training import Plan


@dataclass(frozen=True)
class Recipe:
    """One model, from its front ends to the files that are exported of it."""

    name: str
    paper: str
    front_ends: dict[str, Raw | LogMel | MFCC]  # what --front-end chooses from; the first is the default
    backbone: Callable  # (input_shape, num_classes) -> Keras model
    train: Plan
    quick_epochs: int  # of --quick
    variants: dict[str, tuple]  # exported variant -> the steps that make it, after those of a variant named first
    waveforms: Waveforms = Waveforms()
    seam: str = ""  # the backbone's layer where sound has become columns over time; "": its input is that already
    masks: Masks | None = None  # over the front end's columns, while the net trains
    micro: bool = True  # whether micro/ is made of it: not where no board holds it, or TFLM lacks an operator
    settling_crops: int = 0  # of those that train, by which a deep net's norms are settled (`zoo.training`); 0: not
    calibration_crops: int = 256  # that set the ranges of int8, and by which tensors are widened
    study: PruningStudy | None = None  # what --study prunes by; without it there is none
    search: dict | None = None  # what --search may set, {setting (`recipes.settings`): choices or a Span}

    def chain(self, variant):
        """All steps that make `variant` from the base, each with the variant that names it: ((variant, step), ...)."""
        steps = self.variants[variant]
        if steps and isinstance(steps[0], str):
            return (*self.chain(steps[0]), *((variant, step) for step in steps[1:]))
        return tuple((variant, step) for step in steps)

    def is_taught(self, variant):
        """Whether a step of `variant` needs a teacher."""
        return any(getattr(step, "taught", False) for _, step in self.chain(variant))

    def quick(self):
        """The same recipe with each stage cut down to minutes: a few epochs, three crops a clip."""
        return replace(
            self,
            train=replace(self.train, epochs=self.quick_epochs),
            waveforms=replace(self.waveforms, eval_crops=min(3, self.waveforms.eval_crops)),  # both ends and the middle
            calibration_crops=64,
            study=self.study and self.study.quick(),
            variants={
                variant: tuple(step if isinstance(step, str) else step.quick() for step in steps)
                for variant, steps in self.variants.items()
            },
        )
