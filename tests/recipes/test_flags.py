"""What the command line says of the sounds that train takes the place of the recipe's own values."""

import pytest

from recipes import ds_cnn, flags
from recipes.run import as_asked
from zoo.augment import Augmentation, Masks

ASKED = ["--dataset", "synth10"]


def asked(*argv):
    return as_asked(ds_cnn.RECIPE, flags.parse(ds_cnn.RECIPE, [*ASKED, *argv])[1])


def test_without_flags_a_recipe_stays_as_it_is():
    assert asked() == ds_cnn.RECIPE


def test_flags_change_what_they_name_alone():
    changed = asked("--trim-db", "20", "--sampling", "balanced", "--augment", "noise=5:30,masks=0.2")
    assert changed.waveforms.trim_db == 20 and changed.waveforms.sampling == "balanced"
    assert changed.waveforms.augmentation == Augmentation(noise_snr_db=(5, 30)) and changed.masks == Masks(2, 0.2, 0.2)
    assert changed.waveforms.padding == ds_cnn.RECIPE.waveforms.padding and changed.train == ds_cnn.RECIPE.train


@pytest.mark.parametrize(
    "argv", [["--augment", "echo=1"], ["--trim-db", "0"], ["--sampling", "some"], ["--seeds", "0"]]
)
def test_a_value_that_cannot_be_ends_with_one_line(argv, capsys):
    with pytest.raises(SystemExit) as stopped:
        asked(*argv)
    assert stopped.value.code == 2 and argv[1] in capsys.readouterr().err.splitlines()[-1]
