"""The sum of a stream's memory, counted by hand."""

from collections import namedtuple

import numpy as np
import pytest

from zoo.export.tflm import Arena
from zoo.measure.arena import stream_memory
from zoo.runtime.interpreter import Tensor

Runner = namedtuple("Runner", "input arena")


@pytest.mark.parametrize("front_head_bytes, head_bytes", [(17_000, 37_000), (40_000, 40_000)])
def test_a_stream_takes_the_larger_head_both_tails_the_ring_and_the_samples(front_head_bytes, head_bytes):
    frontend = Runner(Tensor((1_013,), np.int16, 1 / 32768, 0), Arena(front_head_bytes, 1_800, {}))
    body = Runner(Tensor((151, 1, 20), np.int8, 0.1, -128), Arena(37_000, 8_000, {}))
    memory = stream_memory(frontend, body)
    assert memory == (head_bytes, 1_800, 8_000, 151 * 20, 2 * 1_013)
    assert memory.arena_bytes == head_bytes + 9_800
    assert memory.total_bytes == head_bytes + 9_800 + 3_020 + 2_026


def test_a_ring_of_16_bits_takes_twice_the_bytes():
    wide, narrow = (Runner(Tensor((30, 64, 1), dtype, 0.1, 0), Arena(0, 0, {})) for dtype in (np.int16, np.int8))
    assert stream_memory(narrow, wide).ring_bytes == 2 * stream_memory(narrow, narrow).ring_bytes == 3_840
