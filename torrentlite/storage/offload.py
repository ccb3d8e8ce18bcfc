"""Where hashing and disk calls run: threads in the product, inline in simulations."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol, TypeVar, TypeVarTuple

import trio

from .. import limits
from ..errors import DiskTroubleError

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

NO_THREAD: Final = "can't start new thread"
"""The text of the RuntimeError by which Python says so; it has no class of its own."""


class Call(NamedTuple):
    """A call that has not returned."""

    name: str
    seconds: float


class Offload(Protocol):
    """Runs blocking calls away from the loop."""

    @property
    def parallel(self) -> int:
        """How many hashing calls are worth having at once."""

    async def run(self, fn: Callable[[*Ts], T], *args: *Ts, abandon: bool = False) -> T:
        """Call ``fn(*args)`` and return, or raise, what it does.

        Args:
            fn: a function that may block.
            args: its arguments.
            abandon: on cancellation do not wait for the call: it goes on, and nobody looks at what comes of it. Only
                for calls that change nothing. Without it, cancellation takes effect after the call.

        Raises:
            DiskTroubleError: there is no thread for it. That may pass: it was not called.
        """

    def running(self) -> tuple[Call, ...]:
        """The calls under way, the oldest first: what to name when a disk hangs."""


class ThreadOffload:
    """Threads of its own number, so that a slow disk takes none from name look-ups."""

    def __init__(self, threads: int = limits.DISK_THREADS) -> None:
        self._limiter = trio.CapacityLimiter(threads)
        self._calls: dict[object, tuple[str, float]] = {}
        self.parallel = max(1, min(threads, _cores()))

    async def run(self, fn: Callable[[*Ts], T], *args: *Ts, abandon: bool = False) -> T:
        """See ``Offload.run``."""
        call = object()
        self._calls[call] = (getattr(fn, "__qualname__", repr(fn)), trio.current_time())
        try:
            return await trio.to_thread.run_sync(fn, *args, abandon_on_cancel=abandon, limiter=self._limiter)
        except RuntimeError as error:
            if str(error) != NO_THREAD:
                raise
            raise DiskTroubleError(
                "no thread may be started, and the disk is used in threads",
                errno=errno.EAGAIN,
                hint="end other programs, or raise the limit of processes (ulimit -u, a container's pids limit)",
            ) from error
        finally:
            del self._calls[call]

    def running(self) -> tuple[Call, ...]:
        """See ``Offload.running``."""
        now = trio.current_time()
        return tuple(Call(name, now - since) for name, since in self._calls.values())


def _cores() -> int:
    """The cores this process may use, which in a container are not all that the machine has."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1
