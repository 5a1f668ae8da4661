"""The exported C++, compiled as strictly as a board's build may be and run: on this host, and on a Cortex-M4 in QEMU.

In place of the models stands the record of a Python run: samples that none of its columns heard have
no column, and a window that is not one of its windows no scores (board/recorded.h).
"""

import re
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest

from tests.export.board.programs import BOARD, STRICT, compiled, require, run, stand_in
from tools.cortex_m import CORTEX_M4, WITH_FLOAT_UNIT
from zoo.errors import ZooError
from zoo.export import flatbuffer, micro
from zoo.export.tflm import TFLM

STRIDE_SAMPLES, FIELD_SAMPLES, WINDOW_COLUMNS, WINDOW_SAMPLES = 200, 213, 10, 2013
COLUMNS_PER_DECISION = 6  # of which a window is no multiple: it begins anywhere in the ring
LABELS = [f"class {i}" for i in range(10)]
CLAIMS = (
    "one sample at a time gives the golden scores",
    "everything at once gives the golden scores",
    "random chunks give the golden scores",
    "60 s compute every column once",
    "nothing is taken while a decision is due",
    "no decision is made before it is due",
    "a front end that fails stops the stream",
    "a body that fails stops the stream",
    "a decision without a new column is refused",
)
# A front end in C that knows the recorded columns: stateless, as the real one is, and it fills all of its scratch.
C_FRONT_END = """
#define FRONTEND_FIELD_SAMPLES 213
#define FRONTEND_STRIDE_SAMPLES 200
#define FRONTEND_MELS zoo::kColumnValues
#define FRONTEND_SCRATCH_FLOATS 30
typedef int8_t frontend_value;
void frontend_column(const int16_t* pcm, frontend_value* column, float* scratch);
"""
C_FRONT_END_SOURCE = """
#include "recorded.h"
#include "frontend.h"
void frontend_column(const int16_t* pcm, frontend_value* column, float* scratch) {
  std::memcpy(column, recorded::ColumnOf(pcm), recorded::kColumnBytes);
  for (int i = 0; i < FRONTEND_SCRATCH_FLOATS; ++i) scratch[i] = 1.0f;
}
"""


@pytest.fixture(scope="session")
def recording(files):
    """Sound, its columns, and the scores of each decision on them.

    The columns come one by one, the scores from columns that the front makes of the whole window at once.
    """
    frontend, body = TFLM(files["frontend"]), TFLM(files["body"])
    whole = TFLM(flatbuffer.append_quantize(files["front_int16x8"], body.input.scale, body.input.zero_point))
    rng = np.random.default_rng(5)
    pcm = np.clip(rng.normal(0, 10 ** rng.uniform(1.5, 4.3, 41).repeat(STRIDE_SAMPLES)), -32768, 32767).astype(np.int16)
    starts = range(0, len(pcm) - FIELD_SAMPLES + 1, STRIDE_SAMPLES)
    columns = frontend.run_raw(np.stack([pcm[start : start + FIELD_SAMPLES] for start in starts]))[:, 0]
    assert len(columns) == 40

    firsts = (0, 6, 12, 18, 24, 30)  # columns of the windows, by hand
    windows = whole.run_raw(np.stack([pcm[200 * first : 200 * first + WINDOW_SAMPLES] for first in firsts]))
    np.testing.assert_array_equal(windows, [columns[first : first + WINDOW_COLUMNS] for first in firsts])
    scores = body.run_raw(windows)
    assert len(np.unique(scores, axis=0)) == len(firsts)  # they tell the windows apart
    return SimpleNamespace(columns=columns, golden=micro.Golden(pcm, COLUMNS_PER_DECISION, scores))


@pytest.fixture(scope="session")
def golden(recording):
    return recording.golden


def arguments(files, golden, **changed):
    return {
        "frontend": files["frontend"],
        "body": files["body"],
        "labels": LABELS,
        "sample_rate_hz": 20_000,
        "column_stride_samples": STRIDE_SAMPLES,
        "column_field_samples": FIELD_SAMPLES,
        "arena_bytes": 5000,
        "golden": golden,
        **changed,
    }


