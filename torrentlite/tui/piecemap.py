"""Many pieces in few columns: what each stretch of a torrent is like, and how many peers have it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import Final

from rich.style import Style

from ..stats import PieceStats
from .lines import BAD, BUSY, DIM, GOOD, PLAIN, WARN, Line, seg
from .spark import heights

HAVE: Final = "█"
MOST: Final = "▓"
SOME: Final = "▒"
IN_FLIGHT: Final = "▚"
PARTIAL: Final = "▖"
TO_COME: Final = "░"
MISSING: Final = "·"
SKIPPED: Final = " "

STYLES: Final[dict[str, Style]] = {
    HAVE: GOOD,
    MOST: GOOD,
    SOME: GOOD,
    IN_FLIGHT: BUSY,
    PARTIAL: WARN,
    TO_COME: DIM,
    MISSING: BAD,
    SKIPPED: PLAIN,
}


@dataclasses.dataclass(frozen=True, slots=True)
class PieceMap:
    """The map: a letter a column, and for each how many peers have the rarest piece of that stretch."""

    letters: str
    rarest: tuple[int, ...]
    """Empty while nobody knows."""


def piece_map(pieces: PieceStats, width: int) -> PieceMap:
    """The map of all pieces in at most this many columns.

    A stretch is what matters most in it: something is asked for; all that is wanted is here; nobody has some of
    it; most of it is here, or some; something has begun; it is to come.
    """
    columns = min(width, pieces.count) if pieces.count else 0
    if columns < 1:
        return PieceMap("", ())
    bounds = [pieces.count * column // columns for column in range(columns + 1)]
    have, flying, partial, wanted = (
        _Bits(bits, pieces.count) for bits in (pieces.have, pieces.in_flight, pieces.partial, pieces.wanted)
    )
    nobody = _Bits(_nobody_has(pieces.availability) & ~pieces.have & pieces.wanted, pieces.count)
    letters = []
    for start, stop in pairwise(bounds):
        here, wish = have.part(start, stop), wanted.part(start, stop)
        if flying.part(start, stop):
            letters.append(IN_FLIGHT)
        elif (wish and not wish & ~here) or here.bit_count() == stop - start:
            letters.append(HAVE)
        elif nobody.part(start, stop):
            letters.append(MISSING)
        elif here:
            letters.append(MOST if 2 * here.bit_count() >= (wish or here).bit_count() else SOME)
        elif partial.part(start, stop):
            letters.append(PARTIAL)
        else:
            letters.append(TO_COME if wish else SKIPPED)
    counts = pieces.availability
    rarest = tuple(min(counts[a:b]) for a, b in pairwise(bounds)) if counts else ()
    return PieceMap("".join(letters), rarest)


class _Bits:
    """A set of pieces of which stretches are looked at; its bytes, since shifting all of it for each would be slow."""

    def __init__(self, bits: int, count: int) -> None:
        self._bytes = bits.to_bytes(max(count, bits.bit_length()) // 8 + 1, "little")

    def part(self, start: int, stop: int) -> int:
        """The pieces from ``start`` to before ``stop``, as a set that begins at 0."""
        part = int.from_bytes(self._bytes[start // 8 : stop // 8 + 1], "little") >> start % 8
        return part & ((1 << (stop - start)) - 1)


def _nobody_has(availability: Sequence[int]) -> int:
    """The pieces that no connected peer has."""
    if not availability or min(availability) > 0:
        return 0
    digits = "".join("0" if count else "1" for count in reversed(availability))
    return int(digits, 2)


def map_lines(shown: PieceMap, width: int, rows: int) -> list[Line]:
    """The map in so many rows of at most this width, each row in runs of one style."""
    lines = []
    for row in range(rows):
        part = shown.letters[row * width : (row + 1) * width]
        if part:
            lines.append([seg("".join(run), STYLES[letter]) for letter, run in groupby(part)])
    return lines


def availability_line(shown: PieceMap, width: int) -> Line:
    """How many peers have what, over the whole torrent in one row; a gap is what nobody has."""
    rarest = shown.rarest
    if not rarest:
        return []
    columns = min(width, len(rarest))
    bounds = [len(rarest) * column // columns for column in range(columns + 1)]
    least = [min(rarest[a:b]) for a, b in pairwise(bounds)]
    return [seg(heights(least, max(least)), DIM)]
