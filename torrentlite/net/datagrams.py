"""UDP sockets that read in batches and never wait to send."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence

import trio

from .. import limits
from ..errors import NetworkError
from ..wire.address import Address, Scope
from . import segments
from .sockets import open_again, open_sockets
from .stream import address_of

_LARGEST = 65_535


class UdpDatagrams:
    """A bound UDP socket as ``Datagrams`` (see ``network.py`` for what the methods promise).

    Args:
        sock: the socket.
        interface: the only one that it uses; empty for all. Where another one of that name takes its place, so does
            another socket.

    Attributes:
        sock: the socket, for those in this package who have to set more of its options.
    """

    def __init__(self, sock: socket.socket, interface: str = "") -> None:
        self.sock = _roomy(sock)
        self._segments = segments.prepare(self.sock)
        self._interface = interface
        self.address = address_of(sock.getsockname())
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
            if received:
                return received

    async def _wait_readable(self) -> None:
        """Not for ever where there is an interface to look after."""
        if not self._interface:
            await trio.lowlevel.wait_readable(self.sock)
            return
        with trio.move_on_after(limits.INTERFACE_CHECK) as waiting:
            await trio.lowlevel.wait_readable(self.sock)
        if waiting.cancelled_caught and (fresh := open_again(self.sock, self._interface)) is not None:
            self.sock.close()
            self.sock = _roomy(fresh)
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
        if to.scope is Scope.FORBIDDEN:
            return False
        try:
            self.sock.sendto(data, (to.host, to.port))
        except OSError:
            return False
        return True

    def send_all(self, datagrams: Sequence[bytes], to: Address) -> int:
        """See ``Datagrams.send_all``."""
        if to.scope is Scope.FORBIDDEN:
            return 0
        sent = 0
        while sent < len(datagrams):
            count = segments.run(datagrams, sent) if self._segments else 1
            if count == 1:
                if not self.send(datagrams[sent], to):
                    break
            else:
                try:
                    segments.send(self.sock, datagrams[sent : sent + count], (to.host, to.port))
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


def _roomy(sock: socket.socket) -> socket.socket:
    """The socket, with buffers that hold what comes and goes in a burst."""
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        with contextlib.suppress(OSError):  # macOS: ENOBUFS, where Linux gives as much as it may
            sock.setsockopt(socket.SOL_SOCKET, option, limits.UDP_BUFFER)
    return sock
