"""A bidirectional LSTM over log-mel columns, or over 10 ms pieces of the waveform.

Paper   Mou and Milanova 2024, section 2.1; its accuracy is not in the paper's text
Run     python -m recipes.bilstm --dataset esc10
Check   python -m recipes.bilstm --dataset synth10 --quick
Hours   100 epochs of a fold of ESC-10: 0.1 on two cores

Neither a sparse nor a pruned nor a quantisation-aware form: TF-MOT wraps no recurrent layer, and each of its units
feeds all of them. No micro/: it hears its window from both ends, so it is no stream.
"""

from recipes import melcnn
from recipes.recipe import Recipe
from recipes.run import main
from zoo.frontends import LogMel, Raw
from zoo.models import bilstm

RECIPE = Recipe(
    name="bilstm",
    paper=melcnn.RECIPE.paper,
    front_ends={
        "mel": LogMel(num_samples=24_180),
        "raw": Raw(sample_rate_hz=20_000, num_samples=30_200, shape=(151, 200, 1)),
    },
    backbone=bilstm.build,
    train=melcnn.ADAM,
    quick_epochs=15,
    micro=False,  # it hears its window from both ends: no stream
    variants={"base": ()},
)

if __name__ == "__main__":
    main(RECIPE)
