"""XNOR-Micro-ACDNet: Micro-ACDNet's widths, and signs behind its seam.

Paper   Mohaimenuzzaman, Bergmeir and Meyer 2021, "Pruning vs XNOR-Net"; widths of the ACDNet paper's table 11
Run     python -m recipes.xnor_micro_acdnet --dataset esc10
Check   python -m recipes.xnor_micro_acdnet --dataset synth10 --quick
"""

from dataclasses import replace
from functools import partial

from recipes import xnor_acdnet as full
from recipes.run import main
from zoo.models import acdnet, xnor_acdnet

RECIPE = replace(
    full.RECIPE,
    name="xnor_micro_acdnet",
    backbone=partial(xnor_acdnet.build, widths=acdnet.MICRO_WIDTHS),
    quick_epochs=15,
)

if __name__ == "__main__":
    main(RECIPE)
