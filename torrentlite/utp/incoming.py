"""What one end of a uTP connection hears: packets in any order, bytes in theirs."""

from __future__ import annotations

from .. import limits
from ..wire.utp import WRAP


class Incoming:
    """The other side's packets.

    Args:
        seq: the number of the first one.

    Attributes:
        sack: what has come beyond a hole (``Packet.sack``).
        ended: everything has come, and there will be no more.
    """

    def __init__(self, seq: int) -> None:
        self.sack = 0
        self.ended = False
        self._next = seq
        self._ready = bytearray()
        self._ahead: dict[int, bytes | None] = {}  # None: a FIN
        self._ahead_size = 0

    @property
    def ack(self) -> int:
        """The number up to which everything has come."""
        return (self._next - 1) & WRAP

    @property
    def readable(self) -> bool:
        """Whether there are bytes to take."""
        return bool(self._ready)

    @property
    def room(self) -> int:
        """Bytes that may come."""
        return max(0, limits.UTP_WINDOW - len(self._ready) - self._ahead_size)

    def got(self, seq: int, payload: bytes | None) -> None:
        """A packet with data, or a FIN (None). What there is no room for was not there: it is sent again."""
        step = (seq - self._next) & WRAP
        if self.ended or step > limits.UTP_PACKETS_AHEAD or seq in self._ahead:
            return  # there already, or too far ahead
        if step:
            size = len(payload or b"")
            if self._ahead_size + size <= limits.UTP_WINDOW:
                self._ahead[seq] = payload
                self._ahead_size += size
                self.sack |= 1 << step - 1
            return
        # Whatever lies ahead: without the next one there would never be more room.
        if len(self._ready) > limits.UTP_WINDOW:
            return
        while True:
            self._next = (self._next + 1) & WRAP
            if payload is None:
                self.ended = True
                self._ahead.clear()
                self._ahead_size = self.sack = 0
                return
            self._ready += payload
            follows = self.sack & 1
            self.sack >>= 1
            if not follows:
                return
            payload = self._ahead.pop(self._next)
            self._ahead_size -= len(payload or b"")

    def take_into(self, buffer: memoryview) -> int:
        """Put the next bytes at the start of the buffer; how many."""
        size = min(len(buffer), len(self._ready))
        with memoryview(self._ready) as ready:
            buffer[:size] = ready[:size]
        del self._ready[:size]
        return size

    def drop(self) -> None:
        """Nobody reads what has come."""
        self._ready.clear()
        self._ahead = {seq: None if payload is None else b"" for seq, payload in self._ahead.items()}
        self._ahead_size = 0
