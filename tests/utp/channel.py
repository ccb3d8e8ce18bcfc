"""Two connections, and a network between them that does what networks do; all on one virtual time line."""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torrentlite import limits
from torrentlite.utp.connection import Connection, State
from torrentlite.wire.utp import RESET, STATE, SYN, Packet, encode, parse, refuse

HEADERS = 28  # bytes of IP and UDP, which a line carries too
RECEIVE_ID = 1000


class TimeLine:
    """What happens when."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []
        self._added = itertools.count()

    def at(self, moment: float, act: Callable[..., object], *args: Any) -> None:
        heapq.heappush(self._heap, (moment, next(self._added), act, args))

    def run(self, until: float, done: Callable[[], bool] = lambda: False) -> bool:
        """Whether it was done before that moment."""
        while self._heap and self._heap[0][0] <= until:
            if done():
                return True
            self.now, _, act, args = heapq.heappop(self._heap)
            act(*args)
        self.now = until
        return done()


@dataclasses.dataclass
class Line:
    """One direction.

    Attributes:
        delay: seconds of the way.
        jitter: seconds more at most: packets overtake each other.
        loss, twice: shares of those that get lost, or come twice.
        rate: bytes per second, 0 for unlimited.
        queue: bytes that may wait for that; what is more is lost.
        drop: says of each packet, by its number on this line, whether it gets lost.
        filter: what becomes of a datagram on its way; None: nothing.
    """

    timeline: TimeLine
    rng: random.Random
    delay: float = 0.02
    jitter: float = 0.0
    loss: float = 0.0
    twice: float = 0.0
    rate: float = 0.0
    queue: float = 1e9
    drop: Callable[[int, bytes], bool] = lambda number, data: False
    filter: Callable[[bytes], bytes | None] = lambda data: data
    sent: int = 0
    lost: int = 0
    overflowed: int = 0
    free_at: float = 0.0
    waits: list[tuple[float, float]] = dataclasses.field(default_factory=list)  # when, and seconds in the queue

    def carry(self, data: bytes, size: int, arrived: Callable[[bytes], object]) -> None:
        number, self.sent = self.sent, self.sent + 1
        if self.drop(number, data) or self.rng.random() < self.loss:
            self.lost += 1
            return
        for _ in range(1 + (self.rng.random() < self.twice)):
            now = self.timeline.now
            leaves = now
            if self.rate:
                leaves = max(now, self.free_at)
                if (leaves - now) * self.rate + size > self.queue:
                    self.overflowed += 1
                    continue
                self.waits.append((now, leaves - now))
                leaves = self.free_at = leaves + size / self.rate
            passed = self.filter(data)
            if passed is not None:
                self.timeline.at(leaves + self.delay + self.rng.random() * self.jitter, arrived, passed)

    def standing(self, since: float, until: float = float("inf")) -> float:
        """The mean of the seconds that packets waited."""
        waits = [waited for when, waited in self.waits if since <= when < until]
        return sum(waits) / len(waits)


class End:
    """A connection, its user, and the clock by which it lives.

    Attributes:
        said: what its user has to say.
        heard: what its user has read.
        over: its user has read the end.
        reads: whether he reads at all, and how many bytes at a time.
        refuses: whether its system sends anything now.
        sack: whether it knows of selective acknowledgements.
    """

    def __init__(self, timeline: TimeLine, line: Line, *, clock: float = 0.0, drift: float = 0.0) -> None:
        self.timeline = timeline
        self.line = line
        self._clock, self._drift = clock, drift
        self.other: End
        self.connection: Connection
        self.said = bytearray()
        self._written = 0
        self.heard = bytearray()
        self.over = False
        self.reads = 1 << 16
        self.refuses: Callable[[float], bool] = lambda now: False
        self.sack = True
        self.closes = False
        self.sent: list[Packet] = []
        self.datagrams = 0
        self.alive = True
        self.begin: Callable[[Packet], object] | None = None
        self._due = False

    @property
    def now(self) -> float:
        return self._clock + self.timeline.now * (1 + self._drift)

    @property
    def gone(self) -> bool:
        return self.connection.state is State.GONE

    def send(self, datagrams: Sequence[bytes]) -> int:
        return sum(1 for _ in itertools.takewhile(self._send, datagrams))

    def _send(self, data: bytes) -> bool:
        if self.refuses(self.timeline.now):
            return False
        packet = parse(data)
        assert packet is not None
        if not self.sack and packet.sack:
            data = encode(*packet[:-2]) + packet.payload
        self.sent.append(packet)
        self.datagrams += 1
        self.line.carry(data, len(data) + HEADERS, self.other.got)
        return True

    def got(self, data: bytes) -> None:
        packet = parse(data)
        if not self.alive or packet is None:
            return
        if self.begin is not None:
            assert packet.kind == SYN
            begin, self.begin = self.begin, None
            begin(packet)
            return
        if self.gone:
            if packet.kind != RESET:
                self.line.carry(refuse(packet), 20 + HEADERS, self.other.got)
            return
        if packet.kind not in (SYN, RESET):
            assert packet.connection_id == self.connection.receive_id
        self.connection.got(packet, self.now)
        if not self._due:  # what comes at the same moment is answered once
            self._due = True
            self.timeline.at(self.timeline.now, self.flush)

    def flush(self) -> None:
        self._due = False
        self.connection.flush(self.now)
        self.use()

    def use(self) -> None:
        """The user's turn."""
        connection, buffer = self.connection, bytearray(max(1, self.reads))
        while self.reads and not self.closes and not self.over and connection.readable:
            size = connection.take_into(memoryview(buffer))
            self.heard += buffer[:size]
            self.over = not size
            if connection.owes_window:
                connection.flush(self.now)
        if connection.state is not State.OPEN:
            return
        while self._written < len(self.said) and connection.waiting <= limits.UTP_SEND_BUFFER:
            connection.write(bytes(self.said[self._written : self._written + 16384]))
            self._written = min(self._written + 16384, len(self.said))
            connection.flush(self.now)
        if self.closes and self._written == len(self.said):
            connection.close(self.now)
            connection.flush(self.now)

    def say(self, data: bytes) -> None:
        self.said += data

    def close(self) -> None:
        self.closes = True
        self.use()

    def tick(self) -> None:
        if self.alive:
            self.connection.tick(self.now)
            self.use()
            self.timeline.at(self.timeline.now + limits.UTP_TICK, self.tick)


