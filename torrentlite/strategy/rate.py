"""Rates: how fast bytes flow, and how fast they may."""

from __future__ import annotations

import math
from typing import Final

from ..metainfo.layout import BLOCK_SIZE

MEMORY: Final = 3.0
"""Seconds after which a byte counts for 1/e of its weight: calm enough to read, quick enough to size a queue by."""

SLOT: Final = 0.1
"""Bytes of one slot of this many seconds are weighed together, so that ``add`` is mostly one addition."""

SHORTEST: Final = 1.0
"""A meter younger than this many seconds divides by it, so that one early block is no gigabyte a second."""


class RateMeter:
    """Bytes per second, exponentially smoothed, right from the first seconds on.

    Attributes:
        total: all bytes ever added.
    """

    __slots__ = ("_born", "_fresh", "_slot_ends", "_weighed", "_weighed_at", "total")

    def __init__(self, now: float = -math.inf) -> None:
        """Begin measuring at ``now``, or with the first byte."""
        self.total = 0
        self._born = now
        self._weighed = 0.0
        self._weighed_at = now
        self._fresh = 0
        self._slot_ends = -math.inf

    def add(self, count: int, now: float) -> None:
        """Count bytes that have just moved."""
        self.total += count
        if now >= self._slot_ends:
            self._weigh(now)
        self._fresh += count

    def rate(self, now: float) -> float:
        """Bytes per second of the last few seconds; falls towards 0 when nothing more comes."""
        if self.total == 0:
            return 0.0
        self._weigh(now)
        age = max(now - self._born, SHORTEST)
        return self._weighed / (MEMORY * (1.0 - math.exp(-age / MEMORY)))

    def _weigh(self, now: float) -> None:
        if self._born == -math.inf:
            self._born = now
        else:
            self._weighed *= math.exp((self._weighed_at - now) / MEMORY)
        # What came in the last slot is as old as that, if nobody has looked since.
        self._weighed += self._fresh * math.exp(-max(0.0, now - self._slot_ends) / MEMORY)
        self._fresh = 0
        self._weighed_at = now
        self._slot_ends = now + SLOT


class TokenBucket:
    """A limit in bytes per second, with a little saved up for bursts.

    ``take`` is for those who can ask for less (requests are paced by it); ``reserve`` for those who have a definite
    amount to move and wait (uploads). Both may share a bucket: debts of ``reserve`` are paid before ``take`` grants.

    Args:
        rate: bytes per second, 0 for unlimited.
        now: the time.
        burst: seconds of the rate that may be saved up; never less than a block, or no block could ever be asked for.

    Attributes:
        rate: may be set at any time.
    """

    __slots__ = ("_at", "_burst", "_tokens", "rate")

    def __init__(self, rate: float, now: float, *, burst: float = 0.5) -> None:
        self.rate = rate
        self._burst = burst
        self._tokens = self._capacity()
        self._at = now

    def take(self, count: int, now: float) -> int:
        """Grant 0 to ``count`` bytes at once. What is then not used goes back by ``give``."""
        if not self.rate:
            return count
        self._refill(now)
        granted = max(0, min(count, int(self._tokens)))
        self._tokens -= granted
        return granted

    def reserve(self, count: int, now: float) -> float:
        """Book ``count`` bytes and return the seconds to wait before they may move.

        Each call waits behind those before it, so callers are served in the order in which they came, however
        different their amounts are.
        """
        if not self.rate:
            return 0.0
        self._refill(now)
        self._tokens -= count
        return max(0.0, -self._tokens / self.rate)

    def give(self, count: int) -> None:
        """Take back bytes that were granted or booked, and not moved."""
        self._tokens += count

    def _capacity(self) -> float:
        return max(float(BLOCK_SIZE), self.rate * self._burst)

    def _refill(self, now: float) -> None:
        # A clock that stands still or an old ``now`` adds nothing; a long sleep adds one burst at most.
        self._tokens = min(self._capacity(), self._tokens + max(0.0, now - self._at) * self.rate)
        self._at = max(self._at, now)
