from zoo.backend import keras

import numpy as np

from tools.per_tensor import compare


def test_one_scale_for_all_channels_costs_those_of_small_weights_more():
    """Channels up to 30 times as large as others, which the dense layer makes alike again."""
    rng = np.random.default_rng(0)
    sizes = np.logspace(0, 1.5, 16).astype(np.float32)
    x = inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(16, 3, use_bias=False, name="conv")(x)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(x))  # the mean takes out what activations lose
    x = keras.layers.Dense(4, use_bias=False, name="dense")(x)
    net = keras.Model(inputs, keras.layers.Softmax()(x))
    net.get_layer("conv").set_weights([rng.normal(size=(3, 3, 3, 16)) * sizes])
    net.get_layer("dense").set_weights([rng.normal(size=(16, 4)) / sizes[:, None]])
    figures = compare(net, *rng.normal(size=(2, 64, 16, 16, 3)).astype(np.float32), kernels="reference")
    channel, tensor = figures["per channel"], figures["per tensor"]
    assert channel["signal_to_noise_db"] > tensor["signal_to_noise_db"] + 1
    assert channel["agreement"] >= tensor["agreement"] and channel["bytes"] > tensor["bytes"]
