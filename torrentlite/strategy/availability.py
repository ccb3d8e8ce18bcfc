"""How many peers have each piece, so that the rarest can be fetched first.

The counts are *bit-sliced*: plane ``k`` is an int whose bit ``i`` is bit ``k`` of the count of piece ``i``. Adding the
pieces of a peer is then the addition of one binary digit to all counts at once, with the carry rippling through the
planes, and "those with the lowest count" is a walk down from the highest plane. Nothing loops over pieces in Python.

    counts of pieces 3 2 1 0:   2 0 1 3        plane 1:  1 0 0 1
                                               plane 0:  0 0 1 1
"""

from __future__ import annotations

import collections
import random
from typing import Final

from ..wire import bitfield
from .pieceset import PieceSet, draw

_MANY: Final = 1 << 16
"""Haves are brought into the planes at the latest when so many are in a list, for those who never pick (seeds)."""

_STALE: Final = 256
"""Who looks for the rarest pieces overlooks one Have for so many pieces of the torrent, so none in a small one. At
100,000 pieces and 200 peers each Have else cost more in the planes (60 to 100 µs for every look) than all the rest."""


class Availability:
    """How many connected peers have each of ``total`` pieces. Sets of pieces are ints (``wire/bitfield.py``)."""

    __slots__ = (
        "_again",
        "_all",
        "_everywhere",
        "_floor",
        "_last",
        "_lost",
        "_news",
        "_once",
        "_planes",
        "_somewhere",
        "total",
    )

    def __init__(self, total: int) -> None:
        self.total: Final = total
        self._all: Final = bitfield.full(total)
        self._everywhere = 0  # peers with all pieces: they change no order, so they are counted apart
        self._planes: list[int] = []
        # Increments that are not yet in the planes: how many, those pieces that came once (as bits), and more of them.
        self._news = 0
        self._once = bytearray((total + 7) // 8)
        self._again: list[int] = []
        self._lost: list[int] = []  # decrements, likewise
        self._somewhere: int | None = None  # kept until a count changes
        self._floor = 0  # no piece has fewer peers in the planes: as last looked up, less all that was taken since
        # The last search for the rarest, what came of it, and how many peers have these, until the planes change.
        self._last = (0, 0, 0)

    def add(self, pieces: int) -> None:
        """Count a peer that has these pieces."""
        self._somewhere = None
        if pieces == self._all:
            self._everywhere += 1
        else:
            self._add(pieces, 0)

    def remove(self, pieces: int) -> None:
        """Count a peer no more; ``pieces`` is all that was added and gained for it.

        Raises:
            ValueError: some of these were never counted.
        """
        self._settle()
        self._somewhere = None
        if pieces == self._all and self._everywhere:
            self._everywhere -= 1
            self._floor -= 1
            return
        self._subtract(pieces, 0)

    def gain(self, piece: int, holdings: PieceSet) -> bool:
        """A peer has one piece more: put it into its set and count it; returns whether it was not there.

        Cheap: the planes learn of it when they are next read. Every Have of every peer comes through here, 200 for a
        piece from 200 peers, so the set and the count are changed in one place, and each byte is read once: as two
        calls, with ``|=``, it was 0.53 µs a Have, and is 0.41.
        """
        at = piece >> 3
        flag = 1 << (piece & 7)
        flags = holdings.flags
        byte = flags[at]
        if byte & flag:
            return False
        flags[at] = byte | flag
        holdings.count += 1
        flags = self._once
        byte = flags[at]
        if not byte & flag:
            flags[at] = byte | flag
        else:
            self._again.append(piece)
            if len(self._again) >= _MANY:
                self._settle()
                return True
        self._news += 1
        return True

    def decrement(self, piece: int, *, of_all: bool) -> None:
        """Count one piece less of a peer that had it (BEP 54); as cheap, but where it had all."""
        if of_all and self._everywhere:
            self._everywhere -= 1
            self._floor -= 1
            self._somewhere = None
            self._add(self._all ^ (1 << piece), 0)
            return
        self._lost.append(piece)
        if len(self._lost) >= _MANY:
            self._settle()

    def rarest_of(self, candidates: int) -> int:
        """Those of the candidates that the fewest peers have (but for the last few Haves of a big torrent)."""
        return self._search(candidates)[1]

    def _search(self, candidates: int) -> tuple[int, int, int]:
        self._settle_most()
        if candidates == self._last[0]:  # asked twice for nearly every piece that is begun (``Choice._scarce``)
            return self._last
        rarest = candidates
        count = 0
        for plane in reversed(self._planes):
            count <<= 1
            # Not ``rarest & ~plane``: to invert an int costs ten times an AND. In the low planes it is mostly one piece
            # or none, and then there is nothing to take out.
            common = rarest & plane
            if common == rarest:
                count += 1
            elif common:
                rarest ^= common
        self._last = candidates, rarest, count
        return self._last

    def commonest_of(self, candidates: int) -> int:
        """Those of the candidates that the most peers have (likewise)."""
        self._settle_most()
        for plane in reversed(self._planes):
            commoner = candidates & plane
            if commoner:
                candidates = commoner
        return candidates

    def rarest(self, candidates: int, rng: random.Random) -> int:
        """One of the rarest of the candidates (at least one), at random."""
        return draw(self.rarest_of(candidates), rng)

    def has_any(self, pieces: int) -> bool:
        """Whether at least one peer has one of these pieces. Mostly yes, and then it is cheap to say."""
        somewhere = self._somewhere
        if not self._everywhere and somewhere is not None and not self._lost and pieces:
            # True of an old ``somewhere`` is true: what was not brought into it yet only adds. Idle peers ask this all
            # the time, and the highest piece, mostly one that somebody has, is looked at in a tenth of the time of all.
            highest = pieces.bit_length() - 1
            return bool(somewhere >> highest & 1 or pieces & somewhere or pieces & self.somewhere)
        return bool(pieces & self.somewhere)

    @property
    def somewhere(self) -> int:
        """The pieces that at least one peer has."""
        self._settle()
        if self._everywhere:
            return self._all
        if self._somewhere is None:
            self._somewhere = 0
            for plane in self._planes:
                self._somewhere |= plane
        return self._somewhere

    def count(self, piece: int) -> int:
        """How many peers have this piece."""
        self._settle()
        return self.count_about(piece)

    def count_about(self, piece: int) -> int:
        """As ``count``, but for the last few Haves of a big torrent; to compare with ``lowest``."""
        bit = 1 << piece
        return self._everywhere + sum(1 << level for level, plane in enumerate(self._planes) if plane & bit)

    def lowest(self, candidates: int) -> int:
        """How many peers have the rarest of the candidates (at least one)."""
        return self._search(candidates)[2] + self._everywhere

    def all_above(self, count: int) -> bool:
        """Whether more than so many peers have each piece of the torrent, as ``count_about`` counts.

        Mostly it was so when last looked up, and then it is cheap to say: counts that only grow need no new look.
        """
        if self._floor <= count:
            self._floor = self.lowest(self._all)
        return self._floor > count

    def counts(self) -> list[int]:
        """How many peers have each piece."""
        self._settle()
        counts = [self._everywhere] * self.total
        # A byte a piece holds eight digits of its count; so eight planes at a time become bytes by shifts and ORs.
        for level in range(0, len(self._planes), 8):
            lanes = 0
            for digit, plane in enumerate(self._planes[level : level + 8]):
                lanes |= (int.from_bytes(f"{plane:b}".encode(), "big") & self._ones()) << digit
            digits = lanes.to_bytes(self.total, "little")
            counts = [count + (value << level) for count, value in zip(counts, digits, strict=True)]
        return counts

    def copies(self) -> float:
        """Distributed copies: how many whole copies the peers hold together, and the share of the next one."""
        if not self.total:
            return 0.0
        self._settle()
        scarce = self.rarest_of(self._all)
        return self.lowest(scarce) + 1.0 - scarce.bit_count() / self.total

    def _ones(self) -> int:
        """A byte of value 1 for each piece. ASCII "0" and "1" differ in just this bit."""
        return int.from_bytes(b"\1" * self.total, "little")

    def _add(self, pieces: int, level: int) -> None:
        """Add 2**level to the counts of these pieces."""
        self._last = 0, 0, 0
        while len(self._planes) < level:
            self._planes.append(0)
        while pieces:
            if level == len(self._planes):
                self._planes.append(pieces)
                return
            plane = self._planes[level]
            self._planes[level] = plane ^ pieces
            pieces &= plane  # the carry
            level += 1

    def _subtract(self, pieces: int, level: int) -> None:
        """Take 2**level from the counts of these pieces."""
        self._last = 0, 0, 0
        self._floor -= 1 << level
        for place in range(level, len(self._planes)):
            if not pieces:
                break
            plane = self._planes[place]
            self._planes[place] = plane ^ pieces
            pieces ^= pieces & plane  # the borrow: digits that were 0
        if pieces:
            raise ValueError("pieces removed that were never added")
        while self._planes and not self._planes[-1]:
            self._planes.pop()

    def _settle_most(self) -> None:
        if self._news + len(self._lost) > self.total // _STALE:
            self._settle()

    def _settle(self) -> None:
        """Bring what was noted into the planes: one addition for each binary digit of how often a piece came."""
        if self._news:
            self._news = 0
            once = int.from_bytes(self._once, "little")
            self._once = bytearray(len(self._once))
            if self._somewhere is not None:
                self._somewhere |= once
            self._add(once, 0)
        if self._lost:
            self._somewhere = None
        for noted, change in ((self._again, self._add), (self._lost, self._subtract)):
            if not noted:
                continue
            tally = dict(collections.Counter(noted))
            noted.clear()
            level = 0
            while tally:
                change(bitfield.of(piece for piece, times in tally.items() if times & 1), level)
                tally = {piece: times >> 1 for piece, times in tally.items() if times > 1}
                level += 1
