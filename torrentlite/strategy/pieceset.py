"""A set of pieces that changes one by one, and is asked for as a whole."""

from __future__ import annotations

import random
from typing import Final

_NEAR: Final = 1024
"""Pieces of one stretch for ``draw``."""


class PieceSet:
    """A set of pieces with O(1) ``discard`` and ``in``, whose ``bits`` is the same set as an int.

    An int alone would cost a copy of the whole set for each Have message (a microsecond at 100,000 pieces, and they
    come by the million), so changes are made in a bit field, of which the int is made when it is looked at (4 µs).
    The caller keeps pieces within ``0 <= piece < total``.

    Attributes:
        count: how many pieces are in the set.
        flags: the set as a bit field, bit ``i & 7`` of byte ``i >> 3`` for piece ``i``. Others only read it, but for
            ``Availability.gain``, which puts pieces in.
        total: how many pieces there are.
    """

    __slots__ = ("_bits", "_bits_of", "count", "flags", "total")

    def __init__(self, bits: int, total: int) -> None:
        self.total: Final = total
        self.count = bits.bit_count()
        self._bits = bits
        self._bits_of = self.count  # the count at which they were looked at; -1 after a piece was taken out
        self.flags: Final = bytearray(bits.to_bytes((total + 7) // 8, "little"))

    def __contains__(self, piece: int) -> bool:
        return bool(self.flags[piece >> 3] >> (piece & 7) & 1)

    def discard(self, piece: int) -> bool:
        """Take a piece out; returns whether it was there."""
        at = piece >> 3
        flag = 1 << (piece & 7)
        if not self.flags[at] & flag:
            return False
        self.flags[at] ^= flag
        self.count -= 1
        self._bits_of = -1
        return True

    @property
    def full(self) -> bool:
        """Whether all pieces are in the set."""
        return self.count == self.total

    @property
    def bits(self) -> int:
        """The set as an int, bit ``i`` for piece ``i``."""
        if self._bits_of != self.count:
            self._bits = int.from_bytes(self.flags, "little")
            self._bits_of = self.count
        return self._bits


def draw(pieces: int, rng: random.Random) -> int:
    """One piece of a set (not empty), at random.

    Of up to a thousand pieces each is as likely. Of more, a stretch of a thousand is drawn first and then a member in
    it, so one of a thin stretch is likelier than one of a crowd; to count them all would cost ten times as much.
    """
    at = int(rng.random() * (-(-pieces.bit_length() // _NEAR))) * _NEAR
    near = pieces >> at & ((1 << _NEAR) - 1)
    if not near:  # then the next ones below, or else the highest
        top = (pieces & ((1 << at) - 1) or pieces).bit_length()
        at = max(0, top - _NEAR)
        near = pieces >> at & ((1 << _NEAR) - 1)
    return at + _nth(near, int(rng.random() * near.bit_count()))


def runs(pieces: int, length: int) -> int:
    """Those pieces that begin a run of ``length`` (at least 1) pieces of the set, by about log2(length) shifts."""
    span = 1
    while span < length:
        step = min(span, length - span)
        pieces &= pieces >> step
        span += step
    return pieces


def _nth(bits: int, index: int) -> int:
    """The place of the set bit that has ``index`` set bits below it."""
    place = 0
    width = bits.bit_length()
    if not bits & (bits - 1):  # the rarest lie so thin that mostly there is but one in its stretch
        return width - 1
    while width > 1:
        half = width >> 1
        low = bits & ((1 << half) - 1)
        below = low.bit_count()
        if index < below:
            bits = low
            width = half
        else:
            index -= below
            bits >>= half
            place += half
            width -= half
    return place
