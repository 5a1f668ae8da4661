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


def read_boards():
    """Every `Board`, in the table's order."""
    return [Board(**row) for row in tomllib.loads(TABLE.read_text(encoding="utf-8"))["board"]]


def fit(board, ram_bytes, constant_bytes):
    """What is told of a board, and whether it holds what needs so much RAM, and so much flash for its constants. The
    program around it, its stack and TFLM's code come on top.
    """
    sram_bytes = ram_bytes + constant_bytes * board.constants_in_sram
    row = board._asdict()
    return {
        "board": row.pop("name"),
        **row,
        "sram_needed_bytes": sram_bytes,
        "flash_needed_bytes": constant_bytes,
        "fits_sram": sram_bytes <= board.sram_bytes,
        "fits_flash": constant_bytes <= board.flash_bytes,
    }
