"""Every picture is written for odd data too. What it looks like, a person must see; what it is drawn from is tested."""

import numpy as np
import pytest
from matplotlib.image import imread

from zoo import plots
from zoo.errors import ZooError
from zoo.evaluation import per_class
from zoo.measure.counts import Row
from zoo.plots import graphs, scores
from zoo.plots.recording import COLUMNS, FRAME_S, Overview
from zoo.runtime import Event

LONG = "a_label_that_is_much_longer_than_any_sound_needs_to_be_called"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "picture.png"


def assert_drawn(path):
    """Large enough to read, and not empty: the text alone covers a hundredth."""
    pixels = imread(path)
    assert min(pixels.shape[:2]) > 150, f"{pixels.shape} pixels"
    assert (pixels[..., :3].min(axis=-1) < 0.95).mean() > 0.01


@pytest.mark.parametrize("epochs", [1, 40])
def test_training_curves_are_drawn(epochs, path):
    numbers = range(1, epochs + 1)
    rows = [{"epoch": i, "loss": 1 / i, "accuracy": 1 - 1 / i, "learning_rate": 1 / i} for i in numbers]
    assert plots.training_curves(rows, path, "model, data, folds 1 to 4") == path
    assert_drawn(path)


@pytest.mark.parametrize("num_classes", [1, 10, 50])
def test_confusion_and_class_scores_are_drawn_for_any_number_of_classes(num_classes, path):
    counts = np.random.default_rng(0).integers(0, 9, (num_classes, num_classes))
    labels = [LONG, *(f"class_{i}" for i in range(1, num_classes))]
    assert plots.confusion_matrix(counts, labels, path, "model, data, fold 4") == path
    assert_drawn(path)
    assert plots.per_class_scores(per_class(counts), labels, path, "model, data, fold 4") == path
    assert_drawn(path)


def test_classes_without_a_clip_are_drawn(path):
    counts = np.array([[0, 0, 0], [1, 2, 0], [0, 0, 0]])
    plots.confusion_matrix(counts, ["a", "b", "c"], path, "model, data, fold 4")
    assert_drawn(path)
    plots.per_class_scores(per_class(counts), ["a", "b", "c"], path, "model, data, fold 4")
    assert_drawn(path)


