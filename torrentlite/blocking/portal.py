"""Trio in a thread of its own, and the way into it from other threads."""

from __future__ import annotations

import atexit
import contextlib
import functools
import math
import os
import queue
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Generic, ParamSpec, TypeVar

import outcome
import trio

from ..loops import was_cancelled

P = ParamSpec("P")
T = TypeVar("T")

_STOPPED = "the session's thread has ended"


class Portal:
    """A Trio loop that lives as long as the ``with`` block; any thread may call into it, and waits there."""

    def __init__(self) -> None:
        # A daemon: who presses Ctrl-C twice wants to be out, and what the disk was not told is claimed nowhere.
        self._thread = threading.Thread(target=self._run, name="torrentlite", daemon=True)
        self._lock = threading.Lock()
        self._calls: dict[Call[Any], None] = {}
        self._ended = False
        self._pid = os.getpid()
        self._opened: queue.SimpleQueue[outcome.Outcome[None]] = queue.SimpleQueue()

    def __enter__(self) -> Portal:
        self._thread.start()
        self._opened.get().unwrap()
        # Blocks that are still open when the program ends (an ExitStack, a generator) are left by the collector, when
        # the thread is frozen already: who then waited for it would wait for ever. So they are left before that.
        atexit.register(self._end)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._can_wait:
            atexit.unregister(self._end)  # else it is waited for at the end of the program
        self._end()

    def _end(self) -> None:
        self.soon(self._nursery.cancel_scope.cancel)
        if self._can_wait:
            self._thread.join()

    @property
    def inside(self) -> bool:
        """Whether the caller runs in the thread itself: there it must not wait for what the thread does."""
        return threading.current_thread() is self._thread

    @property
    def _forked(self) -> bool:
        return os.getpid() != self._pid

    @property
    def _can_wait(self) -> bool:
        # The collector leaves a block that nobody left in whichever thread it runs, in this one too.
        return not self._forked and not self.inside

    def _require_own_process(self) -> None:
        # The thread does not go along into a forked process: who waited for it there would wait for ever.
        if self._forked:
            raise RuntimeError("this session belongs to the process that opened it; in a forked one open another")

    def look(self, function: Callable[[], T]) -> T:
        """Call something sync between two of Trio's steps; after the end, when there are none, right here."""
        self._require_own_process()
        try:
            return trio.from_thread.run_sync(function, trio_token=self._token)
        except trio.RunFinishedError:
            return function()

    def soon(self, function: Callable[[], object]) -> None:
        """Have something sync called between two of Trio's steps, without waiting for it."""
        if not self._forked:  # there what was locked stays so, and nothing is called
            with contextlib.suppress(trio.RunFinishedError):
                self._token.run_sync_soon(function)

    def run(self, function: Callable[[], Awaitable[T]], *, timeout: float | None = None) -> T:
        """Await a Trio function.

        Raises:
            TimeoutError: it took longer than ``timeout`` seconds.
        """
        return self.start(Call(function, timeout)).result()

    @contextlib.contextmanager
    def holding(self, manager: AbstractAsyncContextManager[T]) -> Iterator[T]:
        """Keep a Trio context manager open while the block lasts."""
        values: list[T] = []
        leave = trio.Event()

        async def hold() -> None:
            async with manager as value:
                values.append(value)
                call.tell(lambda: None)
                await leave.wait()

        call = Call(hold)
        self.start(call)
        call.wait(lambda: bool(values))
        if not values:
            call.result()

        at_exit = functools.partial(self._leave, leave, call)
        atexit.register(at_exit)  # called before ``_end``, as that was registered earlier
        try:
            yield values[0]
        except KeyboardInterrupt:
            self._leave(leave, call, patient=False)
            raise
        except BaseException:
            self._leave(leave, call)
            raise
        finally:
            atexit.unregister(at_exit)
        self._leave(leave, call)
        if self._can_wait:
            call.result()

    def _leave(self, leave: trio.Event, call: Call[None], *, patient: bool = True) -> None:
        self.soon(leave.set)
        if self._can_wait:
            call.finish(patient=patient)

    def start(self, call: Call[T]) -> Call[T]:
        """Start a call; its ``result`` must be asked for."""
        self._require_own_process()
        if self.inside:
            raise RuntimeError("the session's own thread would wait for itself; call it from another one")
        with self._lock:
            ended = self._ended
            if not ended:
                self._calls[call] = None
        if ended:
            # What waits for something that has ended is told so at once, by a loop of its own.
            trio.run(call.run)
        else:
            call.cancel = lambda: self.soon(call.scope.cancel)
            self.soon(functools.partial(self._spawn, call))
        return call

    # -- in the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        result = outcome.capture(trio.run, self._main)
        with self._lock:
            self._ended = True
            left = list(self._calls)
        if isinstance(result, outcome.Error):
            self._opened.put(result)
        for call in left:
            call.fail(result.error if isinstance(result, outcome.Error) else RuntimeError(_STOPPED))

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        async with trio.open_nursery() as self._nursery:
            self._opened.put(outcome.Value(None))
            await trio.sleep_forever()

    def _spawn(self, call: Call[Any]) -> None:
        try:
            self._nursery.start_soon(self._host, call)
        except RuntimeError:  # it is closing
            call.fail(RuntimeError(_STOPPED))

    async def _host(self, call: Call[Any]) -> None:
        try:
            await call.run()
        finally:
            with self._lock:
                self._calls.pop(call, None)