@pytest.fixture
def folder(tmp_path, files, recording):
    """An exported micro/, and beside it include/ with the record, and the stand-in as TFLM's."""
    folder, include = tmp_path / "micro", tmp_path / "include"
    folder.mkdir()
    write_all(folder, files, recording.golden)
    stand_in(folder, include, recording.columns)
    return folder


def write_all(folder, files, golden):
    for name in ("frontend", "body"):
        micro.write_model(files[name], name, folder)
    micro.write_micro(folder, **arguments(files, golden))


def include_flags(folder):
    return [f"-I{path}" for path in (folder, folder.parent / "include", BOARD, BOARD / "tflm")]


def self_test(folder, target="host", *flags):
    sources = [*folder.glob("*.cc"), folder.parent / "include" / "columns.cc"]
    return run(target, compiled(target, folder.parent / "self_test", sources, *include_flags(folder), *flags))


def set_arena(folder, arena_bytes):
    settings = folder / "settings.h"
    settings.write_text(re.sub(r"kArenaBytes = \d+", f"kArenaBytes = {arena_bytes}", settings.read_text()))


@pytest.mark.parametrize("target", ["host", "cortex-m4"])
def test_stream_gives_the_bytes_of_the_python_run_however_it_is_chunked(folder, target):
    sources = [BOARD / "stream_test.cc", folder / "golden.cc", folder.parent / "include" / "columns.cc"]
    ran = run(target, compiled(target, folder.parent / "stream_test", sources, *include_flags(folder)))
    assert ran.stdout.splitlines() == [f"{claim}: yes" for claim in CLAIMS], ran.stdout + ran.stderr
    assert ran.returncode == 0


@pytest.mark.parametrize("target", ["host", "cortex-m4"])
def test_self_test_passes_with_the_golden_scores_and_names_the_label_of_each_decision(folder, golden, target):
    ran = self_test(folder, target)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    *decisions, verdict = ran.stdout.splitlines()
    best = golden.scores.argmax(axis=1)
    raw = golden.scores.max(axis=1).astype(int)
    # Softmax in int8: steps of 1 / 256 over -128.
    assert decisions == [f"class {i}: {np.floor(100 * (q + 128) / 256 + 0.5):.0f} %" for i, q in zip(best, raw)]
    assert verdict.startswith("passed: 6 of 6 decisions")


@pytest.mark.parametrize("target", ["host", "cortex-m4"])
def test_one_wrong_byte_fails_the_self_test(folder, target):
    ran = self_test(folder, target, "-DWRONG_BYTE")
    assert ran.returncode == 1
    assert "FAILED: 5 of 6 decisions" in ran.stdout


