"""What is trained on another machine comes back as a training that is done; what is not its weights is refused."""

import pickle
from pathlib import Path

from zoo.backend import keras

import numpy as np
import pytest

from tools import elsewhere
from zoo import training
from zoo.errors import ZooError

ASKED = ["micro_acdnet", "--dataset", "esc10", "--data-dir", "sounds", "--fold", "1", "--epochs", "3"]


@pytest.fixture
def packed(tmp_path, write_tones, monkeypatch):
    write_tones(tmp_path / "sounds")
    monkeypatch.chdir(tmp_path)
    elsewhere.main(["packed", *ASKED])
    return jobs()


def jobs():
    with open("packed/jobs.pickle", "rb") as file:
        return pickle.load(file)


def trained(job, change=0.0):
    """What the other machine would send for a net whose weights it changed, but for the scores of the crops."""
    net = keras.Model.from_config(job["config"])
    for layer in net.layers:
        layer.set_weights([weight.astype(np.float32) for weight in job["weights"][layer.name]])
    weights = {layer.name: [w + np.float32(change) for w in layer.get_weights()] for layer in net.layers}
    return {
        "weights": weights,
        "history": [[0.5, 0.25, 0.1]] * len(job["rates"]),
        "probe": net(job["probe"][:, :, None, None], training=False).numpy(),
        "by": "another machine",
    }


def come_back(result, folder="results"):
    """In parts, as large nets come."""
    whole = pickle.dumps(result)
    Path(folder).mkdir()
    for part, piece in enumerate((whole[:1000], whole[1000:])):
        Path(folder, f"results.{part}").write_bytes(piece)


def test_a_job_holds_the_plan_the_clips_that_train_and_the_rate_of_each_epoch(packed):
    (job,) = packed
    assert job["plan"]["epochs"] == len(job["rates"]) == 3
    assert job["num_classes"] == 10 and len(job["clips"]["starts"]) == len(job["clips"]["targets"])
    assert np.all(job["clips"]["ends"] > job["clips"]["starts"])


def test_what_came_back_is_a_training_that_is_done(packed, capsys):
    come_back({job["name"]: trained(job) for job in packed})
    elsewhere.main(["packed", "--results", "results", *ASKED])
    assert jobs() == []
    elsewhere.main(["packed", *ASKED])  # without the results: runs/ has them now
    assert jobs() == [] and "0 trainings" in capsys.readouterr().out
    (folder,) = Path("runs").glob("micro_acdnet-*/base-*")
    assert training.trained_by(folder) == "another machine"  # which the card's table of steps tells


def test_weights_that_do_not_give_the_scores_of_there_are_refused(packed):
    come_back({job["name"]: trained(job, change=0.5) for job in packed})
    with pytest.raises(ZooError, match="from that of elsewhere"):
        elsewhere.main(["packed", "--results", "results", *ASKED])


def test_one_that_is_taught_takes_its_crops_along_and_what_the_teacher_says_of_them(packed):
    asked = [*ASKED, "--variants", "distilled"]
    come_back({job["name"]: trained(job) for job in packed}, "of_the_base")
    elsewhere.main(["packed", "--results", "of_the_base", *asked])
    (job,) = jobs()
    crops, labels = (np.load(Path("packed", job["packed"][name])) for name in ("crops", "labels"))
    assert crops.shape[2] == job["num_samples"] and labels.shape == (*crops.shape[:2], 2, job["num_classes"])
    assert len(crops) == job["packed"]["epochs"] == 3  # a step each, of 20 clips
    np.testing.assert_allclose(labels.sum(axis=-1), 1, atol=2e-3)  # as float16
    teacher = keras.Model.from_config(packed[0]["config"])
    for layer in teacher.layers:
        layer.set_weights([weight.astype(np.float32) for weight in packed[0]["weights"][layer.name]])
    says = teacher(crops[0][:, :, None, None].astype(np.float32), training=False)
    np.testing.assert_allclose(labels[0, :, 1], says, atol=2e-3)
    come_back({job["name"]: trained(job)})
    elsewhere.main(["packed", "--results", "results", *asked])
    assert jobs() == []


def test_what_hears_more_than_mixed_crops_takes_them_along(packed):
    elsewhere.main(["augmented", *ASKED, "--augment", "noise=0:20"])
    with open("augmented/jobs.pickle", "rb") as file:
        (job,) = pickle.load(file)
    crops, labels = (np.load(Path("augmented", job["packed"][name])) for name in ("crops", "labels"))
    assert labels.shape == (*crops.shape[:2], job["num_classes"]) and np.ptp(crops) > 0
