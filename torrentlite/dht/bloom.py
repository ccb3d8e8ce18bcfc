"""Bloom filters of IP addresses (BEP 33). Pure."""

from __future__ import annotations

import hashlib
import math
from typing import Final

SIZE: Final = 256  # bytes
_BITS: Final = SIZE * 8
_HASHES: Final = 2


class BloomFilter:
    """A set of IP addresses, of which one learns about how many they are.

    Args:
        data: 256 bytes; empty without.

    Raises:
        ValueError: another length.
    """

    __slots__ = ("_bits",)

    def __init__(self, data: bytes = bytes(SIZE)) -> None:
        if len(data) != SIZE:
            raise ValueError(f"a Bloom filter has {SIZE} bytes, not {len(data)}")
        self._bits = int.from_bytes(data, "little")

    def __bytes__(self) -> bytes:
        return self._bits.to_bytes(SIZE, "little")

    def __repr__(self) -> str:
        return f"<BloomFilter of about {self.estimate():.0f}>"

    def add(self, host: bytes) -> None:
        """Put in an IP address, as its 4 or 16 bytes."""
        for index in _indexes(host):
            self._bits |= 1 << index

    def __contains__(self, host: bytes) -> bool:
        return all(self._bits >> index & 1 for index in _indexes(host))

    def update(self, other: BloomFilter) -> None:
        """Put in everything that is in the other one."""
        self._bits |= other._bits

    def estimate(self) -> float:
        """About how many addresses are in it; above 6,000 it knows no more."""
        zeros = min(_BITS - 1, _BITS - self._bits.bit_count())
        return math.log(max(zeros, 1) / _BITS) / (_HASHES * math.log(1 - 1 / _BITS))


def _indexes(host: bytes) -> tuple[int, int]:
    digest = hashlib.sha1(host, usedforsecurity=False).digest()
    return int.from_bytes(digest[:2], "little") % _BITS, int.from_bytes(digest[2:4], "little") % _BITS
