from dataclasses import replace

from zoo.backend import keras

import numpy as np
import pytest

from zoo.compress import surgery
from zoo.compress.channels import PruneChannels
from zoo.compress.taylor import channels_left, count_channels
from zoo.errors import ZooError
from zoo.measure.counts import macs
from zoo.models import acdnet
from zoo.training import Plan

PLAN = Plan(batch_size=4, learning_rate=0.01)
WIDTHS = (4, 8, 4, 6, 6, 6, 8, 8, 8, 8, 8, 6)  # 80 channels


@pytest.fixture
def backbone():
    keras.utils.set_random_seed(1)
    return acdnet.build((3_000, 1, 1), 3, 20_000, WIDTHS)


class Finetune:
    """Trains on noise, and notes what it was asked for."""

    def __init__(self):
        random = np.random.default_rng(2)
        self.sounds = random.normal(0, 1, (4, 3_000, 1, 1)).astype(np.float32)
        self.labels = random.dirichlet(np.ones(3), 4).astype(np.float32)
        self.stages, self.epochs, self.sizes = [], [], []

    def __call__(self, backbone, plan, stage, callbacks=(), objective=None):
        self.stages.append(stage)
        self.epochs.append(plan.epochs)
        self.sizes.append(count_channels(backbone))
        backbone.compile(keras.optimizers.SGD(plan.learning_rate, momentum=plan.momentum), plan.loss)
        backbone.fit(self.sounds, self.labels, plan.batch_size, plan.epochs, verbose=0, callbacks=list(callbacks))


def test_acdnet_ends_with_exactly_its_share_and_trains_on(backbone):
    before, finetune = backbone.get_weights(), Finetune()
    step = PruneChannels(0.45, PLAN, channels_per_step=9, epochs_per_step=1, rounds=2, keep=("spectral_conv1",))
    pruned = step(backbone, finetune)
    assert count_channels(pruned) == channels_left(80, 0.45) == 44
    assert finetune.stages == ["round1", "round2"] and finetune.epochs == [2, 2] and finetune.sizes == [80, 62]
    assert len(surgery.channels_of(pruned).groups["spectral_conv1"]) == 4
    assert macs(pruned) < macs(backbone)

    assert type(pruned) is type(backbone) and "train_step" not in vars(pruned)
    assert {type(layer) for layer in pruned.layers} <= {type(layer) for layer in backbone.layers}
    finetune(pruned, PLAN.with_epochs(1), "on")
    assert np.isfinite(pruned.predict(finetune.sounds, verbose=0)).all()

    assert count_channels(backbone) == 80 and backbone is not pruned
    for weight, was in zip(backbone.get_weights(), before):
        np.testing.assert_array_equal(weight, was)


@pytest.mark.parametrize("share, left", [(0.8, 415), (0.85, 312)])
def test_rounds_take_equally_many_and_end_at_the_ceiling(share, left):
    for channels_per_step in (1, 20, 1_000):
        step = PruneChannels(share, PLAN, channels_per_step=channels_per_step)
        sizes = step.channels_after_rounds(2_074)
        taken = -np.diff([2_074, *sizes])
        assert sizes[-1] == left and len(sizes) == min(8, -(-(2_074 - left) // channels_per_step))
        assert (taken > 0).all() and np.ptp(taken[:-1]) <= channels_per_step  # the last step may be a smaller one


def test_one_channel_every_two_epochs_takes_as_long_as_the_paper_says(backbone):
    assert PruneChannels(0.8, PLAN).channels_after_rounds(2_074)[0] == 2_074 - 207

    class Stop(Exception):
        pass

    def finetune(backbone, plan, stage, callbacks=(), objective=None):
        assert plan == PLAN.with_epochs(2 * 8) and stage == "round1"  # an eighth of 64
        raise Stop

    with pytest.raises(Stop):
        PruneChannels(0.8, PLAN)(backbone, finetune)


def test_quick_is_the_same_in_a_few_epochs(backbone):
    step, finetune = PruneChannels(0.3, PLAN, "magnitude", keep=("temporal_conv12",)), Finetune()
    assert step.quick() == replace(step, channels_per_step=1_000, epochs_per_step=1, rounds=2)
    assert count_channels(step.quick()(backbone, finetune)) == 56
    assert sum(finetune.epochs) <= 3


@pytest.mark.parametrize(
    "options, message",
    [
        ({"by": "luck"}, "no ranking by 'luck'"),
        ({"channels_per_step": 0}, "0 channels every 2 epochs"),
        ({"epochs_per_step": 0}, "1 channels every 0 epochs"),
        ({"rounds": 0}, "0 rounds remove nothing"),
        ({"plan": None}, "no plan to fine-tune by"),
    ],
)
def test_values_that_make_no_sense_are_refused_at_once(options, message):
    with pytest.raises(ZooError, match=message):
        PruneChannels(**{"share": 0.5, "plan": PLAN, **options})


def test_what_cannot_be_done_is_told_before_the_first_round(backbone):
    finetune = Finetune()
    for options, message in (
        ({"share": 0.9}, "acdnet: 8 of 80 channels cannot be reached, 12 must stay"),
        ({"share": 0.5, "keep": ("conv1",)}, "acdnet has no layer 'conv1' with channels; it has spectral_conv1, "),
    ):
        with pytest.raises(ZooError, match=message):
            PruneChannels(plan=PLAN, **options)(backbone, finetune)
    assert finetune.stages == []
