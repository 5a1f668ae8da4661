"""What a clone holds in exported/: every file, as it was written, with the same stages in Keras, LiteRT and TFLM."""

import re
from pathlib import Path

import pytest

from zoo.export import golden
from zoo.runtime import sums

ROOT = Path(__file__).parents[2]
SHIPPED = re.findall(r"\]\(exported/([\w-]+)/card\.md\)", (ROOT / "README.md").read_text(encoding="utf-8"))
MOST_BYTES = 40e6


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_folder_is_whole_and_hears_as_when_it_was_written(name):
    folder = ROOT / "exported" / name
    assert list(sums.damaged(folder)) == []
    assert list(map(str, golden.differences(folder))) == []


def test_what_is_shipped_is_no_burden_to_clone():
    assert len(SHIPPED) >= 4
    files = [path for name in SHIPPED for path in (ROOT / "exported" / name).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MOST_BYTES
