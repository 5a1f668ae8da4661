"""Models by name, folder, archive and address: what is opened is what was packed, or nothing is."""

import http.server
import shutil
import threading
import zipfile
from functools import partial

import numpy as np
import pytest

import zoo
from zoo.__main__ import main as command
from zoo.errors import ZooError
from zoo.runtime import shipped, sums


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "edge-audio-zoo"


@pytest.fixture
def archive(bands, tmp_path):
    """(path, its sum)"""
    path = tmp_path / "served" / "bands.zip"
    path.parent.mkdir()
    return path, shipped.pack(bands.folder, path)


@pytest.fixture
def address(archive):
    """Where a server of this machine gives it, and how often it was asked: a list."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=archive[0].parent))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/bands.zip", asked
    server.shutdown()


def test_a_folder_an_archive_and_an_address_give_the_same_scores(bands, archive, address):
    windows = np.random.default_rng(0).normal(0, 0.1, (3, 8_000)).astype(np.float32)
    expected = zoo.load(bands.folder).scores(windows)
    for source in (archive[0], f"{archive[0]}#sha256={archive[1]}", address[0]):
        loaded = zoo.load(source)
        np.testing.assert_array_equal(loaded.scores(windows), expected)
        assert loaded.labels == ("low", "middle", "high")


def test_a_name_is_that_of_a_folder_in_the_checkout(bands, tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "CHECKOUT", tmp_path)
    shutil.copytree(bands.folder, tmp_path / "bands-tones")
    assert zoo.load("bands-tones").sample_rate_hz == 16_000
    with pytest.raises(ZooError, match="band-tones: no folder, and no model in .*, which has bands-tones"):
        zoo.load("band-tones")


def test_what_has_its_sum_in_the_cache_is_not_fetched_again(archive, address, cache):
    source, asked = f"{address[0]}#sha256={archive[1]}", address[1]
    for _ in range(2):
        zoo.load(source)
    assert len(asked) == 1 and [path.name for path in cache.iterdir()] == [archive[1]]


def test_another_archive_than_the_one_told_is_refused_and_not_kept(address, cache):
    with pytest.raises(ZooError, match=f"and not {'0' * 64}: damaged, or another archive"):
        zoo.load(f"{address[0]}#sha256={'0' * 64}")
    assert not cache.exists()


def test_an_archive_with_a_changed_file_is_refused_and_not_kept(bands, tmp_path, cache):
    folder = shutil.copytree(bands.folder, tmp_path / "changed")
    with open(folder / "model_int8.tflite", "ab") as file:
        file.write(b"!")
    with pytest.raises(ZooError, match="model_int8.tflite: is not the file"):
        shipped.pack(folder, tmp_path / "changed.zip")
    with zipfile.ZipFile(tmp_path / "changed.zip", "w") as file:
        for path in folder.iterdir():
            file.write(path, f"changed/{path.name}")
    with pytest.raises(ZooError, match="model_int8.tflite: is not the file"):
        zoo.load(tmp_path / "changed.zip")
    assert not list(cache.glob("*"))


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_what_is_no_archive_of_a_model_is_told_in_one_line(tmp_path, content):
    path = tmp_path / "model.zip"
    if content is None:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("notes/a.txt", "nothing")
    else:
        path.write_bytes(content)
    with pytest.raises(ZooError, match=r"model\.zip: no .*archive"):
        zoo.load(path)
    with pytest.raises(ZooError, match="No such file"):
        zoo.load(tmp_path / "other.zip")


def test_an_address_where_nothing_is_is_told(address):
    with pytest.raises(ZooError, match="not found"):
        zoo.load(address[0].replace("bands", "nothing"))
    with pytest.raises(ZooError, match="refused"):
        zoo.load("http://127.0.0.1:9/model.zip")


def test_the_command_packs_the_same_bytes_each_time(bands, archive, tmp_path, capsys):
    command(["pack", str(bands.folder), "--out", str(tmp_path / "again.zip")])
    assert capsys.readouterr().out.strip() == f"{tmp_path}/again.zip#sha256={archive[1]}"
    assert sums.damaged(bands.folder) == []
