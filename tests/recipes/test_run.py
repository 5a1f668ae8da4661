"""The command line of a recipe: one short run through, held against other tools; and bad input, one line each."""

import csv
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from recipes import micro_acdnet
from recipes.flags import _command, parse
from recipes.run import main

ROOT = Path(__file__).parents[2]
LABELS = (
    "dog", "rooster", "rain", "sea_waves", "crackling_fire",
    "crying_baby", "sneezing", "clock_tick", "helicopter", "chainsaw",
)  # fmt: skip
COLUMNS = ("filename", "fold", "target", "category", "esc10", "src_file", "take")
ESC10 = ("--dataset", "esc10", "--data-dir", "esc10")  # the folder that `workplace` and `fresh` hold
SHORT = ("--fold", "1", "--epochs", "1", "--quick")
CROPS = 3  # a clip, of --quick
NUM_SAMPLES = 30_225


def write_table(folder, rows):
    (folder / "meta").mkdir(parents=True, exist_ok=True)
    with open(folder / "meta" / "esc50.csv", "w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        table.writerows(rows)


def tones(folder, clips_per_class=4, seconds=2.0):
    """Ten classes that differ in pitch, in ESC-50's layout; every fourth clip is of fold 1, the others of fold 2."""
    (folder / "audio").mkdir(parents=True)
    rng, rows = np.random.default_rng(0), []
    for target, label in enumerate(LABELS):
        for take in range(clips_per_class):
            fold, source = 1 + (take > 0), 1000 * target + take
            filename = f"{fold}-{source}-A-{target}.wav"
            time_s = np.arange(int(22_050 * seconds)) / 22_050
            sound = 0.3 * np.sin(2 * np.pi * 200 * 1.4**target * time_s) + rng.normal(0, 0.02, len(time_s))
            soundfile.write(folder / "audio" / filename, sound, 22_050, subtype="PCM_16")
            rows.append(dict(zip(COLUMNS, (filename, fold, target, label, True, source, "A"), strict=True)))
    write_table(folder, rows)
    return rows


def few_real_clips(esc10, folder):
    """A clip of each class from fold 1, and three from fold 2."""
    with open(esc10 / "meta" / "esc10.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = []
    for label in LABELS:
        of_class = [row for row in rows if row["category"] == label]
        chosen += [row for row in of_class if row["fold"] == "1"][:1] + [row for row in of_class if row["fold"] == "2"][
            :3
        ]
    (folder / "audio").mkdir(parents=True)
    for row in chosen:
        shutil.copy(esc10 / "audio" / row["filename"], folder / "audio")
    write_table(folder, [{column: row[column] for column in COLUMNS} for row in chosen])


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A working directory with a folder esc10/ of 40 clips: real ones where there are any."""
    folder = tmp_path_factory.mktemp("workplace")
    esc10 = Path(os.environ.get("ZOO_TEST_DATA", "")) / "esc10"
    if esc10.is_dir():
        few_real_clips(esc10, folder / "esc10")
    else:
        tones(folder / "esc10")
    return folder


def run_recipe(workplace, *flags):
    finished = subprocess.run(
        [sys.executable, "-m", "recipes.micro_acdnet", *flags, *SHORT],
        cwd=workplace,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    return finished


@pytest.fixture(scope="module")
def finished(workplace):
    """The process of a run with one epoch, that has ended well."""
    return run_recipe(workplace, *ESC10)


@pytest.fixture(scope="module")
def exported(workplace, finished):
    return workplace / "exported" / "micro_acdnet-esc10"


@pytest.fixture(scope="module")
def metrics(exported):
    return json.loads((exported / "metrics.json").read_text())


MODELS = ("model.h5", "model.keras", "model.tflite", "model_int8.tflite")
PICTURES = ("confusion.png", "files.png", "layers.png", "per_class.png", "sensitivity.png", "training.png")
PAPERS = (
    "SHA256SUMS", "card.md", "clips.csv", "decisions.csv", "embeddings.npz", "golden.npz", "labels.txt",
    "metrics.json", "provenance.json", "training.csv",
)  # fmt: skip


def micro_files(*names):
    board = (
        "stream.h",
        "memory.h",
        "interpreter.h",
        "front_end.h",
        "window_body.h",
        "classifier.h",
        "settings.h",
        "operators.h",
        "decision.h",
        "main.cc",
    )
    tables = (f"{name}.{kind}" for name in ("labels", "golden") for kind in ("h", "cc"))
    arrays = (f"{name}.{kind}" for name in names for kind in ("tflite", "h", "cc"))
    return {f"micro/{name}" for name in (*board, *tables, *arrays, "CMakeLists.txt")}


def files_of(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_run_exports_every_file_and_no_other(workplace, exported):
    assert files_of(exported) == {*MODELS, *PICTURES, *PAPERS} | micro_files("frontend", "body", "model")
    assert [path.name for path in (workplace / "exported").glob(".*")] == []


def test_metrics_tell_how_the_model_was_made(metrics):
    expected = {
        "model": "micro_acdnet",
        "dataset": "esc10",
        "test_fold": 1,
        "test_clips": 10,
        "train_clips": 30,
        "sample_rate_hz": 20_000,
        "num_samples": NUM_SAMPLES,
        "labels": list(LABELS),
        "seed": 0,
        "epochs": 1,
        "crops_per_clip": CROPS,
        "skipped_files": [],
    }
    assert {name: metrics[name] for name in expected} == expected
    assert re.fullmatch("[0-9a-f]{16}", metrics["data_fingerprint"])


def test_the_recorded_command_has_dir_for_the_datas_folder_and_the_rest_as_it_was(metrics):
    rest = "--fold 1 --epochs 1 --quick"
    assert metrics["command"] == f"python -m recipes.micro_acdnet --dataset esc10 --data-dir DIR {rest}"
    command = _command("python -m recipes.micro_acdnet", ["--data-dir=/home/me/it's mine", "--front-end", "mel_20"])
    assert command == "python -m recipes.micro_acdnet --data-dir=DIR --front-end mel_20"


def test_the_recorded_command_does_not_tell_how_often_nor_where_it_was_run():
    for told in (["--overwrite"], ["--out", "elsewhere"], ["--jobs", "2"]):
        _, args = parse(micro_acdnet.RECIPE, ["--dataset", "esc10", *told, "--fold", "1"])
        assert args.command == "python -m recipes.micro_acdnet --dataset esc10 --fold 1"


def test_the_recorded_command_has_path_for_the_teacher():
    for flag in (["--teacher", "/home/me/yamnet.tflite"], ["--teacher=/home/me/yamnet.tflite"]):
        command = _command("python -m recipes.micro_acdnet", [*flag, "--fold", "1"])
        assert "/home" not in command and "PATH --fold 1" in command


def test_metrics_hold_a_row_for_each_file_that_runs(exported, metrics):
    micro = {f"micro/{name}.tflite" for name in ("frontend", "body", "model")}
    assert set(metrics["files"]) == {*MODELS, *micro}
    for path, row in metrics["files"].items():
        assert row["bytes"] == (exported / path).stat().st_size
        assert 0 <= row["low"] <= row["accuracy"] <= row["high"] <= 1
        assert (row["arena_bytes"] is not None) == (path in micro), path
        assert row["accuracy"] * 10 == pytest.approx(round(row["accuracy"] * 10))  # ten clips
    assert {path: row["kernels"] for path, row in metrics["files"].items()} == {
        "model.h5": "keras-2",
        "model.keras": "keras-3",
        "model.tflite": "litert-xnnpack",
        "model_int8.tflite": "litert-xnnpack",
        **dict.fromkeys(micro, "tflm"),
    }
    assert metrics["files"]["model.h5"]["changed_clips"] == 0


def test_the_microcontrollers_columns_are_those_of_litert_byte_for_byte(metrics):
    assert metrics["tflm_bytes_unlike_litert_reference"]["columns"] == 0


def test_the_stream_and_its_strips_are_told(metrics):
    stream, strips = metrics["stream"], metrics["strips"]
    parts = ("head_bytes", "frontend_tail_bytes", "body_tail_bytes", "ring_bytes", "hop_bytes")
    assert stream["total_bytes"] == sum(stream[part] for part in parts)
    assert stream["ring_bytes"] == 151 * 20 and stream["hop_bytes"] == 213 * 2
    for name in ("body", "model"):
        row, file = strips[f"{name}.tflite"], metrics["files"][f"micro/{name}.tflite"]
        assert row["arena_bytes"] == file["arena_bytes"] < row["arena_bytes_before"]
    assert strips["model.tflite"]["macs"] <= 1.001 * strips["model.tflite"]["macs_before"]
    assert metrics["front_end_decisions"]["crops"] == 30


def test_sha256sum_finds_every_file_as_it_was(exported):
    if shutil.which("sha256sum") is None:
        pytest.skip("sha256sum is not installed")
    checked = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=exported, capture_output=True)
    assert checked.returncode == 0, checked.stdout
    assert len(checked.stdout.splitlines()) == len(files_of(exported)) - 1  # all but SHA256SUMS


def test_the_accuracy_of_the_float_file_is_found_again_by_a_slow_path(workplace, exported, metrics):
    (cache,) = (workplace / "runs" / "cache").glob("*-20000hz")
    clips, samples = np.load(cache / "rows.npz"), np.fromfile(cache / "samples.int16", np.int16)
    interpreter = Interpreter(str(exported / "model.tflite"))
    interpreter.allocate_tensors()
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    hits = []
    for i in np.flatnonzero(clips["folds"] == 1):
        clip = samples[clips["starts"][i] : clips["ends"][i]].astype(np.float64) / 32768
        silence = np.zeros(NUM_SAMPLES // 2)
        padded = np.concatenate([silence, clip, silence])
        scores = np.zeros(10)
        last = len(padded) - NUM_SAMPLES
        for start in (0, round(last / 2), last):  # CROPS, spread evenly
            crop = padded[start : start + NUM_SAMPLES].astype(np.float32)
            interpreter.set_tensor(taken["index"], crop[None])
            interpreter.invoke()
            scores += interpreter.get_tensor(given["index"])[0]
        hits.append(scores.argmax() == clips["targets"][i])
    assert np.mean(hits) == metrics["files"]["model.tflite"]["accuracy"]


def test_the_bytes_of_a_tflite_file_are_those_of_its_c_array(exported):
    for name in ("frontend", "body", "model"):
        source = (exported / "micro" / f"{name}.cc").read_text()
        model = bytes(int(byte, 16) for byte in re.findall(r"0x([0-9a-f]{2})", source))
        assert model == (exported / "micro" / f"{name}.tflite").read_bytes()
        assert f"g_{name}_len = {len(model)};" in source


def test_labels_stand_in_the_order_of_the_scores(exported):
    assert (exported / "labels.txt").read_text().splitlines() == list(LABELS)
    assert re.findall('^ *"(.*)",$', (exported / "micro" / "labels.cc").read_text(), re.MULTILINE) == list(LABELS)


def test_the_pictures_open(exported):
    for name in PICTURES:
        with Image.open(exported / name) as picture:
            picture.verify()
            assert min(picture.size) > 100, name


def test_the_log_of_the_training_has_a_row_for_each_epoch(exported):
    with open(exported / "training.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1"]
    assert float(rows[0]["loss"]) > 0
    assert float(rows[0]["learning_rate"]) == pytest.approx(micro_acdnet.TRAIN.learning_rate)


def test_a_run_ends_with_the_table_and_prints_no_warnings(exported, finished, without_bars):
    assert "micro/frontend.tflite" in finished.stdout and finished.stdout.rstrip().endswith("see card.md")
    assert without_bars(finished.stderr) == []
    assert "Unknown size" not in finished.stdout  # TFDS tells of its downloads there, of which there are none


# Bad input: main() in this process, in a working directory of its own.


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(refused, *argv, out="exported"):
    """The line that main() writes when it refuses the arguments; nothing is exported."""
    before = files_of(Path(out)) if Path(out).exists() else set()
    line = refused(partial(main, micro_acdnet.RECIPE), "--out", out, *argv)
    assert line.startswith("python -m recipes.micro_acdnet: ")
    after = files_of(Path(out)) if Path(out).exists() else set()
    assert after == before and [path for path in Path(out).glob(".*")] == []
    return line


def test_a_missing_folder_is_refused(fresh, refused):
    assert "no folder esc10" in refusal(refused, *ESC10)


def test_an_empty_folder_is_refused(fresh, refused):
    (fresh / "esc10").mkdir()
    assert "esc10" in refusal(refused, *ESC10)


def test_a_row_without_its_file_is_refused_and_named(fresh, refused):
    rows = tones(fresh / "esc10", clips_per_class=2, seconds=0.1)
    (fresh / "esc10" / "audio" / rows[3]["filename"]).unlink()
    assert rows[3]["filename"] in refusal(refused, *ESC10)


def test_a_broken_file_is_refused_and_named(fresh, refused):
    rows = tones(fresh / "esc10", clips_per_class=2, seconds=0.1)
    (fresh / "esc10" / "audio" / rows[5]["filename"]).write_bytes(b"this is no sound")
    assert rows[5]["filename"] in refusal(refused, *ESC10)


def test_a_fold_that_does_not_exist_is_refused_with_those_that_do(fresh, refused):
    tones(fresh / "esc10", clips_per_class=2, seconds=0.1)
    line = refusal(refused, *ESC10, "--fold", 7)
    assert "no fold 7" in line and "fold 1, 2" in line


def test_a_single_fold_that_leaves_nothing_to_train_on_is_refused(fresh, refused):
    rows = tones(fresh / "esc10", clips_per_class=2, seconds=0.1)
    write_table(fresh / "esc10", [{**row, "fold": 1} for row in rows])
    line = refusal(refused, *ESC10, "--fold", 1)
    assert "fold 1" in line and "no fold 1" not in line  # it is there, and it is all there is


@pytest.mark.parametrize(
    "argv, named",
    [
        (("--dataset", "esc99"), "esc99"),
        (("--data-dir", "esc10"), "--dataset"),
        ((*ESC10, "--eppochs", "3"), "--eppochs"),
        ((*ESC10, "--epoch", "3"), "--epoch"),  # no guessing of flags that are cut short
        ((*ESC10, "--trials", "5"), "--trials is of --search, which is not given"),
        ((*ESC10, "--variants", "bigger"), "no variant 'bigger'"),
        ((*ESC10, "--epochs", "0"), "0 epochs"),
        ((*ESC10, "--epochs", "many"), "many"),
        ((*ESC10, "--variants", "base,tiny"), "tiny"),
        ((*ESC10, "--front-end", "mfcc"), "mfcc"),
        ((*ESC10, "--quick=maybe"), "--quick"),
        ((*ESC10, "--front-end", "mel", "--forms", "fp16,int16x8"), "int16x8"),
    ],
)
def test_a_bad_flag_is_refused_before_any_work(fresh, refused, argv, named):
    assert named in refusal(refused, *argv)
    assert files_of(fresh) == set()


def test_existing_output_is_refused_before_any_work_and_kept(fresh, refused):
    there = fresh / "exported" / "micro_acdnet-esc10"
    there.mkdir(parents=True)
    (there / "card.md").write_text("mine")
    assert "--overwrite" in refusal(refused, *ESC10)
    assert (there / "card.md").read_text() == "mine"
    assert files_of(fresh) == {"exported/micro_acdnet-esc10/card.md"}


def test_an_output_folder_that_is_a_file_is_refused_before_any_work(fresh, capfd):
    tones(fresh / "esc10", clips_per_class=2, seconds=0.1)
    before = files_of(fresh)
    (fresh / "taken").write_text("mine")
    with pytest.raises(SystemExit) as stopped:
        main(micro_acdnet.RECIPE, [*ESC10, "--epochs", "1", "--out", "taken"])
    assert stopped.value.code == 2
    told = capfd.readouterr().err
    assert told.count("\n") == 1 and "taken" in told
    assert files_of(fresh) == {*before, "taken"} and (fresh / "taken").read_text() == "mine"


# Two clips a class: a fold's TFDS file takes 0.9 MB, all clips at 20 kHz 1.6 MB.
@pytest.mark.parametrize("most_file_bytes", [500_000, 1_200_000], ids=["TFDS", "clips"])
def test_a_disk_that_is_full_while_clips_are_prepared_gives_one_line(fresh, most_file_bytes, refused):
    tones(fresh / "esc10", clips_per_class=2)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_file_bytes, limits[1]))  # the write itself fails, as on a full disk
    try:
        assert "disk is full" in refusal(refused, *ESC10, "--epochs", "1")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not (fresh / "exported").exists()
    assert list((fresh / "runs" / "cache").glob("*hz")) == []  # nothing that a later run could take for whole
