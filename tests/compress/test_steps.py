"""What every step keeps to, whatever it makes of a net."""

from zoo.backend import keras

import pytest

from zoo.compress.channels import PruneChannels
from zoo.compress.layerwise import SparsifyLayerwise
from zoo.compress.magnitude import Sparsify
from zoo.compress.qat import QuantizeAware
from zoo.compress.retrain import Retrain
from zoo.errors import ZooError
from zoo.training import Plan

layers = keras.layers
STEPS = (
    Sparsify(0.5, Plan()),
    SparsifyLayerwise(0.5, Plan()),
    PruneChannels(0.5, Plan()),
    Retrain(),
    QuantizeAware(Plan()),
)


def kind(step):
    return type(step).__name__


@pytest.mark.parametrize("step", STEPS, ids=kind)
def test_a_model_with_kapre_layers_is_refused(step):
    kapre_layer = type("STFT", (layers.Layer,), {"__module__": "kapre.time_frequency"})(name="stft")
    inputs = keras.Input((16,))
    model = keras.Model(inputs, layers.Dense(2)(kapre_layer(inputs)), name="whole")
    with pytest.raises(ZooError, match="whole: stft is a Kapre layer"):
        step(model, None)


@pytest.mark.parametrize("step", STEPS, ids=kind)
def test_a_model_inside_the_model_is_refused(step):
    inputs = keras.Input((16,))
    net = keras.Model(inputs, layers.Dense(2)(inputs), name="net")
    with pytest.raises(ZooError, match="joined: net is a model inside the model"):
        step(keras.Model(inputs, net(inputs), name="joined"), None)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan")])
@pytest.mark.parametrize("kind", [Sparsify, SparsifyLayerwise, PruneChannels])
def test_a_share_outside_0_and_1_is_refused(kind, share):
    with pytest.raises(ZooError, match=f"share[ =]{share}.* between 0 and 1"):
        kind(share, Plan())
