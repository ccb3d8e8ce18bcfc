"""Which ports of a simulated host are taken, for one protocol."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from ..wire.address import Address

T = TypeVar("T")

FIRST_FREE_PORT: Final = 49152
"""Where the ports begin that a system gives out by itself (RFC 6335, section 6)."""


def wildcard(host: str) -> str:
    """The address that stands for all of this one's family."""
    return "::" if ":" in host else "0.0.0.0"


class Ports(Generic[T]):
    """Sockets by the address they are bound to; iterating goes through them in the order they were bound."""

    __slots__ = ("_bound",)

    def __init__(self) -> None:
        self._bound: dict[int, dict[str, T]] = {}

    def __iter__(self) -> Iterator[T]:
        return iter([bound for hosts in self._bound.values() for bound in hosts.values()])

    def __len__(self) -> int:
        return sum(map(len, self._bound.values()))

    def bind(self, address: Address, bound: T) -> None:
        """Take a free address."""
        self._bound.setdefault(address.port, {})[address.host] = bound

    def release(self, address: Address) -> None:
        """Make it free again."""
        hosts = self._bound[address.port]
        del hosts[address.host]
        if not hosts:
            del self._bound[address.port]

    def taken(self, host: str, port: int) -> bool:
        """Whether somebody has this address, or it is part of what somebody has."""
        hosts = self._bound.get(port, {})
        if host == wildcard(host):
            return any(wildcard(other) == host for other in hosts)
        return host in hosts or wildcard(host) in hosts

    def find(self, host: str, port: int) -> T | None:
        """Who gets what is sent to this address."""
        hosts = self._bound.get(port)
        return None if hosts is None else hosts.get(host) or hosts.get(wildcard(host))
