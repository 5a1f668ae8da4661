"""`zoo verify`: a folder that was exported says what it is, and each fault that is sown into it is named."""

import json
import re
import shutil

import numpy as np
import pytest

from zoo import audio
from zoo.__main__ import main as command
from zoo.errors import ZooError
from zoo.export import flatbuffer, golden, graph, provenance
from zoo.export.metadata import About, with_metadata
from zoo.measure import verification
from zoo.runtime import metadata, sums


@pytest.fixture
def folder(told_of_the_world, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(told_of_the_world.folder, tmp_path / told_of_the_world.folder.name)


@pytest.fixture
def verify(told_of_the_world, monkeypatch, capsys):
    """A function (arguments) -> (exit code, what was printed)."""
    monkeypatch.chdir(told_of_the_world.workplace)

    def run(*arguments):
        capsys.readouterr()
        try:
            command(["verify", *map(str, arguments)])
        except SystemExit as stop:
            return stop.code, capsys.readouterr().out
        return 0, capsys.readouterr().out

    return run


def test_what_was_exported_is_what_it_says(folder, verify):
    code, told = verify(folder, "--data-dir", "tones", "--open-world", "noises", "--before", folder)
    assert (code, told.splitlines()) == (
        0, [f"{step}: all is as it was" for step in ("files", "stages", "figures", "robustness")]
    )  # fmt: skip


def test_metrics_that_were_lost_come_back_byte_for_byte(folder, verify):
    before = (folder / "metrics.json").read_bytes()
    (folder / "metrics.json").unlink()
    code, told = verify(folder, "--data-dir", "tones", "--open-world", "noises")
    assert code == 0 and "is written anew" in told
    assert (folder / "metrics.json").read_bytes() == before


def test_metrics_are_not_written_by_half(folder, verify):
    (folder / "metrics.json").unlink()
    assert verify(folder, "--data-dir", "tones")[0] == 2  # its open world was left out
    assert not (folder / "metrics.json").exists()


def test_each_figure_that_was_changed_is_named(folder, verify):
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["files"]["model.h5"]["accuracy"] += 0.1
    metrics["stream"]["total_bytes"] -= 1
    (folder / "metrics.json").write_text(json.dumps(metrics))
    sums.write(folder)
    code, told = verify(folder, "--data-dir", "tones")
    assert code == 1
    named = re.findall(r"^figures: (\S+):", told, re.MULTILINE)
    assert named == ["files/model.h5/accuracy", "stream/total_bytes"]


def test_a_flipped_byte_a_lost_file_and_a_foreign_one_are_named(folder):
    model = bytearray((folder / "model.tflite").read_bytes())
    model[len(model) // 2] ^= 1
    (folder / "model.tflite").write_bytes(model)
    (folder / "card.md").unlink()
    (folder / "notes.txt").touch()
    assert [line.split(": ")[:2] for line in sums.damaged(folder)] == [
        ["card.md", "listed in SHA256SUMS, and not there"],
        ["notes.txt", "not listed in SHA256SUMS"],
        ["model.tflite", "is not the file that SHA256SUMS lists"],
    ]


def replace_in(path, before, after):
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def described_anew(path, rate_hz=None, labels=None):
    told = metadata.read(path.read_bytes())
    about = About(told.name, told.description, told.version, told.author, told.license)
    path.write_bytes(with_metadata(path.read_bytes(), about, rate_hz or told.sample_rate_hz, labels or told.labels))


def rate_in_the_file(folder):
    described_anew(folder / "model_int8.tflite", rate_hz=22_050)


def rate_on_the_board(folder):
    replace_in(folder / "micro/settings.h", "kSampleRateHz = 16000", "kSampleRateHz = 22050")


def hop_on_the_board(folder):
    replace_in(folder / "micro/settings.h", "kColumnStrideSamples = 320", "kColumnStrideSamples = 160")


def window_on_the_board(folder):
    source = (folder / "micro/frontend.c").read_text()
    table = re.search(r"window\[.*?\] = \{(.*?)\};", source, re.DOTALL)[1]
    weights = [float(number) for number in re.findall(r"[\d.e+-]+(?=f)", table)]
    boxcar = ", ".join(f"{max(weights)!r}f" for _ in weights)  # what Hann's window was is one of ones
    (folder / "micro/frontend.c").write_text(source.replace(table, boxcar))


def quantisation_on_the_board(folder):
    path = folder / "micro/body.tflite"
    root = graph.load(path.read_bytes())
    number = next(i for i, one in enumerate(graph.of(root).operators) if one.name == "CONV_2D")
    kernel = root.subgraphs[0].tensors[root.subgraphs[0].operators[number].inputs[1]]
    kernel.quantization.scale = 8 * np.float32(kernel.quantization.scale)
    path.write_bytes(flatbuffer.dump(root))


def columns_in_another_scale_on_the_board(folder):
    path = folder / "micro/body.tflite"
    root = graph.load(path.read_bytes())
    (columns,) = root.subgraphs[0].inputs
    root.subgraphs[0].tensors[columns].quantization.zeroPoint = [3]
    path.write_bytes(flatbuffer.dump(root))


def labels_of_keras(folder):
    labels = (folder / "labels.txt").read_text().splitlines()
    (folder / "labels.txt").write_text("\n".join([labels[1], labels[0], *labels[2:]]) + "\n")


def labels_in_the_file(folder):
    labels = metadata.read((folder / "model_int8.tflite").read_bytes()).labels
    described_anew(folder / "model_int8.tflite", labels=labels[::-1])


def labels_on_the_board(folder):
    replace_in(folder / "micro/labels.cc", '    "dog",\n    "rooster",', '    "rooster",\n    "dog",')


@pytest.mark.parametrize("sow, where", [
    (rate_in_the_file, ("LiteRT", "decode")),
    (rate_on_the_board, ("TFLM", "decode")),
    (hop_on_the_board, ("TFLM", "front end")),
    (window_on_the_board, ("TFLM", "front end")),
    (quantisation_on_the_board, ("TFLM", "body")),
    (columns_in_another_scale_on_the_board, ("TFLM", "does not open")),  # the two parts no longer fit each other
    (labels_of_keras, ("Keras", "labels")),
    (labels_in_the_file, ("LiteRT", "labels")),
    (labels_on_the_board, ("TFLM", "labels")),
])  # fmt: skip
def test_a_fault_that_is_sown_into_a_file_is_named_by_its_stage(folder, sow, where):
    sow(folder)
    sums.write(folder)  # whoever changed it made new sums
    assert not sums.damaged(folder)
    assert [found[:2] for found in golden.differences(folder)] == [where]


def test_a_sound_that_is_scaled_by_its_own_peak_is_named_where_it_is_decoded(folder, monkeypatch):
    heard = audio.waveform_of
    monkeypatch.setattr(audio, "waveform_of", lambda *given: heard(*given) / np.abs(heard(*given)).max())
    assert [found[:2] for found in golden.differences(folder)] == [("Keras", "decode")]


def test_a_robustness_curve_that_fell_beyond_its_interval_is_told(folder):
    before = json.loads((folder / "metrics.json").read_text())
    now = json.loads(json.dumps(before))
    row = now["robustness"]["noise"]["0 dB"]["model.h5"]
    row["accuracy"] = before["robustness"]["noise"]["0 dB"]["model.h5"]["low"] - 0.01
    assert [line.split(":")[0] for line in verification.fallen(now, before)] == ["noise 0 dB, model.h5"]
    assert not list(verification.fallen(before, before))
    unmeasured = list(verification.fallen({}, before))
    assert unmeasured and all(line.endswith("before, and not measured now") for line in unmeasured)


def test_what_no_recipe_exported_is_refused_in_one_line(tmp_path, verify):
    assert verify(tmp_path)[0] == 2
    with pytest.raises(ZooError, match="no provenance.json"):
        provenance.read(tmp_path)
