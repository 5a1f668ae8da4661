"""XNOR-ACDNet: ACDNet of signs behind its seam. What a board runs counts bits: no multiply in its binary layers.

Paper   Mohaimenuzzaman, Bergmeir and Meyer 2021, "Pruning vs XNOR-Net": level with float for few classes
Run     python -m recipes.xnor_acdnet --dataset esc10
Check   python -m recipes.xnor_acdnet --dataset synth10 --quick

XNOR-Net trains by Adam, as here; rate, batch and no decay were the best of four on ESC-10's fold 1.
"""

from dataclasses import replace

from recipes import acdnet as full
from recipes.run import main
from zoo.compress.binary import Fold
from zoo.models import xnor_acdnet

TRAIN = replace(full.TRAIN, schedule="cosine", optimizer="adam", learning_rate=1e-2, weight_decay=0.0, batch_size=32)

RECIPE = replace(
    full.RECIPE,
    name="xnor_acdnet",
    paper="Mohaimenuzzaman, Bergmeir and Meyer 2021, Pruning vs XNOR-Net, arXiv:2108.06128",
    backbone=xnor_acdnet.build,
    train=TRAIN,
    study=None,
    variants={"base": (Fold(),)},
)

if __name__ == "__main__":
    main(RECIPE)
