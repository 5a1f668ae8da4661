"""MobileNetV3-Large at its full width, EfficientAT's mn10.

Paper   Schmid et al. 2023: mAP 0.471 on AudioSet, from ImageNet's weights and taught by transformers; here from nothing
Run     python -m recipes.mobilenet_v3_full --dataset esc10
Check   python -m recipes.mobilenet_v3_full --dataset synth10 --quick
"""

from dataclasses import replace

from recipes import mobilenet_v3 as narrow
from recipes.run import main
from zoo.models import mobilenet_v3

RECIPE = replace(narrow.RECIPE, name="mobilenet_v3_full", backbone=mobilenet_v3.build, quick_epochs=6)

if __name__ == "__main__":
    main(RECIPE)
