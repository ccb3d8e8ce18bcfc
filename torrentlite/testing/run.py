"""Running a program in a simulated world: hours in seconds, and the same way each time."""

from __future__ import annotations

import functools
import inspect
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, TypeVarTuple

import trio
import trio.testing

from .clock import TICK
from .scheduler import seeded_scheduler
from .trace import Trace
from .world import SimulatedWorld, open_world

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

TIME_LIMIT: Final = 7 * 86_400.0
"""Virtual seconds. A program in which everybody waits for somebody else gets here at once, instead of hanging."""


def run_simulation(
    async_fn: Callable[[SimulatedWorld, *Ts], Awaitable[T]],
    *args: *Ts,
    seed: int | str = 0,
    trace: Trace | None = None,
    time_limit: float = TIME_LIMIT,
    tick: float = TICK,
) -> T:
    """Run ``async_fn(world, *args)`` under a virtual clock and return what it returns.

    Whenever every task waits, the clock jumps to the next moment at which something happens, so a run takes as long as
    the computing in it. The same seed gives the same run, event by event, in every process, if the program iterates
    over no set, starts no thread and asks neither the real clock nor real chance. ``random``'s own generator is seeded
    too.

    Args:
        async_fn: the program.
        args: more arguments for it.
        seed: what all chance comes from. An exception that leaves the program has a note of it, and can be had again.
        trace: records what happens; afterwards its digest and counts can be looked at.
        time_limit: virtual seconds that it may take.
        tick: see ``Timeline``; a coarse one makes large swarms cheaper.

    Raises:
        trio.TooSlowError: it took longer, or every task waits for ever.
    """

    async def main() -> T:
        with trio.fail_after(time_limit):
            async with open_world(seed=seed, trace=trace, tick=tick) as world:
                return await async_fn(world, *args)
        raise AssertionError("fail_after raises what it swallows")

    state = random.getstate()
    random.seed(f"{seed}/random")
    try:
        with seeded_scheduler(seed):
            return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    except Exception as error:
        error.add_note(f"in a simulation with seed {seed!r}")
        raise
    finally:
        random.setstate(state)


def simulated(
    *, seed: int | str = 0, time_limit: float = TIME_LIMIT, tick: float = TICK
) -> Callable[[Callable[..., Awaitable[T]]], Callable[..., T]]:
    """Decorate an async test whose first argument is the world: it becomes a sync one, run by ``run_simulation``.

        @simulated(seed=7)
        async def test_two_sessions_meet(world): ...

    Other arguments (pytest's fixtures and parameters) are passed on. The test must not be async any more for those who
    collect it, so no plugin for async tests takes part, and none is needed.
    """

    def decorate(async_fn: Callable[..., Awaitable[T]]) -> Callable[..., T]:
        @functools.wraps(async_fn)
        def run(*args: Any, **kwargs: Any) -> T:
            async def main(world: SimulatedWorld) -> T:
                return await async_fn(world, *args, **kwargs)

            return run_simulation(main, seed=seed, time_limit=time_limit, tick=tick)

        signature = inspect.signature(async_fn)
        run.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])  # type: ignore[attr-defined]
        del run.__dict__["__wrapped__"]  # else the async function below is found
        return run

    return decorate
