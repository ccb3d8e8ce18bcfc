"""Which pieces to let go when a torrent's storage does not hold all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ..metainfo.layout import Layout


class Cache:
    """The pieces that lie in a bounded storage, the least recently used first.

    Args:
        layout: of the torrent.
        capacity: bytes that the storage holds.

    Attributes:
        used: bytes in it.
    """

    __slots__ = ("_layout", "_pieces", "capacity", "used")

    def __init__(self, layout: Layout, capacity: int) -> None:
        self._layout: Final = layout
        self.capacity: Final = capacity
        self._pieces: dict[int, None] = {}
        self.used = 0

    def __contains__(self, piece: int) -> bool:
        return piece in self._pieces

    def add(self, piece: int) -> None:
        """A piece is about to be written: it is the most recently used one."""
        if self._pieces.pop(piece, self) is self:
            self.used += self._layout.piece_size(piece)
        self._pieces[piece] = None

    def touch(self, pieces: Iterable[int]) -> None:
        """These were used just now."""
        for piece in pieces:
            if piece in self._pieces:
                del self._pieces[piece]
                self._pieces[piece] = None

    def remove(self, piece: int) -> None:
        """A piece is not there (any more)."""
        if self._pieces.pop(piece, self) is None:
            self.used -= self._layout.piece_size(piece)

    def make_room(self, size: int, keep: int) -> list[int]:
        """Let go of pieces until so many bytes fit in; returns which.

        Args:
            size: bytes that are about to be written.
            keep: pieces (bit ``i`` for piece ``i``) to let go only when there is nothing else.
        """
        excess = self.used + size - self.capacity
        gone: list[int] = []
        for spared in (False, True):
            for piece in self._pieces:
                if excess <= 0:
                    break
                if bool(keep >> piece & 1) is spared:
                    gone.append(piece)
                    excess -= self._layout.piece_size(piece)
        for piece in gone:
            self.remove(piece)
        return gone
