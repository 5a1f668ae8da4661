"""DS-CNN for keywords, MLPerf Tiny's: 49 frames of ten mel bands or cepstral coefficients.

Paper   Banbury et al. 2021, MLPerf Tiny Benchmark: 90 % of 12 classes of Speech Commands v2 is asked for
Run     python -m recipes.ds_cnn --dataset speech_commands
Check   python -m recipes.ds_cnn --dataset synth10 --quick

Its training starts at 5e-4 and divides by five after 12 and 24 of 36 epochs, over words that are moved and noisy. The
higher rate, the cosine and mixed words were chosen on the validation clips of a part with 911 to train on, where 36
epochs would be 540 steps: --epochs 150.
"""

from dataclasses import replace

from recipes.recipe import Recipe
from recipes.run import main
from zoo.compress.channels import PruneChannels
from zoo.compress.cluster import Cluster
from zoo.compress.magnitude import Sparsify
from zoo.compress.qat import QuantizeAware
from zoo.compress.retrain import Retrain
from zoo.compress.search import Span
from zoo.frontends import MFCC, LogMel
from zoo.models import ds_cnn
from zoo.pipeline import Waveforms
from zoo.training import Plan

TRAIN = Plan(
    epochs=36,
    batch_size=64,
    learning_rate=3e-3,
    warmup_epochs=0,
    schedule="cosine",
    optimizer="adam",
    weight_decay=1e-4,
)
FINE_TUNE = replace(TRAIN, epochs=10, learning_rate=3e-4)

RECIPE = Recipe(
    name="ds_cnn",
    paper="Banbury et al. 2021, MLPerf Tiny Benchmark, NeurIPS Datasets and Benchmarks; github.com/mlcommons/tiny",
    # Windows of 30 ms every 20 ms of one second. The bands reach as high as those of the source's cepstrum.
    front_ends={
        "mfcc": MFCC(
            LogMel(
                num_samples=16_000,
                num_mels=40,
                window_samples=480,
                hop_samples=320,
                low_hz=20.0,
                high_hz=4_000.0,
                spectrum="magnitude",
                floor=1e-6,
                log="natural",
            ),
            num_coefficients=10,
        ),
        "mel": LogMel(
            num_samples=16_000, num_mels=10, window_samples=480, hop_samples=320, low_hz=20.0, high_hz=4_000.0
        ),
        # Twice the bands, as high as "s" and "f" reach: at four times the multiplies it knows more words.
        "mel_20": LogMel(
            num_samples=16_000, num_mels=20, window_samples=480, hop_samples=320, low_hz=20.0, high_hz=7_600.0
        ),
    },
    backbone=ds_cnn.build,
    # As in the source a word is moved by 100 ms at most; stretched, it is another speaker's too.
    waveforms=Waveforms(max_stretch=1.3, padding=0.1, eval_crops=5),
    train=TRAIN,
    quick_epochs=20,
    search={
        "width": (16, 24, 32, 40, 48, 64, 80, 96),
        "depth": (2, 3, 4, 5, 6),
        "num_mels": (10, 20, 32, 40),
        "hop_samples": (160, 240, 320),
        "learning_rate": Span(1e-3, 1e-2),
    },
    variants={
        "base": (),
        "sparse": (Sparsify(share=0.5, plan=FINE_TUNE),),
        "pruned": (PruneChannels(share=0.5, plan=FINE_TUNE, channels_per_step=16),),
        "distilled": (Retrain("distilled"),),
        "clustered": (Cluster(clusters=16, plan=FINE_TUNE),),
        "qat": (QuantizeAware(plan=FINE_TUNE),),
    },
)

if __name__ == "__main__":
    main(RECIPE)
