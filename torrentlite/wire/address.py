"""Internet addresses of peers: compact forms and scopes."""

from __future__ import annotations

import enum
import functools
import ipaddress
import struct
from typing import NamedTuple


class Scope(enum.IntEnum):
    """How far an address reaches; a wider scope is a larger number.

    What a remote source names must be of that source's own scope or wider, so that nobody outside can point us at
    services inside.
    """

    FORBIDDEN = 0
    """Never contacted: unspecified, multicast, broadcast, link-local (cloud metadata), reserved."""
    LOOPBACK = 1
    PRIVATE = 2
    PUBLIC = 3


class Address(NamedTuple):
    """An IP address as text in its shortest form, and a port. IPv4-mapped IPv6 addresses become IPv4."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_ipv6(self) -> bool:
        """Whether this is an IPv6 address."""
        return ":" in self.host

    @property
    def scope(self) -> Scope:
        """The scope of the host; FORBIDDEN also when the port is 0 or none at all."""
        return scope_of(self.host) if 0 < self.port < 65536 else Scope.FORBIDDEN

    def compact(self) -> bytes:
        """4 + 2 or 16 + 2 bytes (BEP 23, BEP 7)."""
        return ipaddress.ip_address(self.host).packed + struct.pack(">H", self.port)


def parse_host(host: str) -> str | None:
    """The shortest form of an IP address given as text, or None where it is a name."""
    try:
        ip = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ip)


@functools.lru_cache(maxsize=4096)
def scope_of(host: str) -> Scope:
    """The scope of an IP address; FORBIDDEN for what is not one."""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return Scope.FORBIDDEN
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if ip.is_loopback:
        return Scope.LOOPBACK
    if ip.is_unspecified or ip.is_multicast or ip.is_link_local or ip.is_reserved:
        return Scope.FORBIDDEN
    if isinstance(ip, ipaddress.IPv4Address) and ip.packed[0] == 0:
        return Scope.FORBIDDEN
    return Scope.PUBLIC if ip.is_global else Scope.PRIVATE


def read_compact(data: bytes, *, ipv6: bool = False) -> list[Address]:
    """Addresses of a compact list; a partial entry at the end is dropped."""
    size = 18 if ipv6 else 6
    found = []
    for start in range(0, len(data) - size + 1, size):
        packed = data[start : start + size]
        host = parse_host(str(ipaddress.ip_address(packed[:-2])))
        if host is not None:
            found.append(Address(host, packed[-2] << 8 | packed[-1]))
    return found


def write_compact(addresses: list[Address], *, ipv6: bool = False) -> bytes:
    """The compact list of those addresses that are of this family."""
    return b"".join(address.compact() for address in addresses if address.is_ipv6 == ipv6)
