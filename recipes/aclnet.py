"""AclNet at width multiplier 1.5, on the raw 20 kHz waveform and trained as ACDNet, as the ACDNet paper compares them.

Paper   Huang and Alvarado Leanos 2018; figures: Mohaimenuzzaman et al. 2023, table 13: ESC-10 95.75 %, ESC-50 85.65 %
Run     python -m recipes.aclnet --dataset esc50
Check   python -m recipes.aclnet --dataset synth10 --quick
Hours   2,000 epochs of a fold of ESC-10: 7 on two cores; of ESC-50: 35

Micro   Section 4.4.3: the hybrid pruning that makes Micro-ACDNet. The twelfth convolution scores the classes and stays.
        python -m recipes.aclnet --dataset esc10 --variants base,micro
"""

from recipes.acdnet import FINE_TUNE, TRAIN, WHILE_PRUNING
from recipes.recipe import Recipe
from recipes.run import main
from zoo.compress.channels import PruneChannels
from zoo.compress.magnitude import Sparsify
from zoo.compress.retrain import Retrain
from zoo.frontends import Raw
from zoo.models import aclnet

RECIPE = Recipe(
    name="aclnet",
    paper="Huang and Alvarado Leanos 2018, AclNet: efficient end-to-end audio classification CNN, arXiv 1811.06669",
    front_ends={"raw": Raw(sample_rate_hz=20_000, num_samples=30_225)},  # 1.51 s
    backbone=aclnet.build,
    seam=aclnet.SEAM,
    train=TRAIN,
    quick_epochs=2,
    variants={
        "base": (),
        "sparse": (Sparsify(share=0.95, plan=FINE_TUNE),),
        # 375 of 3,000 filters stay, and those of the classes. The paper says 80 %; its widths are 377 of 3,000.
        "pruned": ("sparse", PruneChannels(share=0.875, plan=WHILE_PRUNING, by="taylor", channels_per_step=64)),
        "micro": ("pruned", Retrain("from_scratch")),
    },
)

if __name__ == "__main__":
    main(RECIPE)
