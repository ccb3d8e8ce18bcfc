"""One handshake at a time with one peer."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import trio

from ..limits import TURN_TIMEOUT
from ..wire.address import Address


class Door:
    """Torrents of a session that have a peer in common knock at its door one after the other.

    They find it at the same moment, and would dial in the same moment. Transmission closes all but the first of several
    connections that an address begins at once; the others would be tried again only after seconds, and together again.
    """

    def __init__(self) -> None:
        self._locks: dict[Address, trio.Lock] = {}

    @contextlib.asynccontextmanager
    async def turn(self, address: Address) -> AsyncIterator[None]:
        """Inside it is our turn at this address; or we have waited so long for it that it makes no difference."""
        lock = self._locks.setdefault(address, trio.Lock())
        ours = False
        try:
            with trio.move_on_after(TURN_TIMEOUT):
                await lock.acquire()
                ours = True
            yield
        finally:
            if ours:
                lock.release()
            if not lock.locked() and self._locks.get(address) is lock:  # not a newer one, whose turn is somebody else's
                del self._locks[address]
