"""Macro-ACDNet, ACDNet without 85 % of its filters, with the widths that our pruning found and trained from scratch.

Paper   Mohaimenuzzaman et al. 2023, section 4.4.2: 312 filters and 240 kB; neither widths nor accuracy
Run     python -m recipes.macro_acdnet --dataset esc10
Check   python -m recipes.macro_acdnet --dataset synth10 --quick
Hours   a fold of ESC-10: 0.6 on two cores

Widths  python -m recipes.acdnet --dataset esc10 --fold 5 --epochs 350 --variants macro
        306 of 2,034 filters, for ten classes, and 284 kB
"""

from dataclasses import replace
from functools import partial

from recipes import micro_acdnet as micro
from recipes.run import main
from zoo.models import acdnet

RECIPE = replace(
    micro.RECIPE,
    name="macro_acdnet",
    backbone=partial(acdnet.build, widths=acdnet.MACRO_WIDTHS),
    search=None,
)

if __name__ == "__main__":
    main(RECIPE)
