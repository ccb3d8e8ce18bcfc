"""One direction of a simulated TCP connection: from the sender's socket buffer to the receiver's.

What is modelled: both hosts' rates (``link.py``), distance, bounded buffers at both ends, a window that grows while
nothing queues and shrinks where data waits before the receiver's line, packet loss as delay (what is lost is sent
again, and what follows waits for it), and an unreachable receiver (tried again with growing pauses, then given up).
What is not: the cost of headers and acknowledgements, which return at once; loss does not slow a sender down.
"""

from __future__ import annotations

import dataclasses
import random
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from .. import limits
from .clock import Timeline
from .link import PACKET, QUEUE_TIME, Chunk, Line
from .trace import Trace

SEND_BUFFER: Final = limits.NOTSENT_LOWAT
"""Bytes that wait at the sender: what a real socket takes as torrentlite sets it up."""
RECEIVE_BUFFER: Final = 1 << 20
"""Bytes on the way and unread, at most; real systems grow theirs to some MiB."""
_FIRST_WINDOW: Final = 64 << 10
_SMALLEST_WINDOW: Final = 4 * PACKET
_FIRST_RETRY: Final = 0.2  # seconds; Linux, TCP_RTO_MIN
_LAST_RETRY: Final = 120.0  # TCP_RTO_MAX
GIVE_UP: Final = 924.6
"""Seconds until a sender whose receiver does not answer closes the connection (Linux, tcp_retries2)."""


@dataclasses.dataclass(slots=True, frozen=True)
class Path:
    """The way between two hosts, in one direction.

    Attributes:
        name: both ends, for the trace.
        up: the sender's way out.
        down: the receiver's way in.
        latency: seconds.
        loss: the share of packets that are lost.
        send_buffer: bytes that may wait at the sender.
        reachable: whether anything arrives at present.
        rng: decides what is lost.
    """

    name: str
    up: Line
    down: Line
    latency: float
    loss: float
    send_buffer: int
    reachable: Callable[[], bool]
    rng: random.Random


class End(Protocol):
    """One end of a connection: what its flows tell it."""

    def got_room(self) -> None:
        """At least half of the sender's buffer is free."""

    def got_data(self, size: int) -> None:
        """So many bytes have arrived (0: the end did)."""

    def got_unwanted(self) -> None:
        """Bytes have arrived that are not taken any more (``refuse``)."""

    def got_reset(self) -> None:
        """The other end has broken off."""

    def gave_up(self) -> None:
        """The other end could not be reached for ``GIVE_UP`` seconds."""


