"""Trio as the guest of an asyncio loop: one for each loop, counted by its users, gone when the last one leaves.

In Trio's guest mode both loops share one thread: asyncio runs Trio's steps among its own callbacks. So what is sync in
the library (wishes, looks) is called directly; only what waits needs a Trio task of its own (``Guest.run``).
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, TypeVar

import outcome
import trio

from ..loops import was_cancelled

log = logging.getLogger("torrentlite")

T = TypeVar("T")

_STOPPED = "Trio was stopped in this loop"

_guests: dict[asyncio.AbstractEventLoop, Guest] = {}
"""Of each loop that has one; only the loop's own thread looks at its entry."""


@contextlib.asynccontextmanager
async def guest() -> AsyncIterator[Guest]:
    """The running loop's guest, for as long as the block lasts."""
    loop = asyncio.get_running_loop()
    while (here := _guests.get(loop)) is not None and here.leaving:
        await asyncio.wait([here.gone])
    if here is None:
        here = _guests[loop] = Guest(loop)
    here.users += 1
    try:
        yield here
    finally:
        here.users -= 1
        if not here.users:
            await here.leave()


class Guest:
    """Trio in this loop, from its making on.

    Attributes:
        users: how many need it.
        leaving: it takes no more users.
        gone: done when nothing of it is left.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        if trio.lowlevel.in_trio_run():
            raise RuntimeError(
                "Trio runs in this thread already: as a guest of somebody else, "
                "or in a loop that was closed before its sessions were left"
            )
        self.users = 0
        self.leaving = False
        self.gone: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._scope = trio.CancelScope()
        self._nursery: asyncio.Future[trio.Nursery] = loop.create_future()
        self._calls: dict[_Call[Any], None] = {}
        # A context of its own: Trio's steps are nobody's request, and asyncio need not copy one for each.
        context = contextvars.Context()
        trio.lowlevel.start_guest_run(
            self._main,
            run_sync_soon_threadsafe=self._soon_threadsafe,
            run_sync_soon_not_threadsafe=functools.partial(loop.call_soon, context=context),
            done_callback=self._done,
            host_uses_signal_set_wakeup_fd=True,
        )

    async def run(self, function: Callable[[], Awaitable[T]]) -> T:
        """Await a Trio function from asyncio. Its exceptions come out; who is cancelled here cancels it, and waits."""
        call = await self._start(function)
        try:
            return await asyncio.shield(call.ended)
        except asyncio.CancelledError:
            call.cancel()
            await _until_done(call.ended)
            raise

    @contextlib.asynccontextmanager
    async def holding(self, manager: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
        """Keep a Trio context manager open while an asyncio block lasts."""
        entered: asyncio.Future[T] = self._loop.create_future()
        leave = trio.Event()

        async def hold() -> None:
            async with manager as value:
                entered.set_result(value)
                await leave.wait()

        call = await self._start(hold)
        try:
            await _first_of(entered, call.ended)
            if entered.done():
                yield entered.result()
        finally:
            # Whoever is cancelled while it opens does not wait for it to be open; else it is left as Trio would.
            leave.set() if entered.done() else call.cancel()
            if await _until_done(call.ended):
                raise asyncio.CancelledError
        call.ended.result()

    async def leave(self) -> None:
        """End it; returns when nothing of it is left."""
        self.leaving = True
        self._scope.cancel()
        if await _until_done(self.gone):
            raise asyncio.CancelledError

    # -- inside ------------------------------------------------------------------------------------------------------

    async def _start(self, function: Callable[[], Awaitable[T]]) -> _Call[T]:
        await _first_of(self._nursery, self.gone)
        nursery = self._nursery.result()
        call = _Call(function, self._loop, self._calls)
        nursery.start_soon(call.run)
        return call

    async def _main(self) -> None:
        interrupted: KeyboardInterrupt | None = None
        with self._scope:
            async with trio.open_nursery() as nursery:
                self._nursery.set_result(nursery)
                try:
                    await trio.sleep_forever()
                except KeyboardInterrupt as error:  # it came while Trio's own code ran, which must not be torn apart
                    interrupted = error
                    nursery.cancel_scope.cancel()
        if interrupted is not None:
            raise interrupted

    def _soon_threadsafe(self, function: Callable[[], object]) -> None:
        # A loop may be closed under us; then there is nobody to tell.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function)

    def _done(self, result: outcome.Outcome[None]) -> None:
        self.leaving = True
        _guests.pop(self._loop, None)
        self.gone.set_result(None)
        error = result.error if isinstance(result, outcome.Error) else RuntimeError(_STOPPED)
        if isinstance(error, trio.TrioInternalError):
            log.error("internal error: Trio ended", exc_info=error)
        for call in list(self._calls):
            call.fail(error)
        if isinstance(error, KeyboardInterrupt):
            raise error  # to whoever runs the loop, as from any other callback


class _Call(Generic[T]):
    """A Trio function that somebody in asyncio waits for.

    Attributes:
        ended: its result or exception. Nobody may cancel it: wait by ``shield`` or ``asyncio.wait``.
    """

    def __init__(
        self, function: Callable[[], Awaitable[T]], loop: asyncio.AbstractEventLoop, calls: dict[_Call[Any], None]
    ) -> None:
        self.ended: asyncio.Future[T] = loop.create_future()
        self._function = function
        self._scope = trio.CancelScope()
        self._calls = calls
        calls[self] = None

    async def run(self) -> None:
        """The Trio task."""
        try:
            with self._scope:
                self.ended.set_result(await self._function())
        except BaseException as error:
            if was_cancelled(error):
                self.fail(RuntimeError(_STOPPED))
                raise
            self.fail(error)
        else:
            if not self.ended.done():
                self.fail(asyncio.CancelledError())
        finally:
            del self._calls[self]

    def cancel(self) -> None:
        """End it soon."""
        self._scope.cancel()

    def fail(self, error: BaseException) -> None:
        """It ended by this."""
        if not self.ended.done():
            self.ended.set_exception(error)
            self.ended.exception()  # seen: whoever waited may be gone


async def _first_of(*futures: asyncio.Future[Any]) -> None:
    """Wait until one of them is done; they themselves are not cancelled with the waiting."""
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


async def _until_done(future: asyncio.Future[Any]) -> bool:
    """Wait to the end, whatever happens; returns whether somebody wanted to cancel that."""
    cancelled = False
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            cancelled = True
    return cancelled
