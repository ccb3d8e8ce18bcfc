"""Callbacks at moments of virtual time: one task for all of them, however many there are."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import Any, Final, NoReturn

import trio

TICK: Final = 1 / 1024
"""Seconds between the moments at which tasks may be woken. Waking costs many times what a callback costs, so what
happens within a millisecond is handed over at once; a power of two, so that the grid is exact in floating point."""


class Timer:
    """A callback that waits for its moment."""

    __slots__ = ("_args", "_callback")

    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._callback: Callable[..., object] | None = callback
        self._args = args

    def cancel(self) -> None:
        """Never call it; nothing where it has been called already."""
        self._callback = None
        self._args = ()

    @property
    def waits(self) -> bool:
        """Whether it is still to be called."""
        return self._callback is not None

    def fire(self) -> None:
        """Call it now, and never again."""
        callback, args = self._callback, self._args
        self.cancel()
        if callback is not None:
            callback(*args)


class Timeline:
    """What is to happen when, on Trio's clock (any clock; made for ``trio.testing.MockClock``).

    Nothing happens unless a task is in ``run``. Callbacks are sync, come in the order of their moments (in the order of
    ``call_at`` for the same moment) and may add others. What one of them raises ends ``run``: a bug in a simulated
    thing is to be seen.

    Args:
        tick: seconds between wake-ups. Callbacks keep their exact moments in ``now``, tasks learn of them up to one
            tick later. 0: at the exact moment, at some cost.
    """

    def __init__(self, *, tick: float = TICK) -> None:
        self._tick = tick
        self._heap: list[tuple[float, int, Timer]] = []
        self._added = 0
        self._moment: float | None = None
        self._sleep: trio.CancelScope | None = None

    def __repr__(self) -> str:
        return f"<Timeline, {self.pending} pending>"

    @property
    def now(self) -> float:
        """Seconds; in a callback the moment that it was asked for."""
        return trio.current_time() if self._moment is None else self._moment

    @property
    def pending(self) -> int:
        """Callbacks that are still to come."""
        return sum(timer.waits for _, _, timer in self._heap)

    def call_at(self, moment: float, callback: Callable[..., object], *args: Any) -> Timer:
        """Call it at that moment (at the next chance where that is past); the timer can be cancelled."""
        timer = Timer(callback, args)
        self._added += 1
        heapq.heappush(self._heap, (max(moment, self.now), self._added, timer))
        if self._sleep is not None and self._heap[0][2] is timer:
            self._sleep.deadline = self._next_wake()
        return timer

    def call_after(self, delay: float, callback: Callable[..., object], *args: Any) -> Timer:
        """Call it so many seconds from now."""
        return self.call_at(self.now + delay, callback, *args)

    async def run(self) -> NoReturn:
        """Live through the timeline until cancelled."""
        while True:
            self._call_due()
            with trio.CancelScope(deadline=self._next_wake()) as self._sleep:
                try:
                    await trio.sleep_forever()
                finally:
                    self._sleep = None

    def _call_due(self) -> None:
        now = trio.current_time()
        try:
            while self._heap and self._heap[0][0] <= now:
                self._moment, _, timer = heapq.heappop(self._heap)
                timer.fire()
        finally:
            self._moment = None

    def _next_wake(self) -> float:
        if not self._heap:
            return math.inf
        moment = self._heap[0][0]
        return math.ceil(moment / self._tick) * self._tick if self._tick else moment
