"""Who is visited at every tick, and who sleeps: a thousand torrents with nothing to do cost nothing."""

from __future__ import annotations

from typing import Generic, TypeVar

from ..limits import NAP

T = TypeVar("T")


class Naps(Generic[T]):
    """Who has something to do, and who has not.

    Whoever has nothing to do before the next NAP seconds are over sleeps so long, unless something wakes it. All sleep
    equally long, so who fell asleep first is the first to be up: nothing here looks at those that sleep.
    """

    def __init__(self) -> None:
        self._awake: dict[T, None] = {}
        self._asleep: dict[T, float] = {}  # until when; in that order
        self._turn = 0

    def wake(self, one: T) -> None:
        """Something has come up for it: it is visited from the next tick on."""
        if one not in self._awake:
            self._asleep.pop(one, None)
            self._awake[one] = None

    def drop(self, one: T) -> None:
        """It is not visited any more."""
        self._awake.pop(one, None)
        self._asleep.pop(one, None)

    def take(self, now: float) -> list[T]:
        """Whom to visit now; ``visited`` follows for each."""
        up = []
        for one, until in self._asleep.items():
            if until > now:
                break
            up.append(one)
        for one in up:
            self.wake(one)
        # Where limits are shared, who comes first takes what they grant: everybody has a turn at that.
        awake = list(self._awake)
        self._turn += 1
        first = self._turn % max(1, len(awake))
        return awake[first:] + awake[:first]

    def visited(self, one: T, due: float, now: float) -> None:
        """It was visited, and has something to do again at that time: at once, some time, or never (``math.inf``)."""
        if due > now + NAP and one in self._awake:
            del self._awake[one]
            self._asleep[one] = now + NAP
