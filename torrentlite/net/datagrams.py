"""UDP sockets that read in batches and never wait to send."""

from __future__ import annotations

import contextlib
import math
import socket
import struct
from collections.abc import Sequence

import trio

from .. import limits
from ..errors import NetworkError
from ..wire.address import Address, Scope
from . import segments
from .interface import is_tied, own_source
from .sockets import open_again, open_sockets
from .stream import address_of

_LARGEST = 65_535
_IP_PKTINFO = 8  # ip(7); before Python 3.14 there is no name for it


class UdpDatagrams:
    """A bound UDP socket as ``Datagrams`` (see ``network.py`` for what the methods promise).

    Args:
        sock: the socket.
        interface: the only one that it uses; empty for all. Where another one of that name takes its place, so does
            another socket. What is sent bears an address of it, and is dropped while it has none.

    Attributes:
        sock: the socket, for those in this package who have to set more of its options.
    """

    def __init__(self, sock: socket.socket, interface: str = "") -> None:
        self.sock = _roomy(sock)
        self._segments = segments.prepare(self.sock)
        self._interface = interface
        self.address = address_of(sock.getsockname())
        self._source: str | None = None  # the system's choice; empty: nothing may be sent
        self._bears: list[tuple[int, int, bytes]] = []
        self._look_at = math.inf
        if interface:
            self._look()
        # One buffer for all, so that a datagram costs an allocation of its own size and not of the largest.
        self._buffer = memoryview(bytearray(_LARGEST))

    def __repr__(self) -> str:
        return f"<UdpDatagrams {self.address}>"

    async def receive(self) -> list[tuple[bytes, Address]]:
        """See ``Datagrams.receive``."""
        while True:
            if self.sock.fileno() < 0:  # Trio would remember whoever waits for -1, and refuse the next who does
                raise NetworkError(f"{self.address}: closed")
            try:
                await self._wait_readable()
            except (OSError, ValueError, trio.ClosedResourceError) as error:  # a closed socket has no descriptor
                raise NetworkError(f"{self.address}: closed") from error
            received = self._receive_ready()
            if received and self._source != "":
                return received

    async def _wait_readable(self) -> None:
        """Not for ever where there is an interface to look after."""
        if not self._interface:
            await trio.lowlevel.wait_readable(self.sock)
            return
        if trio.current_time() >= self._look_at:
            self._look()
        with trio.move_on_at(self._look_at):
            await trio.lowlevel.wait_readable(self.sock)

    def _look(self) -> None:
        """Use the interface that has the name now, and the address that it has now."""
        self._look_at = trio.current_time() + limits.INTERFACE_CHECK
        source = ""
        fresh = open_again(self.sock, self._interface)
        if fresh is not None:
            self.sock.close()
            self.sock = _roomy(fresh)
        if is_tied(self.sock, self._interface):
            source = own_source(self._interface, ipv6=self.address.is_ipv6, host=self.address.host)
        if source != self._source or fresh is not None:
            self._source = source
            self._bears = [_sent_from(source)] if source else []
            self._segments = segments.prepare(self.sock)

    def _receive_ready(self) -> list[tuple[bytes, Address]]:
        received: list[tuple[bytes, Address]] = []
        for _ in range(limits.DATAGRAM_BATCH):
            if len(received) >= limits.DATAGRAM_BATCH:
                break
            try:
                size, news, _, sender = self.sock.recvmsg_into([self._buffer], segments.NEWS)
            except BlockingIOError:
                break
            except OSError:
                # News of a datagram of ours that did not arrive (ICMP): whoever waits for its answer times out.
                # It uses up its turn, so that a socket with nothing but errors does not hold the loop.
                continue
            address = address_of(sender)
            received += [(data, address) for data in segments.split(self._buffer[:size], news)]
        return received

    def send(self, data: bytes, to: Address) -> bool:
        """See ``Datagrams.send``."""
        if to.scope is Scope.FORBIDDEN or self._source == "":
            return False
        try:
            if self._bears:
                self.sock.sendmsg([data], self._bears, 0, (to.host, to.port))
            else:
                self.sock.sendto(data, (to.host, to.port))
        except OSError:
            return False
        return True

    def send_all(self, datagrams: Sequence[bytes], to: Address) -> int:
        """See ``Datagrams.send_all``."""
        if to.scope is Scope.FORBIDDEN or self._source == "":
            return 0
        sent = 0
        while sent < len(datagrams):
            count = segments.run(datagrams, sent) if self._segments else 1
            if count == 1:
                if not self.send(datagrams[sent], to):
                    break
            else:
                try:
                    segments.send(self.sock, datagrams[sent : sent + count], (to.host, to.port), self._bears)
                except OSError as error:
                    if error.errno not in segments.REFUSALS:
                        break
                    self._segments = False
                    continue
            sent += count
        return sent

    def close(self) -> None:
        """See ``Datagrams.close``."""
        if self.sock.fileno() != -1:
            trio.lowlevel.notify_closing(self.sock)
            self.sock.close()


def open_datagrams(host: str, port: int, interface: str = "") -> list[UdpDatagrams]:
    """See ``Network.open_datagrams``; the host is an IP address or empty, the interface a name or empty."""
    return [UdpDatagrams(sock, interface) for sock in open_sockets(socket.SOCK_DGRAM, host, port, interface)]


def _sent_from(source: str) -> tuple[int, int, bytes]:
    """Ancillary data by which a datagram bears this address of ours. It does not leave if that is none any more."""
    if ":" in source:
        packed = socket.inet_pton(socket.AF_INET6, source)
        return socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, struct.pack("@16sI", packed, 0)
    return socket.IPPROTO_IP, _IP_PKTINFO, struct.pack("@i4s4s", 0, socket.inet_aton(source), bytes(4))


def _roomy(sock: socket.socket) -> socket.socket:
    """The socket, with buffers that hold what comes and goes in a burst."""
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        with contextlib.suppress(OSError):  # macOS: ENOBUFS, where Linux gives as much as it may
            sock.setsockopt(socket.SOL_SOCKET, option, limits.UDP_BUFFER)
    return sock
