"""The sums of an exported folder are those that sha256sum finds."""

import shutil
import subprocess

import pytest

from zoo.export.folder import write_sums


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "micro").mkdir()
    for name in ("card.md", "micro/body.cc"):
        (tmp_path / name).write_text("new")
    return tmp_path


needs_sha256sum = pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")


def check_sums(folder):
    return subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, capture_output=True, text=True
    )


@needs_sha256sum
def test_sha256sum_reads_the_sums_and_finds_all_files(folder):
    write_sums(folder)
    checked = check_sums(folder)
    assert checked.returncode == 0
    assert sorted(checked.stdout.splitlines()) == ["card.md: OK", "micro/body.cc: OK"]


@needs_sha256sum
def test_sha256sum_finds_the_file_of_which_a_byte_changed(folder):
    write_sums(folder)
    (folder / "micro" / "body.cc").write_text("nEw")
    checked = check_sums(folder)
    assert checked.returncode == 1
    assert "micro/body.cc: FAILED" in checked.stdout and "card.md: OK" in checked.stdout
