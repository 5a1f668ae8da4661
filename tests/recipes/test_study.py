"""`--study pruning`: a grid whose cells share what they begin with, resumable, as data that the report reads."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from recipes import acdnet, run
from recipes.pruning import GRID
from zoo.frontends import Raw
from zoo.measure import counts, payoff
from zoo.models import acdnet as model
from zoo.report import csv_file, pruning

# A few filters a layer: each stage takes seconds.
RECIPE = replace(
    acdnet.RECIPE,
    name="tiny_acdnet",
    backbone=partial(model.build, widths=(2, 8, 4, 4, 4, 4, 4, 4, 8, 8, 8, 10)),
    front_ends={"raw": Raw(sample_rate_hz=20_000, num_samples=8_000)},
)
CELLS = "taylor-80-pruned-retrained,hybrid_*-80-pruned-from_scratch,sparse-95-*"


def study(*flags):
    run.main(RECIPE, ["--dataset", "esc10", "--data-dir", "sounds", "--fold", "1", "--epochs", "2", "--quick",
                      "--study", "pruning", *flags])  # fmt: skip


def reckoned(backbone):
    """The costs of a backbone without the conversions that measure them, which take longer than its training here."""
    weights = backbone.get_weights()
    left = sum(map(np.count_nonzero, weights))
    return payoff.Cost(4 * sum(weight.size for weight in weights), 4 * left, counts.macs(backbone), None)


@pytest.fixture(scope="module")
def phases():
    return []


@pytest.fixture(scope="module")
def studied(tmp_path_factory, write_tones, phases):
    folder = tmp_path_factory.mktemp("study")
    write_tones(folder / "sounds")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(payoff, "cost_of", reckoned)
        # No process: what none of them has trained is trained here, in the same order.
        patch.setattr("zoo.jobs.side_by_side", lambda jobs, *_: phases.append(list(jobs)))
        study("--cells", CELLS, "--jobs", "2")
    return folder


def rows_of(folder):
    return pruning.read(folder / "exported" / "tiny_acdnet-esc10-pruning")


def test_each_cell_and_seed_has_a_row_with_its_epochs_and_costs(studied):
    rows = rows_of(studied)
    assert [(row["method"], row["ending"]) for row in rows] == [
        ("sparse", "fine_tuned"),
        ("taylor", "retrained"),
        ("hybrid_magnitude", "from_scratch"),
        ("hybrid_taylor", "from_scratch"),
    ]
    base, pruned = rows[0], rows[-1]
    assert base["method"] == "sparse" and (pruned["epochs"], base["epochs"]) == ("2", "2")
    assert int(pruned["epochs_before"]) == 2 + 2 + 2  # of the base, the sparse weights and two rounds of one epoch
    for name in ("parameters", "macs", "bytes"):
        assert int(pruned[name]) < int(base[name])


def test_what_cells_share_is_trained_once_a_seed(studied):
    (folder,) = (studied / "runs").glob("tiny_acdnet-*seed0")
    stages = {path.name for path in folder.iterdir()}
    assert "sparse_by_magnitude" in stages and len([name for name in stages if name.startswith("base-")]) == 1
    # Both hybrids begin with the same sparse weights.
    assert len(list((folder / "sparse_by_magnitude").iterdir())) == 1


def test_no_two_processes_train_the_same(studied, phases):
    assert phases == [  # the base; then the sparse weights, beside what needs none; then what needs those
        ["sparse-95-pruned, seed 0"],
        ["taylor-80-pruned, seed 0", "hybrid_magnitude-80-pruned, seed 0"],
        ["hybrid_taylor-80-pruned, seed 0"],
    ]


def test_a_study_that_was_made_is_read_again_and_not_trained(studied, monkeypatch):
    monkeypatch.chdir(studied)
    monkeypatch.setattr("zoo.training.fit", None)
    before = rows_of(studied)
    study("--cells", CELLS, "--overwrite")
    told = [{**row, "command": ""} for row in before]
    assert [{**row, "command": ""} for row in rows_of(studied)] == told


def test_the_report_shows_each_cell_beside_the_papers_and_claims_with_intervals(studied, monkeypatch, tmp_path):
    monkeypatch.chdir(studied)
    folder = studied / "exported" / "tiny_acdnet-esc10-pruning"
    pruning.add(folder, tmp_path)
    pruning.add(folder, tmp_path)  # once more: a run of the same cell and seed is replaced
    assert len(pruning.read(tmp_path)) == len(rows_of(studied))
    page = "\n".join(pruning.page(tmp_path))
    assert page.count("hybrid_taylor - hybrid_magnitude") + page.count("hybrid_magnitude - hybrid_taylor") == 1
    assert (tmp_path / "pruning" / "tiny_acdnet-esc10-1.png").stat().st_size > 10_000


def test_endings_are_compared_where_all_else_is_the_same(studied, tmp_path):
    """Of Taylor's net there is another ending, which is always right where the first is as it was."""
    pruning.add(studied / "exported" / "tiny_acdnet-esc10-pruning", tmp_path)
    rows = pruning.read(tmp_path)
    (retrained,) = (row for row in rows if (row["method"], row["ending"]) == ("taylor", "retrained"))
    csv_file.write(tmp_path / "pruning.csv", list(rows[0]), [*rows, {**retrained, "ending": "from_scratch"}])
    path = tmp_path / "pruning" / "tiny_acdnet-esc10-1.csv"
    decided = csv_file.read(path)
    name = pruning.column({**retrained, "ending": "from_scratch"})
    decided = [{**clip, name: clip["class"]} for clip in decided]
    csv_file.write(path, list(decided[0]), decided)
    wrong = sum(clip[pruning.column(retrained)] != clip["class"] for clip in decided) / len(decided)
    (claim,) = (line for line in pruning.page(tmp_path) if "retrained - from_scratch" in line)
    assert claim.startswith("| taylor | 80.00 | pruned | 1 |") and f"| {-100 * wrong:+.2f} (" in claim
    assert not claim.endswith("| retrained |")


def test_a_cell_that_is_not_in_the_grid_is_refused_with_one_that_is(studied, monkeypatch, refused):
    monkeypatch.chdir(studied)
    told = refused(lambda flags: study(*flags), "--cells", "hybrid-80")
    assert "hybrid-80" in told and next(reversed(GRID)) in told
