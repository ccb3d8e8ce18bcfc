"""One uTP connection (BEP 29), without sockets, tasks or clocks: packets in, packets out, and what time it is."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence
from typing import Final

from .. import limits
from ..wire.utp import DATA, FIN, HEADER_SIZE, MICROSECONDS, RESET, STATE, SYN, WRAP, Packet, encode, series
from .incoming import Incoming
from .ledbat import DelayHistory, RoundTrip, Window
from .outgoing import Outgoing, Sent


class State(enum.Enum):
    """How far a connection has come."""

    CALLING = enum.auto()
    """We have called, and nobody has answered."""
    CALLED = enum.auto()
    """We were called, and nothing has shown that the caller is where the call says."""
    OPEN = enum.auto()
    GONE = enum.auto()
    """It is over: nothing more is sent."""


class Connection:
    """One end.

    Made by ``calling`` or ``called``. What it is told takes effect with ``flush``, so that many packets that come at
    once are answered by one.

    Args:
        send: takes datagrams to the other end; how many of them the system had room for.
        receive_id: the connection id in packets to us.
        send_id: that in ours.
        seq: a random number: who does not see our packets cannot guess what acknowledges them.
        payload: bytes of the stream in a full packet.

    Attributes:
        why: what ended it, where that was no goodbye.
    """

    def __init__(
        self,
        send: Callable[[Sequence[bytes]], int],
        state: State,
        receive_id: int,
        send_id: int,
        *,
        seq: int,
        payload: int,
        now: float,
    ) -> None:
        self._send = send
        self.state = state
        self.receive_id = receive_id
        self.send_id = send_id
        self.why = ""
        self._out = Outgoing(seq, payload)
        self._in = Incoming(0)
        self._window = Window(payload, limits.UTP_WINDOW)
        self._their_window = payload
        self._trip = RoundTrip()
        self._delays = DelayHistory()
        self._reply_delay = 0
        self._told_window = limits.UTP_WINDOW
        self._owes_ack = False
        self._closed_at = math.inf
        self._heard_at = now
        self._sent_at = now
        self._overdue_at = self._probe_at = math.inf
        self._no_room_since = math.inf
        self._asks = False  # what is under way only asks whether the other side has room again

    @classmethod
    def calling(
        cls, send: Callable[[Sequence[bytes]], int], connection_id: int, *, seq: int, payload: int, now: float
    ) -> Connection:
        """Call somebody; ``flush`` sends the SYN."""
        # "All subsequent packets sent on this connection are sent with the connection ID + 1."
        made = cls(send, State.CALLING, connection_id, connection_id + 1 & WRAP, seq=seq, payload=payload, now=now)
        made._out.call()
        return made

    @classmethod
    def called(
        cls, send: Callable[[Sequence[bytes]], int], syn: Packet, *, seq: int, payload: int, now: float
    ) -> Connection:
        """Somebody called; ``flush`` answers."""
        ids = syn.connection_id + 1 & WRAP, syn.connection_id
        made = cls(send, State.CALLED, *ids, seq=seq, payload=payload, now=now)
        made._in = Incoming(syn.seq + 1 & WRAP)
        made._got_header(syn, now)
        made._owes_ack = True
        return made

    # -- the user's side ---------------------------------------------------------------------------------------------

    @property
    def readable(self) -> bool:
        """Whether ``take_into`` has something: bytes, or the end of them."""
        return self._in.readable or self._in.ended

    @property
    def waiting(self) -> int:
        """Bytes that were given to ``write`` and have not been sent."""
        return self._out.waiting

    def write(self, data: bytes) -> None:
        """Say something."""
        self._out.write(data)

    def take_into(self, buffer: memoryview) -> int:
        """Put what was heard at the start of the buffer; 0: that was all."""
        return self._in.take_into(buffer)

    @property
    def owes_window(self) -> bool:
        """Whether the other side stands still for want of room here that there is again: ``flush`` tells it."""
        return self._told_window < limits.UTP_WINDOW // 4 and self._in.room >= limits.UTP_WINDOW // 2

    def close(self, now: float) -> None:
        """Say goodbye when everything else is said. Nothing more is read."""
        if self.state in (State.CALLING, State.CALLED):
            self.end("closed")
        elif self.state is State.OPEN and self._closed_at == math.inf:
            self._closed_at = now
            self._in.drop()
            self._out.end()

    def break_off(self, now: float) -> None:
        """End it at once, and tell the other side."""
        if self.state is State.OPEN:
            self._send_header(RESET, self._out.next_seq, now)
        self.end("closed")

    def end(self, why: str) -> None:
        """It is over."""
        if self.state is not State.GONE:
            self.state = State.GONE
            self.why = why

    # -- packets -----------------------------------------------------------------------------------------------------

    def got(self, packet: Packet, now: float) -> None:
        """A packet has come for this connection."""
        if self.state is State.GONE:
            return
        if packet.kind == SYN:
            self._owes_ack = True  # our answer to it was lost
            return
        if not self._is_from_there(packet):
            return
        if packet.kind == RESET:
            self.end("refused" if self.state is State.CALLING else "Connection reset by peer")
            return
        if self.state is State.CALLING:
            # The answer bears the number of the first packet that will follow it (libutp, libtorrent).
            self._in = Incoming(packet.seq)
            self.state = State.OPEN
        self._heard_at = now
        self._got_header(packet, now)
        if self._out.outstanding:  # else it only listens, and is told the same by each packet
            self._got_ack(packet, now)
        if packet.kind in (DATA, FIN):
            self.state = State.OPEN
            self._owes_ack = True
            payload = packet.payload if self._closed_at == math.inf else b""  # nobody reads it any more
            self._in.got(packet.seq, payload if packet.kind == DATA else None)

    def _is_from_there(self, packet: Packet) -> bool:
        """Whether it comes from somebody who sees our packets.

        Who does not is taken for the caller by one guess in 65,536, and heard later by one in 65.
        """
        if packet.ack == self._out.next_seq - 1 & WRAP:
            return True
        if self.state is State.OPEN and self._out.plausible(packet.ack):
            return True
        # Who refuses an acknowledgement gives back the number that it bore: that of the next packet.
        return packet.kind == RESET and self.state is not State.CALLING and packet.ack == self._out.next_seq

    def _got_header(self, packet: Packet, now: float) -> None:
        self._reply_delay = _microseconds(now) - packet.timestamp & MICROSECONDS
        self._their_window = packet.window
        self._no_room_since = math.inf
        if self._asks and packet.window:
            # The question itself may have found no room. It must not wait for its time-out now, nor let others wait.
            self._asks = False
            self._out.all_lost()

    def _got_ack(self, packet: Packet, now: float) -> None:
        out = self._out
        arrived = out.arrived(packet.ack, packet.sack, now, bare=packet.kind == STATE)
        if packet.delay:
            self._delays.add(packet.delay, now)
        if arrived.round_trip is not None:
            self._trip.add(arrived.round_trip)
        if arrived.lost:
            self._window.lost()
        elif arrived.size and packet.delay:
            self._window.acked(arrived.size, self._delays.waiting, now)
        if arrived.packets:
            self._wait_for_ack(now)

    def flush(self, now: float) -> None:
        """Send what may be sent, and acknowledge what has come."""
        if self.state is State.GONE:
            return
        out = self._out
        while out.pending:
            allowed = min(self._window.size, self._their_window) if self.state is State.OPEN else 0
            packets = out.take(limits.UTP_AT_ONCE, allowed, now)
            if not packets:
                if self._window.size <= self._their_window:
                    self._window.was_full(now)
                elif not out.in_flight and self._no_room_since == math.inf:
                    self._no_room_since = now
                break
            sent = self._send_packets(packets, now)
            if sent < len(packets):
                out.not_sent(packets[sent:])
                break
        if self._owes_ack or self.owes_window:
            self._send_header(STATE, out.next_seq, now)
        if self._closed_at < math.inf and out.done:
            self.end("closed")

    def _send_packets(self, packets: Sequence[Sent], now: float) -> int:
        """Send them together; how many went out."""
        if self._overdue_at == math.inf:
            self._wait_for_ack(now)
            self._heard_at = max(self._heard_at, now)
        # A SYN is always alone: nothing else may be sent before its answer.
        header = self._header(packets[0].kind, packets[0].seq, now)
        return self._send_datagrams(series(header, ((sent.kind, sent.seq, sent.payload) for sent in packets)), now)

    def _wait_for_ack(self, now: float) -> None:
        """What is under way has so long to arrive."""
        self._overdue_at = self._probe_at = math.inf
        if self._out.outstanding:
            self._overdue_at = now + self._trip.timeout
            if self._trip.smoothed:
                # Two round trips, as TCP's probe of a lost tail (RFC 8985): often it was the one acknowledgement of a
                # whole window that was lost. To wait for the time-out costs half a second, and the window.
                self._probe_at = now + 2 * self._trip.smoothed

    def _send_header(self, kind: int, seq: int, now: float, *, back: int = 0) -> None:
        self._send_datagrams([self._header(kind, seq, now, back=back)], now)

    def _header(self, kind: int, seq: int, now: float, *, back: int = 0) -> bytes:
        incoming = self._in
        return encode(
            kind,
            self.receive_id if kind == SYN else self.send_id,
            _microseconds(now),
            self._reply_delay,
            incoming.room,
            seq,
            incoming.ack - back & WRAP,
            incoming.sack if not back else 0,
        )

    def _send_datagrams(self, datagrams: Sequence[bytes], now: float) -> int:
        sent = self._send(datagrams)
        if sent:
            self._owes_ack = False
            self._told_window = self._in.room
            self._sent_at = now
        return sent

    # -- time --------------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Called every ``UTP_TICK``."""
        out = self._out
        if self.state is State.CALLED:
            if now - self._sent_at > limits.UTP_LINGER:
                self.end("nothing but a call")
            return
        if out.outstanding and now - self._heard_at > limits.UTP_GIVE_UP:
            self.end("Connection timed out")
        elif now - self._closed_at > limits.UTP_LINGER:
            self.end("closed")
        elif out.outstanding and now >= self._overdue_at:
            out.all_lost()
            if self._their_window <= HEADER_SIZE:
                self._asks = True
                self._overdue_at = now + limits.UTP_ZERO_WINDOW
            else:
                self._trip.back_off()
                self._window.timed_out()
                self._overdue_at = now + self._trip.timeout
            self._probe_at = math.inf
        elif now >= self._probe_at:
            self._probe_at = math.inf
            packet = out.probe(now)
            if packet is not None:
                self._send_packets([packet], now)
        elif now - self._no_room_since > limits.UTP_ZERO_WINDOW:
            self._their_window = max(self._their_window, HEADER_SIZE)  # as much as tells us whether that is still so
            self._no_room_since = math.inf
            self._asks = True
        elif now - self._sent_at > limits.UTP_KEEP_ALIVE and self.state is State.OPEN:
            # What was acknowledged before: nobody takes it for a packet that is lost (libutp).
            self._send_header(STATE, out.next_seq, now, back=1)
        if out.pending or self._owes_ack:  # what the system had no room for
            self.flush(now)


def _microseconds(now: float) -> int:
    return int(now * 1e6) & MICROSECONDS


FULL: Final = {False: limits.UTP_PACKET, True: limits.UTP_PACKET_IPV6}
"""Bytes of the stream in a full packet, by "is IPv6"."""
