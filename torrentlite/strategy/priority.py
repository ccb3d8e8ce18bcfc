"""Canonical peer priority (BEP 40): which of too many peers to keep, a rule on which both ends agree.

Each pair of addresses has a number that looks random and that nobody can choose. If everybody prefers large ones, a
newcomer has the same chance as anyone else to get into a full swarm, and an attacker cannot fill all the seats.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import Final

from ..wire.address import Address

_POLYNOMIAL: Final = 0x82F63B78
"""CRC-32C (Castagnoli), bits reversed."""


def _entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE: Final = tuple(_entry(byte) for byte in range(256))


def crc32c(data: bytes) -> int:
    """The CRC-32C of a few bytes (RFC 3720, appendix B.4)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def priority(ours: Address, theirs: Address) -> int:
    """The priority of a connection between two addresses, 32 bits; the larger, the better.

    Args:
        ours: our address as that peer sees it. What one peer claims (``yourip``, BEP 10) is only a hint.
        theirs: where the peer listens.

    Raises:
        ValueError: the addresses are of different families, which the rule does not cover.
    """
    a, b = ipaddress.ip_address(ours.host).packed, ipaddress.ip_address(theirs.host).packed
    if len(a) != len(b):
        raise ValueError(f"{ours} and {theirs} are of different families")
    if a == b:
        low, high = sorted((ours.port, theirs.port))
        return crc32c(struct.pack(">HH", low, high))
    mask = _mask(a, b)
    low_ip, high_ip = sorted((_masked(a, mask), _masked(b, mask)))
    return crc32c(low_ip + high_ip)


def _mask(a: bytes, b: bytes) -> bytes:
    """All bits of the first bytes (two of IPv4, six of IPv6, or up to the first difference), every other bit behind.

    Who has a whole network to choose addresses from thus gains little by it.
    """
    differs = next(at for at in range(len(a)) if a[at] != b[at])
    whole = max(2 if len(a) == 4 else 6, differs + 1)
    return b"\xff" * whole + b"\x55" * (len(a) - whole)


def _masked(ip: bytes, mask: bytes) -> bytes:
    return bytes(byte & bits for byte, bits in zip(ip, mask, strict=True))
