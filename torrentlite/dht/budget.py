"""Byte budgets: how much we send, to all and to each. Pure."""

from __future__ import annotations

from collections.abc import Hashable

from .. import limits


class Bucket:
    """So many units a second, with a little saved up; all or nothing.

    Args:
        rate: units per second; 0 for no limit.
        capacity: what may be saved up.
        now: the time.
    """

    __slots__ = ("_at", "_left", "capacity", "rate")

    def __init__(self, rate: float, capacity: float, now: float) -> None:
        self.rate = rate
        self.capacity = capacity
        self._left = capacity
        self._at = now

    def has(self, amount: float, now: float) -> bool:
        """Whether so much is there."""
        if not self.rate:
            return True
        if now > self._at:
            self._left = min(self.capacity, self._left + (now - self._at) * self.rate)
            self._at = now
        return self._left >= amount

    def spend(self, amount: float, now: float) -> bool:
        """Take so much, if it is there."""
        if not self.has(amount, now):
            return False
        self._left -= amount
        return True

    def ready(self, amount: float, now: float) -> float:
        """When so much will be there."""
        return now if self.has(amount, now) else now + (amount - self._left) / self.rate


class _Share:
    """What one household gets."""

    __slots__ = ("answers", "big")

    def __init__(self, rate: float, big_rate: float, now: float) -> None:
        self.answers = Bucket(rate, rate * limits.DHT_BURST, now)
        self.big = Bucket(big_rate, big_rate * limits.DHT_BURST, now)


class Budget:
    """Decides whether a datagram may be sent.

    Nothing leaves without it, so over any time t no more than ``total * (t + DHT_BURST)`` bytes do, and answers to
    strangers take no more than their own part of that.

    Args:
        total: bytes a second for everything; 0 for no limit. So are the others.
        answers: bytes a second for answers.
        address: bytes a second for answers to one household (an IPv4 address, an IPv6 /64).
        big: answers a second with items or Bloom filters to one household.
        now: the time.

    Attributes:
        refused: answers that were not given.
    """

    def __init__(self, *, total: float, answers: float, address: float, big: float, now: float) -> None:
        self._total = Bucket(total, total * limits.DHT_BURST, now)
        self._answers = Bucket(answers, answers * limits.DHT_BURST, now)
        self._address = address
        self._big = big
        self._shares: dict[Hashable, _Share] = {}
        self.refused = 0

    def query(self, size: int, now: float) -> bool:
        """Whether a query of ours may leave."""
        return self._total.spend(size, now)

    def query_at(self, size: int, now: float) -> float:
        """When one may."""
        return self._total.ready(size, now)

    def answer(self, household: Hashable, size: int, now: float) -> bool:
        """Whether an answer of so many bytes may leave."""
        share = self._share(household, now)
        fits = share.answers.has(size, now) and self._answers.has(size, now) and self._total.has(size, now)
        if not fits:
            self.refused += 1
            return False
        share.answers.spend(size, now)
        self._answers.spend(size, now)
        return self._total.spend(size, now)

    def big_answer(self, household: Hashable, now: float) -> bool:
        """Whether an answer may hold an item or Bloom filters."""
        return self._share(household, now).big.spend(1, now)

    def _share(self, household: Hashable, now: float) -> _Share:
        share = self._shares.pop(household, None)
        if share is None:
            share = _Share(self._address, self._big, now)
            if len(self._shares) >= limits.DHT_MAX_ADDRESSES:
                del self._shares[next(iter(self._shares))]
        self._shares[household] = share  # the one seen last is the last to be forgotten
        return share
