"""The one door to the outside: every socket and every look-up of a name comes from a ``Network``.

The Protocols are what the floors above see; ``RealNetwork`` is the system's network, and a simulated one may stand in
its place. Addresses are IP literals (``wire.address.Address``). The rule of scopes stands here and nowhere else:
``connect`` and ``resolve`` refuse what is narrower than the source that named it (``check_scope``).
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from typing import Protocol

import trio

from .. import limits
from ..errors import ForbiddenAddressError, ListenError, NetworkError
from ..wire.address import Address, Scope, parse_host
from . import addresses
from .datagrams import UdpDatagrams, open_datagrams
from .interface import check_interface, tie
from .listener import TcpListener, open_listeners
from .multicast import UdpMulticast, open_multicast, source_for
from .stream import TcpStream, reason, take_over
from .url import check_name


class Stream(Protocol):
    """A connection's bytes, both ways. One task receives, one sends; either may close."""

    @property
    def local(self) -> Address:
        """Our end."""

    @property
    def remote(self) -> Address:
        """The other end."""

    async def receive_into(self, buffer: memoryview) -> int:
        """Wait for bytes, put them at the start of the (not empty) buffer and return their number; 0 is the end.

        Raises:
            NetworkError: the connection broke, or was closed on our side (also while waiting).
        """

    async def send_vectored(self, views: Sequence[bytes | bytearray | memoryview]) -> None:
        """Send all of these, in order, as if they were one.

        When it is cancelled or raises, nobody knows how much went out: the stream can only be closed.

        Raises:
            NetworkError: the connection broke, or was closed on our side (also while waiting).
        """

    def unread(self, data: bytes) -> None:
        """Give bytes back: the next ``receive_into`` returns them first."""

    async def aclose(self) -> None:
        """Close it; a second time is nothing."""

    def close(self) -> None:
        """Close it at once, waking whoever waits on it; a second time is nothing."""


async def receive_exactly(stream: Stream, size: int) -> bytes:
    """Wait for so many bytes, and take none of what follows them.

    Raises:
        NetworkError: it ended before, or broke.
    """
    data = bytearray(size)
    view, got = memoryview(data), 0
    while got < size:
        count = await stream.receive_into(view[got:])
        if not count:
            raise NetworkError("it hung up")
        got += count
    return bytes(data)


class Listener(Protocol):
    """Where connections come in."""

    @property
    def address(self) -> Address:
        """Where it listens; the port is never 0."""

    async def accept(self) -> Stream:
        """Wait for the next connection. Being out of descriptors or memory is waited out, not raised.

        Raises:
            NetworkError: the listener was closed.
        """

    def close(self) -> None:
        """Stop listening, waking whoever waits on it; a second time is nothing."""


class Datagrams(Protocol):
    """A UDP socket of one address family."""

    @property
    def address(self) -> Address:
        """Where it receives; the port is never 0."""

    async def receive(self) -> list[tuple[bytes, Address]]:
        """Wait for datagrams; all that lie ready (up to ``limits.DATAGRAM_BATCH``), at least one.

        Raises:
            NetworkError: it was closed.
        """

    def send(self, data: bytes, to: Address) -> bool:
        """Send one datagram without waiting. False: it was dropped (no room, no route, a forbidden address)."""

    def send_all(self, datagrams: Sequence[bytes], to: Address) -> int:
        """Send some in their order, as ``send`` would each; how many went out before the first that was dropped."""

    def close(self) -> None:
        """Close it, waking whoever waits on it; a second time is nothing."""


class Multicast(Protocol):
    """UDP to a multicast group. It reaches the local network only (hop limit 1), this machine included."""

    @property
    def group(self) -> Address:
        """The group, with its port."""

    async def receive(self) -> list[tuple[bytes, Address]]:
        """Wait for datagrams, as ``Datagrams.receive``: those to the group where it was joined, else unicast answers.

        Raises:
            NetworkError: it was closed.
        """

    def send(self, data: bytes) -> int:
        """Send one datagram to the group out of every interface, without waiting; by how many it left."""

    def close(self) -> None:
        """Close it, waking whoever waits on it; a second time is nothing."""


class Network(Protocol):
    """What a session may ask of the world outside."""

    async def connect(self, address: Address, *, within: Scope = Scope.LOOPBACK) -> Stream:
        """Open a TCP connection. There is no time limit here: use a cancel scope.

        Raises:
            ForbiddenAddressError: the address is of narrower scope than ``within``, or never allowed.
            NetworkError: nobody answered there.
        """

    async def listen(self, host: str, port: int, *, fallback: bool) -> Sequence[Listener]:
        """Listen for TCP on an IP address (empty: on all, one listener per family) on one common port.

        The port is free for UDP as well, for the ``open_datagrams`` that follows. Port 0 means any free one; so does a
        port that is taken, with ``fallback``.

        Raises:
            ListenError: the port or the address cannot be had.
        """

    async def open_datagrams(self, host: str, port: int) -> Sequence[Datagrams]:
        """Open UDP on an IP address (empty: on all, one socket per family) on one common port (0: any free one).

        Raises:
            ListenError: the port or the address cannot be had.
        """

    async def open_multicast(self, group: Address, host: str, *, join: bool) -> Multicast:
        """Open UDP to a multicast group.

        Args:
            group: its address and port.
            host: an IP address of this machine, to use its interface only; empty for all of them.
            join: receive what others send to the group (side by side with other programs here that do).

        Raises:
            ListenError: the system does not do it, or not for this host.
        """

    def source_for(self, to: Address) -> str:
        """Our IP address that datagrams to this one leave from. Nothing is sent.

        Raises:
            NetworkError: there is no way to get there.
        """

    def reachable_at(self, bound: Iterable[str]) -> list[str]:
        """Our IP addresses, a handful at most, at which others may reach listeners that are bound to these."""

    async def resolve(self, host: str, port: int, *, within: Scope) -> list[Address]:
        """The addresses of a host (an IP literal at once), best first, without those of narrower scope than ``within``.

        Raises:
            ForbiddenAddressError: there are only addresses of narrower scope.
            NetworkError: there is no such name, or it is not ASCII.
        """


