"""The boards of boards.toml, and whether a model fits them."""

import sys
from pathlib import Path
from typing import NamedTuple

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TABLE = Path(__file__).with_name("boards.toml")


class Board(NamedTuple):
    """One board, as boards.toml describes it."""

    name: str
    chip: str
    core: str
    float_unit: bool
    clock_hz: int
    sram_bytes: int
    flash_bytes: int
    constants_in_sram: bool
    sources: list


class Fit(NamedTuple):
    """What a model takes of a board. The program around it, its stack and TFLM's code come on top."""

    board: Board
    sram_bytes: int
    flash_bytes: int

    @property
    def fits_sram(self):
        return self.sram_bytes <= self.board.sram_bytes

    @property
    def fits_flash(self):
        return self.flash_bytes <= self.board.flash_bytes


def read_boards():
    """Every `Board`, in the table's order."""
    return [Board(**row) for row in tomllib.loads(TABLE.read_text(encoding="utf-8"))["board"]]


def fit(board, ram_bytes, constant_bytes) -> Fit:
    """The `Fit` of what needs so much RAM, and so much flash for its constants."""
    return Fit(board, ram_bytes + constant_bytes * board.constants_in_sram, constant_bytes)
