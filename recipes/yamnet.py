"""YAMNet over its own log-mel: AudioSet's weights, fine-tuned.

Source  tensorflow/models, research/audioset/yamnet
Run     python -m recipes.yamnet --dataset esc10 --init-from yamnet.tflite --freeze --epochs 30
Check   python -m recipes.yamnet --dataset synth10 --quick
"""

from dataclasses import replace

from recipes.recipe import Recipe
from recipes.run import main
from zoo.compress.qat import QuantizeAware
from zoo.frontends import LogMel
from zoo.models import yamnet
from zoo.pipeline import Waveforms
from zoo.training import Plan

LOG_MEL = LogMel(
    num_samples=15_600,  # 0.975 s: 96 frames
    sample_rate_hz=16_000,
    num_mels=64,
    n_fft=512,
    window_samples=400,
    hop_samples=160,
    low_hz=125.0,
    high_hz=7_500.0,
    spectrum="magnitude",
    log="natural",
    mel="htk",
    offset=0.001,
)
# Fine-tuning: the release says nothing of it. Chosen on eight classes of ESC-50 that ESC-10 has not.
TRAIN = Plan(
    epochs=12,
    batch_size=64,
    optimizer="adam",
    schedule="cosine",
    learning_rate=1e-3,
    warmup_epochs=1,
    weight_decay=0.0,
    loss="kl_divergence",
)
QUANTIZE = replace(TRAIN, epochs=10, learning_rate=1e-4, warmup_epochs=0)

RECIPE = Recipe(
    name="yamnet",
    paper="Plakal and Ellis 2019, YAMNet, tensorflow/models, research/audioset/yamnet",
    front_ends={"mel": LOG_MEL},
    backbone=yamnet.build,
    waveforms=Waveforms(mix="none"),
    train=TRAIN,
    quick_epochs=4,
    micro=False,  # 3.7 MB of int8 weights
    variants={"base": (), "qat": (QuantizeAware(plan=QUANTIZE),)},
)

if __name__ == "__main__":
    main(RECIPE)
