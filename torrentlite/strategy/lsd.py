"""Local Service Discovery (BEP 14): when to announce what, and whom to listen to."""

from __future__ import annotations

import heapq
import ipaddress
import math
from collections import OrderedDict
from collections.abc import Iterable

from .. import limits


class AnnouncePlan:
    """Which torrents are due: new ones at once, a minute later for the lost first announce, then every five minutes.

    However many there are, announces come one a minute in the long run; so thousands of torrents take turns.

    Args:
        now: the time.
    """

    def __init__(self, now: float) -> None:
        self._due: dict[bytes, float] = {}
        self._new: set[bytes] = set()
        self._budget = Allowance(1 / limits.LSD_MIN_INTERVAL, limits.LSD_BURST, now)

    def __contains__(self, info_hash: bytes) -> bool:
        return info_hash in self._due

    def want(self, info_hashes: Iterable[bytes], now: float) -> bool:
        """Announce these from now on and no others. Whether there are new ones."""
        wanted = dict.fromkeys(info_hashes)
        for info_hash in [known for known in self._due if known not in wanted]:
            del self._due[info_hash]
            self._new.discard(info_hash)
        fresh = [info_hash for info_hash in wanted if info_hash not in self._due]
        self._due.update(dict.fromkeys(fresh, now))
        self._new.update(fresh)
        return bool(fresh)

    def take(self, count: int, now: float) -> list[bytes]:
        """Up to so many that go into one announce now, those that are due the longest first; mostly none."""
        due = heapq.nsmallest(count, (item for item in self._due.items() if item[1] <= now), key=lambda item: item[1])
        if not due or not self._budget.take(now):
            return []
        for info_hash, _ in due:
            again = limits.LSD_MIN_INTERVAL if info_hash in self._new else limits.LSD_INTERVAL
            self._new.discard(info_hash)
            self._due[info_hash] = now + again
        return [info_hash for info_hash, _ in due]

    def next(self, now: float) -> float:
        """When ``take`` will have some again; ``math.inf`` while nothing is wanted."""
        return max(min(self._due.values(), default=math.inf), self._budget.next(now))


class Gate:
    """Which announces of others are read at all: so many in all, and so many of one sender.

    Args:
        now: the time.
    """

    def __init__(self, now: float) -> None:
        self._all = Allowance(limits.LSD_IN_RATE, limits.LSD_IN_BURST, now)
        self._hosts: OrderedDict[str, Allowance] = OrderedDict()

    def admits(self, host: str, now: float) -> bool:
        """Whether another one of this sender is read. Who sends too many does not use up what is there for all."""
        allowance = self._hosts.get(host)
        if allowance is None:
            allowance = Allowance(1 / limits.LSD_HOST_INTERVAL, limits.LSD_HOST_BURST, now)
            self._hosts[host] = allowance
            if len(self._hosts) > limits.LSD_MAX_HOSTS:
                self._hosts.popitem(last=False)
        self._hosts.move_to_end(host)
        return allowance.take(now) and self._all.take(now)


class Allowance:
    """So many a second, and some saved up."""

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = self._left = burst
        self._at = now

    def take(self, now: float) -> bool:
        """Take one, if there is one."""
        self._refill(now)
        # What a float loses must not make the caller wait for another eternity of nothing.
        if self._left < 1 - 1e-9:
            return False
        self._left -= 1
        return True

    def next(self, now: float) -> float:
        """When there is one."""
        self._refill(now)
        return now + max(0.0, 1 - self._left) / self._rate

    def _refill(self, now: float) -> None:
        self._left = min(self._burst, self._left + max(0.0, now - self._at) * self._rate)
        self._at = max(self._at, now)


def same_network(host: str, own: str) -> bool:
    """Whether a sender with a public IP address can be our neighbour: its first 64 bits are ours (IPv4: 24).

    Args:
        host: the sender's address.
        own: ours, from which we would talk to it.
    """
    theirs, ours = ipaddress.ip_address(host), ipaddress.ip_address(own)
    shared = 8 if theirs.version == 6 else 3
    return theirs.version == ours.version and theirs.packed[:shared] == ours.packed[:shared]
