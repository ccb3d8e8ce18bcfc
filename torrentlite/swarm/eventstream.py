"""What ``torrent.events()`` gives: a bounded queue for one reader."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator

import trio

from ..events import Event, PieceVerified, Progress
from ..limits import MAX_EVENTS


class EventStream:
    """Events of one torrent, as an async iterator; it ends when the torrent does.

    Nobody waits for its reader: when the queue is full the oldest ``Progress`` (or ``PieceVerified``) is dropped, and
    only where there is none the oldest event of all.
    """

    def __init__(self) -> None:
        self._queue: deque[Event] = deque()
        self._wake = trio.Event()
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
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self._queue:
            if self._closed:
                raise StopAsyncIteration
            self._wake = trio.Event()
            await self._wake.wait()
        return self._queue.popleft()


class Streams:
    """The readers of one torrent's events."""

    def __init__(self) -> None:
        self._open: dict[EventStream, None] = {}
        self._closed = False

    def __bool__(self) -> bool:
        return bool(self._open)

    def put(self, event: Event) -> None:
        """Tell all readers."""
        for stream in self._open:
            stream.put(event)

    @contextlib.contextmanager
    def reading(self) -> Iterator[EventStream]:
        """A stream of what happens while the block lasts."""
        stream = EventStream()
        self._open[stream] = None
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
