"""What the builders tell of themselves is what the docs say."""

import re
from pathlib import Path

import pytest

from zoo.datasets import DATASETS

ROOT = Path(__file__).parents[2]


def number(value):
    return f"{value:,}" if value else ""


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_set_is_told_in_full_and_has_its_row_in_the_docs(name):
    builder = DATASETS[name]
    assert builder.name == name
    assert builder.TASK and builder.PROTOCOL and builder.LICENCE and builder.LAYOUT and builder.GET
    assert builder.NUM_CLASSES is None or not builder.LABELS
    assert builder.CITATION.startswith("@") or name in ("synth10", "folder")
    cells = (
        f"`{name}`", builder.TASK, number(builder.NUM_CLIPS), number(len(builder.LABELS) or builder.NUM_CLASSES),
        number(builder.SAMPLE_RATE_HZ), builder.PROTOCOL, builder.LICENCE, builder.GET,
    )  # fmt: skip
    assert f"| {' | '.join(cells)} |\n" in (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| [^|]*`{name}`[^|]* \|", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)


def test_fixed_splits_of_80_and_20_have_one_test_fold():
    for name in ("audio_event", "gtzan"):
        assert DATASETS[name].test_folds([0, 1]) == (1,)
        assert DATASETS[name].split([0, 1], 1) == ((0,), (), (1,))
