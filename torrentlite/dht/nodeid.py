"""Node ids: distances, and the tie between an id and its address (BEP 42). Pure."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final

from ..wire.address import Scope, scope_of
from .contact import ID_SIZE, packed_host

_POLYNOMIAL: Final = 0x82F63B78  # CRC-32C (Castagnoli), reflected
_MASKS: Final = {4: bytes.fromhex("030f3fff"), 8: bytes.fromhex("0103070f1f3f7fff")}


def _table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE: Final = _table()


def crc32c(data: bytes | bytearray) -> int:
    """The CRC-32C checksum."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def number(node_id: bytes) -> int:
    """An id as a number; the XOR of two of them is their distance."""
    return int.from_bytes(node_id, "big")


def shared_bits(one: int, other: int) -> int:
    """How many leading bits two ids (as numbers) share, 0 to 160."""
    return 8 * ID_SIZE - (one ^ other).bit_length()


@functools.lru_cache(maxsize=16_384)
def _prefix(host: str, r: int) -> int:
    """The 21 bits that an id must begin with, for one of the eight values of ``r``."""
    packed = packed_host(host)
    octets = packed if len(packed) == 4 else packed[:8]
    masked = bytearray(octet & mask for octet, mask in zip(octets, _MASKS[len(octets)], strict=True))
    masked[0] |= r << 5
    return crc32c(masked) >> 11


def is_secure(node_id: bytes, host: str) -> bool:
    """Whether an id fits its node's address; only public addresses are held to it (BEP 42)."""
    if scope_of(host) is not Scope.PUBLIC:
        return True
    return int.from_bytes(node_id[:3], "big") >> 3 == _prefix(host, node_id[-1] & 7)


def make_id(host: str, secret: Callable[[int], bytes]) -> bytes:
    """A new id; one that fits the address where that is known and public.

    Args:
        host: our external IP address, or an empty string.
        secret: gives so many random bytes.
    """
    node_id = bytearray(secret(ID_SIZE))
    if host and scope_of(host) is Scope.PUBLIC:
        prefix = _prefix(host, node_id[-1] & 7)
        node_id[0] = prefix >> 13
        node_id[1] = prefix >> 5 & 0xFF
        node_id[2] = (prefix & 0x1F) << 3 | node_id[2] & 7
    return bytes(node_id)


def id_in_bucket(own: bytes, bits: int, secret: Callable[[int], bytes]) -> bytes:
    """A random id that shares just so many leading bits with our own (159 at most)."""
    flipped = number(own) ^ 1 << 8 * ID_SIZE - 1 - bits
    below = 8 * ID_SIZE - 1 - bits
    tail = int.from_bytes(secret(ID_SIZE), "big") & (1 << below) - 1
    return (flipped >> below << below | tail).to_bytes(ID_SIZE, "big")
