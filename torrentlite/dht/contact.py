"""Addresses of nodes, as they are sent: 26 bytes (IPv4, BEP 5) or 38 (IPv6, BEP 32). Pure."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Hashable, Iterable
from typing import Final, NamedTuple

from ..wire.address import Address, Scope, parse_host, scope_of

ID_SIZE: Final = 20
_CACHE: Final = 16_384  # addresses; a table has some hundred, a lookup meets as many


class Contact(NamedTuple):
    """A node that somebody named: its id, and where it is."""

    id: bytes
    address: Address


@functools.lru_cache(maxsize=_CACHE)
def packed_host(host: str) -> bytes:
    """The 4 or 16 bytes of an IP address."""
    return ipaddress.ip_address(host).packed


@functools.lru_cache(maxsize=_CACHE)
def _host(packed: bytes) -> str:
    if len(packed) == 4:
        return f"{packed[0]}.{packed[1]}.{packed[2]}.{packed[3]}"
    return parse_host(str(ipaddress.IPv6Address(packed))) or ""


def pack_address(address: Address) -> bytes:
    """6 or 18 bytes."""
    return packed_host(address.host) + address.port.to_bytes(2, "big")


def read_address(data: bytes) -> Address | None:
    """The address in 6 or 18 bytes; None for any other length."""
    if len(data) not in (6, 18):
        return None
    return Address(_host(data[:-2]), data[-2] << 8 | data[-1])


def read_contacts(data: bytes, *, ipv6: bool, most: int) -> list[Contact]:
    """The nodes of ``nodes`` (or ``nodes6``), up to so many; none where the length does not fit.

    An address of the other family (IPv4 inside of IPv6) is left out.
    """
    size = 38 if ipv6 else 26
    if len(data) % size:
        return []
    found = []
    for start in range(0, min(len(data), size * most), size):
        node = data[start : start + size]
        address = Address(_host(node[20:-2]), node[-2] << 8 | node[-1])
        if address.is_ipv6 == ipv6:
            found.append(Contact(node[:20], address))
    return found


def write_contacts(contacts: Iterable[Contact]) -> bytes:
    """What ``read_contacts`` reads; all of one family."""
    return b"".join(contact.id + pack_address(contact.address) for contact in contacts)


@functools.lru_cache(maxsize=_CACHE)
def subnet(address: Address) -> Hashable:
    """What one owner is likely to hold: a public /24 (IPv4) or /64 (IPv6); any other address stands for itself.

    On a LAN and on loopback many nodes share one IP address, and nobody there needs a thousand to be believed.
    """
    if scope_of(address.host) is not Scope.PUBLIC:
        return address
    packed = packed_host(address.host)
    return packed[:3] if len(packed) == 4 else packed[:8]


@functools.lru_cache(maxsize=_CACHE)
def household(address: Address) -> Hashable:
    """Whose budget an answer to this address is charged to: a public IPv4 address, an IPv6 /64, else the address."""
    if scope_of(address.host) is not Scope.PUBLIC:
        return address
    packed = packed_host(address.host)
    return packed if len(packed) == 4 else packed[:8]
