"""Reading more than was asked for, where more is here: for those who must cross to Trio for it."""

from __future__ import annotations

import os
from typing import Final

from .swarm.reader import Reader, read_on

AHEAD: Final = 256 << 10
"""Bytes that one visit to Trio brings, if they are here: a visit costs 0.1 ms, as much as copying 1 MiB."""


class Ahead:
    """The place of a caller in a file, and what was read beyond it.

    Args:
        reader: opened; from now on used by nobody else.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._data = memoryview(b"")

    def tell(self) -> int:
        """The position of the next byte to be taken."""
        return self._reader.tell() - len(self._data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go somewhere else; what was read ahead is kept as far as it lies there."""
        here = self.tell()
        if whence == os.SEEK_CUR:
            offset, whence = here + offset, os.SEEK_SET
        elif whence == os.SEEK_END:
            offset, whence = self._reader.size + offset, os.SEEK_SET
        if whence == os.SEEK_SET and 0 <= offset - here <= len(self._data):
            self._data = self._data[offset - here :]
            return offset
        position = self._reader.seek(offset, whence)
        self._data = memoryview(b"")
        return position

    def missing(self, size: int) -> int:
        """How many of the next ``size`` bytes have to be fetched; none after the end of the file."""
        return max(0, min(size - len(self._data), self._reader.size - self._reader.tell()))

    async def fetch(self, size: int) -> None:
        """Fetch so many bytes more, in Trio. When it is cancelled, none."""
        more = await read_on(self._reader, size, AHEAD)
        self._data = memoryview(bytes(self._data) + more) if self._data else more

    def take(self, view: memoryview) -> int:
        """Move what is here into a buffer; returns how many bytes that were."""
        count = min(len(view), len(self._data))
        view[:count] = self._data[:count]
        self._data = self._data[count:]
        return count
