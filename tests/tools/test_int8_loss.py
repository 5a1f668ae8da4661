from zoo.backend import keras

import numpy as np

from tools.int8_loss import body_forms, told
from zoo.runtime.interpreter import LiteRT


def test_one_scale_for_all_channels_costs_those_of_small_weights_more():
    """Channels up to 30 times as large as others, which the dense layer makes alike again."""
    rng = np.random.default_rng(0)
    sizes = np.logspace(0, 1.5, 16).astype(np.float32)
    x = inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(16, 3, use_bias=False, name="conv")(x)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(x))  # the mean takes out what activations lose
    net = keras.Model(inputs, keras.layers.Dense(4, use_bias=False, name="dense")(x))
    net.get_layer("conv").set_weights([rng.normal(size=(3, 3, 3, 16)) * sizes])
    net.get_layer("dense").set_weights([rng.normal(size=(16, 4)) / sizes[:, None]])
    calibration, columns = rng.normal(size=(2, 64, 16, 16, 3)).astype(np.float32)
    exact = net.predict(columns, verbose=0)[:, None]
    rows = {
        name: told(exact, LiteRT(file, "reference").run(columns)[:, None], exact.argmax(axis=2)[:, 0])
        for name, file in body_forms(net, calibration).items()
    }
    tensor, channel, *_, exported = rows.values()
    assert channel[2] > tensor[2] + 1 and channel[1] >= tensor[1]
    assert exported[2] > channel[2] - 1 and exported[0] >= tensor[0]
    assert told(exact, exact, exact.argmax(axis=2)[:, 0]) == (1, 1, np.inf)
