import subprocess
import time

import pytest

from zoo.errors import ZooError
from zoo.export.micro import write_c_array, write_labels

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
