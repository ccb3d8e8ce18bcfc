"""A file of a torrent as an aiofiles handle."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import os
from collections.abc import AsyncIterator, Awaitable, Generator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Final

import trio
from aiofiles.threadpool.binary import AsyncBufferedReader

from ..ahead import AHEAD, Ahead
from ..swarm import reader
from .guest import guest

_CLOSED: Final = "I/O operation on closed file"


class Reader(AsyncBufferedReader):
    """A file of a torrent, open for reading: what is not here yet is fetched first, and only verified bytes are given.

        async with torrent.open("photos/a.jpg") as file:
            await file.seek(-128, os.SEEK_END)
            tail = await file.read()

    It is a handle of aiofiles, with all that those have; iterating gives lines. Made by ``Torrent.open``. Any number
    may be open. A read that is cancelled has read nothing. Unlike other handles it reads in no thread: its bytes come
    from Trio in large steps, and what is cut from them is here.

    Raises (all reads):
        TorrentPausedError: the torrent is paused, and what is asked for is not here.
        TorrentRemovedError: it was removed, or its session left.
        TorrentError: it failed (its ``error``). A full disk does not end the wait.
        ValueError: the file is closed.
    """

    def __init__(self, opened: reader.Reader, loop: asyncio.AbstractEventLoop) -> None:
        self._reader = opened
        self._ahead = Ahead(opened)
        self._buffer = io.BufferedReader(_Raw(opened, self._ahead), AHEAD)
        self._turn = asyncio.Lock()
        super().__init__(self._buffer, loop, None)

    @property
    def size(self) -> int:
        """The file's bytes."""
        return self._reader.size

    async def tell(self) -> int:
        """The position of the next byte to be read."""
        return self._buffer.tell()

    async def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go somewhere else in the file; returns the position. It moves what is fetched at the next read."""
        async with self._turn:
            return self._buffer.seek(offset, whence)

    async def read(self, size: int | None = -1, /) -> bytes:
        """Exactly ``size`` bytes from here on, fewer only at the end of the file; all the rest if it is negative."""
        wanted = self.size if size is None or size < 0 else size
        if wanted <= self._ahead.tell() - self._buffer.tell() and not self._turn.locked():
            return self._buffer.read(wanted)  # nothing to wait for
        data = b""
        async with self._reading():
            while len(data) < wanted:
                await self._arrival(wanted - len(data))
                part = self._buffer.read(wanted - len(data))
                if not part:
                    break
                data = data + part if data else part
        return data

    async def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        """Fill a buffer from here on; returns how many bytes there were, fewer only at the end of the file."""
        view = memoryview(buffer).cast("B")
        data = await self.read(len(view))
        view[: len(data)] = data
        return len(data)

    async def read1(self, size: int = -1, /) -> bytes:
        """What is here from the present position on, at least one byte; nothing at the end of the file."""
        async with self._reading():
            await self._arrival(1)
            return self._buffer.read1(size)

    async def peek(self, size: int = 1, /) -> bytes:
        """The next bytes without advancing, at least one; nothing at the end of the file."""
        async with self._reading():
            await self._arrival(1)
            return self._buffer.peek(size)

    async def readline(self, size: int | None = -1, /) -> bytes:
        """A line, with its end; not more than ``size`` bytes of it unless that is negative."""
        most = -1 if size is None or size < 0 else size
        line = b""
        async with self._reading():
            while not line.endswith(b"\n") and len(line) != most:
                await self._arrival(1)
                part = self._buffer.readline(most - len(line) if most >= 0 else -1)
                if not part:
                    break
                line += part
        return line

    async def readlines(self, hint: int = -1, /) -> list[bytes]:
        """All lines from here on; with a positive ``hint`` those that begin in the next so many bytes."""
        lines: list[bytes] = []
        size = 0
        while (hint is None or hint <= 0 or size < hint) and (line := await self.readline()):
            lines.append(line)
            size += len(line)
        return lines

    async def close(self) -> None:
        """Close it; nothing more is fetched for it. A task that waits in it gets ValueError."""
        self._reader.close()
        await super().close()

    # -- inside ------------------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _reading(self) -> AsyncIterator[None]:
        """One task after the other; who does not come to the end has not moved."""
        async with self._turn:
            start = self._buffer.tell()
            try:
                yield
            except BaseException:
                if not self._buffer.closed:
                    self._buffer.seek(start)
                raise

    async def _arrival(self, size: int) -> None:
        """Have the next bytes here."""
        buffered = self._ahead.tell() - self._buffer.tell()
        if missing := self._ahead.missing(size - buffered):
            try:
                async with guest() as host:
                    await host.run(functools.partial(self._ahead.fetch, missing))
            except trio.ClosedResourceError as error:
                raise ValueError(_CLOSED) from error


class _Raw(io.RawIOBase):
    """What the handle's buffer is filled from: what is here. Where that is nothing it says None, and never waits."""

    def __init__(self, opened: reader.Reader, ahead: Ahead) -> None:
        self._ahead = ahead
        self.name = str(opened.file)
        self.mode = "rb"

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        self._check()
        return self._ahead.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._check()
        return self._ahead.seek(offset, whence)

    def readinto(self, buffer: Any) -> int | None:
        count = self._ahead.take(memoryview(buffer).cast("B"))
        return None if not count and self._ahead.missing(1) else count

    def _check(self) -> None:
        if self.closed:
            raise ValueError(_CLOSED)


class Opening(AbstractAsyncContextManager[Reader], Awaitable[Reader]):
    """``async with torrent.open(…) as file``, or ``file = await torrent.open(…)`` and ``await file.close()`` later."""

    def __init__(self, opened: reader.Reader) -> None:
        self._reader = opened
        self._file: Reader | None = None

    def __await__(self) -> Generator[Any, Any, Reader]:
        return self._open().__await__()

    async def __aenter__(self) -> Reader:
        self._file = await self._open()
        return self._file

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._file is not None
        await self._file.close()

    async def _open(self) -> Reader:
        try:
            async with guest() as host:
                await host.run(self._reader.__aenter__)
        except BaseException:
            self._reader.close()
            raise
        return Reader(self._reader, asyncio.get_running_loop())
