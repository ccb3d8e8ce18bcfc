"""Who may use a storage when: many together, or one alone."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import trio


class Turns:
    """Uses go on side by side; what changes the storage itself waits for them, and keeps new ones out meanwhile.

    Attributes:
        lock: held by ``alone``; who holds it knows that nobody else is, without keeping uses out.
    """

    def __init__(self) -> None:
        self.lock = trio.Lock()
        self._users = 0
        self._unused = trio.Event()
        self._reserved: trio.Event | None = None  # set when whoever is alone is done

    @property
    def reserved(self) -> bool:
        """Whether somebody is, or wants to be, alone."""
        return self._reserved is not None

    @contextlib.asynccontextmanager
    async def using(self) -> AsyncIterator[None]:
        """Together with others."""
        while self._reserved is not None:
            await self._reserved.wait()
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._unused.set()

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """When nobody uses it, and keeping everybody from it."""
        async with self.lock:
            reserved = self._reserved = trio.Event()
            try:
                while self._users:
                    self._unused = trio.Event()
                    await self._unused.wait()
                yield
            finally:
                self._reserved = None
                reserved.set()