def test_self_test_with_a_front_end_in_c_passes_unless_it_would_work_in_what_the_body_keeps(folder, files, golden):
    (folder / "frontend.cc").unlink()
    micro.write_micro(folder, **arguments(files, golden, frontend=None))
    (folder / "frontend.h").write_text(f"#pragma once\n#include <stdint.h>\n{C_FRONT_END}")
    (folder / "front_end_in_c.cc").write_text(C_FRONT_END_SOURCE)
    ran = self_test(folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    set_arena(folder, 120 + 8)  # scratch and a column; one more byte is kept
    ran = self_test(folder)
    assert ran.returncode == 1
    assert ran.stdout == "frontend: no room in the arena; raise kArenaBytes in settings.h, now 128\n"


@pytest.mark.parametrize("arena_bytes, model", [(64, "body"), (160, "frontend")])
def test_an_arena_that_is_too_small_is_told_in_one_line(folder, arena_bytes, model):
    set_arena(folder, arena_bytes)
    ran = self_test(folder)
    assert ran.returncode == 1
    assert ran.stdout == f"{model}: no room in the arena; raise kArenaBytes in settings.h, now {arena_bytes}\n"


def test_another_schema_and_another_model_are_told(folder):
    ran = self_test(folder, "host", "-DSCHEMA_VERSION=4")
    assert ran.returncode == 1
    assert ran.stdout == "body: schema version 4, but this TFLM reads version 3\n"
    ran = self_test(folder, "host", "-DOTHER_MODEL")
    assert ran.returncode == 1
    assert ran.stdout == "body: not the model that settings.h was written for\n"


def test_stream_compiles_as_cpp11_and_without_float_unit(folder, tmp_path):
    (tmp_path / "use.cc").write_text('#include "stream.h"\n#include "stream.h"\n')
    for compiler, *flags in (["g++"], ["arm-none-eabi-g++", *CORTEX_M4], ["arm-none-eabi-g++", *WITH_FLOAT_UNIT]):
        require(compiler)
        for standard in ("-std=c++11", "-std=c++17"):
            command = [compiler, *flags, standard, *STRICT, "-pedantic", "-fsyntax-only", f"-I{folder}"]
            subprocess.run([*command, tmp_path / "use.cc", folder / "golden.cc", folder / "body.cc"], check=True)


def test_operators_are_those_of_both_models_each_once(files):
    # The front is two convolutions and a pool, the body a convolution, a pool, a mean and a dense layer.
    assert micro.resolver_calls(files["frontend"]) == ["AddConv2D", "AddMaxPool2D", "AddQuantize", "AddReshape"]
    both = micro.resolver_calls(files["frontend"], files["body"])
    assert {"AddConv2D", "AddFullyConnected", "AddSoftmax", "AddTranspose"} <= set(both)
    assert len(both) == len(set(both))


@pytest.mark.parametrize(
    "changed, told",
    [
        ({"labels": LABELS[:9]}, "an integer score for each of 9 labels"),
        ({"column_field_samples": 199}, "columns that leave out no sample"),
    ],
)
def test_what_the_stream_cannot_run_is_refused(tmp_path, files, golden, changed, told):
    with pytest.raises(ZooError, match=told):
        micro.write_micro(tmp_path, **arguments(files, golden, **changed))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "changed, told",
    [
        ({"columns_per_decision": 0}, "a decision takes at least 1 new column"),
        ({"columns_per_decision": 3}, "makes 11 decisions"),
        ({"pcm": np.zeros(1000, np.int16)}, "makes 0 decisions"),
    ],
)
def test_golden_scores_that_are_not_one_row_for_each_decision_are_refused(tmp_path, files, golden, changed, told):
    with pytest.raises(ZooError, match=told):
        micro.write_micro(tmp_path, **arguments(files, golden._replace(**changed)))


def test_a_model_above_the_limit_becomes_no_array(tmp_path, files, golden, monkeypatch):
    monkeypatch.setattr(micro, "ARRAY_LIMIT_BYTES", len(files["body"]))
    assert len(files["frontend"]) > len(files["body"])
    write_all(tmp_path, files, golden)
    written = {path.name for path in tmp_path.iterdir()}
    assert "body.cc" in written and "frontend.cc" not in written


def test_the_same_models_give_the_same_sources(tmp_path, files, golden, folder):
    (tmp_path / "again").mkdir()
    write_all(tmp_path / "again", files, golden)
    written = {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()}
    assert written == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_arena_holds_the_measured_bytes_and_the_scratch_of_the_widest_convolution(folder, files):
    # The front's conv2 has 5 taps over 4 channels, the body's conv3 3 x 3 over one, padded to 12; twice, in 16 bits.
    assert micro.convolution_scratch_bytes(files["frontend"]) == 2 * 20 * 2
    assert micro.convolution_scratch_bytes(files["body"]) == 2 * 12 * 2
    text = (folder / "settings.h").read_text()
    (arena_bytes,) = (int(line.split()[-1][:-1]) for line in text.splitlines() if "kArenaBytes =" in line)
    assert arena_bytes == 5088  # 5080, up to a multiple of 16


def test_make_says_that_it_was_skipped_without_tflm():
    told = subprocess.run(["make", "test-micro"], cwd=BOARD.parents[2], check=True, capture_output=True, text=True)
    assert "skipped" in told.stdout and "TFLM=" in told.stdout
