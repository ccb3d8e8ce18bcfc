"""Which pieces are to be fetched, and in which order they are to be begun.

The order, the first that applies: what somebody waits for (``urgent``), what readers will come to (``windows``), the
priorities that were given (``levels``), and then either the order of the torrent or the rarest first.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Final

from ..wire import bitfield
from .availability import Availability
from .pieceset import PieceSet, draw, runs

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
        levels: sets of pieces to begin before all others, the first set first; may be set at any time.
        urgent: pieces that somebody waits for, the first needed first; see ``steer``.
        windows: for each reader, pieces that it will come to.
        steered: all of these.
        allowed: what may be begun of the wanted pieces; None for all. What is wanted beyond that makes a peer
            interesting, and waits for a reader to come near.
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
        "_turn",
        "allowed",
        "fresh",
        "have",
        "levels",
        "needed",
        "sequential",
        "steered",
        "suspects",
        "urgent",
        "wanted",
        "windows",
    )

    def __init__(self, availability: Availability, rng: random.Random, *, sequential: bool) -> None:
        self._availability = availability
        self._rng = rng
        self.sequential = sequential
        self.levels: tuple[int, ...] = ()
        self.allowed: int | None = None
        self._turn = 0
        self.steer((), ())
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

    def steer(self, urgent: Sequence[int], windows: Sequence[int]) -> None:
        """Say anew what somebody waits for (in order), and what each reader will come to (sets)."""
        self.urgent = tuple(urgent)
        self.windows = tuple(windows)
        self.steered = bitfield.of(urgent)
        for window in windows:
            self.steered |= window

    def permitted(self, only: int | None) -> int | None:
        """Of these pieces (None: all) those that may be begun."""
        return only if self.allowed is None else self.allowed if only is None else only & self.allowed

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
        while pieces & self.steered:
            piece = self._next_ahead(pieces)
            yield piece
            pieces ^= 1 << piece
        while pieces:
            best = self._best(pieces, slow=slow)
            while best:
                piece = lowest(best) if self.sequential else draw(best, self._rng)
                yield piece
                best ^= 1 << piece
                pieces ^= 1 << piece

    def _next_ahead(self, pieces: int) -> int:
        """The next of some pieces that are steered: the urgent ones, then each reader's in turn."""
        for piece in self.urgent:
            if pieces >> piece & 1:
                return piece
        while True:
            self._turn = (self._turn + 1) % len(self.windows)
            ahead = pieces & self.windows[self._turn]
            if ahead:
                return lowest(ahead)

    def run_in(self, pieces: int, length: int, *, follow: int, in_order: bool) -> range:
        """Where in a set (not empty) of fresh pieces to begin for a source of long runs, and how far to go.

        BEP 19: "the HTTP/FTP should start at the beginning of the biggest gap", and "somewhere randomly in the file"
        at first. Here: on from where the last run ended (``follow``), else at random where ``length`` pieces are free,
        or half as many, and so on. What readers come to goes before all of that.
        """
        ahead = pieces & self.steered
        pieces = ahead or self._first(pieces)
        if ahead:
            start = self._next_ahead(ahead)
        elif follow >= 0 and pieces >> follow & 1:
            start = follow
        elif in_order or self.sequential:
            start = lowest(pieces)
        else:
            while not (starts := runs(pieces, length)):
                length //= 2
            start = draw(starts, self._rng)
        gap = ~(pieces >> start) & ((1 << length) - 1)  # bit i: piece start + i is not in the set
        return range(start, start + ((gap & -gap).bit_length() - 1 if gap else length))

    def _first(self, pieces: int) -> int:
        """Those of some pieces that are to be begun before the others."""
        return next((pieces & level for level in self.levels if pieces & level), pieces)

    def _best(self, pieces: int, *, slow: bool) -> int:
        pieces = self._first(pieces)
        if self.sequential or self._have_count < RANDOM_FIRST:
            return pieces
        return self._availability.commonest_of(pieces) if slow else self._availability.rarest_of(pieces)


def lowest(pieces: int) -> int:
    """The first piece of a set that is not empty."""
    return (pieces ^ (pieces - 1)).bit_length() - 1
