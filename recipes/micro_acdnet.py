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
from zoo.compress.cluster import Cluster
from zoo.compress.magnitude import Sparsify
from zoo.compress.qat import QuantizeAware
from zoo.compress.retrain import Retrain
from zoo.compress.search import Span
from zoo.models import acdnet


def _steps(width):
    return tuple(sorted({round(width * share) for share in (0.6, 0.8, 1, 1.25, 1.5)}))


RECIPE = replace(
    full.RECIPE,
    name="micro_acdnet",
    backbone=partial(acdnet.build, widths=acdnet.MICRO_WIDTHS),
    quick_epochs=15,
    # Small steps around the published widths; the last one stays, as it does there.
    search={f"width{number}": _steps(width) for number, width in enumerate(acdnet.MICRO_WIDTHS[:-1], start=1)}
    | {"learning_rate": Span(0.03, 0.3)},
    variants={
        "base": (),
        "sparse": (Sparsify(share=0.5, plan=full.FINE_TUNE),),
        "distilled": (Retrain("distilled"),),
        "clustered": (Cluster(clusters=16, plan=full.FINE_TUNE),),
        "qat": (QuantizeAware(plan=full.QUANTIZE, seam=acdnet.SEAM),),
    },
)

if __name__ == "__main__":
    main(RECIPE)
