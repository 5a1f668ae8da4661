"""YAMNet's first six layers, whose embedding is 256 wide: what board vendors ship of it.

Source  STMicroelectronics/stm32ai-modelzoo, audio_event_detection/yamnet: ESC-10 94.9 % of one random split's clips
Run     python -m recipes.yamnet_256 --dataset esc10 --init-from yamnet.tflite [--freeze]
        python -m recipes.yamnet_256 --dataset esc10 --front-end mel_20ms --variants taught \\
            --init-from yamnet.tflite --teacher yamnet.tflite
Check   python -m recipes.yamnet_256 --dataset synth10 --quick
"""

from dataclasses import replace
from functools import partial

from recipes import yamnet as full
from recipes.run import main
from zoo.compress.retrain import Retrain
from zoo.models import yamnet

RECIPE = replace(
    full.RECIPE,
    name="yamnet_256",
    front_ends={
        **full.RECIPE.front_ends,
        # Columns twice as far apart, 41 of them: the body's arena falls from 130 to 70 kB.
        "mel_20ms": replace(full.LOG_MEL, num_samples=13_200, hop_samples=320),
    },
    backbone=partial(yamnet.build, widths=yamnet.CUT_WIDTHS),
    micro=True,
    # On three folds of eight classes of ESC-50 that ESC-10 has not, 120 epochs have 92.7 %, 480 93.8.
    variants={**full.RECIPE.variants, "taught": (Retrain("taught", plan=full.TRAIN.with_epochs(480)),)},
)

if __name__ == "__main__":
    main(RECIPE)
