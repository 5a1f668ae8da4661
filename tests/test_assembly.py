"""The join shares its layers with the backbone, and a cut loses nothing."""

from zoo.backend import keras

import numpy as np
import pytest

from zoo.assembly import cut, join
from zoo.frontends import LogMel, Raw
from zoo.models import acdnet

SAMPLES = 4_045  # 20 columns at 20 kHz
WIDTHS = (3, 8, 4, 5, 4, 5, 4, 5, 4, 5, 4, 6)


@pytest.fixture
def front_end():
    return Raw(20_000, SAMPLES).build()


@pytest.fixture
def backbone():
    keras.utils.set_random_seed(0)
    return acdnet.build((SAMPLES, 1, 1), 3, 20_000, WIDTHS)


@pytest.fixture
def waveforms():
    return np.random.default_rng(0).uniform(-1, 1, (4, SAMPLES)).astype(np.float32)


def test_the_join_is_the_front_end_and_then_the_backbone(front_end, backbone, waveforms):
    joined = join(front_end, backbone)
    assert joined.input_shape == (None, SAMPLES) and joined.output_shape == (None, 3)
    np.testing.assert_array_equal(joined(waveforms), backbone(front_end(waveforms)))


def test_training_the_join_trains_the_backbone(front_end, backbone, waveforms):
    joined = join(front_end, backbone)
    assert {id(weight) for weight in joined.weights} == {id(weight) for weight in backbone.weights}
    before = [weight.numpy() for weight in backbone.weights]
    joined.compile(keras.optimizers.SGD(0.1), "kl_divergence")
    joined.train_on_batch(waveforms, np.eye(3, dtype=np.float32)[[0, 1, 2, 0]])
    unmoved = [w.name for w, old in zip(backbone.weights, before) if np.array_equal(w, old) and "state" not in w.name]
    assert unmoved == []


def test_front_and_body_in_turn_give_the_joins_scores(front_end, backbone, waveforms):
    front, body = cut(front_end, backbone, acdnet.SEAM)
    columns = front(waveforms)
    assert columns.shape == (4, 20, 1, 8)  # (batch, columns, 1, channels)
    assert body.input_shape == (None, 20, 1, 8)
    np.testing.assert_array_equal(body(columns), join(front_end, backbone)(waveforms))


def test_front_and_body_share_the_backbones_weights(front_end, backbone):
    front, body = cut(front_end, backbone, acdnet.SEAM)
    shared = {id(weight) for weight in (*front.weights, *body.weights)}
    assert shared == {id(weight) for weight in backbone.weights}
    assert not {id(weight) for weight in front.weights} & {id(weight) for weight in body.weights}


def test_a_backbone_without_the_seam_is_cut_at_its_input():
    front_end = LogMel(4_000, num_mels=32).build()
    backbone = acdnet.build(front_end.output_shape[1:], 3, 16_000, WIDTHS)
    assert cut(front_end, backbone, acdnet.SEAM) == (front_end, backbone)
