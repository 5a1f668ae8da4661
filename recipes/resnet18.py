"""ResNet-18 with the GTZAN study's front end and head: its ResNet-152 as far as two cores train one.

Paper   He et al. 2016, table 1; Hu, Shao and Johar 2024
Run     python -m recipes.resnet18 --dataset esc10
Check   python -m recipes.resnet18 --dataset synth10 --quick
"""

from dataclasses import replace
from functools import partial

from recipes import resnet152 as deep
from recipes.run import main
from zoo.models import resnet

RECIPE = replace(
    deep.RECIPE,
    name="resnet18",
    backbone=partial(resnet.build, **resnet.RESNET_18),
    settling_crops=0,  # twenty norms hand on little
    quick_epochs=6,
)

if __name__ == "__main__":
    main(RECIPE)
