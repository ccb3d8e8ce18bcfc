"""UDP to and from a multicast group, on every interface or on one.

What arrives for the group and what answers our own datagrams come through one ``receive``. Interfaces that appear later
(a cable, a Wi-Fi) are joined when something is next sent.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import sys

import trio

from .. import limits
from ..errors import ListenError, NetworkError
from ..wire.address import Address, Scope, scope_of
from .datagrams import UdpDatagrams
from .interface import interface_trouble, own_addresses, own_source, system_source
from .stream import reason

_LOOPBACK_NAMES = ("lo", "lo0")
_JOINED_ALREADY = errno.EADDRINUSE
# Linux else gives us what other programs have joined, on interfaces that we did not choose.
_MULTICAST_ALL = {socket.AF_INET: (socket.IPPROTO_IP, 49), socket.AF_INET6: (socket.IPPROTO_IPV6, 29)}


class UdpMulticast:
    """A multicast group as ``Multicast`` (see ``network.py`` for what the methods promise)."""

    def __init__(self, group: Address, host: str, *, join: bool, interface: str = "") -> None:
        """Raises OSError."""
        self.group = group
        self._host = host
        self._interface = interface
        self._source = host
        self._family = socket.AF_INET6 if group.is_ipv6 else socket.AF_INET
        self._joined: set[int] = set()
        self._members: UdpDatagrams | None = None
        with contextlib.ExitStack() as undo:
            self._sender = self._bound(undo, host or ("::" if group.is_ipv6 else "0.0.0.0"), 0)
            if join:
                # Bound to the group, so that nobody far away can reach it by unicast. Windows cannot do that.
                self._members = self._bound(undo, "" if sys.platform == "win32" else group.host, group.port)
                self._join(self._interfaces())
            undo.pop_all()

    def __repr__(self) -> str:
        return f"<UdpMulticast {self.group}>"

    async def receive(self) -> list[tuple[bytes, Address]]:
        """See ``Multicast.receive``."""
        while self._interface and self._members is not None:
            with trio.move_on_after(limits.INTERFACE_CHECK):
                return await self._members.receive()
            self._join(self._interfaces())
        return await (self._members or self._sender).receive()

    def send(self, data: bytes) -> int:
        """See ``Multicast.send``."""
        interfaces = self._interfaces()
        if self._members is not None:
            self._join(interfaces)
        sent = 0
        for interface in interfaces:
            with contextlib.suppress(OSError, NetworkError):  # it went away, or has no address of the family
                self._leave_by(interface)
                self._sender.sock.sendto(data, (self.group.host, self.group.port))
                sent += 1
        return sent

    def close(self) -> None:
        """See ``Multicast.close``."""
        self._sender.close()
        if self._members is not None:
            self._members.close()

    def _bound(self, undo: contextlib.ExitStack, host: str, port: int) -> UdpDatagrams:
        sock = socket.socket(self._family, socket.SOCK_DGRAM)
        undo.callback(sock.close)
        sock.setblocking(False)
        if port:  # every program on this machine that takes part has the same port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if sys.platform != "linux" and hasattr(socket, "SO_REUSEPORT"):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if sys.platform == "linux":
                with contextlib.suppress(OSError):  # IPv6: since Linux 4.20
                    sock.setsockopt(*_MULTICAST_ALL[self._family], 0)
        if self._family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        return UdpDatagrams(sock)

    def _interfaces(self) -> list[int]:
        """Their numbers; 0 is the one that the host's address belongs to, or the system's choice."""
        if self._interface:  # looked up each time: a VPN that dials in anew has another number, and another address
            self._source = own_source(self._interface, ipv6=self.group.is_ipv6, host=self._host)
            with contextlib.suppress(OSError):
                return [socket.if_nametoindex(self._interface)] if self._source else []
            return []
        if self._host and not self.group.is_ipv6:
            return [0]  # named by the address itself
        if self._host:
            return [_interface_of(self._host)]
        try:
            named = socket.if_nameindex()
        except (OSError, AttributeError):
            return [0]
        others = [index for index, name in named if name not in _LOOPBACK_NAMES]
        return (others or [index for index, _ in named])[: limits.MAX_MULTICAST_INTERFACES]

    def _join(self, interfaces: list[int]) -> None:
        for interface in self._joined - set(interfaces):
            # It went away. Linux counts the membership all the same, and has room for few (igmp_max_memberships).
            with contextlib.suppress(OSError):
                self._belong(interface, socket.IP_DROP_MEMBERSHIP, socket.IPV6_LEAVE_GROUP)
        self._joined &= set(interfaces)  # and what comes back has to be joined again
        for interface in interfaces:
            if interface in self._joined:
                continue
            try:
                self._belong(interface, socket.IP_ADD_MEMBERSHIP, socket.IPV6_JOIN_GROUP)
            except OSError as error:
                if error.errno != _JOINED_ALREADY:
                    continue  # not up yet, or without the family: tried again before the next datagram
            self._joined.add(interface)

    def _belong(self, interface: int, four: int, six: int) -> None:
        """Change by this option, of IPv4 or IPv6, what the socket belongs to."""
        assert self._members is not None
        if self.group.is_ipv6:
            self._members.sock.setsockopt(socket.IPPROTO_IPV6, six, self._group6(interface))
        else:
            self._members.sock.setsockopt(socket.IPPROTO_IP, four, self._group4(interface))

    def _leave_by(self, interface: int) -> None:
        if self.group.is_ipv6:
            self._sender.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, interface)
        else:
            self._sender.sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, self._group4(interface))

    def _group4(self, interface: int) -> bytes:
        """``struct ip_mreqn``, or where the interface is named by an address, ``struct ip_mreq``."""
        group = socket.inet_aton(self.group.host)
        if self._source:
            named = group + socket.inet_aton(self._source)
            return named + struct.pack("@i", interface) if sys.platform != "win32" else named
        if sys.platform == "win32":
            return group + socket.inet_aton(f"0.0.0.{interface}")  # Windows takes an index in this form
        return group + bytes(4) + struct.pack("@i", interface)

    def _group6(self, interface: int) -> bytes:
        return socket.inet_pton(socket.AF_INET6, self.group.host) + struct.pack("@I", interface)


def open_multicast(group: Address, host: str, *, join: bool, interface: str = "") -> UdpMulticast:
    """See ``Network.open_multicast``; the host is an IP address or empty, the interface a name or empty."""
    if host and (":" in host) != group.is_ipv6:
        raise ListenError(f"cannot send to {group} from {host}: of another address family")
    try:
        return UdpMulticast(group, host, join=join, interface=interface)
    except OSError as error:
        raise ListenError(f"cannot send to {group}: {reason(error)}") from error


def source_for(to: Address, host: str, interface: str = "") -> str:
    """See ``Network.source_for``; the host is an IP address or empty, the interface a name or empty."""
    if to.scope is Scope.FORBIDDEN:
        raise NetworkError(f"{to} is no address to send to")
    if host and (":" in host) != to.is_ipv6:
        raise NetworkError(f"cannot reach {to} from {host}")
    own = own_addresses(interface, ipv6=to.is_ipv6, host=host) if interface else []
    if interface and not own:
        lack = f"the network interface {interface} has no {'IPv6' if to.is_ipv6 else 'IPv4'} address"
        raise NetworkError(f"cannot reach {to}: {interface_trouble(interface, host) or lack}")
    if interface and to.scope is Scope.LOOPBACK and to.scope not in map(scope_of, own):
        raise NetworkError(f"cannot reach {to}: the network interface {interface} does not lead to this computer")
    try:
        chosen = system_source((to.host, to.port), ipv6=to.is_ipv6, interface=interface, host=host)
    except OSError as error:
        raise NetworkError(f"cannot reach {to}: {reason(error)}") from error
    # Its own may be none that the system chooses, and then it takes another interface's.
    return chosen if not interface or chosen in own else own[0]


def _interface_of(host: str) -> int:
    """The number of the interface that has this IPv6 address, where Linux tells; else 0."""
    if scope_of(host) is Scope.LOOPBACK:
        with contextlib.suppress(OSError):
            return socket.if_nametoindex(_LOOPBACK_NAMES[sys.platform != "linux"])
    packed = socket.inet_pton(socket.AF_INET6, host).hex()
    with contextlib.suppress(OSError, ValueError), open("/proc/net/if_inet6", encoding="ascii") as table:
        for line in table:
            words = line.split()
            if len(words) > 1 and words[0] == packed:
                return int(words[1], 16)
    return 0
