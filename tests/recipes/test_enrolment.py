"""A class is added to an exported folder: every file of it scores as the new head does, and the old one stays."""

import json
import shutil

import numpy as np
import pytest
import soundfile

from recipes import ds_cnn
from recipes.run import main
from zoo import prototypes
from zoo.__main__ import main as command
from zoo.errors import ZooError
from zoo.export import keras_files
from zoo.export.enrolment import enroll
from zoo.export.head import with_head
from zoo.export.stream import open_stream
from zoo.runtime.classifier import Classifier
from zoo.runtime.interpreter import LiteRT


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, write_tones):
    """A model of ten tones, and recordings of a chirp, which it never heard."""
    folder = tmp_path_factory.mktemp("enrol")
    write_tones(folder / "tones")
    (folder / "chirp").mkdir()
    rng, time_s = np.random.default_rng(0), np.arange(44_100) / 44_100
    for take in range(4):
        chirp = 0.3 * np.sin(2 * np.pi * (300 * time_s + 2_000 * time_s**2)) + rng.normal(0, 0.02, len(time_s))
        soundfile.write(folder / f"chirp/{take}.wav", chirp, 44_100)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        flags = ("--dataset", "esc10", "--data-dir", "tones", "--fold", "1", "--quick", "--epochs", "100")
        main(ds_cnn.RECIPE, flags)
        command(["enroll", "exported/ds_cnn-esc10", "chirp", "--name", "chirp", "--out", "exported/new"])
        yield folder


@pytest.fixture(scope="module")
def enrolled(workplace):
    return workplace / "exported" / "new"


@pytest.fixture(scope="module")
def sounds():
    return np.random.default_rng(1).normal(0, 0.1, (6, 16_000)).astype(np.float32)


def test_every_file_scores_as_keras_does(enrolled, sounds):
    expected = keras_files.open_h5(enrolled / "model.h5")(sounds)
    assert expected.shape == (6, 11)
    np.testing.assert_allclose(LiteRT(enrolled / "model.tflite").run(sounds), expected, atol=1e-3)  # other sums
    # 8 bits: of an untrained-looking net scores are a few steps of 1/256 off.
    np.testing.assert_allclose(LiteRT(enrolled / "model_int8.tflite").run(sounds), expected, atol=0.06)
    stream = open_stream(enrolled / "micro")
    np.testing.assert_allclose(stream.run(sounds), expected, atol=0.06)


def test_the_files_tell_of_the_class_and_its_threshold(enrolled):
    classifier = Classifier(enrolled)
    told = json.loads((enrolled / "metrics.json").read_text())
    assert classifier.labels[-1] == "chirp" and tuple(told["labels"]) == classifier.labels
    assert dict(zip(classifier.labels, classifier.thresholds)) == told["rejection"]["points"]["medium"]["thresholds"]
    assert '"chirp"' in (enrolled / "micro" / "labels.cc").read_text()
    assert (enrolled / "labels.txt").read_text().splitlines()[-1] == "chirp"
    assert told["enrolled"][0]["recordings"] == 4 and told["enrolled"][0]["left_out_right"] >= 3


def test_the_new_class_is_heard(workplace, enrolled):
    chirp, rate_hz = soundfile.read(workplace / "chirp" / "0.wav", dtype="float32")
    assert next(iter(Classifier(enrolled).classify(chirp, rate_hz))) == "chirp"


def test_the_folder_it_came_from_stays_and_more_can_be_added(workplace, enrolled):
    before = workplace / "exported" / "ds_cnn-esc10"
    assert len(Classifier(before).labels) == 10
    old, new = (np.load(folder / prototypes.FILE)["targets"] for folder in (before, enrolled))
    np.testing.assert_array_equal(new[: len(old)], old)
    assert (new[len(old) :] == 10).all()
    told = enroll(enrolled, "chirps", [workplace / "chirp" / "1.wav"], workplace / "exported" / "more")
    assert [one["class"] for one in told["enrolled"]] == ["chirp", "chirps"] and told["labels"][-1] == "chirps"
    assert told["enrolled"][1]["left_out_right"] is None


@pytest.mark.parametrize("spoil, told", [
    (lambda folder: (folder / prototypes.FILE).unlink(), "no embeddings.npz"),
    (lambda folder: (folder / "provenance.json").unlink(), "no provenance.json"),
    (lambda folder: None, "has a class 'dog'"),
])  # fmt: skip
def test_what_cannot_be_is_refused(workplace, tmp_path, spoil, told):
    folder = shutil.copytree(workplace / "exported" / "ds_cnn-esc10", tmp_path / "spoilt")
    spoil(folder)
    with pytest.raises(ZooError, match=told):
        enroll(folder, "dog", [workplace / "chirp" / "0.wav"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_head_of_another_width_is_refused(enrolled):
    model = (enrolled / "model.tflite").read_bytes()
    with pytest.raises(ZooError, match="takes 64 values, the new head 5"):
        with_head(model, np.zeros((5, 3)), np.zeros(3), (0, 1))
