"""Reading a file of a torrent while it downloads."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import trio

from ..errors import StorageError, TorrentPausedError, TorrentRemovedError, again
from ..limits import READ_STEP
from ..metainfo.layout import Block
from ..stats import State
from ..strategy.window import Window
from .content import Content
from .reading import Place
from .selection import find_file

if TYPE_CHECKING:
    from .life import Life
    from .pieces import Pieces

_CHUNK = 64 << 10


class Reader(trio.abc.ReceiveStream):
    """A file of a torrent, open for reading: what is not here yet is fetched first, and only verified bytes are given.

        async with torrent.open("photos/a.jpg") as file:
            file.seek(-128, os.SEEK_END)
            tail = await file.read()

    It is also a ``trio.abc.ReceiveStream``: ``async for data in file`` goes through it in pieces of what is there.
    Any number of readers may be open, and each is for one task at a time. A read that is cancelled has read nothing.
    A file that is not selected can be read: as much of it is fetched as is read (and a little ahead).

    Raises (all reads, and entering):
        NoSuchFileError: the torrent has no such file.
        TorrentPausedError: it is paused, and what is asked for is not here.
        TorrentRemovedError: it was removed, or its session left.
        TorrentError: it failed (its ``error``). A full disk does not end the wait.
        trio.ClosedResourceError: the reader is closed.
        trio.BusyResourceError: another task is reading from it.
    """

    def __init__(self, life: Life, file: str | int | None, read_ahead: int | None) -> None:
        if read_ahead is not None and read_ahead < 0:
            raise ValueError("read_ahead must not be negative")
        self._life = life
        self._what = file
        self._read_ahead = read_ahead
        self._content: Content | None = None
        self._place: Place | None = None
        self._index = -1
        self._busy = False
        self._closed = False

    def __repr__(self) -> str:
        place = f"at {self._place.window.position} of {self._place.window.size}" if self._place else "not open"
        return f"<Reader {self._what!r} {'closed' if self._closed else place}>"

    # -- opening and closing -----------------------------------------------------------------------------------------

    async def __aenter__(self) -> Reader:
        await trio.lowlevel.checkpoint()
        await self._open()
        return self

    async def _open(self) -> Place:
        """Wait for the metadata, find the file."""
        while self._place is None:
            self._look()
            info, content = self._life.beginning.info, self._life.content
            if info is not None:  # of v2 maybe before its hashes, which can take long
                self._index = find_file(info, self._what)
            if content is not None:
                info = content.info
                start, size = info.layout.file_offsets[self._index], info.layout.file_lengths[self._index]
                self._content = content
                self._place = Place(Window(info.layout, start, size, self._read_ahead))
                self._life.reading.join(self._place)
            elif self._life.state is State.PAUSED:
                raise self._paused()
            else:
                await self._life.changed.wait()
        return self._place

    def close(self) -> None:
        """Close it; nothing more is fetched for it. A task that waits in it is woken."""
        self._closed = True
        if self._place is not None and self._content is not None:
            self._place.window.asked = 0
            self._life.reading.leave(self._place)
            self._place.wake()

    async def aclose(self) -> None:
        """Close it; see ``close``."""
        self.close()
        await trio.lowlevel.checkpoint()

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._closed

    # -- where it is -------------------------------------------------------------------------------------------------

    @property
    def file(self) -> int:
        """The file's index in ``metainfo.files``."""
        self._window()
        return self._index

    @property
    def size(self) -> int:
        """The file's bytes."""
        return self._window().size

    def tell(self) -> int:
        """The position of the next byte to be read."""
        return self._window().position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go somewhere else in the file; returns the position. It moves what is fetched at the next read.

        It is not async: nothing has to be waited for. A position after the end is allowed, and reads nothing there.

        Raises:
            ValueError: before the beginning, or no such ``whence``.
        """
        window = self._window()
        base = {os.SEEK_SET: 0, os.SEEK_CUR: window.position, os.SEEK_END: window.size}.get(whence)
        if base is None:
            raise ValueError(f"whence must be 0, 1 or 2, not {whence}")
        if base + offset < 0:
            raise ValueError(f"position {base + offset} is before the beginning")
        window.seek(base + offset)
        return window.position

    def _window(self) -> Window:
        if self._place is None:
            raise RuntimeError("not open yet: use it in an `async with` block")
        return self._place.window

    # -- reading -----------------------------------------------------------------------------------------------------

    async def read(self, size: int | None = -1) -> bytes:
        """Exactly ``size`` bytes from here on, fewer only at the end of the file; all the rest if it is negative."""
        place = await self._open()
        left = max(0, place.window.size - place.window.position)
        buffer = bytearray(left if size is None or size < 0 else min(size, left))
        await self.readinto(buffer)
        return bytes(buffer)

    async def readinto(self, buffer: bytearray | memoryview) -> int:
        """Fill a buffer from here on; returns how many bytes there were, fewer only at the end of the file.

        After a cancellation nothing more is written to the buffer, and it may have been filled in part.
        """
        view = memoryview(buffer).cast("B")
        return await self._fill(view, least=len(view), asked=len(view))

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """What is here from the present position on, at least one byte; nothing at the end of the file.

        Args:
            max_bytes: at most so many; None for 64 KiB.
        """
        if max_bytes is not None and max_bytes < 1:
            raise ValueError("max_bytes must be at least 1")
        buffer = bytearray(max_bytes or _CHUNK)
        count = await self._fill(memoryview(buffer), least=1, asked=len(buffer))
        return bytes(memoryview(buffer)[:count])

    @contextlib.contextmanager
    def _alone(self, place: Place) -> Iterator[None]:
        """One task at a time; afterwards nothing is asked for."""
        if self._busy:
            raise trio.BusyResourceError("another task is reading from this reader")
        self._busy = True
        try:
            yield
        finally:
            self._busy = False
            place.window.asked = 0
            self._life.reading.steer()

    async def _fill(self, view: memoryview, *, least: int, asked: int) -> int:
        """Read ``least`` bytes, and what is here of the rest; ``asked`` are fetched before all others meanwhile."""
        await trio.lowlevel.checkpoint()
        place = await self._open()
        window, before, done, success = place.window, place.window.position, 0, False
        view = view[: max(0, window.size - window.position)]
        least, asked = min(least, len(view)), min(asked, len(view))
        with self._alone(place):
            try:
                if not view:
                    self._look()
                while done < least:
                    window.asked = asked - done
                    pieces, count = await self._ready(place, min(len(view) - done, READ_STEP))
                    if await self._take(pieces, window, view[done : done + count]):
                        done += count
                        window.position += count
                success = True
                return done
            finally:
                window.position = before
                if success and done:
                    window.advance(done)

    def _here(self, window: Window, size: int) -> tuple[Pieces | None, int]:
        """How many of the next ``size`` bytes are here, and who has them."""
        pieces = self._content.pieces if self._content is not None else None
        if pieces is None or size <= 0:
            return pieces, 0
        layout, offset = pieces.layout, window.start + window.position
        span = layout.pieces_of_bytes(offset, size)
        missing = ~(pieces.picker.have >> span.start) & ((1 << len(span)) - 1)
        first = (missing & -missing).bit_length() - 1 if missing else len(span)
        return pieces, min(size, layout.offset(span.start + first) - offset) if first else 0

    async def _ready(self, place: Place, size: int) -> tuple[Pieces, int]:
        """Wait until some of the next ``size`` bytes are here; returns how many are.

        Not until all are: only the first 4 MiB are waited for at once, and a bounded storage may never hold them all.
        """
        while True:
            self._look()
            pieces, count = self._here(place.window, size)
            if pieces is not None and count:
                return pieces, count
            if self._life.state is State.PAUSED:
                raise self._paused()
            news = place.news
            self._life.reading.steer()
            await news.wait()

    async def _take(self, pieces: Pieces, window: Window, view: memoryview) -> bool:
        """Read verified bytes; False where they are not here any more."""
        layout, offset = pieces.layout, window.start + window.position
        blocks, views, done = [], [], 0
        if pieces.cache is not None:
            pieces.cache.touch(layout.pieces_of_bytes(offset, len(view)))
        while done < len(view):
            piece, begin = divmod(offset + done, layout.piece_length)
            length = min(len(view) - done, layout.piece_length - begin)
            blocks.append(Block(piece, begin, length))
            views.append(view[done : done + length])
            done += length
        if pieces.disk.read_now(blocks, views):
            return True
        # A cancelled read goes on in its thread: not into the caller's buffer.
        aside = [memoryview(bytearray(len(part))) for part in views]
        try:
            await pieces.disk.read(blocks, aside)
        except StorageError:
            if self._content is None or self._content.pieces is not pieces:
                return False  # closed for a recheck meanwhile
            if any(not pieces.picker.have >> block.piece & 1 for block in blocks):
                return False
            raise
        for part, data in zip(views, aside, strict=True):
            part[:] = data
        return True

    def _look(self) -> None:
        """Raise what keeps it from reading for good."""
        life = self._life
        if self._closed:
            raise trio.ClosedResourceError("this reader is closed")
        if life.state is State.CLOSED:
            raise TorrentRemovedError(f"{life.name}: the torrent was removed")
        if life.state is State.ERROR and life.error is not None:
            raise again(life.error)

    def _paused(self) -> TorrentPausedError:
        return TorrentPausedError(f"{self._life.name}: it is paused, and this part is not here", hint="resume it")


async def read_on(reader: Reader, size: int, most: int) -> memoryview:
    """Read exactly ``size`` bytes, and what is here of those that follow: ``most`` in all, if that is more.

    For who must cross to Trio for each read; a name of its own, as it is the library's and not its users'.
    """
    buffer = memoryview(bytearray(max(size, most)))
    return buffer[: await reader._fill(buffer, least=size, asked=size)]
