import subprocess
import time

import numpy as np
import pytest

from zoo.errors import ZooError
from zoo.export.micro import write_c_array, write_decision, write_labels
from zoo.runtime.interpreter import Tensor

PRINT_MODEL = """
#include <cstdint>
#include <cstdio>
#include "{name}.h"
#include "{name}.h"  // the guard holds
int main() {{
  if (reinterpret_cast<std::uintptr_t>(g_{name}) % 16) return 1;
  return std::fwrite(g_{name}, 1, g_{name}_len, stdout) == g_{name}_len ? 0 : 2;
}}
"""
PRINT_LABELS = """
#include <cstdio>
#include <cstring>
#include "labels.h"
int main() {
  for (unsigned int i = 0; i < g_labels_len; ++i) {
    std::fwrite(g_labels[i], 1, std::strlen(g_labels[i]) + 1, stdout);
  }
}
"""
SETTINGS = """
#include <cstdint>
#include <cstddef>
namespace zoo { using Score = std::int8_t; constexpr std::size_t kClasses = 3; }
"""
PRINT_DECISIONS = """
#include <cstdio>
#include "decision.h"
void Print(const char* label, zoo::Score score) { std::printf(" %s %d", label, score); }
int main() {
  for (int i = -128; i < 128; ++i) {
    const zoo::Score scores[] = {static_cast<zoo::Score>(i), static_cast<zoo::Score>(-1 - i), 0};
    zoo::Decide(scores, Print);
    std::puts("");
  }
}
"""
LABELS = ["dog", 'a"; #error', "back\\slash", "two\nlines", "what??/ ??=", "Glocken läuten", "犬", "\x071", "%s"]


def compiled_output(folder, source, name):
    """What main prints, compiled as strictly as a board's build may be; -trigraphs turns them on."""
    (folder / "main.cc").write_text(source)
    flags = ["-std=c++11", "-trigraphs", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    subprocess.run(["g++", *flags, "main.cc", f"{name}.cc", "-o", "main"], cwd=folder, check=True)
    return subprocess.run([folder / "main"], check=True, capture_output=True).stdout


@pytest.mark.parametrize("length", [1, 16, 1000])
def test_c_array_compiles_and_holds_the_model(tmp_path, length):
    model = bytes(i * 7 % 256 for i in range(length))
    write_c_array(model, "body", tmp_path)
    assert compiled_output(tmp_path, PRINT_MODEL.format(name="body"), "body") == model
    before = [(tmp_path / name).read_bytes() for name in ("body.h", "body.cc")]
    write_c_array(model, "body", tmp_path)
    assert before == [(tmp_path / name).read_bytes() for name in ("body.h", "body.cc")]


def test_labels_stay_labels(tmp_path):
    write_labels(LABELS, tmp_path)
    printed = compiled_output(tmp_path, PRINT_LABELS, "labels")
    assert printed.decode().split("\0")[:-1] == LABELS


@pytest.mark.parametrize("sensitivity, points", [
    ("", {"low": (255 / 256,) * 3, "medium": (0.25, 0.7003, 0.501)}),
    (", zoo::kHigh", {"medium": (255 / 256,) * 3, "high": (255 / 256, 1e-9, 0.5)}),
    ("", {}),
])  # fmt: skip
def test_a_board_decides_as_the_file_with_its_thresholds_does(tmp_path, sensitivity, points):
    output = Tensor((3,), np.int8, 1 / 256, -128)
    (tmp_path / "settings.h").write_text(SETTINGS)
    write_labels(["a", "b", "c"], tmp_path)
    write_decision(output, points, tmp_path)
    program = PRINT_DECISIONS.replace("Print);", f"Print{sensitivity});")
    lines = compiled_output(tmp_path, program, "labels").decode().splitlines()
    raw = np.arange(-128, 128)[:, None] * [1, -1, 0] + [0, -1, 0]
    scores = output.from_raw(raw)
    thresholds = np.array(points.get("high" if sensitivity else "medium"))
    decided = scores >= thresholds if points else np.eye(3, dtype=bool)[scores.argmax(axis=1)]
    for line, row, is_decided in zip(lines, raw, decided, strict=True):
        assert line.split() == [word for i in np.flatnonzero(is_decided) for word in ("abc"[i], str(row[i]))]


def test_five_megabytes_take_a_moment(tmp_path):
    start = time.monotonic()
    write_c_array(bytes(5_000_000), "model", tmp_path)
    assert time.monotonic() - start < 10  # 1 s on an idle core; byte by byte it would be far more than ten


@pytest.mark.parametrize("model, name", [(b"x", "no-name"), (b"x", "1st"), (b"x", "ä"), (b"", "empty")])
def test_an_array_without_a_c_name_or_without_bytes_is_refused(tmp_path, model, name):
    with pytest.raises(ZooError, match="a C array needs a C name and at least one byte"):
        write_c_array(model, name, tmp_path)


def test_no_labels_are_refused(tmp_path):
    with pytest.raises(ZooError, match="at least one label"):
        write_labels([], tmp_path)