def check_scope(address: Address, within: Scope) -> None:
    """Raise ForbiddenAddressError where the address is of narrower scope than ``within``, or never allowed."""
    scope = address.scope
    if scope is Scope.FORBIDDEN:
        raise ForbiddenAddressError(f"{address} is no address to connect to")
    if scope < within:
        raise ForbiddenAddressError(
            f"{address} is {scope.name.lower()}, but was named by a {within.name.lower()} source"
        )


class RealNetwork:
    """The system's network.

    Args:
        host: an IP address of this machine: outgoing connections leave from it, so they fail where it cannot reach.
            Empty for any.
        interface: the name of the network interface by which everything goes, in and out, or not at all; empty for all.
            Names are still looked up as the system does it.

    Raises:
        ListenError: the host is not an IP address, or there is no such interface, or it has not that address.
    """

    def __init__(self, host: str = "", interface: str = "") -> None:
        self._host = literal(host) if host else ""
        self._interface = interface
        if interface:
            check_interface(interface, self._host)

    async def connect(self, address: Address, *, within: Scope = Scope.LOOPBACK) -> TcpStream:
        """See ``Network.connect``."""
        check_scope(address, within)
        if self._host and address.is_ipv6 != (":" in self._host):
            raise NetworkError(f"cannot connect to {address}: bound to {self._host}")
        source = self.source_for(address) if self._interface else self._host
        try:
            sock = trio.socket.socket(socket.AF_INET6 if address.is_ipv6 else socket.AF_INET, socket.SOCK_STREAM)
            try:
                if self._interface:
                    tie(sock, self._interface)
                if source:
                    await sock.bind((source, 0))
                await sock.connect((address.host, address.port))
                return take_over(sock)
            except BaseException:
                sock.close()
                raise
        except OSError as error:
            raise NetworkError(f"cannot connect to {address}: {reason(error)}") from error

    async def listen(self, host: str, port: int, *, fallback: bool) -> list[TcpListener]:
        """See ``Network.listen``."""
        await trio.lowlevel.checkpoint()
        host = literal(host) if host else ""
        return open_listeners(host, port, fallback=fallback, interface=self._interface)

    async def open_datagrams(self, host: str, port: int) -> list[UdpDatagrams]:
        """See ``Network.open_datagrams``."""
        await trio.lowlevel.checkpoint()
        return open_datagrams(literal(host) if host else "", port, self._interface)

    async def open_multicast(self, group: Address, host: str, *, join: bool) -> UdpMulticast:
        """See ``Network.open_multicast``. Bound to one address, it uses no other one's interface."""
        await trio.lowlevel.checkpoint()
        host = self._host or (literal(host) if host else "")
        return open_multicast(group, host, join=join, interface=self._interface)

    def source_for(self, to: Address) -> str:
        """See ``Network.source_for``."""
        return source_for(to, self._host, self._interface)

    def reachable_at(self, bound: Iterable[str]) -> list[str]:
        """See ``Network.reachable_at``."""
        return addresses.reachable_at(bound, self._interface)

    async def resolve(self, host: str, port: int, *, within: Scope) -> list[Address]:
        """See ``Network.resolve``."""
        if not 0 < port < 65536:
            raise NetworkError(f"{port} is no port to connect to")
        ip = parse_host(host)
        if ip is not None:
            check_scope(Address(ip, port), within)
            await trio.lowlevel.checkpoint()
            return [Address(ip, port)]
        check_name(host)
        try:
            answers = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise NetworkError(f"cannot find {host}: {reason(error)}") from error
        found = [Address(parse_host(str(sockaddr[0])) or "", port) for *_, sockaddr in answers]
        found = list(dict.fromkeys(found))
        if self._host:
            found = [address for address in found if address.is_ipv6 == (":" in self._host)]
        allowed = [address for address in found if address.scope >= max(within, Scope.LOOPBACK)]
        if found and not allowed:
            check_scope(found[0], within)
        if not allowed:
            raise NetworkError(f"{host} has no address that can be reached from here")
        return allowed[: limits.MAX_ADDRESSES_PER_NAME]


def literal(host: str) -> str:
    """The IP address in its shortest form; ListenError for a name."""
    ip = parse_host(host)
    if ip is None:
        raise ListenError(f"cannot listen on {host!r}: not an IP address", hint="127.0.0.1 or ::1 is this machine only")
    return ip
