"""What one end of a uTP connection has to say: what waits, what is under way, what was lost (BEP 29, "packet loss")."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from .. import limits
from ..wire.utp import DATA, FIN, SYN, WRAP

REORDERED: Final = 3
"""A packet is lost when one that was sent so many packets later has come: "3 or more packets have been acked past
it"."""


class Sent:
    """A packet under way.

    Attributes:
        order: how many were sent before it, counting those that were sent again: what decides who should have come
            before whom. (Sequence numbers do not tell of a packet that was sent again.)
        at: when it was sent last.
        again: it was sent more than once.
        lost: it is to be sent again.
    """

    __slots__ = ("again", "at", "kind", "lost", "order", "payload", "seq")

    def __init__(self, kind: int, seq: int, payload: bytes | memoryview) -> None:
        self.kind = kind
        self.seq = seq
        self.payload = payload
        self.order = 0
        self.at = 0.0
        self.again = False
        self.lost = False


class Arrived(NamedTuple):
    """What an acknowledgement tells.

    Attributes:
        packets: how many have arrived.
        size: their bytes of payload.
        round_trip: seconds that the one took which was sent last; None where that is not known.
        lost: a packet was lost, and none before it in this round trip.
    """

    packets: int
    size: int
    round_trip: float | None
    lost: bool


