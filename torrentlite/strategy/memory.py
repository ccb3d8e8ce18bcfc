"""The memory for pieces in flight: "do not ask for what you cannot store" is kept here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..limits import SPARE_KEPT

Buffer = bytearray | memoryview
"""Writable, and its length is in bytes."""


def _one(size: int) -> list[Buffer]:
    return [bytearray(size)]


class PieceMemory:
    """Buffers for whole pieces, at most ``limit`` bytes of them at a time, shared by all torrents of a session.

    Buffers are recycled: fresh memory of the size of a piece costs more in page faults than the copy into it.

    Two rules keep everybody moving. A piece bigger than the limit is granted when nothing else is in use. And a torrent
    that holds no buffer goes before those that hold some: once it was refused, room is kept for it, and torrents with
    small pieces cannot starve one with big pieces. Pieces that a reader waits for may take a quarter more than the
    limit, or one piece: it must not wait until others' slow pieces are done.

    Args:
        limit: see below.
        fresh: makes one or more new buffers of a size.

    Attributes:
        limit: bytes; may be set at any time, buffers in use stay.
        used: bytes of the buffers that are out.
        full: somebody was refused, and nothing has been granted or given back since.
    """

    __slots__ = ("_busy_at", "_fresh", "_hungry", "_spare", "_spare_bytes", "full", "limit", "used")

    def __init__(self, limit: int, fresh: Callable[[int], Sequence[Buffer]] = _one) -> None:
        self.limit = limit
        self._fresh = fresh
        self.used = 0
        self.full = False
        self._hungry = 0  # bytes that a torrent without any buffer was refused
        self._spare: dict[int, list[Buffer]] = {}  # by size
        self._spare_bytes = 0
        self._busy_at = 0.0

    def take(self, size: int, *, first: bool = False, urgent: bool = False) -> Buffer | None:
        """A buffer of ``size`` bytes with any content, or None while there is no room.

        Args:
            size: bytes of the piece.
            first: the asking torrent holds no buffer.
            urgent: a reader waits for it.
        """
        # If the hungry one never comes back, the others run dry, are then hungry themselves, and end the wait.
        room = self.limit - (0 if first else self._hungry)
        if urgent:
            room = self.limit + max(self.limit // 4, size)
        if self.used and self.used + size > room:
            if first:
                self._hungry = max(self._hungry, size)
            self.full = True
            return None
        self.full = False
        if first:
            self._hungry = 0
        self.used += size
        spare = self._spare.get(size)
        if spare:
            self._spare_bytes -= size
            return spare.pop()
        self._shed()
        buffer, *others = self._fresh(size)
        self._spare.setdefault(size, []).extend(others)
        self._spare_bytes += size * len(others)
        self._shed()
        return buffer

    def lacks(self, size: int) -> bool:
        """Whether who holds a buffer already, and has nobody wait for this one, would be refused so many bytes."""
        return self.used > 0 and self.used + size > self.limit - self._hungry

    def give(self, buffer: Buffer) -> None:
        """Take back a buffer; nobody may look at it any more."""
        size = len(buffer)
        self.used -= size
        self.full = False
        self._spare.setdefault(size, []).append(buffer)
        self._spare_bytes += size
        self._shed()

    def tick(self, now: float) -> None:
        """Called twice a second or so: what nobody has needed for SPARE_KEPT seconds goes back to the system."""
        if self.used:
            self._busy_at = now
        elif self._spare and now - self._busy_at >= SPARE_KEPT:
            self.trim()

    def trim(self) -> None:
        """Let go of the spare buffers."""
        self._spare.clear()
        self._spare_bytes = 0

    def _shed(self) -> None:
        """Free spare buffers until they and those in use are within the limit."""
        while self._spare_bytes and self.used + self._spare_bytes > self.limit:
            size, spare = next(iter(self._spare.items()))
            if spare:
                spare.pop()
                self._spare_bytes -= size
            if not spare:
                del self._spare[size]
