"""MobileNetV3 at 0.4 of its width, EfficientAT's mn04, over 128 mel bands of 32 kHz sound.

Paper   Schmid et al. 2023: mAP 0.432 on AudioSet, from ImageNet's weights and taught by transformers; here from nothing
Run     python -m recipes.mobilenet_v3 --dataset esc10
Check   python -m recipes.mobilenet_v3 --dataset synth10 --quick

The source hears 10 s at once. ESC's clips are 5 s, often mostly silent: here a crop is 2 s, and ten judge a clip.
"""

from dataclasses import replace
from functools import partial

from recipes.recipe import Recipe
from recipes.run import main
from zoo.compress.channels import PruneChannels
from zoo.compress.magnitude import Sparsify
from zoo.compress.qat import QuantizeAware
from zoo.frontends import LogMel
from zoo.models import mobilenet_v3
from zoo.training import Plan

# ex_audioset.py's, whose epoch is 100,000 clips; its ramp down is a straight line after 80 epochs.
TRAIN = Plan(
    epochs=200,
    batch_size=64,
    learning_rate=8e-4,
    warmup_epochs=8,
    schedule="cosine",
    optimizer="adam",
    weight_decay=0.0,
)
FINE_TUNE = replace(TRAIN, epochs=20, learning_rate=8e-5, warmup_epochs=0)

RECIPE = Recipe(
    name="mobilenet_v3",
    paper="Schmid et al. 2023, Efficient Large-scale Audio Tagging via Transformer-to-CNN Knowledge Distillation",
    front_ends={
        "mel": LogMel(
            num_samples=64_480,  # 200 frames
            sample_rate_hz=32_000,
            num_mels=128,
            n_fft=1_024,
            window_samples=800,
            hop_samples=320,
            high_hz=15_000.0,
            log="natural",
        ),
        # As many frames at half the rate and the bands: half the work.
        "mel_16k": LogMel(num_samples=32_240, num_mels=64, log="natural"),
    },
    backbone=partial(mobilenet_v3.build, width=0.4),
    train=TRAIN,
    quick_epochs=10,
    variants={
        "base": (),
        "sparse": (Sparsify(share=0.5, plan=FINE_TUNE),),
        "pruned": (PruneChannels(share=0.5, plan=FINE_TUNE, channels_per_step=64),),
        "qat": (QuantizeAware(plan=FINE_TUNE),),
    },
)

if __name__ == "__main__":
    main(RECIPE)
