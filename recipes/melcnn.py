"""The CNN of Mou and Milanova, over the log-mel or the waveform: ACDNet as they trained it, with Adam.

Paper   Mou and Milanova 2024, section 2.1 and tables 1 to 5: 92 % before compression; raw against mel is left blank
Run     python -m recipes.melcnn --dataset esc10
Check   python -m recipes.melcnn --dataset synth10 --quick
Hours   100 epochs of a fold of ESC-10: 0.4 on two cores

Their CNN has ACDNet's parameters and FLOPs to the unit, and their table 1 lists fragments of one that has far fewer;
so the network is ACDNet, and over the log-mel its temporal block, which has as many parameters but for the two
convolutions over time. Adam's rate, batch and epochs are not given, nor is the data set of each accuracy.
"""

from dataclasses import replace

from recipes import acdnet as full
from recipes.run import main
from zoo.compress.channels import PruneChannels
from zoo.compress.layerwise import SparsifyLayerwise
from zoo.compress.retrain import Retrain
from zoo.frontends import LogMel
from zoo.training import Plan

ADAM = Plan(
    epochs=100, learning_rate=1e-3, warmup_epochs=2, schedule="cosine", optimizer="adam", weight_decay=0.0
)  # fmt: skip
FINE_TUNE = replace(ADAM, epochs=20, learning_rate=1e-4, warmup_epochs=0)

RECIPE = replace(
    full.RECIPE,
    name="melcnn",
    paper="Mou and Milanova 2024, Performance Analysis of Deep Learning Model-Compression Techniques for Audio "
    "Classification on Edge Devices, Sci 6",
    # Section 2.1: 128 bands, n_fft 512, windows of 400, a hop of 160 samples at 16 kHz; the waveform at 20 kHz.
    front_ends={"mel": LogMel(num_samples=24_180), "raw": full.RECIPE.front_ends["raw"]},
    train=ADAM,
    micro=False,  # 4.7 MB of int8 weights
    study=None,  # its plans are those of ACDNet's SGD
    variants={
        "base": (),
        "sparse": (SparsifyLayerwise(share=0.95, plan=FINE_TUNE),),
        "pruned": (PruneChannels(share=0.8, plan=FINE_TUNE, by="taylor", channels_per_step=64),),
        "hybrid": ("sparse", PruneChannels(share=0.8, plan=FINE_TUNE, by="taylor", channels_per_step=64)),
        "hybrid_retrained": ("hybrid", Retrain("retrained")),
    },
)

if __name__ == "__main__":
    main(RECIPE)
