"""The RAM that a model takes on a microcontroller as a stream."""

from typing import NamedTuple


class StreamMemory(NamedTuple):
    """What a stream holds in RAM, beside the stack and the program's own variables. On this 64-bit host."""

    head_bytes: int  # of both: they run in turn and share one arena, so the larger one counts
    frontend_tail_bytes: int
    body_tail_bytes: int
    ring_bytes: int  # the window's columns, as the body takes them
    hop_bytes: int  # the samples that one column hears

    @property
    def arena_bytes(self):
        """Bytes of the one arena that both share."""
        return self.head_bytes + self.frontend_tail_bytes + self.body_tail_bytes

    @property
    def total_bytes(self):
        return sum(self)


def stream_memory(frontend, body) -> StreamMemory:
    """The `StreamMemory` of a pair.

    frontend, body: what has `.input` (`zoo.runtime.interpreter.Tensor`) and `.arena` (its `Arena`): a TFLM, a file that
    `zoo.export.untrusted` opened, or for the front end C code, whose scratch is a head and which has no tail.
    """
    front_arena, body_arena = frontend.arena, body.arena  # asked once: TFLM prints it
    return StreamMemory(
        max(front_arena.head_bytes, body_arena.head_bytes),
        front_arena.tail_bytes,
        body_arena.tail_bytes,
        body.input.bytes,
        frontend.input.bytes,
    )
