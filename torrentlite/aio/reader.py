"""A file of a torrent as an aiofiles handle: its reads first await what is read, and then are aiofiles' own."""

from __future__ import annotations

import asyncio
import functools
import io
import os
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Final, TypeVar

import trio
from aiofiles.threadpool.binary import AsyncBufferedReader

from ..swarm import reader
from .guest import guest, until_done

T = TypeVar("T")

_BUFFER: Final = 128 << 10
"""Bytes that one visit to a thread takes from what is here: small reads and lines are cut from them."""

_CLOSED: Final = "I/O operation on closed file"


class Reader(AsyncBufferedReader):
    """A file of a torrent, open for reading: what is not here yet is fetched first, and only verified bytes are given.

        async with torrent.open("photos/a.jpg") as file:
            await file.seek(-128, os.SEEK_END)
            tail = await file.read()

    It is a handle of aiofiles, with all that those have; iterating gives lines. Made by ``Torrent.open``. Any number
    may be open. A read that is cancelled has read nothing, and holds no thread: nothing waits in one for the network.

    Raises (all reads):
        TorrentPausedError: the torrent is paused, and what is asked for is not here.
        TorrentRemovedError: it was removed, or its session left.
        TorrentError: it failed (its ``error``). A full disk does not end the wait.
        ValueError: the file is closed.
    """

    def __init__(self, opened: reader.Reader, token: trio.lowlevel.TrioToken, loop: asyncio.AbstractEventLoop) -> None:
        self._raw = _Raw(opened, token)
        self._reader = opened
        self._buffer = io.BufferedReader(self._raw, _BUFFER)
        self._alone = asyncio.Lock()
        super().__init__(self._buffer, loop, None)

    @property
    def size(self) -> int:
        """The file's bytes."""
        return self._reader.size

    async def read(self, size: int | None = -1, /) -> bytes:
        """Exactly ``size`` bytes from here on, fewer only at the end of the file; all the rest if it is negative."""
        wanted = self.size if size is None or size < 0 else size
        parts: list[bytes] = []
        async with self._alone:
            start = self._buffer.tell()
            try:
                while (left := wanted - sum(map(len, parts))) > 0:
                    await self._arrival(left)
                    part = await _whole(super().read(left))
                    if not part:
                        break
                    parts.append(part)
            except BaseException:
                self._back(start)
                raise
        return b"".join(parts)

    async def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        """Fill a buffer from here on; returns how many bytes there were, fewer only at the end of the file."""
        view = memoryview(buffer).cast("B")
        data = await self.read(len(view))
        view[: len(data)] = data
        return len(data)

    async def read1(self, size: int = -1, /) -> bytes:
        """What is here from the present position on, at least one byte; nothing at the end of the file."""
        return await self._some(lambda: super(Reader, self).read1(size))

    async def peek(self, size: int = 1, /) -> bytes:
        """The next bytes without advancing, at least one; nothing at the end of the file."""
        return await self._some(lambda: super(Reader, self).peek(size))

    async def readline(self, size: int | None = -1, /) -> bytes:
        """A line, with its end; not more than ``size`` bytes of it unless that is negative."""
        most = -1 if size is None or size < 0 else size
        line = b""
        async with self._alone:
            start = self._buffer.tell()
            try:
                while not line.endswith(b"\n") and len(line) != most:
                    await self._arrival(1)
                    part = await _whole(super().readline(most - len(line) if most >= 0 else -1))
                    if not part:
                        break
                    line += part
            except BaseException:
                self._back(start)
                raise
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

    async def _some(self, look: Callable[[], Coroutine[Any, Any, bytes]]) -> bytes:
        async with self._alone:
            start = self._buffer.tell()
            try:
                await self._arrival(1)
                return await _whole(look())
            except BaseException:
                self._back(start)
                raise

    async def _arrival(self, size: int) -> None:
        """Wait until the next bytes are in the buffer, or can be read at once."""
        buffered = self._raw.tell() - self._buffer.tell()
        need = min(size - buffered, self._reader.size - self._reader.tell())
        if need > 0 and self._reader.ready(need) < need:
            try:
                async with guest() as host:
                    await host.run(functools.partial(self._reader.wait_ready, need))
            except trio.ClosedResourceError as error:
                raise ValueError(_CLOSED) from error

    def _back(self, position: int) -> None:
        if not self._buffer.closed:
            self._buffer.seek(position)


class _Raw(io.RawIOBase):
    """The file below aiofiles' handle, read in its threads: never blocks for the network, says None instead."""

    def __init__(self, opened: reader.Reader, token: trio.lowlevel.TrioToken) -> None:
        self._reader = opened
        self._token = token
        self.name = str(opened.file)
        self.mode = "rb"

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        if self.closed:
            raise ValueError(_CLOSED)
        return self._reader.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if self.closed:
            raise ValueError(_CLOSED)
        return self._reader.seek(offset, whence)

    def readinto(self, buffer: Any) -> int | None:
        return trio.from_thread.run(self._fill, memoryview(buffer).cast("B"), trio_token=self._token)

    async def _fill(self, view: memoryview) -> int | None:
        if self._reader.tell() >= self._reader.size:
            return 0
        here = self._reader.ready(len(view))
        return await self._reader.readinto(view[:here]) if here else None


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
                token = await host.run(self._enter)
        except BaseException:
            self._reader.close()
            raise
        return Reader(self._reader, token, asyncio.get_running_loop())

    async def _enter(self) -> trio.lowlevel.TrioToken:
        await self._reader.__aenter__()
        return trio.lowlevel.current_trio_token()


async def _whole(job: Coroutine[Any, Any, T]) -> T:
    """Wait for what a thread does, also when cancelled: it is soon done, and must not go on behind our back."""
    task = asyncio.ensure_future(job)
    if await until_done(task):
        raise asyncio.CancelledError
    return task.result()
