"""Disk calls and hashing without threads: a virtual clock does not wait for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import trio

from ..storage.offload import Call

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class SimulatedOffload:
    """Calls run in the loop; an ``Offload`` (see ``storage/offload.py`` for what the methods promise).

    Args:
        duration: virtual seconds that each call takes besides what its disk takes; may be changed at any time.

    Attributes:
        calls: how many there were.
        parallel: hashing calls worth having at once; there is one loop.
    """

    def __init__(self, duration: float = 0.0) -> None:
        self.duration = duration
        self.calls = 0
        self.parallel = 1
        self._ends_at = 0.0

    def last_until(self, moment: float) -> None:
        """The call under way does not return before that moment; for slow disks to say."""
        self._ends_at = max(self._ends_at, moment)

    async def run(self, fn: Callable[[*Ts], T], *args: *Ts, abandon: bool = False) -> T:
        """See ``Offload.run``. The call has its effect at once; what takes its time is the return."""
        await trio.lowlevel.checkpoint()
        self.calls += 1
        self._ends_at = trio.current_time() + self.duration
        try:
            result = fn(*args)
        except BaseException:
            await self._wait(abandon)
            raise
        await self._wait(abandon)
        return result

    async def _wait(self, abandon: bool) -> None:
        if self._ends_at > trio.current_time():
            with trio.CancelScope(shield=not abandon):
                await trio.sleep_until(self._ends_at)

    def running(self) -> tuple[Call, ...]:
        """See ``Offload.running``: nothing is ever under way, as far as the loop can see."""
        return ()
