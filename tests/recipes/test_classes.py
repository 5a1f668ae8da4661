"""`--classes`: a data set's first classes alone; with it XNOR-Net runs from end to end."""

import json
from functools import partial

import numpy as np
import pytest
import soundfile

from recipes import xnor_micro_acdnet
from recipes.run import main
from zoo.runtime.interpreter import LiteRT

ASKED = ("--dataset", "esc10", "--data-dir", "esc10", "--fold", "1", "--epochs", "1", "--quick")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, write_tones):
    folder = tmp_path_factory.mktemp("workplace")
    write_tones(folder / "esc10")
    return folder


@pytest.fixture(scope="module")
def exported(workplace):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workplace)
        main(xnor_micro_acdnet.RECIPE, [*ASKED, "--classes", "3"])
    return workplace / "exported/xnor_micro_acdnet_3classes-esc10"


def test_the_clips_of_other_classes_neither_train_nor_test(exported):
    metrics = json.loads((exported / "metrics.json").read_text())
    assert metrics["model"] == "xnor_micro_acdnet_3classes"
    assert metrics["labels"] == metrics["test_classes"] == ["dog", "rooster", "rain"]
    assert (metrics["train_clips"], metrics["test_clips"]) == (6, 3)
    assert (exported / "labels.txt").read_text().split() == metrics["labels"]


def test_xnor_counts_its_products_and_runs_as_c_and_in_int8(exported, workplace):
    metrics = json.loads((exported / "metrics.json").read_text())
    assert list(metrics["files"])[-2:] == ["micro/frontend.tflite", "micro/xnor.c"]
    # conv4 to conv12 of table 11: filters, the channels that they take, and the places where they lie (conv7's rows
    # and columns but the last one, which no pool takes, and so on).
    widths, places = (10, 14, 22, 31, 35, 41, 51, 67, 69, 48), (750, 740, 185, 144, 36, 36, 9, 8, 4)
    products = [9 * a * b * n for a, b, n in zip(widths, widths[1:], places)]
    assert metrics["binary_products"] == sum(products[:-1]) + products[-1] // 9  # conv12 is 1 x 1
    assert "products of signs" in (exported / "card.md").read_text()
    clip, _ = soundfile.read(next((workplace / "esc10/audio").iterdir()), dtype="float32")
    scores = LiteRT(exported / "model_int8.tflite").run(np.resize(clip, 30_225)[None])
    assert scores.shape == (1, 3) and abs(scores.sum() - 1) < 0.02  # steps of 1 / 256


@pytest.mark.parametrize("count", ["1", "10"])
def test_no_class_to_tell_apart_and_no_class_left_out_are_refused(workplace, monkeypatch, count, refused):
    monkeypatch.chdir(workplace)
    told = refused(partial(main, xnor_micro_acdnet.RECIPE), *ASKED, "--classes", count)
    assert f"--classes {count}: 2 to 9 of this data set" in told
