"""ACDNet on the raw 20 kHz waveform, or its temporal block over the log-mel.

Paper   Mohaimenuzzaman et al. 2023, tables 2 and 3: ESC-10 96.65 %, ESC-50 87.10 % (best epoch chosen on the test fold)
Run     python -m recipes.acdnet --dataset esc50
Check   python -m recipes.acdnet --dataset synth10 --quick
Hours   2,000 epochs of a fold of ESC-10: 4 on two cores; of ESC-50: 20
"""

from recipes.recipe import Recipe
from recipes.run import main
from zoo.frontends import LogMel, Raw
from zoo.models import acdnet
from zoo.pipeline import Waveforms
from zoo.training import Plan

RECIPE = Recipe(
    name="acdnet",
    paper="Mohaimenuzzaman et al. 2023, Environmental Sound Classification on the Edge, Pattern Recognition 133",
    front_ends={
        "raw": Raw(sample_rate_hz=20_000, num_samples=30_225),  # 1.51 s
        "mel": LogMel(sample_rate_hz=16_000, num_samples=24_180),  # as long
    },
    backbone=acdnet.build,
    seam=acdnet.SEAM,
    hop_columns=5,  # 50 ms
    waveforms=Waveforms(max_stretch=1.25, max_gain_db=6.0, eval_crops=10),
    train=Plan(
        epochs=2_000,
        batch_size=64,
        learning_rate=0.1,
        warmup_epochs=10,
        drops_at=(0.3, 0.6, 0.9),
        momentum=0.9,
        weight_decay=5e-4,
        loss="kl_divergence",
    ),
    quick_epochs=6,
    variants={"base": ()},
)

if __name__ == "__main__":
    main(RECIPE)
