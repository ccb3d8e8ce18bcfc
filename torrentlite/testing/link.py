"""Access lines: what a host can carry, and who is next.

A stream is cut into chunks. A line carries one chunk after the other in each direction, and the connections that have
something to carry take turns so that each gets the same share of bytes (start-time fair queueing), as TCP connections
over one line do in the long run. A chunk passes the sender's way out, the distance, and the receiver's way in.
"""

from __future__ import annotations

import dataclasses
import heapq
from typing import Final, Protocol

from .clock import Timeline

PACKET: Final = 1460
"""Bytes of a TCP segment on Ethernet; nothing is cut smaller for the sake of fairness."""
CHUNK_TIME: Final = 1 / 64
"""Seconds that a chunk may occupy a line: others wait that long for their turn. Less costs more callbacks."""
MAX_CHUNK: Final = 64 << 10
"""The largest chunk on fast lines; it is what the virtual world costs in real time."""
QUEUE_TIME: Final = 0.1
"""Seconds of data that may wait before a full line, as in a common router. Streams keep to it by their window
(``flow.py``), datagrams beyond it are dropped."""


@dataclasses.dataclass(slots=True, eq=False)
class Chunk:
    """Bytes of a stream on their way.

    Attributes:
        data: the bytes; none where only the end is told.
        end: nothing comes after it (FIN).
        first: when its first byte reaches the line (so that a line can begin before all of it is there).
        last: when its last byte does.
    """

    data: bytes
    end: bool
    first: float
    last: float


class Lane(Protocol):
    """One of those who share a line."""

    tag: float
    """The line's note of how much it has had."""

    def take(self) -> Chunk | None:
        """What to carry now; None when there is nothing after all."""

    def carried(self, chunk: Chunk, start: float) -> None:
        """It has been carried, now; ``start`` is when its first byte was."""


class Line:
    """One direction of a host's access line, for streams.

    Args:
        timeline: where its moments are.
        rate: bytes per second, 0 for unlimited.
    """

    def __init__(self, timeline: Timeline, rate: float) -> None:
        self._timeline = timeline
        self._queue: list[tuple[float, int, Lane]] = []
        self._served = 0.0  # the tag of the lane in service: how much each backlogged lane has had, in bytes
        self._pushed = 0
        self._busy = False
        self._free_at = 0.0
        self.rate = rate

    @property
    def rate(self) -> float:
        """Bytes per second, 0 for unlimited; may be changed at any time (what is being carried keeps its pace)."""
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        self._rate = rate
        self.chunk_size: int = min(MAX_CHUNK, max(PACKET, int(rate * CHUNK_TIME))) if rate else MAX_CHUNK
        """Bytes that one turn may carry."""

    def push(self, lane: Lane) -> None:
        """This lane has a chunk; it stands in the queue at most once."""
        self._pushed += 1
        # A lane that was away is not owed the turns it missed.
        heapq.heappush(self._queue, (max(self._served, lane.tag), self._pushed, lane))
        if not self._busy:
            self._serve()

    def _serve(self) -> None:
        self._busy = True
        while self._queue:
            self._served, _, lane = heapq.heappop(self._queue)
            chunk = lane.take()
            if chunk is None:
                continue
            lane.tag = self._served + len(chunk.data)
            start = max(self._free_at, chunk.first)
            self._free_at = max(chunk.last, start + len(chunk.data) / self._rate if self._rate else start)
            if self._free_at > self._timeline.now:
                self._timeline.call_at(self._free_at, self._carried, lane, chunk, start)
                return
            lane.carried(chunk, start)
        self._busy = False

    def _carried(self, lane: Lane, chunk: Chunk, start: float) -> None:
        lane.carried(chunk, start)
        self._serve()


class PacketLine:
    """One direction of a host's access line, for datagrams: first come, first served, and a short queue.

    Datagrams are counted apart from streams: each kind has the whole rate. (They are few: trackers and the DHT.)
    """

    __slots__ = ("_free_at", "rate")

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._free_at = 0.0

    def pass_at(self, now: float, size: int) -> float | None:
        """When a datagram that comes now has passed; None: the queue is full and it is dropped."""
        if not self.rate:
            return now
        start = max(now, self._free_at)
        if start - now > QUEUE_TIME:
            return None
        self._free_at = start + size / self.rate
        return self._free_at
