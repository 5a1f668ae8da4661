"""The endings: which weights they start from, how long they train, and who teaches."""

from zoo.backend import keras

import numpy as np
import pytest

from zoo.compress.distill import Distillation
from zoo.compress.retrain import Retrain
from zoo.errors import ZooError
from zoo.models import acdnet
from zoo.training import Plan

SHORT = Plan(epochs=3)


@pytest.fixture(scope="module")
def backbone():
    keras.utils.set_random_seed(0)
    return acdnet.build((3_000, 1, 1), 3, 20_000, widths=(2, 4, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3))


def end(backbone, **settings):
    """(backbone that comes of it, weights that its training began with, plan, stage, objective)."""
    calls = []

    def finetune(model, plan, stage, callbacks=(), objective=None):
        calls.append((model.get_weights(), plan, stage, objective))
        model.set_weights([weight + 1 for weight in model.get_weights()])
        return [{"epoch": 1}]

    return Retrain(**settings)(backbone, finetune), *calls[0]


def equal(some, others):
    return all(np.array_equal(one, other) for one, other in zip(some, others, strict=True))


@pytest.mark.parametrize("settings", [{"ending": "fine_tuned", "plan": SHORT}, {"ending": "retrained"}])
def test_kept_weights_are_where_training_begins(backbone, settings):
    _, begun, plan, stage, objective = end(backbone, **settings)
    assert equal(begun, backbone.get_weights())
    assert (plan, stage, objective) == (settings.get("plan"), settings["ending"], None)


@pytest.mark.parametrize("ending", ["from_scratch", "distilled"])
def test_new_weights_have_the_found_widths_and_nothing_else_of_the_old_ones(backbone, ending):
    trained, begun, plan, _, _ = end(backbone, ending=ending)
    assert plan is None  # as the base was trained
    assert [weight.shape for weight in begun] == [weight.shape for weight in backbone.weights]
    kernels = [i for i, weight in enumerate(backbone.weights) if "kernel" in weight.name]
    assert len(kernels) == 13 and not any(np.array_equal(begun[i], backbone.get_weights()[i]) for i in kernels)
    assert [layer.name for layer in trained.layers] == [layer.name for layer in backbone.layers]


def test_only_a_distilled_ending_has_a_teacher(backbone):
    objective = Distillation(temperature=3.0)
    assert end(backbone, ending="distilled", objective=objective)[-1] is objective
    assert end(backbone, ending="from_scratch", objective=objective)[-1] is None
    assert Retrain("distilled").taught and not Retrain("from_scratch").taught


def test_the_same_seed_gives_the_same_new_weights(backbone):
    begun = []
    for _ in range(2):
        keras.utils.set_random_seed(7)
        begun.append(end(backbone)[1])
    assert equal(*begun)


def test_what_was_trained_comes_back_and_what_was_given_stays(backbone):
    before = backbone.get_weights()
    trained, begun, *_ = end(backbone, ending="retrained")
    assert equal(trained.get_weights(), [weight + 1 for weight in begun])
    assert equal(backbone.get_weights(), before)


@pytest.mark.parametrize("settings, named", [({"ending": "rested"}, "rested"), ({"ending": "fine_tuned"}, "plan")])
def test_an_ending_that_cannot_be_is_refused(settings, named):
    with pytest.raises(ZooError, match=named):
        Retrain(**settings)
