"""BC-ResNet-3: three times as wide as BC-ResNet-1, 54,168 parameters.

Paper   Kim et al. 2021; only the accuracies of the narrowest and the widest net could be read here
Run     python -m recipes.bc_resnet_3 --dataset speech_commands
Check   python -m recipes.bc_resnet_3 --dataset synth10 --quick
"""

from dataclasses import replace
from functools import partial

from recipes import bc_resnet as narrow
from recipes.run import main
from zoo.models import bc_resnet

RECIPE = replace(narrow.RECIPE, name="bc_resnet_3", backbone=partial(bc_resnet.build, tau=3))

if __name__ == "__main__":
    main(RECIPE)
