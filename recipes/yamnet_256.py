"""YAMNet's first six layers, whose embedding is 256 wide: what board vendors ship of it.

Source  STMicroelectronics/stm32ai-modelzoo, audio_event_detection/yamnet: ESC-10 94.9 % of one random split's clips
Run     python -m recipes.yamnet_256 --dataset esc10 --init-from yamnet.tflite [--freeze]
Check   python -m recipes.yamnet_256 --dataset synth10 --quick
"""

from dataclasses import replace
from functools import partial

from recipes import yamnet as full
from recipes.run import main
from zoo.models import yamnet

RECIPE = replace(full.RECIPE, name="yamnet_256", backbone=partial(yamnet.build, widths=yamnet.CUT_WIDTHS), micro=True)

if __name__ == "__main__":
    main(RECIPE)
