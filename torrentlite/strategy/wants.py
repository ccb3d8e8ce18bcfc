"""Which pieces are to be fetched, and in which order they are to be begun."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

from ..wire import bitfield
from .availability import Availability
from .pieceset import PieceSet, draw

RANDOM_FIRST: Final = 4
"""Pieces that are drawn at random before the rarest go first: rare ones come slowly, and at first one has nothing to
trade."""


class Wants:
    """What is had, what is wanted, and which of it is not begun. Sets of pieces are ints.

    Args:
        availability: how many peers have which piece.
        rng: the dice.
        sequential: begin pieces in their order, not the rarest first.

    Attributes:
        sequential: may be set at any time.
        priority: pieces to begin before all others; may be set at any time.
        have: the verified pieces.
        wanted: the pieces to fetch, had or not.
        needed: those that are wanted and not had.
        suspects: pieces of which a wrong copy came, so that the next is to come from one peer. A dict for its order.
        fresh: those that are needed, no suspects, and not begun.
    """

    __slots__ = (
        "_availability",
        "_have_count",
        "_rng",
        "fresh",
        "have",
        "needed",
        "priority",
        "sequential",
        "suspects",
        "wanted",
    )

    def __init__(self, availability: Availability, rng: random.Random, *, sequential: bool) -> None:
        self._availability = availability
        self._rng = rng
        self.sequential = sequential
        self.priority = 0
        self.suspects: dict[int, None] = {}
        self.set(0, bitfield.full(availability.total))
        self.begun([])

    def set(self, have: int, wanted: int) -> None:
        """Say anew what is had and wanted; to be followed by ``begun``."""
        self.have = have
        self._have_count = have.bit_count()
        self.wanted = wanted
        self.needed = PieceSet(wanted & ~have, self._availability.total)

    def begun(self, pieces: list[int]) -> None:
        """Say anew which pieces are begun."""
        self.fresh = self.needed.bits & ~bitfield.of([*pieces, *self.suspects])

    def begin(self, piece: int) -> None:
        """A fresh or suspect piece is begun."""
        if piece not in self.suspects:
            self.fresh ^= 1 << piece

    def put_back(self, piece: int) -> None:
        """A piece that was begun, and is still needed, is not begun any more."""
        if piece not in self.suspects:
            self.fresh |= 1 << piece

    def right(self, piece: int) -> None:
        """A piece that was begun is had."""
        self.suspects.pop(piece, None)
        self.needed.discard(piece)
        if not self.have >> piece & 1:
            self.have |= 1 << piece
            self._have_count += 1

    def wrong(self, piece: int) -> None:
        """A wrong copy of a piece came; it is to be begun again."""
        self.suspects[piece] = None

    def in_order(self, pieces: int, *, slow: bool) -> Iterator[int]:
        """These fresh pieces in the order in which to begin them; for slow peers the most common come first."""
        while pieces:
            best = self._best(pieces, slow=slow)
            while best:
                piece = (best ^ (best - 1)).bit_length() - 1 if self.sequential else draw(best, self._rng)
                yield piece
                best ^= 1 << piece
                pieces ^= 1 << piece

    def _best(self, pieces: int, *, slow: bool) -> int:
        pieces = pieces & self.priority or pieces
        if self.sequential or self._have_count < RANDOM_FIRST:
            return pieces
        return self._availability.commonest_of(pieces) if slow else self._availability.rarest_of(pieces)
