"""`python -m zoo show`: what people and programs are told of a file, and one line where it is none."""

import json
import os
import subprocess
import sys
from pathlib import Path

from zoo.backend import keras

import numpy as np
import pytest

from zoo.__main__ import main
from zoo.export import tflite
from zoo.export.metadata import About, with_metadata

ROOT = Path(__file__).parents[2]
LABELS = [f"sound {number}" for number in range(20)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of a dense layer over 8 samples: with metadata, and without them in micro/, in int8."""
    keras.utils.set_random_seed(0)
    sound = keras.Input((8,), name="sound")
    scores = keras.layers.Dense(20, activation="softmax", bias_initializer="ones", name="scores")(sound)
    net = keras.Model(sound, scores, name="net")
    folder = tmp_path_factory.mktemp("exported")
    (folder / "micro").mkdir()
    about = About("ears\x1b[2J", "Hears" + " much" * 200, "v1", "", "CC BY 4.0")
    (folder / "model.tflite").write_bytes(with_metadata(tflite.to_float(net), about, 4_000, LABELS, 0.25))
    crops = np.random.default_rng(0).uniform(-1, 1, (8, 8)).astype(np.float32)
    (folder / "micro" / "model.tflite").write_bytes(tflite.to_int8(net, crops))
    return folder


def rows(capsys, *argv):
    """[(name, text)] of the lines that show prints."""
    main(["show", *map(str, argv)])
    return [tuple(line.split(None, 1)) for line in capsys.readouterr().out.splitlines()]


def test_a_file_is_told_as_it_describes_itself(folder, capsys):
    path = folder / "model.tflite"
    told = dict(rows(capsys, path))
    assert told[f"{path}:"] == f"{path.stat().st_size:,} bytes"
    assert (told["version"], told["license"], told["threshold"]) == ("v1", "CC BY 4.0", "0.25 of probability")
    assert told["sound"] == "4,000 Hz, mono, 8 samples (0.00 s)"
    assert told["input"].endswith("float32 (1, 8)") and told["output"].endswith("float32 (1, 20)")
    assert told["operators"] == "2: 1 FULLY_CONNECTED, 1 SOFTMAX"
    assert told["constants"].startswith("180 numbers")  # 8 x 20 weights and 20 biases
    assert "author" not in told


def test_texts_and_labels_are_shown_short_and_move_no_cursor(folder, capsys):
    told = dict(rows(capsys, folder / "model.tflite"))
    assert told["name"] == "ears\ufffd[2J"
    assert len(told["description"]) < 450 and told["description"].endswith("…")
    assert told["labels"].startswith("20 of probability: sound 0, sound 1,")
    assert told["labels"].endswith("sound 11, … --labels shows all 20")


def test_all_labels_come_one_a_line_with_their_places(folder, capsys):
    told = rows(capsys, folder / "model.tflite", "--labels")
    assert [row for row in told if row[0].isdigit()] == [(str(i), label) for i, label in enumerate(LABELS)]


def test_a_file_without_metadata_says_so_and_shows_its_scale(folder, capsys):
    told = dict(rows(capsys, folder / "micro" / "model.tflite"))
    assert told["metadata"].startswith("none")
    assert "int8 (1, 8), scale " in told["input"]
    assert told["output"].endswith("int8 (1, 20), scale 0.00390625, zero point -128")  # softmax's own: 1 / 256


def test_yamnet_as_published_is_shown_with_both_outputs(real_recordings, capsys):
    told = rows(capsys, real_recordings / "yamnet" / "yamnet.tflite")
    assert [text.partition(": ")[2] for name, text in told if name == "output"] == [
        "float32 (1, 521)",
        "float32 (96, 64)",
    ]


def test_json_holds_it_all(folder, capsys):
    main(["show", str(folder / "model.tflite"), "--json"])
    told = json.loads(capsys.readouterr().out)
    (output,) = told["metadata"]["outputs"]
    assert output == {"name": "probability", "labels": LABELS, "score_threshold": 0.25, "thresholds": []}
    assert told["metadata"]["sample_rate_hz"] == 4_000
    assert told["inputs"][0]["shape"] == [1, 8] and told["inputs"][0]["scale"] is None
    assert told["operators"] == {"FULLY_CONNECTED": 1, "SOFTMAX": 1}


def test_a_folder_is_all_of_its_files(folder, capsys):
    main(["show", str(folder), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert [Path(file["file"]).relative_to(folder).as_posix() for file in told] == [
        "model.tflite",
        "micro/model.tflite",
    ]
    assert told[1]["metadata"] is None and told[1]["outputs"][0]["dtype"] == "int8"


def test_what_is_no_model_gets_one_line(folder, tmp_path, refused):
    (tmp_path / "notes.tflite").write_text("no model")
    assert "the mark TFL3 is not there" in refused(main, "show", tmp_path / "notes.tflite")
    assert "No such file" in refused(main, "show", tmp_path / "lacking.tflite")
    (tmp_path / "empty").mkdir()
    assert "no .tflite file in it" in refused(main, "show", tmp_path / "empty")


def test_a_damaged_file_gets_one_line_or_is_shown(folder, tmp_path, capsys):
    whole, rng, refused = (folder / "micro" / "model.tflite").read_bytes(), np.random.default_rng(0), 0
    damaged = tmp_path / "damaged.tflite"
    for number in range(60):
        file = bytearray(whole[: rng.integers(8, len(whole))] if number % 2 else whole)
        for place in rng.integers(8, len(file), 4):
            file[place] = rng.integers(256)
        damaged.write_bytes(file)
        try:
            main(["show", str(damaged)])
        except SystemExit as stopped:
            assert stopped.code == 2
            told = capsys.readouterr()
            assert told.out == "" and told.err.count("\n") == 1
            refused += 1
        capsys.readouterr()
    assert 10 < refused < 60


def test_it_needs_no_tensorflow(folder):
    command = f"from zoo.__main__ import main\nmain(['show', {str(folder / 'model.tflite')!r}])\nimport sys\n"
    command += "print(sorted({'tensorflow', 'tf_keras', 'keras', 'tflite_micro'} & set(sys.modules)))"
    child = subprocess.run(
        [sys.executable, "-c", command], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert child.returncode == 0, child.stderr
    assert child.stdout.endswith("[]\n") and "ears" in child.stdout
