"""The table of boards, and fitting one to the byte."""

import pytest

from zoo.measure.boards import Board, fit, read_boards

BOARD = Board("board", "chip", "core", True, 64_000_000, 1_000, 5_000, False, ["a page"])


@pytest.mark.parametrize("ram_bytes, fits", [(999, True), (1_000, True), (1_001, False)])
def test_a_board_fits_to_the_last_byte_of_sram(ram_bytes, fits):
    assert fit(BOARD, ram_bytes, 0)["fits_sram"] is fits


@pytest.mark.parametrize("constant_bytes, fits", [(5_000, True), (5_001, False)])
def test_a_board_fits_to_the_last_byte_of_flash(constant_bytes, fits):
    assert fit(BOARD, 0, constant_bytes)["fits_flash"] is fits


@pytest.mark.parametrize("constant_bytes, fits", [(400, True), (401, False)])
def test_where_the_program_is_copied_into_sram_the_model_takes_both(constant_bytes, fits):
    taken = fit(BOARD._replace(constants_in_sram=True), 600, constant_bytes)
    assert taken["fits_sram"] is fits
    assert (taken["sram_needed_bytes"], taken["flash_needed_bytes"]) == (600 + constant_bytes, constant_bytes)


def test_every_board_has_a_source_and_bytes_that_its_kilobytes_give():
    boards = read_boards()
    assert len({board.name for board in boards}) == len(boards) >= 6
    for board in boards:
        assert board.sources and all(len(source) > 20 for source in board.sources), board.name
        assert board.sram_bytes % 1_024 == board.flash_bytes % 1_024 == 0, board.name
        assert board.sram_bytes < board.flash_bytes and 16e6 < board.clock_hz < 1e9, board.name


@pytest.mark.parametrize("chip", ["CXD5602", "STM32F4", "STM32U5", "nRF52840", "RP2040", "ESP32-S3"])
def test_each_family_has_a_board(chip):
    assert [board for board in read_boards() if board.chip.startswith(chip)]
