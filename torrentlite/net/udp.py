"""The UDP port of a session: one socket per address family, and who each datagram is for.

Tracker replies (BEP 15) go to the request that waits for them, DHT messages (BEP 5) to ``dht``. A reply begins with a
small action number, so its first byte is 0; DHT messages begin with ``d``, uTP packets with 0x01 to 0x41: the kinds
cannot be mistaken for each other. uTP packets go to ``utp``; where it is not spoken a call is refused, so that the
caller tries TCP without delay.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Protocol

import trio

from .. import limits
from ..errors import NetworkError
from ..wire import utp
from ..wire.address import Address
from .network import Datagrams

_REPLY_HEAD = struct.Struct(">II")  # action, transaction id
_ERROR = 3
_SHORTEST = {0: 16, 1: 20, 2: 8, _ERROR: 8}  # by action: connect, announce, scrape, error


class UtpPackets(Protocol):
    """Who speaks uTP (BEP 29)."""

    def got(self, data: bytes, sender: Address) -> bool:
        """A datagram that ``wire.utp.is_packet`` has come. False: it was nobody's."""

    def flush(self) -> None:
        """There are no more for now."""


class UdpPort:
    """Sends, and hands on what it receives while ``run`` runs.

    Attributes:
        dht: gets what begins with ``d``, and its sender; None: nobody speaks that here.
        utp: gets uTP packets; None: likewise.
        dropped: datagrams that were nobody's: spoofed, late, too short, or of a kind that is not spoken.
    """

    def __init__(self, datagrams: Sequence[Datagrams]) -> None:
        self._sockets = {socket.address.is_ipv6: socket for socket in datagrams}
        self._waiting: dict[tuple[Address, int], _Waiting] = {}
        self.dht: Callable[[bytes, Address], object] | None = None
        self.utp: UtpPackets | None = None
        self.dropped = 0

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Receive until it is closed or cancelled."""
        async with trio.open_nursery() as nursery:
            for socket in self._sockets.values():
                nursery.start_soon(self._receive, socket)
            task_status.started()

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where it receives, one of each family that it has."""
        return tuple(socket.address for socket in self._sockets.values())

    def reaches(self, address: Address) -> bool:
        """Whether there is a socket of this address's family."""
        return address.is_ipv6 in self._sockets

    def send(self, data: bytes, to: Address) -> bool:
        """Send one datagram without waiting. False: it was dropped."""
        return self.reaches(to) and self._sockets[to.is_ipv6].send(data, to)

    def send_all(self, datagrams: Sequence[bytes], to: Address) -> int:
        """Send some in their order without waiting; how many went out before the first that was dropped."""
        return self._sockets[to.is_ipv6].send_all(datagrams, to) if self.reaches(to) else 0

    async def request(self, data: bytes, to: Address) -> bytes:
        """Send a tracker request once and wait for its reply, for as long as the caller lets it.

        A reply comes from the very address that was asked, bears the request's transaction id, is of its action or an
        error, and is long enough. Everything else is dropped: who does not see our datagrams cannot answer them.

        Args:
            data: a connect, announce or scrape of BEP 15: action at byte 8, transaction id at byte 12.
            to: the tracker.

        Raises:
            NetworkError: too many requests wait already.
        """
        action, transaction_id = _REPLY_HEAD.unpack_from(data, 8)
        key = (to, transaction_id)
        if len(self._waiting) >= limits.PENDING_REPLIES or key in self._waiting:
            raise NetworkError("too many UDP requests are under way")
        waiting = self._waiting[key] = _Waiting(action)
        try:
            self.send(data, to)  # what was dropped here is as lost as what is dropped later
            await waiting.arrived.wait()
            return waiting.reply
        finally:
            del self._waiting[key]

    def close(self) -> None:
        """Close the sockets; a second time is nothing."""
        for socket in self._sockets.values():
            socket.close()

    async def _receive(self, socket: Datagrams) -> None:
        while True:
            try:
                received = await socket.receive()
            except NetworkError:  # closed
                return
            for data, sender in received:
                if not self._got(data, sender):
                    self.dropped += 1
            if self.utp is not None:
                self.utp.flush()

    def _got(self, data: bytes, sender: Address) -> bool:
        if utp.is_packet(data):  # first: of these there are most
            return self.utp.got(data, sender) if self.utp is not None else self._refuse(data, sender)
        if data[:1] == b"d" and self.dht is not None:
            self.dht(data, sender)
            return True
        if len(data) < _REPLY_HEAD.size:
            return False
        action, transaction_id = _REPLY_HEAD.unpack_from(data)
        waiting = self._waiting.get((sender, transaction_id))
        if waiting is None or action not in (waiting.action, _ERROR) or waiting.arrived.is_set():
            return False
        if len(data) < _SHORTEST[action]:
            return False
        waiting.reply = data
        waiting.arrived.set()
        return True

    def _refuse(self, data: bytes, sender: Address) -> bool:
        packet = utp.parse(data)
        return packet is not None and packet.kind == utp.SYN and self.send(utp.refuse(packet), sender)


class _Waiting:
    """One request without its reply."""

    __slots__ = ("action", "arrived", "reply")

    def __init__(self, action: int) -> None:
        self.action = action
        self.arrived = trio.Event()
        self.reply = b""