@pytest.mark.parametrize("num_files", [2, 12])
def test_files_of_one_size_are_compared_and_of_many(num_files, path):
    rows = [(f"{LONG}.tflite", 10 ** (5 + i // 2), 0.8 + i / 100, (0.75, 0.95)) for i in range(num_files)]
    assert plots.accuracy_against_size(rows, path, "model, data, fold 4") == path
    assert_drawn(path)


def test_files_without_an_interval_are_drawn(path):
    plots.accuracy_against_size([("model.h5", 10**6, 0.8, (np.nan, np.nan))], path, "model, data, fold 4")
    assert_drawn(path)


def test_points_of_about_one_size_stand_side_by_side_and_others_in_their_place():
    sizes = np.log([18.8e6, 530e3, 19e6, 18.9e6, 148e3])
    np.testing.assert_array_equal(scores._side_by_side(sizes), [-1, 0, 1, 0, 0])
    np.testing.assert_array_equal(scores._side_by_side(np.log([5e6, 5e6])), [-0.5, 0.5])
    np.testing.assert_array_equal(scores._side_by_side(np.log([5e6])), [0])


@pytest.mark.parametrize("num_layers", [1, 40])
def test_widths_and_saliency_are_drawn(num_layers, path):
    rng = np.random.default_rng(0)
    before = {f"{i}_{LONG}": 1 + 8 * i for i in range(num_layers)}
    after = {layer: 1 + filters // 3 for layer, filters in before.items()}
    saliency = {layer: rng.random(filters) for layer, filters in before.items()}
    assert plots.widths_and_saliency(before, after, saliency, path, "model, data, fold 4") == path
    assert_drawn(path)


def test_widths_are_drawn_where_nothing_was_scored_and_where_saliency_is_zero(path):
    before = {"conv": 8, "gone": 4, "dense": 3}
    plots.widths_and_saliency(before, {"conv": 8, "dense": 3}, {"conv": np.zeros(8)}, path, "model")
    assert_drawn(path)
    plots.widths_and_saliency(before, before, {}, path, "model")
    assert_drawn(path)


@pytest.mark.parametrize("num_tensors", [1, 40])
def test_quantisation_sensitivity_is_drawn(num_tensors, path):
    rows = [(f"{i}_{LONG}", 40 - i, 0.9 - i / 100, i / 50) for i in range(num_tensors)]
    assert plots.quantisation_sensitivity(rows, path, "model, data, fold 4", 0.9) == path
    assert_drawn(path)


def test_quantisation_that_changes_nothing_and_that_drowns_everything_is_drawn(path):
    plots.quantisation_sensitivity([("a", -12.0, 0.1, 1.0), ("b", 200.0, 0.9, 0.0)], path, "model", 0.9)
    assert_drawn(path)


@pytest.mark.parametrize("num_layers", [1, 40])
def test_pruning_sensitivity_is_drawn(num_layers, path):
    rows = [(f"{i}_{LONG}", share, 0.1 + share * i) for i in range(num_layers) for share in (0, 0.5, 0.9)]
    assert plots.pruning_sensitivity(rows, path, "model, data, fold 4") == path
    assert_drawn(path)


def row(name, kind="Conv2D", parameters=0, macs=0):
    return Row(name, kind, (8, 4), parameters, macs)


@pytest.mark.parametrize("num_layers", [1, 60])
def test_a_chain_of_layers_is_drawn(num_layers, path):
    rows = [row(f"{LONG}_{i}", "SeparableConv2D", i, i * 10**7) for i in range(num_layers)]
    edges = [(i, i + 1) for i in range(num_layers - 1)]
    assert plots.layer_graph(rows, edges, path, "model", seam=rows[0].name) == path
    assert_drawn(path)


def test_branches_and_skips_are_drawn(path):
    rows = [row(str(i), "Add" if i == 5 else "Conv2D", i, i) for i in range(8)]
    edges = [(0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 5), (0, 5), (5, 6), (0, 7), (6, 7)]
    assert plots.layer_graph(rows, edges, path, "model") == path
    assert_drawn(path)


def test_a_graph_is_drawn_before_and_after_with_layers_that_are_gone_new_and_called_twice(path):
    before = [row("in", "InputLayer"), row("twice", parameters=9, macs=9), row("gone", "Add"), row("twice", macs=9)]
    after = [row("in", "InputLayer"), row("twice", parameters=3, macs=3), row("twice", macs=3), row(LONG, "Dense")]
    chain = [(0, 1), (1, 2), (2, 3)]
    for one, other in ((before, after), (after, before), (before, before)):
        assert plots.graphs_before_and_after((one, chain), (other, [*chain, (0, 3)]), path, "model") == path
        assert_drawn(path)


@pytest.mark.parametrize("num_layers", [1, 40])
def test_a_chain_is_drawn_before_and_after(num_layers, path):
    rows = [row(f"{i}_{LONG}", "SeparableConv2D", i, i * 10**7) for i in range(num_layers)]
    edges = [(i, i + 1) for i in range(num_layers - 1)]
    plots.graphs_before_and_after((rows, edges), (rows, edges), path, "model")
    assert_drawn(path)


def test_layers_of_one_name_are_told_apart_by_their_call():
    rows = [row("a"), row("b"), row("a")]
    assert list(graphs._by_call(rows)) == [("a", 0), ("b", 0), ("a", 1)]


def test_a_seam_that_no_layer_has_is_refused(path):
    with pytest.raises(ZooError, match="pool: no layer of this name .* the layers are in, conv"):
        plots.layer_graph([row("in"), row("conv")], [(0, 1)], path, "model", seam="pool")


def test_normalisation_and_activation_fold_into_their_layer_but_not_past_a_branch():
    rows = [row("conv", "Conv2D", 10, 7), row("bn", "BatchNormalization", 4), row("relu", "ReLU")]
    rows += [row("a"), row("b", "ReLU")]
    edges = [(0, 1), (1, 2), (2, 3), (2, 4)]
    boxes, edges, seam_box = graphs._fold(rows, edges, "relu")
    assert [(box.name, box.kind, box.parameters, box.macs) for box in boxes] == [
        ("conv", "Conv2D + BN + ReLU", 14, 7),
        ("a", "Conv2D", 0, 0),
        ("b", "ReLU", 0, 0),
    ]
    assert edges == {(0, 1), (0, 2)}
    assert seam_box == 0


def test_a_branch_is_finished_before_the_next_begins():
    edges = [(0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 5)]
    assert graphs._branch_by_branch(6, edges) == [0, 1, 3, 2, 4, 5]


def test_skips_that_overlap_have_lanes_of_their_own():
    assert graphs._lanes([(0, 9), (0, 3), (3, 6), (2, 8)]) == {(0, 3): 0, (3, 6): 0, (2, 8): 1, (0, 9): 2}


def test_pictures_leave_the_readers_settings_alone(path):
    from matplotlib import rcParams

    before = dict(rcParams)
    plots.confusion_matrix(np.eye(2, dtype=int), ["a", "b"], path, "model, data, fold 4")
    assert dict(rcParams) == before


@pytest.mark.parametrize("seconds", [0.1, 5, 3_000])
def test_an_overview_has_a_few_columns_however_long_the_recording_is(seconds):
    rate_hz = 8_000
    overview = Overview(seconds, rate_hz)
    tone = 0.5 * np.sin(2 * np.pi * 1_000 * np.arange(rate_hz) / rate_hz).astype(np.float32)[:, None]
    left = round(seconds * rate_hz)
    while left:
        overview.add(tone[:left])
        left -= len(tone[:left])
    level_db = overview.level_db()
    assert level_db.shape[1] <= COLUMNS
    assert overview.seconds == pytest.approx(seconds, abs=FRAME_S * (1 + seconds / FRAME_S / COLUMNS))
    assert level_db.max() == 0
    loudest = level_db.argmax(axis=0) * rate_hz / 2 / (len(level_db) - 1)
    np.testing.assert_array_equal(loudest, np.full(level_db.shape[1], 1_000))


@pytest.mark.parametrize("num_labels", [0, 12])
def test_a_recording_and_its_events_are_drawn(num_labels, path):
    overview = Overview(60, 8_000)
    overview.add(np.random.default_rng(0).normal(0, 0.1, (60 * 8_000, 2)))
    events = [Event(3.0 * i, 3.0 * i + 5, f"{LONG}_{i}", 0.1 * i) for i in range(num_labels)]
    assert plots.recording_and_events(overview, events, path, "night.flac") == path
    assert_drawn(path)


@pytest.mark.parametrize("kinds", [("XNOR",), ("float", "pruned, int8", "XNOR")])
def test_kinds_of_nets_stand_side_by_side_over_the_number_of_classes(kinds, path):
    points = [(kind, number, 0.8, (0.7, 0.9)) for kind in kinds for number in (2, 18)]
    assert plots.by_classes(points, path, "xnor_acdnet and what it was made of") == path
    assert_drawn(path)