class Pair:
    """A caller and who is called."""

    def __init__(
        self,
        seed: int | str = 0,
        *,
        up: dict[str, Any] | None = None,
        down: dict[str, Any] | None = None,
        clocks: tuple[float, float] = (10.0, 5000.0),
        drifts: tuple[float, float] = (0.0, 0.0),
        seqs: tuple[int, int] = (100, 200),
        payload: int = limits.UTP_PACKET,
    ) -> None:
        self.rng = random.Random(seed)
        self.timeline = TimeLine()
        lines = [Line(self.timeline, self.rng, **(options or {})) for options in (up, down if down is not None else up)]
        self.caller, self.called = (
            End(self.timeline, line, clock=clock, drift=drift)
            for line, clock, drift in zip(lines, clocks, drifts, strict=True)
        )
        self.caller.other, self.called.other = self.called, self.caller
        self.seqs, self.payload = seqs, payload
        self.caller.connection = Connection.calling(
            self.caller.send, RECEIVE_ID, seq=seqs[0], payload=payload, now=self.caller.now
        )
        self.called.begin = self._begin

    def _begin(self, syn: Packet) -> None:
        called = self.called
        called.connection = Connection.called(called.send, syn, seq=self.seqs[1], payload=self.payload, now=called.now)
        called.flush()
        called.tick()

    @property
    def ends(self) -> tuple[End, End]:
        return self.caller, self.called

    def __iter__(self) -> Iterator[End]:
        return iter(self.ends)

    def start(self) -> None:
        self.caller.flush()
        self.caller.tick()

    def run(self, seconds: float, done: Callable[[], bool] = lambda: False) -> bool:
        return self.timeline.run(self.timeline.now + seconds, done)

    def everything(self) -> bool:
        """Whether all that was said has been heard."""
        return all(len(end.heard) == len(end.other.said) for end in self) if self.called.begin is None else False

    def talk(self, up: bytes, down: bytes = b"", *, within: float) -> float:
        """Say all that, and hear it; how many seconds that took."""
        began = self.timeline.now
        if self.called.begin is not None:
            self.start()
        self.caller.say(up)
        self.called.say(down)
        for end in self:
            if end.begin is None:
                end.use()
        assert self.run(within, self.everything), (len(self.called.heard), len(up), len(self.caller.heard), len(down))
        self.check()
        return self.timeline.now - began

    def check(self) -> None:
        for end in self:
            assert end.heard == end.other.said[: len(end.heard)]

    def part(self, within: float = 2 * limits.UTP_LINGER) -> None:
        """Both say goodbye."""
        for end in self:
            end.close()
        assert self.run(within, lambda: self.caller.gone and self.called.gone)


class Reno:
    """A flow that fills the queue of a line as TCP does: until packets are lost."""

    def __init__(self, line: Line, *, back: float, packet: int = 1500) -> None:
        self.line, self.timeline = line, line.timeline
        self.back = back
        self.packet = packet
        self.window = 10.0
        self.flying = 0
        self.arrived = 0
        self.recovers_at = -1.0
        self.slow_start = True
        self.stopped = False

    def go(self) -> None:
        while self.flying < int(self.window) and not self.stopped:
            self.flying += 1
            before = self.line.overflowed
            sent_at = self.timeline.now
            self.line.carry(b"", self.packet, lambda _, at=sent_at: self._came(at))
            if self.line.overflowed > before:
                # Known when the packets after it have come.
                wait = max(0.0, self.line.free_at - self.timeline.now) + self.line.delay + self.back
                self.timeline.at(self.timeline.now + wait, self._lost, sent_at)

    def _came(self, sent_at: float) -> None:
        self.arrived += self.packet
        self.timeline.at(self.timeline.now + self.back, self._acked)

    def _acked(self) -> None:
        self.flying -= 1
        self.window += 1 if self.slow_start else 1 / self.window
        self.go()

    def _lost(self, sent_at: float) -> None:
        self.flying -= 1
        if sent_at > self.recovers_at:
            self.recovers_at = self.timeline.now
            self.slow_start = False
            self.window = max(2.0, self.window / 2)
        self.go()


def state(ack: int, *, sack: int = 0, window: int = 1 << 20, seq: int = 201, delay: int = 0) -> Packet:
    """What an end says that only acknowledges."""
    return Packet(STATE, RECEIVE_ID, 0, delay, window, seq, ack, sack, b"")
