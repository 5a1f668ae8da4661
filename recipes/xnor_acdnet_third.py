"""XNOR-ACDNet with a third of its filters in each layer: what `recipes.acdnet_third` is held against, of signs.

Paper   Mohaimenuzzaman, Bergmeir and Meyer 2021, "Pruning vs XNOR-Net", whose comparison it repeats at a ninth
Run     python -m recipes.xnor_acdnet_third --dataset esc10 --classes 5 --fold all --epochs 200
Check   python -m recipes.xnor_acdnet_third --dataset synth10 --quick
"""

from dataclasses import replace
from functools import partial

from recipes import xnor_acdnet as full
from recipes.acdnet_third import WIDTHS
from recipes.run import main
from zoo.models import xnor_acdnet

RECIPE = replace(
    full.RECIPE,
    name="xnor_acdnet_third",
    backbone=partial(xnor_acdnet.build, widths=WIDTHS),
)

if __name__ == "__main__":
    main(RECIPE)