class Call(Generic[T]):
    """A Trio function that a thread waits for.

    Args:
        function: to be awaited.
        timeout: seconds; None for as long as it takes.

    Attributes:
        scope: around the function.
        cancel: ends it soon; for the waiting thread.
    """

    def __init__(self, function: Callable[[], Awaitable[T]], timeout: float | None = None) -> None:
        self.scope = trio.CancelScope()
        self.cancel: Callable[[], None] = lambda: None
        self._function = function
        self._timeout = timeout
        self._ended: outcome.Outcome[T] | None = None
        self._inbox: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()

    # -- for the waiting thread --------------------------------------------------------------------------------------

    def result(self) -> T:
        """Wait to the end. What is raised meanwhile (Ctrl-C, an error of a callback) ends it first, then comes out."""
        self.wait(lambda: False)
        assert self._ended is not None
        return self._ended.unwrap()

    def wait(self, enough: Callable[[], bool]) -> None:
        """Wait to the end, or until there is enough, doing what the Trio task tells."""
        try:
            while self._ended is None and not enough():
                self._inbox.get()()
            while self._ended is not None and not self._inbox.empty():  # what was told before it ended
                self._inbox.get()()
        except BaseException:
            self.cancel()
            self.finish()
            raise

    def finish(self, *, patient: bool = False) -> None:
        """Wait to the end only. The first Ctrl-C of a patient one is raised after that."""
        try:
            while self._ended is None:
                self._inbox.get()
        except KeyboardInterrupt:
            if patient:
                self.finish()
            raise

    # -- for the Trio task -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Await the function."""
        try:
            with self.scope, trio.move_on_after(math.inf if self._timeout is None else self._timeout):
                value = await self._function()
                self._end(outcome.Value(value))
        except BaseException as error:
            if was_cancelled(error):
                self.fail(RuntimeError(_STOPPED))
                raise
            self.fail(error)
        else:
            self.fail(TimeoutError(f"not within {self._timeout:g} s" if self._timeout is not None else "cancelled"))

    def tell(self, function: Callable[[], object]) -> None:
        """Have something called in the waiting thread."""
        self._inbox.put(function)

    def telling(self, function: Callable[P, object]) -> Callable[P, None]:
        """A function that has this one called in the waiting thread."""

        def tell(*args: P.args, **kwargs: P.kwargs) -> None:
            self.tell(functools.partial(function, *args, **kwargs))

        return tell

    def fail(self, error: BaseException) -> None:
        """It ended by this, unless it has ended."""
        if self._ended is None:
            self._end(outcome.Error(error))

    def _end(self, how: outcome.Outcome[T]) -> None:
        self._ended = how
        self._inbox.put(lambda: None)
