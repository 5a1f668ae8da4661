"""Micro-AclNet, the ACDNet paper's pruned AclNet, with the published widths and trained from scratch.

Paper   Mohaimenuzzaman et al. 2023, section 4.4.3, table 13: ESC-10 94.00 %, ESC-50 80.05 % (best epoch chosen on test
        fold)
Run     python -m recipes.micro_aclnet --dataset esc10
Check   python -m recipes.micro_aclnet --dataset synth10 --quick
Hours   2,000 epochs of a fold of ESC-10: 1.7 on two cores
"""

from dataclasses import replace
from functools import partial

from recipes import aclnet as full
from recipes.acdnet import FINE_TUNE, QUANTIZE
from recipes.run import main
from zoo.compress.magnitude import Sparsify
from zoo.compress.qat import QuantizeAware
from zoo.compress.retrain import Retrain
from zoo.models import aclnet

RECIPE = replace(
    full.RECIPE,
    name="micro_aclnet",
    paper="Mohaimenuzzaman et al. 2023, Environmental Sound Classification on the Edge, Pattern Recognition 133",
    backbone=partial(aclnet.build, widths=aclnet.MICRO_WIDTHS),
    quick_epochs=15,
    variants={
        "base": (),
        "sparse": (Sparsify(share=0.5, plan=FINE_TUNE),),
        "distilled": (Retrain("distilled"),),
        "qat": (QuantizeAware(plan=QUANTIZE, seam=aclnet.SEAM),),
    },
)

if __name__ == "__main__":
    main(RECIPE)
