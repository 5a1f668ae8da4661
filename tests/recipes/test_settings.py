"""Settings by name, of real recipes."""

import pytest

from recipes import bc_resnet, ds_cnn, micro_acdnet, resnet152, settings
from zoo.compress.search import Span
from zoo.errors import ZooError


def test_a_setting_reaches_the_plan_the_front_end_or_the_backbone():
    changed = settings.applied(ds_cnn.RECIPE, "mel", settings.parse("width=24,num_mels=16,learning_rate=2e-3"))
    assert changed.train.learning_rate == 0.002
    assert changed.front_ends["mel"].num_mels == 16 and changed.front_ends["mel_20"].num_mels == 20
    net = changed.backbone((49, 16, 1), 3)
    assert (
        net.get_layer("stem").filters == 24 and ds_cnn.RECIPE.backbone((49, 16, 1), 3).get_layer("stem").filters == 64
    )


def test_how_norms_are_settled_is_a_setting_of_the_recipe():
    assert settings.of(resnet152.RECIPE, "mel")["settling_crops"] == 320
    assert settings.applied(resnet152.RECIPE, "mel", {"settling_crops": 0}).settling_crops == 0


def test_one_width_of_many_is_set_by_its_number():
    changed = settings.applied(micro_acdnet.RECIPE, "raw", {"width4": 24, "width1": 5})
    net = changed.backbone((30_225, 1, 1), 10)
    widths = [layer.filters for layer in net.layers if hasattr(layer, "filters")]
    assert widths == [5, 20, 10, 24, 22, 31, 35, 41, 51, 67, 69, 48]  # table 11, but for two of them


@pytest.mark.parametrize("name", ["width13", "hop", "epochs", "log_mel"])
def test_a_setting_that_is_none_is_refused_with_those_there_are(name):
    with pytest.raises(ZooError, match=f"no setting '{name}'; choose of width1, .*num_samples.*learning_rate"):
        settings.applied(micro_acdnet.RECIPE, "raw", {name: 1})


def test_a_value_that_is_none_is_refused():
    with pytest.raises(ZooError, match="log is decibel or natural"):
        settings.applied(ds_cnn.RECIPE, "mel", {"log": "ten"})
    with pytest.raises(ZooError, match="'width' is no NAME=VALUE"):
        settings.parse("depth=3,width")


def test_what_is_told_is_parsed_again():
    given = {"width": 48, "learning_rate": 0.00316, "log": "natural"}
    assert settings.parse(settings.told(given)) == given


@pytest.mark.parametrize(
    "recipe", [bc_resnet.RECIPE, ds_cnn.RECIPE, micro_acdnet.RECIPE], ids=lambda recipe: recipe.name
)
def test_each_search_begins_at_the_recipes_own_values(recipe):
    own = settings.of(recipe, list(recipe.front_ends)[-1 if recipe.name == "ds_cnn" else 0])
    for name, choices in recipe.search.items():
        if isinstance(choices, Span):
            assert choices.low <= own[name] <= choices.high
        else:
            assert own[name] in choices