class Flow:
    """One direction of a connection; it is also the sender's lane of its line.

    Args:
        timeline: where its moments are.
        trace: is told what arrives, what is lost ("lost": a chunk with packets to be sent again), what finds the
            receiver unreachable ("stalled", "gave up"), and what breaks off ("reset").
        path: the way it goes.
        sender: told of room, and of giving up.
        receiver: told of data, and of a reset.
    """

    def __init__(self, timeline: Timeline, trace: Trace, path: Path, *, sender: End, receiver: End) -> None:
        self._timeline = timeline
        self._trace = trace
        self._path = path
        self._sender = sender
        self._receiver = receiver
        self.tag = 0.0
        self._unsent = bytearray()
        self._flying = 0
        self._unread = bytearray()
        self._window = float(_FIRST_WINDOW)
        self._queued = False
        self._ending = False  # the sender has said all
        self._end_sent = False
        self._cut = False
        self._refused = False
        self._last_arrival = 0.0
        self._stalled: deque[Chunk] = deque()
        self._stalled_since = 0.0
        self._arrivals = _Arrivals(self, path.down)
        self.ended = False
        """Whether the end has arrived (what arrived before it may still be unread)."""

    def __repr__(self) -> str:
        return f"<Flow: {len(self._unsent)} unsent, {self._flying} flying, {len(self._unread)} unread>"

    # -- the sender's end

    @property
    def room(self) -> int:
        """Bytes that ``write`` would take. Where it is 0, the sender will be told of room."""
        return self._path.send_buffer - len(self._unsent)

    def write(self, data: memoryview) -> int:
        """Take as many bytes as there is room for; their number. They leave with ``push``."""
        taken = min(len(data), self.room)
        self._unsent += data[:taken]
        return taken

    def push(self) -> None:
        """What was written may leave."""
        self._go()

    def end(self) -> None:
        """Nothing will be written any more; what was is still delivered."""
        self._ending = True
        self._go()

    def break_off(self) -> None:
        """Drop what has not arrived and tell the receiver so (RST). May be done again: the first may have been lost."""
        self.cut()
        self._trace.record("reset", self._path.name)
        self._timeline.call_after(self._path.latency, self._reset_arrived)

    # -- the receiver's end

    @property
    def unread(self) -> int:
        """Bytes that have arrived and were not read."""
        return len(self._unread)

    def discard(self) -> None:
        """Forget bytes that have arrived: nobody will read them."""
        self._unread.clear()

    def refuse(self) -> None:
        """Take nothing that arrives from now on: the receiver is told of it and should answer with a reset."""
        self._refused = True

    def read(self, buffer: memoryview) -> int:
        """Move bytes that have arrived to the start of a buffer; their number."""
        size = min(len(buffer), len(self._unread))
        with memoryview(self._unread) as view:
            buffer[:size] = view[:size]
        del self._unread[:size]
        self._go()
        return size

    # -- both

    @property
    def held(self) -> int:
        """Bytes in its buffers and on the way."""
        return len(self._unsent) + self._flying + len(self._unread)

    def cut(self) -> None:
        """The sender's end is gone: forget what has not arrived. What has can still be read."""
        self._cut = True
        self._unsent.clear()
        self._flying = 0
        self._stalled.clear()
        self._arrivals.forget()

    # -- on the way

    def _go(self) -> None:
        if not self._queued and self._may_send() is not None:
            self._queued = True
            self._path.up.push(self)

    def _may_send(self) -> int | None:
        """Bytes of the next chunk; 0 for the end alone, None when nothing may go now."""
        if self._cut:
            return None
        if not self._unsent:
            return 0 if self._ending and not self._end_sent else None
        largest = min(self._path.up.chunk_size, self._path.down.chunk_size, max(PACKET, int(self._window) // 2))
        size = min(len(self._unsent), largest)
        if self._flying + size > self._window or self._flying + size + len(self._unread) > RECEIVE_BUFFER:
            return None
        return size

    def take(self) -> Chunk | None:
        """See ``Lane.take``."""
        self._queued = False
        size = self._may_send()
        if size is None:
            return None
        data = bytes(self._unsent[:size])
        del self._unsent[:size]
        self._flying += size
        self._end_sent = self._ending and not self._unsent
        now = self._timeline.now
        return Chunk(data, self._end_sent, now, now)

    def carried(self, chunk: Chunk, start: float) -> None:
        """See ``Lane.carried``: it has left the sender."""
        if self._cut:
            return
        distance = self._path.latency + self._delay_by_loss(len(chunk.data))
        chunk.first = start + distance
        chunk.last = self._last_arrival = max(self._timeline.now + distance, self._last_arrival)
        self._timeline.call_at(chunk.last, self._arrived, chunk)
        self._go()
        if len(self._unsent) <= self._path.send_buffer // 2:
            self._sender.got_room()

    def _delay_by_loss(self, size: int) -> float:
        """Rounds of sending again, each a round trip long, until none of the chunk's packets is lost."""
        loss = self._path.loss
        packets = -(-size // PACKET)
        delay = 0.0
        while packets and loss and self._path.rng.random() > (1 - loss) ** packets:
            delay += max(2 * self._path.latency, _FIRST_RETRY)
            packets = max(1, round(packets * loss))
        if delay:
            self._trace.record("lost", self._path.name, size)
        return delay

    def _arrived(self, chunk: Chunk) -> None:
        if self._cut:
            return
        if self._stalled:
            self._stalled.append(chunk)
        elif self._path.reachable():
            self._arrivals.push(chunk)
        else:
            self._trace.record("stalled", self._path.name)
            self._stalled.append(chunk)
            self._stalled_since = self._timeline.now
            self._timeline.call_after(_FIRST_RETRY, self._try_again, 2 * _FIRST_RETRY)

    def _try_again(self, pause: float) -> None:
        if self._cut:
            return
        now = self._timeline.now
        if self._path.reachable():
            while self._stalled:
                chunk = self._stalled.popleft()
                chunk.first = chunk.last = now
                self._arrivals.push(chunk)
        elif now - self._stalled_since > GIVE_UP:
            self._trace.record("gave up", self._path.name)
            self._sender.gave_up()
        else:
            self._timeline.call_after(pause, self._try_again, min(2 * pause, _LAST_RETRY))

    def _reset_arrived(self) -> None:
        if self._path.reachable():
            self._receiver.got_reset()

    def delivered(self, chunk: Chunk, waited: float) -> None:
        """A chunk is in the receiver's buffer, after it waited so many seconds before the receiver's line."""
        if self._cut:
            return
        size = len(chunk.data)
        # Grow while nothing waits, shrink when too much does, in proportion (the controller of LEDBAT, RFC 6817):
        # doubling in a round trip at most (slow start), at rest when QUEUE_TIME is spent before the line. A sender that
        # does not use its window earns no larger one (RFC 7661).
        if waited > QUEUE_TIME or 2 * self._flying >= self._window:
            self._window += size * max(-0.5, 1 - waited / QUEUE_TIME)
            self._window = min(max(self._window, _SMALLEST_WINDOW), RECEIVE_BUFFER)
        self._flying -= size
        if not self._refused:
            self._unread += chunk.data
            self.ended = chunk.end
            self._trace.record("delivered", self._path.name, size)
            self._receiver.got_data(size)
        elif size:
            self._receiver.got_unwanted()
        self._go()


class _Arrivals:
    """A flow's lane of the receiver's line: chunks that have come the distance."""

    __slots__ = ("_chunks", "_flow", "_line", "_queued", "tag")

    def __init__(self, flow: Flow, line: Line) -> None:
        self._flow = flow
        self._line = line
        self._chunks: deque[Chunk] = deque()
        self._queued = False
        self.tag = 0.0

    def push(self, chunk: Chunk) -> None:
        self._chunks.append(chunk)
        self._ask()

    def forget(self) -> None:
        self._chunks.clear()

    def _ask(self) -> None:
        if self._chunks and not self._queued:
            self._queued = True
            self._line.push(self)

    def take(self) -> Chunk | None:
        self._queued = False
        return self._chunks.popleft() if self._chunks else None

    def carried(self, chunk: Chunk, start: float) -> None:
        self._flow.delivered(chunk, start - chunk.first)
        self._ask()