class Outgoing:
    """One direction's bytes, cut into numbered packets.

    Args:
        seq: the number of the first packet.
        packet: bytes of payload in a full one.

    Attributes:
        next_seq: the number of the next new packet.
        waiting: bytes that were never sent.
        in_flight: bytes that were sent, and neither arrived nor got lost.
    """

    def __init__(self, seq: int, packet: int) -> None:
        self._packet = packet
        self.next_seq = seq
        self.waiting = 0
        self.in_flight = 0
        self._unsent: deque[memoryview] = deque()
        self._marks: deque[int] = deque()  # SYN and FIN that wait; they have no payload
        self._sent: dict[int, Sent] = {}  # without those that have come, in the order of their numbers
        self._lost: dict[int, Sent] = {}
        self._acked = (seq - 1) & WRAP
        self._sacked = 0  # what is known of those after it, as the other side says it
        self._order = 0
        self._newest = 0  # the order of the latest that has come
        self._probed = 0  # the order of the last probe
        self._recovered = 0  # packets up to this order were under way at the last loss: theirs is the same
        self._repeated = 0

    def write(self, data: bytes) -> None:
        """More bytes."""
        if data:
            self._unsent.append(memoryview(data))
            self.waiting += len(data)

    def call(self) -> None:
        """First of all a SYN."""
        self._marks.append(SYN)

    def end(self) -> None:
        """No more bytes: a FIN follows the last."""
        self._marks.append(FIN)

    @property
    def outstanding(self) -> bool:
        """Whether something was sent that has not arrived."""
        return bool(self._sent)

    @property
    def pending(self) -> bool:
        """Whether there is something to send now."""
        return bool(self._lost or self._unsent or self._marks)

    @property
    def done(self) -> bool:
        """Whether everything has arrived."""
        return not (self._sent or self._unsent or self._marks)

    def take(self, count: int, window: float, now: float) -> list[Sent]:
        """What to send now, so many packets at most, if so many bytes may be under way. They count as sent."""
        taken: list[Sent] = []
        while len(taken) < count and (packet := self.next(window - self.in_flight, now)) is not None:
            taken.append(packet)
        return taken

    def next(self, room: float, now: float) -> Sent | None:
        """What to send now, if so many more bytes may be under way. It counts as sent."""
        if self._lost:
            packet = next(iter(self._lost.values()))
            # The first hole is filled at once, as by TCP: without selective acknowledgements nothing else makes room.
            first = packet.seq == (self._acked + 1) & WRAP and not packet.again
            if len(packet.payload) > room and self.in_flight and not first:
                return None
            del self._lost[packet.seq]
            packet.lost, packet.again = False, True
        else:
            new = self._cut(room)
            if new is None:
                return None
            packet = self._sent[new.seq] = new
            self.next_seq = (self.next_seq + 1) & WRAP
        self._order += 1
        packet.order, packet.at = self._order, now
        self.in_flight += len(packet.payload)
        return packet

    def _cut(self, room: float) -> Sent | None:
        # Not the number of those in ``_sent``: the other side must have a place for all after the first hole.
        if (self.next_seq - self._acked) & WRAP > limits.UTP_PACKETS_AHEAD:
            return None
        if self._marks and (self._marks[0] == SYN or not self._unsent):
            return Sent(self._marks.popleft(), self.next_seq, b"")
        if not self._unsent:
            return None
        size = min(self._packet, self.waiting)
        if size > room:
            # A part of a packet only where the other side has no room for a whole one at all.
            if self.in_flight or room < 1:
                return None
            size = int(room)
        return Sent(DATA, self.next_seq, self._take(size))

    def _take(self, size: int) -> bytes | memoryview:
        self.waiting -= size
        first = self._unsent[0]
        if len(first) > size:
            self._unsent[0] = first[size:]
            return first[:size]
        parts = []
        while size:
            part = self._unsent.popleft()
            if len(part) > size:
                self._unsent.appendleft(part[size:])
                part = part[:size]
            parts.append(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def not_sent(self, packets: Sequence[Sent]) -> None:
        """The system had no room for them: they are sent again before all others, and nothing was lost on the way."""
        for packet in packets:
            self._lose(packet)
        self._lost = {packet.seq: packet for packet in packets} | self._lost

    def probe(self, now: float) -> Sent | None:
        """The last packet under way, to be sent once more: what acknowledges it tells of all that were lost before."""
        packet = next(reversed(self._sent.values()), None)
        if packet is None or packet.lost:
            return None
        self._order += 1
        self._probed = self._order
        packet.order, packet.at, packet.again = self._order, now, True
        return packet

    def plausible(self, ack: int) -> bool:
        """Whether this acknowledges what was sent, or did so a moment ago: who guesses has no other sign of us."""
        behind = (self.next_seq - 1 - ack) & WRAP
        return behind <= ((self.next_seq - 1 - self._acked) & WRAP) + limits.UTP_PACKETS_AHEAD

    def arrived(self, ack: int, sack: int, now: float, *, bare: bool) -> Arrived:
        """The other side says what it has.

        Args:
            ack: the number up to which it has everything; ``plausible``.
            sack: what it has beyond the hole after that (``Packet.sack``).
            now: the time.
            bare: it said nothing else, so that saying the same again means that another packet has come.
        """
        advance = (ack - self._acked) & WRAP
        if advance > (self.next_seq - 1 - self._acked) & WRAP:
            return Arrived(0, 0, None, lost=False)  # it was overtaken by a later one
        known = self._sacked >> advance
        # Bit 0 is the packet after next: who has the hole filled has moved on, so no bit is lost by the shift.
        self._sacked = known | sack
        came = [self._sent.pop((self._acked + 1 + step) & WRAP, None) for step in range(advance)]
        self._acked = ack
        news = sack & ~known
        while news:
            lowest = news & -news
            came.append(self._sent.pop((ack + 1 + lowest.bit_length()) & WRAP, None))
            news ^= lowest
        packets = [packet for packet in came if packet is not None]
        for packet in packets:
            if packet.lost:
                del self._lost[packet.seq]
            else:
                self.in_flight -= len(packet.payload)
        latest = max(packets, key=lambda packet: packet.order, default=None)
        if latest is not None:
            self._newest = max(self._newest, latest.order)
        return Arrived(
            len(packets),
            sum(len(packet.payload) for packet in packets),
            now - latest.at if latest is not None and not latest.again else None,
            lost=self._find_lost(sack, repeated=bare and not advance and not sack and not packets),
        )

    def _find_lost(self, sack: int, *, repeated: bool) -> bool:
        found = []
        if sack:
            self._repeated = 0
            end = sack.bit_length()
            # Whatever was sent before a probe has had two round trips.
            reordered = 1 if self._newest == self._probed else REORDERED
            for packet in self._sent.values():
                if (packet.seq - self._acked - 2) & WRAP >= end and packet.seq != (self._acked + 1) & WRAP:
                    break
                if not packet.lost and packet.order <= self._newest - reordered:
                    found.append(packet)
        elif repeated and self._sent:
            # "When receiving 3 duplicate acks, ack_nr + 1 is assumed to have been lost": of who knows no other way.
            self._repeated += 1
            first = next(iter(self._sent.values()))
            if self._repeated == REORDERED and not first.lost:
                found.append(first)
        else:
            self._repeated = 0
        news = any(packet.order > self._recovered for packet in found)
        for packet in found:
            self._lose(packet)
            self._lost[packet.seq] = packet
        if news:
            self._recovered = self._order
        return news

    def _lose(self, packet: Sent) -> None:
        packet.lost = True
        self.in_flight -= len(packet.payload)

    def all_lost(self) -> None:
        """Nothing was heard for a whole time-out."""
        for packet in self._sent.values():
            if not packet.lost:
                self._lose(packet)
        self._lost = dict(self._sent)
        self._recovered = self._order
