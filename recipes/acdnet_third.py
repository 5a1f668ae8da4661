"""ACDNet with a third of its filters in each layer: a base for `--study pruning` that two cores can afford.

Paper   Mohaimenuzzaman et al. 2023, tables 7 to 10, whose grid it repeats at a ninth of the work
Run     python -m recipes.acdnet_third --dataset esc10 --fold 5 --front-end raw_8k --epochs 200 --study pruning
Check   python -m recipes.acdnet_third --dataset synth10 --quick
"""

from dataclasses import replace
from functools import partial

from recipes import acdnet as full
from recipes.run import main
from zoo.frontends import Raw
from zoo.models import acdnet

WIDTHS = (*(round(width / 3) for width in acdnet.WIDTHS), 10)

RECIPE = replace(
    full.RECIPE,
    name="acdnet_third",
    front_ends={
        **full.RECIPE.front_ends,
        # A second of sound to 4 kHz, a column every 25 ms: an epoch takes a quarter of the time.
        "raw_8k": Raw(sample_rate_hz=8_000, num_samples=8_000),
    },
    backbone=partial(acdnet.build, widths=WIDTHS),
    study=replace(full.RECIPE.study, channels_per_step=16),
)

if __name__ == "__main__":
    main(RECIPE)
