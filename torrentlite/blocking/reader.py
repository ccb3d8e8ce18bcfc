"""A file of a torrent as a plain binary file."""

from __future__ import annotations

import io
import os
from collections.abc import Awaitable, Callable
from typing import Any, Final

import trio

from ..ahead import Ahead
from ..loops import require_no_loop
from ..swarm import reader
from .portal import Portal

_CLOSED: Final = "I/O operation on closed file"


class Reader(io.RawIOBase):
    """A file of a torrent, open for reading: what is not here yet is fetched first, and only verified bytes are given.

        with torrent.open("photos.zip") as file, zipfile.ZipFile(file) as photos:
            print(photos.namelist())

    A seekable binary file; ``io.BufferedReader`` gives it lines, ``io.TextIOWrapper`` text. Made by ``Torrent.open``.
    Any number may be open, each for one thread at a time. A read that is interrupted has read nothing.

    Raises (all reads):
        TorrentPausedError: the torrent is paused, and what is asked for is not here.
        TorrentRemovedError: it was removed, or its session left.
        TorrentError: it failed (its ``error``). A full disk does not end the wait.
        TimeoutError: it took longer than the ``timeout`` it was opened with.
        ValueError: the file is closed.
    """

    def __init__(self, opened: reader.Reader, portal: Portal, timeout: float | None) -> None:
        self._reader = opened
        self._portal = portal
        self._timeout = timeout
        self._portal.run(opened.__aenter__, timeout=timeout)
        self._ahead = Ahead(opened)
        self.name = str(opened.file)
        self.mode = "rb"

    @property
    def size(self) -> int:
        """The file's bytes."""
        return self._reader.size

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The position of the next byte to be read."""
        self._check()
        return self._ahead.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go somewhere else in the file; returns the position. It moves what is fetched at the next read."""
        self._check()
        return self._ahead.seek(offset, whence)

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer from here on; returns how many bytes there were, fewer only at the end of the file."""
        self._check()
        view = memoryview(buffer).cast("B")
        if missing := self._ahead.missing(len(view)):
            self._run(lambda: self._ahead.fetch(missing))
        return self._ahead.take(view)

    def read(self, size: int | None = -1, /) -> bytes:
        """Exactly ``size`` bytes from here on, fewer only at the end of the file; all the rest if it is negative."""
        left = max(0, self.size - self.tell())
        buffer = bytearray(left if size is None or size < 0 else min(size, left))
        self.readinto(buffer)
        return bytes(buffer)

    def readall(self) -> bytes:
        """All the rest."""
        return self.read()

    def write(self, data: Any, /) -> int:
        """It cannot be written to.

        Raises:
            io.UnsupportedOperation: always.
        """
        raise io.UnsupportedOperation("a file of a torrent is read only")

    def close(self) -> None:
        """Close it; nothing more is fetched for it."""
        if not self.closed:
            super().close()
            if hasattr(self, "_portal"):
                self._portal.soon(self._reader.close)

    def _check(self) -> None:
        if self.closed:
            raise ValueError(_CLOSED)

    def _run(self, fetch: Callable[[], Awaitable[None]]) -> None:
        require_no_loop("Reader.read")
        try:
            self._portal.run(fetch, timeout=self._timeout)
        except trio.ClosedResourceError as error:
            raise ValueError(_CLOSED) from error
