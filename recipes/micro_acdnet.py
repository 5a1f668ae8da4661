"""Micro-ACDNet, the paper's pruned ACDNet, with the published widths and trained from scratch.

Paper   Mohaimenuzzaman et al. 2023, tables 11 and 13: ESC-10 96.25 %, ESC-50 83.65 % (best epoch chosen on test fold)
Run     python -m recipes.micro_acdnet --dataset esc10
Check   python -m recipes.micro_acdnet --dataset synth10 --quick
Hours   2,000 epochs of a fold of ESC-10: 1.5 on two cores
"""

from dataclasses import replace
from functools import partial

from recipes import acdnet as full
from recipes.run import main
from zoo.compress.magnitude import Sparsify
from zoo.compress.qat import QuantizeAware
from zoo.compress.retrain import Retrain
from zoo.models import acdnet

RECIPE = replace(
    full.RECIPE,
    name="micro_acdnet",
    backbone=partial(acdnet.build, widths=acdnet.MICRO_WIDTHS),
    quick_epochs=15,
    variants={
        "base": (),
        "sparse": (Sparsify(share=0.5, plan=full.FINE_TUNE),),
        "distilled": (Retrain("distilled"),),
        "qat": (QuantizeAware(plan=full.QUANTIZE, seam=acdnet.SEAM),),
    },
)

if __name__ == "__main__":
    main(RECIPE)
