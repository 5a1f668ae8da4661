"""EnvNet-v2 on the raw 44.1 kHz waveform, with between-class learning and strong augmentation.

Paper   Tokozume, Ushiku and Harada 2018: ESC-10 91.4 %, ESC-50 84.9 % (the authors' repository: 8.6 and 15.1 % errors)
Run     python -m recipes.envnet_v2 --dataset esc50
Check   python -m recipes.envnet_v2 --dataset synth10 --quick

ACDNet's training is the one that EnvNet-v2 has on ESC-50. On ESC-10 the authors train for 1,200 epochs, from a rate of
0.01, without warm-up and with drops at a half and three quarters.
"""

from recipes.acdnet import FINE_TUNE, TRAIN
from recipes.recipe import Recipe
from recipes.run import main
from zoo.compress.magnitude import Sparsify
from zoo.frontends import Raw
from zoo.models import envnet_v2

RECIPE = Recipe(
    name="envnet_v2",
    paper="Tokozume, Ushiku and Harada 2018, Learning from Between-class Examples for Deep Sound Recognition, ICLR",
    front_ends={"raw": Raw(sample_rate_hz=44_100, num_samples=66_650)},  # 1.51 s
    backbone=envnet_v2.build,
    seam=envnet_v2.SEAM,
    train=TRAIN,
    quick_epochs=1,
    variants={
        "base": (),
        "sparse": (Sparsify(share=0.95, plan=FINE_TUNE),),
    },
)

if __name__ == "__main__":
    main(RECIPE)
