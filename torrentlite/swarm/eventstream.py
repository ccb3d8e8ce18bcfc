"""What ``torrent.events()`` gives: a bounded queue for one reader."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

import trio

from ..events import Event, PieceVerified, Progress
from ..limits import MAX_EVENTS

StreamT = TypeVar("StreamT", bound="EventStream")


class Wake(Protocol):
    """What an event loop offers to wait for something: ``trio.Event`` and ``asyncio.Event`` both do."""

    def set(self) -> None:
        """Wake who waits."""

    async def wait(self) -> object:
        """Wait until it is set."""


class EventStream:
    """Events of one torrent, as an async iterator; it ends when the torrent does.

    Nobody waits for its reader: when the queue is full the oldest ``Progress`` (or ``PieceVerified``) is dropped, and
    only where there is none the oldest event of all.

    Attributes:
        dropped: how many were.
    """

    def __init__(self) -> None:
        self._queue: deque[Event] = deque()
        self._wake = self._new_wake()
        self._closed = False
        self.dropped = 0

    def put(self, event: Event) -> None:
        """Add an event (sync)."""
        if isinstance(event, Progress) and self._queue and isinstance(self._queue[-1], Progress):
            self._queue[-1] = event
            return
        if len(self._queue) >= MAX_EVENTS:
            self.dropped += 1
            victim = next((i for i, old in enumerate(self._queue) if isinstance(old, Progress | PieceVerified)), 0)
            del self._queue[victim]
        self._queue.append(event)
        self._wake.set()

    def close(self) -> None:
        """No more events; what is queued can still be read."""
        self._closed = True
        self._wake.set()

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> Event:
        await self._checkpoint()
        while not self._queue:
            if self._closed:
                raise StopAsyncIteration
            self._wake = self._new_wake()
            await self._wake.wait()
        return self._queue.popleft()

    def take(self) -> list[Event]:
        """What is queued now, without waiting."""
        taken = list(self._queue)
        self._queue.clear()
        return taken

    # -- what depends on the loop in which it is read ------------------------------------------------------------------

    def _new_wake(self) -> Wake:
        return trio.Event()

    async def _checkpoint(self) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()


class Streams:
    """The readers of one torrent's events.

    Args:
        opened: called when there is one more.
    """

    def __init__(self, opened: Callable[[], None]) -> None:
        self._opened = opened
        self._open: dict[EventStream, None] = {}
        self._closed = False

    def __bool__(self) -> bool:
        return bool(self._open)

    def put(self, event: Event) -> None:
        """Tell all readers."""
        for stream in self._open:
            stream.put(event)

    @contextlib.contextmanager
    def reading(self, stream: StreamT) -> Iterator[StreamT]:
        """Put into this stream what happens while the block lasts."""
        self._open[stream] = None
        self._opened()
        if self._closed:
            stream.close()
        try:
            yield stream
        finally:
            del self._open[stream]

    def close(self) -> None:
        """Nothing happens any more."""
        self._closed = True
        for stream in self._open:
            stream.close()
