"""Tasks of one owner, living in a nursery that outlives it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVarTuple

import trio

from ..limits import RESTART_PAUSE

Args = TypeVarTuple("Args")


class Crew:
    """The tasks of one torrent (or of the session), cancelled and awaited together.

    A Trio nursery needs a task to hold it open; an idle torrent has none. So the tasks run in the session's nursery,
    each in a cancel scope of its own, and the crew remembers the scopes.

    This is also *the* boundary for our own bugs: Trio would answer an exception that escapes from one task by
    cancelling all its siblings, so what a task raises is reported and ends that task alone. Services (``keep``) are
    then begun again: a listener that a bug has closed would be a session that nobody reaches.

    Args:
        nursery: where the tasks really run.
        report: told of an exception that should not have happened, with the task's name.
        started: called when a task is started.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        report: Callable[[str, Exception], None],
        started: Callable[[], None] | None = None,
    ) -> None:
        self._nursery = nursery
        self._report = report
        self._started = started
        self._scopes: dict[trio.CancelScope, None] = {}
        self._empty = trio.Event()
        self.closed = False

    def __len__(self) -> int:
        return len(self._scopes)

    def start(self, function: Callable[[*Args], Awaitable[None]], *args: *Args, name: str) -> trio.CancelScope | None:
        """Start a task; None when the crew is closed. The scope ends that one task."""
        return self._start(function, args, name, again=False)

    def keep(self, function: Callable[[*Args], Awaitable[None]], *args: *Args, name: str) -> trio.CancelScope | None:
        """The same for a service that everything else needs: what a bug of ours has ended is begun again."""
        return self._start(function, args, name, again=True)

    def _start(
        self, function: Callable[[*Args], Awaitable[None]], args: tuple[*Args], name: str, *, again: bool
    ) -> trio.CancelScope | None:
        if self.closed:
            return None
        if self._started is not None:
            try:
                self._started()
            except Exception as error:  # who starts a task has booked it already, so it has to run
                self._report(name, error)
        scope = trio.CancelScope()
        self._nursery.start_soon(self._run, scope, function, args, name, again, name=name)
        self._scopes[scope] = None  # last: who is counted and does not run would be waited for without end
        return scope

    async def _run(
        self,
        scope: trio.CancelScope,
        function: Callable[[*Args], Awaitable[None]],
        args: tuple[*Args],
        name: str,
        again: bool,
    ) -> None:
        try:
            with scope:
                while True:
                    try:
                        await function(*args)
                        break
                    except Exception as error:
                        self._report(name, error)
                    if not again:
                        break
                    await trio.sleep(RESTART_PAUSE)
        except Exception as error:  # what came together with a cancellation
            self._report(name, error)
        finally:
            del self._scopes[scope]
            if not self._scopes:
                self._empty.set()

    async def stop(self) -> None:
        """Close the crew: start nothing more, cancel what runs, wait until it has ended."""
        self.closed = True
        await self.dismiss()

    async def dismiss(self) -> None:
        """Cancel what runs and wait until it has ended; the crew stays open."""
        for scope in list(self._scopes):
            scope.cancel()
        while self._scopes:
            self._empty = trio.Event()
            await self._empty.wait()
