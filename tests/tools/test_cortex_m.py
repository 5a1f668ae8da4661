from pathlib import Path

import pytest

from tests.export.board.programs import require
from tools import cortex_m
from zoo.errors import ZooError

LOOPS = (1, 1_000, 100_000_000)
LOOP = """#include <cstdio>
#include <initializer_list>

#include "clock.h"

int main() {
  for (uint32_t loops : {%s}) {
    board_start_clock();
    asm volatile("1: subs %%0, %%0, #1\\n bne 1b" : "+r"(loops) : : "cc");
    std::printf("%%llu\\n", board_instructions());
  }
}
"""


def test_the_boards_clock_counts_the_instructions_of_a_loop(tmp_path):
    require("arm-none-eabi-g++", "qemu-system-arm")
    (tmp_path / "loop.cc").write_text(LOOP % ", ".join(f"{loops}u" for loops in LOOPS))
    cortex_m.build(tmp_path / "loop", [tmp_path / "loop.cc"], "-O2")
    counted = cortex_m.run(tmp_path / "loop", *cortex_m.COUNTING).stdout.split()
    assert [int(found) for found in counted] == pytest.approx([2 * loops for loops in LOOPS], abs=80)  # 2 ticks


def test_a_model_that_takes_floats_is_refused_before_anything_is_compiled(bands):
    with pytest.raises(ZooError, match="takes float32; those that take int8"):
        cortex_m.count(bands.file.read_bytes(), Path("none"), Path("none"))
