"""ResNet-152 over the log of the power mel, with a global average, dropout and softmax: the GTZAN study's.

Paper   Hu, Shao and Johar 2024, table 1: GTZAN 78 %, dynamic 77.5 %, fp16 78 %, int8 6 % (per tensor)
Run     python -m recipes.resnet152 --dataset esc10 --epochs 5 --forms fp16,dynamic
Check   python -m recipes.resnet152 --dataset synth10 --quick

The study gives neither the mel's sizes nor optimiser, epochs and rate, and its weights may have come from ImageNet.
Here: GTZAN's rate, 64 bands every 20 ms, 3 s of a piece; Adam, from nothing; norms that are settled after training.
"""

from dataclasses import replace
from functools import partial

from recipes.recipe import Recipe
from recipes.run import main
from zoo.compress.channels import PruneChannels
from zoo.compress.magnitude import Sparsify
from zoo.compress.qat import QuantizeAware
from zoo.frontends import LogMel
from zoo.models import resnet
from zoo.pipeline import Waveforms
from zoo.training import Plan

TRAIN = Plan(
    epochs=100,
    batch_size=64,
    learning_rate=1e-3,
    warmup_epochs=2,
    schedule="cosine",
    optimizer="adam",
    weight_decay=1e-4,
)
FINE_TUNE = replace(TRAIN, epochs=10, learning_rate=1e-4, warmup_epochs=0)

RECIPE = Recipe(
    name="resnet152",
    paper="Hu, Shao and Johar 2024, Adaptive Model Optimization for Audio Classification on Edge Devices",
    front_ends={
        "mel": LogMel(
            num_samples=66_150,
            sample_rate_hz=22_050,
            num_mels=64,
            n_fft=1_024,
            window_samples=1_024,
            hop_samples=441,
            high_hz=11_025.0,
        ),
    },
    backbone=partial(resnet.build, **resnet.RESNET_152),
    waveforms=Waveforms(mix="none"),
    train=TRAIN,
    quick_epochs=2,
    settling_crops=320,  # 7 GB of memory at 151 norms
    micro=False,  # 11 MB of int8 weights at ResNet-18's depth
    variants={
        "base": (),
        "sparse": (Sparsify(share=0.5, plan=FINE_TUNE),),
        "pruned": (PruneChannels(share=0.5, plan=FINE_TUNE, channels_per_step=512),),
        "qat": (QuantizeAware(plan=FINE_TUNE),),
    },
)

if __name__ == "__main__":
    main(RECIPE)
