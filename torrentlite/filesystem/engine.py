"""Where a filesystem's torrent lives: Trio in a thread, as in ``blocking``."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from .. import session
from ..blocking.portal import Portal
from ..errors import NoSuchFileError
from ..settings import Settings
from ..swarm.torrent import Torrent
from .tree import Tree

T = TypeVar("T")


class Engine:
    """A session with one torrent in a thread of its own.

    Attributes:
        portal: the way into it.
        torrent: that torrent.
        metainfo: what is shared.
        tree: its files and folders.
    """

    def __init__(
        self,
        settings: Settings,
        add: Callable[[session.Session[Torrent]], Awaitable[Torrent]],
        timeout: float | None,
    ) -> None:
        self.pid = os.getpid()
        self._timeout = timeout
        self._stack = contextlib.ExitStack()
        try:
            self.portal = self._stack.enter_context(Portal())
            opened = self._stack.enter_context(self.portal.holding(session.open_session(settings)))
            self.torrent = self.portal.run(functools.partial(add, opened))
            self.metainfo = self.run(self.torrent.wait_metadata)
        except BaseException:
            self._stack.close()
            raise
        self.tree = Tree(self.metainfo)

    def close(self) -> None:
        """Leave the session; not in a forked process, where there is none."""
        if self.pid == os.getpid():
            self._stack.close()

    def run(self, function: Callable[[], Awaitable[T]]) -> T:
        """Await something in the engine's thread, for as long as anything comes.

        Raises:
            FileNotFoundError: there is no such file.
            TimeoutError: nothing came for too long.
        """
        try:
            return self.portal.run(functools.partial(self._patiently, function))
        except NoSuchFileError as error:
            raise FileNotFoundError(errno.ENOENT, str(error)) from error

    async def _patiently(self, function: Callable[[], Awaitable[T]]) -> T:
        if self._timeout is None:
            return await function()
        with trio.CancelScope(deadline=trio.current_time() + self._timeout) as scope:
            result: list[T] = []
            self._why = ""
            failures: list[Exception] = []

            async def call() -> None:
                try:
                    result.append(await function())
                except Exception as error:  # as itself, not in an ExceptionGroup
                    failures.append(error)
                nursery.cancel_scope.cancel()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(call)
                nursery.start_soon(self._extend, scope, self._timeout)
            if failures:
                raise failures[0]
            if result:
                return result[0]
        raise TimeoutError(f"{self.torrent.name}: nothing came for {self._timeout:g} s: {self._why}")

    async def _extend(self, scope: trio.CancelScope, patience: float) -> None:
        """Whenever something has come, wait longer."""
        seen = -1
        while True:
            stats = self.torrent.stats()
            moved = stats.downloaded - stats.wasted + stats.metadata_done + stats.checked
            self._why = self.torrent.why().message  # while it still waits
            if moved > seen:
                seen = moved
                scope.deadline = trio.current_time() + patience
            await trio.sleep(min(1.0, patience / 4))
