"""A file of a torrent, as fsspec gives it out."""

from __future__ import annotations

import functools
import io
import os
from typing import TYPE_CHECKING, Any, Final

from ..swarm.reader import Reader
from ..swarm.torrent import Torrent
from .engine import Engine

if TYPE_CHECKING:
    from .filesystem import TorrentFileSystem

_BUFFER: Final = 16 << 10
"""What a small read brings along: a block of the wire."""


class TorrentFile(io.BufferedIOBase):
    """A file of a torrent, as fsspec gives it out: for one thread at a time.

    What is asked for is read as it is, in one go: who reads a column's bytes wants no others. Only what is smaller than
    a block is read with what follows.

    Attributes:
        fs: the filesystem; it leaves its session when nobody has it any more.
        path: as it was opened.
        size: its bytes.
    """

    mode = "rb"

    def __init__(self, fs: TorrentFileSystem, engine: Engine, file: int, path: str) -> None:
        self.fs = fs
        self._engine = engine
        self._reader: Reader = engine.run(functools.partial(self._enter, engine.torrent, file))
        self._position = 0
        self._buffer = b""  # what lies from _buffered on
        self._buffered = 0
        self.path = path
        self.size = self._reader.size

    @staticmethod
    async def _enter(torrent: Torrent, file: int) -> Reader:
        return await torrent.open(file).__aenter__()

    @property
    def full_name(self) -> str:
        """The path with its protocol."""
        return f"torrent://{self.path}"

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """The position of the next byte to be read."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go somewhere else."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError(f"position {base + offset} is before the beginning")
        self._position = base + offset
        return self._position

    def peek(self, size: int = 0) -> bytes:
        """Some of what comes next, at least a byte where there is one; the position stays."""
        return self._some(1)

    def read(self, size: int | None = -1) -> bytes:
        """Exactly so many bytes, fewer only at the end; all the rest without a size."""
        left = max(0, self.size - self._position)
        wanted = left if size is None or size < 0 else min(size, left)
        data = self._some(wanted)[:wanted]
        self._position += len(data)
        return data

    def read1(self, size: int = -1) -> bytes:
        """Some bytes, with one read at most."""
        data = self._some(1)
        data = data if size < 0 else data[:size]
        self._position += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; fewer bytes only at the end."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close it; nothing more is fetched for it."""
        if not self.closed:
            super().close()
            # Not waited for: what nobody closed is closed by the collector, which may run in the loop's own thread.
            if hasattr(self, "_reader"):
                self._engine.portal.soon(self._reader.close)

    def _some(self, wanted: int) -> bytes:
        """So many bytes from the present position on, or more; fewer only at the end."""
        if self.closed:
            raise ValueError("I/O operation on closed file")
        at = self._position - self._buffered
        if 0 <= at < len(self._buffer) and at + wanted <= len(self._buffer):
            return self._buffer[at:]
        if wanted <= 0:
            return b""
        position, size = self._position, max(wanted, _BUFFER)
        data = self._engine.run(lambda: self._read(position, size))
        self._buffer, self._buffered = (data, position) if wanted < _BUFFER else (b"", 0)
        return data

    async def _read(self, position: int, size: int) -> bytes:
        self._reader.seek(position)
        return await self._reader.read(size)
