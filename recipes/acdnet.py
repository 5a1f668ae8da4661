"""ACDNet on the raw 20 kHz waveform, or its temporal block over the log-mel.

Paper   Mohaimenuzzaman et al. 2023, tables 2 and 3: ESC-10 96.65 %, ESC-50 87.10 % (best epoch chosen on the test fold)
Run     python -m recipes.acdnet --dataset esc50
Check   python -m recipes.acdnet --dataset synth10 --quick
Hours   2,000 epochs of a fold of ESC-10: 4 on two cores; of ESC-50: 20

Micro   The hybrid pruning of section 4.3: weights made sparse, then channels pruned by Taylor saliency, then an ending.
        python -m recipes.acdnet --dataset esc10 --variants base,micro,micro_qat
"""

from dataclasses import replace

from recipes.pruning import PruningStudy
from recipes.recipe import Recipe
from recipes.run import main
from zoo.compress.channels import PruneChannels
from zoo.compress.layerwise import SparsifyLayerwise
from zoo.compress.magnitude import Sparsify
from zoo.compress.qat import QuantizeAware
from zoo.compress.retrain import Retrain
from zoo.frontends import LogMel, Raw
from zoo.models import acdnet
from zoo.training import Plan

TRAIN = Plan()
# The paper gives neither the rate nor, after the sparsifying, the epochs of its fine-tuning.
FINE_TUNE = replace(TRAIN, epochs=20, learning_rate=0.01, warmup_epochs=0, drops_at=(0.5, 0.9))
WHILE_PRUNING = replace(FINE_TUNE, drops_at=(1.0,))  # the rate stays; its epochs follow from the channels
QUANTIZE = replace(FINE_TUNE, epochs=30)

RECIPE = Recipe(
    name="acdnet",
    paper="Mohaimenuzzaman et al. 2023, Environmental Sound Classification on the Edge, Pattern Recognition 133",
    front_ends={
        "raw": Raw(sample_rate_hz=20_000, num_samples=30_225),  # 1.51 s
        "mel": LogMel(sample_rate_hz=16_000, num_samples=24_180),  # as long
        # 20 rows, as the image of Micro-ACDNet over the waveform has, of 75 columns: a fifth of the work.
        "mel_20": LogMel(
            sample_rate_hz=16_000, num_samples=24_480, num_mels=20, n_fft=1024, window_samples=800, hop_samples=320
        ),
    },
    backbone=acdnet.build,
    seam=acdnet.SEAM,
    train=TRAIN,
    study=PruningStudy(FINE_TUNE, WHILE_PRUNING, channels_per_step=32),
    quick_epochs=6,
    variants={
        "base": (),
        "sparse": (Sparsify(share=0.95, plan=FINE_TUNE),),
        "sparse_layerwise": (SparsifyLayerwise(share=0.95, plan=FINE_TUNE),),  # Mou and Milanova's hybrid
        # 415 of 2,074 filters stay. The paper takes one channel a step, which needs hours more.
        "pruned": ("sparse", PruneChannels(share=0.8, plan=WHILE_PRUNING, by="taylor", channels_per_step=32)),
        "micro": ("pruned", Retrain("from_scratch")),
        "micro_fine_tuned": ("pruned", Retrain("fine_tuned", plan=FINE_TUNE)),
        "micro_retrained": ("pruned", Retrain("retrained")),
        "micro_distilled": ("pruned", Retrain("distilled")),
        # A quarter of those more: 85 % of the base's are gone.
        "macro_pruned": ("pruned", PruneChannels(share=0.25, plan=WHILE_PRUNING, by="taylor", channels_per_step=32)),
        "macro": ("macro_pruned", Retrain("from_scratch")),
        "micro_qat": ("micro", QuantizeAware(plan=QUANTIZE, seam=acdnet.SEAM)),
    },
)

if __name__ == "__main__":
    main(RECIPE)
