from __future__ import annotations

import random

from hypothesis import given, strategies as st

from torrentlite.stats import PieceStats
from torrentlite.tui.piecemap import availability_line, map_lines, piece_map
from torrentlite.tui.spark import heights, sparkline


def pieces(text: str, wanted: str = "", counts: str = "") -> PieceStats:
    """``#`` had, ``!`` in flight, ``:`` begun, anything else to come."""
    find = lambda letter: sum(1 << n for n, each in enumerate(text) if each == letter)  # noqa: E731
    wish = sum(1 << n for n, each in enumerate(wanted or "y" * len(text)) if each == "y")
    return PieceStats(len(text), find("#"), find("!"), find(":"), wish, tuple(map(int, counts)))


def test_a_column_a_piece() -> None:
    assert piece_map(pieces("#!:.#"), 80).letters == "█▚▖░█"
    assert piece_map(pieces("#...", counts="0120"), 80).letters == "█░░·"
    assert piece_map(pieces("#...", wanted="ynny"), 80).letters == "█  ░"
    assert piece_map(pieces("#...", counts="0120"), 80).rarest == (0, 1, 2, 0)
    assert piece_map(PieceStats(0, 0, 0, 0, 0, ()), 80).letters == ""


def test_many_pieces_in_one_column() -> None:
    assert piece_map(pieces("#######.#.........:...!."), 6).letters == "█▓▒░▖▚"
    # What nobody has matters more than what is here; what is being fetched matters most.
    assert piece_map(pieces("##..##.!", counts="11011101"), 2).letters == "·▚"
    # What is not wanted counts for nothing.
    assert piece_map(pieces("##..", wanted="yynn"), 1).letters == "█"


@given(st.integers(1, 3000), st.integers(1, 300), st.randoms(use_true_random=False))
def test_against_one_piece_after_the_other(count: int, width: int, dice: random.Random) -> None:
    have, flying, partial, wanted = (dice.getrandbits(count) for _ in range(4))
    flying, partial = flying & ~have, partial & ~have & ~flying
    counts = tuple(dice.randrange(4) for _ in range(count))
    drawn = piece_map(PieceStats(count, have, flying, partial, wanted, counts), width)
    columns = min(width, count)
    assert len(drawn.letters) == columns
    for column, letter in enumerate(drawn.letters):
        part = range(count * column // columns, count * (column + 1) // columns)
        assert (letter == "▚") == any(flying >> piece & 1 for piece in part)
        if letter == "█":
            assert all(have >> piece & 1 or not wanted >> piece & 1 for piece in part)
        if letter == "·":
            assert any(not have >> piece & 1 and wanted >> piece & 1 and not counts[piece] for piece in part)
        assert drawn.rarest[column] == min(counts[piece] for piece in part)
    assert sum(len(segment.text) for line in map_lines(drawn, 40, 100) for segment in line) == columns
    assert sum(len(segment.text) for segment in availability_line(drawn, 40)) == min(40, columns)


def test_numbers_as_heights() -> None:
    assert sparkline([0, 1, 2, 4, 8], 8) == "   ▁▂▃▅█"
    assert sparkline([], 3) == "   "
    assert sparkline([0, 0], 2) == "▁▁"
    assert heights([0, 1, 4], 4) == " ▃█"
