from zoo.backend import keras

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from zoo.errors import ZooError
from zoo.export import tflite
from zoo.runtime.embedding import embedding_model
from zoo.runtime.interpreter import LiteRT


def test_a_file_gives_what_its_last_dense_layer_took():
    keras.utils.set_random_seed(0)
    waveform = keras.Input((24,))
    embedding = keras.layers.Dense(6, "relu")(keras.layers.Dense(5, "tanh")(waveform))
    model = keras.Model(waveform, keras.layers.Dense(3, "softmax")(embedding))
    x = np.random.default_rng(0).normal(size=(4, 24)).astype(np.float32)
    found = LiteRT(embedding_model(tflite.to_float(model))).run(x)
    # Two libraries' float32 sums of 24 products.
    np.testing.assert_allclose(found, keras.Model(waveform, embedding)(x), atol=1e-5)


def test_the_embedding_is_what_yamnets_own_classifier_takes(real_recordings):
    """Its published file is older than the schema's wide operator codes, and has several outputs."""
    yamnet = real_recordings / "yamnet" / "yamnet.tflite"
    whole = Interpreter(str(yamnet), experimental_preserve_all_tensors=True)
    whole.allocate_tensors()
    waveforms = np.random.default_rng(0).uniform(-1, 1, (2, 15_600)).astype(np.float32)
    pooled = next(t["index"] for t in whole.get_tensor_details() if t["name"].endswith("global_average_pooling2d/Mean"))
    found = LiteRT(embedding_model(yamnet.read_bytes())).run(waveforms)
    for waveform, embedding in zip(waveforms, found, strict=True):
        whole.set_tensor(0, waveform[None])
        whole.invoke()
        np.testing.assert_array_equal(embedding, whole.get_tensor(pooled)[0])


def test_what_has_no_dense_layer_or_is_damaged_is_refused():
    waveform = keras.Input((64,), name="waveform")
    file = tflite.to_float(keras.Model(waveform, keras.layers.Softmax(name="softmax")(waveform)))
    for damaged, told in ((file, "no embedding"), (file[:100], "damaged"), (b"", "damaged")):
        with pytest.raises(ZooError, match=told):
            embedding_model(damaged)
