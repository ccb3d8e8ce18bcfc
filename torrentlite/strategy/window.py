"""What one reader needs now, and what it will probably come to."""

from __future__ import annotations

from typing import Final

from .. import limits
from ..metainfo.layout import Layout


class Window:
    """The place of one reader in its file, and how far ahead of it to fetch.

    Nothing is fetched ahead after a seek: who jumps about mostly jumps on, and every piece ahead would be in vain. Who
    reads on gets as much ahead as it has read since, so what is fetched ahead doubles until ``limits.READ_AHEAD``.

    Args:
        layout: of the torrent.
        start: where its bytes begin in the torrent.
        size: how many there are.
        fixed: bytes to fetch ahead, from the start; None to find out.

    Attributes:
        position: of the next byte to be read, in the file.
        asked: bytes that the reader waits for, from there on; 0 while it does not.
    """

    __slots__ = ("_fixed", "_layout", "_reads", "_run", "asked", "position", "size", "start")

    def __init__(self, layout: Layout, start: int, size: int, fixed: int | None = None) -> None:
        self._layout: Final = layout
        self.start: Final = start
        self.size: Final = size
        self._fixed: Final = fixed
        self._run = self._reads = 0  # bytes, and reads, in a row
        self.position = 0
        self.asked = 0

    def seek(self, position: int) -> None:
        """Go somewhere else; a step over what is fetched ahead, or a short one back, counts as reading on."""
        step = position - self.position
        if not -limits.READ_NEAR <= step <= self.ahead:
            self._run = self._reads = 0
        self.position = position

    def advance(self, size: int) -> None:
        """So much was read."""
        self.position += size
        self._run += size
        self._reads += 1

    @property
    def ahead(self) -> int:
        """Bytes to be fetched beyond what is asked for."""
        if self._fixed is not None:
            return self._fixed
        return min(self._run, limits.READ_AHEAD) if self._reads > 1 else 0

    @property
    def pieces(self) -> range:
        """All pieces of its file."""
        return self._layout.pieces_of_bytes(self.start, self.size)

    def here(self) -> range:
        """The piece in which it is."""
        return self._span(1)

    def urgent(self, most: int = limits.READ_AHEAD) -> range:
        """The pieces that the reader waits for, as far as they are fetched at once, ``most`` bytes at most."""
        return self._span(min(self.asked, max(min(most, limits.URGENT_BYTES), self._layout.piece_length)))

    def wanted(self, most: int = limits.READ_AHEAD) -> range:
        """The pieces from here to as far ahead as is to be fetched, ``most`` bytes at most."""
        return self._span(min(self.asked + self.ahead, max(most, 1) if self.asked or self.ahead else 0))

    def _span(self, size: int) -> range:
        left = max(0, self.size - self.position)
        return self._layout.pieces_of_bytes(self.start + self.position, min(size, left))
