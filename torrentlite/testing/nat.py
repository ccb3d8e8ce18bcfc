"""Network address translation: several computers behind one public address, and who gets through to them (RFC 4787)."""

from __future__ import annotations

import enum
from typing import Final

from ..wire.address import Address
from .ports import FIRST_FREE_PORT

LIFETIME: Final = 120.0
"""Seconds without a datagram from inside after which a mapping is forgotten; the least that RFC 4787 allows."""


class NatKind(enum.Enum):
    """From whom a datagram gets in, through a port that somebody inside has sent from."""

    FULL_CONE = "full cone"
    """From everybody."""
    RESTRICTED = "restricted"
    """From IP addresses that were sent to."""
    PORT_RESTRICTED = "port restricted"
    """From addresses and ports that were sent to; what homes have most often."""
    SYMMETRIC = "symmetric"
    """Likewise, and each of them sees another port of ours; common in mobile networks."""


class _Mapping:
    """An inner address and the outer port that stands for it."""

    __slots__ = ("inner", "key", "peers", "port", "used")

    def __init__(self, key: tuple[Address, Address | None], port: int) -> None:
        self.key = key
        self.inner = key[0]
        self.port = port
        self.peers: dict[Address, float] = {}  # whom it sent to, and when last
        self.used = 0.0


class Nat:
    """What a router knows. Time is an argument; nothing here sends anything.

    Args:
        host: its public IPv4 address.
        kind: who gets in.
        lifetime: seconds that a mapping of datagrams lasts after the last one from inside.

    Attributes:
        forwards: by outer port, the inner address that everything is passed on to: what a person sets up by hand.
        refused: datagrams from outside that were nobody's.
    """

    def __init__(self, host: str, kind: NatKind = NatKind.PORT_RESTRICTED, *, lifetime: float = LIFETIME) -> None:
        self.host = host
        self.kind = kind
        self.lifetime = lifetime
        self.forwards: dict[int, Address] = {}
        self.refused = 0
        self._by_port: dict[int, _Mapping] = {}
        self._by_inner: dict[tuple[Address, Address | None], _Mapping] = {}
        self._next_port = FIRST_FREE_PORT

    def __repr__(self) -> str:
        return f"<Nat {self.host} ({self.kind.value})>"

    def outgoing(self, inner: Address, to: Address, now: float) -> Address:
        """The sender that others see on a datagram from inside; the way back is open from now on."""
        for port, forwarded in self.forwards.items():
            if forwarded == inner:
                return Address(self.host, port)
        key = (inner, to if self.kind is NatKind.SYMMETRIC else None)
        mapping = self._by_inner.get(key)
        if mapping is None or now - mapping.used >= self.lifetime:
            if mapping is not None:
                del self._by_port[mapping.port]
            mapping = self._by_inner[key] = _Mapping(key, self._free_port(inner.port, now))
            self._by_port[mapping.port] = mapping
        mapping.used = mapping.peers[to] = now
        return Address(self.host, mapping.port)

    def incoming(self, sender: Address, port: int, now: float) -> Address | None:
        """Whom inside a datagram from outside is for; None: it goes no further."""
        inner = self.forwards.get(port)
        if inner is not None:
            return inner
        mapping = self._by_port.get(port)
        if mapping is None or now - mapping.used >= self.lifetime or not self._admits(mapping, sender, now):
            self.refused += 1
            return None
        return mapping.inner

    def renumber(self, host: str) -> None:
        """It has another public address: nobody who was sent to by the old one gets in by the new one."""
        self.host = host
        self._by_port.clear()
        self._by_inner.clear()

    def connection(self) -> int:
        """The outer port of a new TCP connection from inside."""
        return self._free_port(0, float("-inf"))  # no mapping of datagrams is forgotten for it

    def _admits(self, mapping: _Mapping, sender: Address, now: float) -> bool:
        if self.kind is NatKind.FULL_CONE:
            return True
        if self.kind is NatKind.RESTRICTED:
            hosts = (peer.host for peer, sent in mapping.peers.items() if now - sent < self.lifetime)
            return sender.host in hosts
        sent = mapping.peers.get(sender)
        return sent is not None and now - sent < self.lifetime

    def _free_port(self, wished: int, now: float) -> int:
        """The inner port where it is free, as most routers do; else the next one."""
        if (
            wished
            and self.kind is not NatKind.SYMMETRIC
            and wished not in self._by_port
            and wished not in self.forwards
        ):
            return wished
        while True:
            port = self._next_port
            self._next_port = port + 1 if port < 65535 else FIRST_FREE_PORT
            if port not in self._by_port and port not in self.forwards:
                return port
