"""BC-ResNet-1 for keywords: 9,232 parameters over 101 frames of 40 mel bands.

Paper   Kim et al. 2021, table 2: Speech Commands v1 96.6 %, v2 96.9 %, twelve classes
Run     python -m recipes.bc_resnet --dataset speech_commands
Check   python -m recipes.bc_resnet --dataset synth10 --quick

The source trains 200 epochs by SGD from 0.1; Adam and mixed words were chosen on the validation clips of a part with
911 to train on. It pads each second by half a window at both ends, which gives its 101 frames; here the crop is as much
longer.
"""

from dataclasses import replace

from recipes.recipe import Recipe
from recipes.run import main
from zoo.compress.channels import PruneChannels
from zoo.compress.magnitude import Sparsify
from zoo.compress.qat import QuantizeAware
from zoo.compress.retrain import Retrain
from zoo.compress.search import Span
from zoo.frontends import LogMel
from zoo.models import bc_resnet
from zoo.pipeline import Waveforms
from zoo.training import Plan

TRAIN = Plan(
    epochs=200,
    batch_size=64,
    learning_rate=1e-2,
    warmup_epochs=5,
    schedule="cosine",
    optimizer="adam",
    weight_decay=1e-3,
)
FINE_TUNE = replace(TRAIN, epochs=20, learning_rate=1e-3, warmup_epochs=0)

RECIPE = Recipe(
    name="bc_resnet",
    paper="Kim et al. 2021, Broadcasted Residual Learning for Efficient Keyword Spotting, Interspeech",
    front_ends={
        "mel": LogMel(num_samples=16_480, num_mels=40, window_samples=480, log="natural"),
        "mel_3s": LogMel(num_samples=48_320, num_mels=40, window_samples=480, log="natural"),  # for sounds, 300 frames
    },
    backbone=bc_resnet.build,
    # As in the source a word is moved by a tenth of a second at most; stretched, it is another speaker's too.
    waveforms=Waveforms(max_stretch=1.3, padding=0.1, eval_crops=5),
    train=TRAIN,
    quick_epochs=20,
    search={
        "tau": (1, 1.5, 2, 3),  # bands are multiples of 40, hops those of the front ends
        "num_mels": (40, 80),
        "hop_samples": (160, 240, 320),
        "learning_rate": Span(2e-3, 2e-2),
    },
    variants={
        "base": (),
        "sparse": (Sparsify(share=0.5, plan=FINE_TUNE),),
        "pruned": (PruneChannels(share=0.5, plan=FINE_TUNE, channels_per_step=8),),
        "distilled": (Retrain("distilled"),),
        "qat": (QuantizeAware(plan=FINE_TUNE),),
    },
)

if __name__ == "__main__":
    main(RECIPE)
