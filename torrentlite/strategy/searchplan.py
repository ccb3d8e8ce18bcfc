"""Whose turn it is to ask the DHT: thousands of torrents take turns, and who has nobody goes first."""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

from .. import limits

T = TypeVar("T")


class SearchPlan(Generic[T]):
    """When each torrent asks, and how many at once. What is not due costs nothing.

    Half of the seats are for those that only repeat what they have said: however many these are, a torrent that looks
    for its first peer never waits behind them.
    """

    def __init__(self) -> None:
        self._wishes: dict[T, tuple[float, int]] = {}
        # A wish that was taken back stays in its heap until it would be due, a quarter of an hour: so the heaps hold
        # numbers, or they would keep every torrent that was removed meanwhile, with all that belongs to it.
        self._wishers: dict[int, T] = {}
        self._heaps: tuple[list[tuple[float, int]], list[tuple[float, int]]] = ([], [])  # idle, urgent
        self._number = 0
        self._seats: dict[T, None] = {}

    def __contains__(self, torrent: T) -> bool:
        return torrent in self._wishes or torrent in self._seats

    def __len__(self) -> int:
        return len(self._wishes) + len(self._seats)

    @property
    def running(self) -> int:
        """Searches under way."""
        return len(self._seats)

    def want(self, torrent: T, at: float, *, urgent: bool) -> None:
        """Let it have its turn at that time, or as soon after it as there is room; what it wished before is forgotten.

        One whose search is under way has its next turn after that.
        """
        self.drop(torrent)
        self._number += 1
        self._wishes[torrent] = at, self._number
        self._wishers[self._number] = torrent
        heapq.heappush(self._heaps[urgent], (at, self._number))

    def drop(self, torrent: T) -> None:
        """It does not ask any more."""
        wish = self._wishes.pop(torrent, None)
        if wish is not None:
            del self._wishers[wish[1]]

    def take(self, now: float) -> T | None:
        """Who begins now, or None; ``ended`` follows. Call it until it returns None."""
        for urgent in (True, False):
            seats = limits.DHT_SEARCHES if urgent else limits.DHT_SEARCHES // 2
            heap, passed = self._heaps[urgent], []
            found = None
            while heap and heap[0][0] <= now and len(self._seats) < seats and found is None:
                entry = heapq.heappop(heap)
                torrent = self._wishers.get(entry[1])
                if torrent is None:
                    continue  # it has wished for something else since, or for nothing
                if torrent in self._seats:
                    passed.append(entry)
                    continue
                found = torrent
            for entry in passed:
                heapq.heappush(heap, entry)
            if found is not None:
                self.drop(found)
                self._seats[found] = None
                return found
        return None

    def ended(self, torrent: T) -> None:
        """Its search is over; its seat is free."""
        self._seats.pop(torrent, None)

    def wishes(self, torrent: T) -> float | None:
        """When its next turn is, or None."""
        wish = self._wishes.get(torrent)
        return wish[0] if wish is not None else None
