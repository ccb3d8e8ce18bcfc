"""Simulated listening sockets."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import trio

from .. import limits
from ..errors import NetworkError
from ..wire.address import Address
from .stream import SimulatedStream


class SimulatedListener:
    """Where connections to a simulated host come in; a ``Listener``."""

    def __init__(self, address: Address, *, closed: Callable[[Address], object]) -> None:
        self.address = address
        self._tell_closed = closed
        self._queue: deque[SimulatedStream] = deque()
        self._acceptors = trio.lowlevel.ParkingLot()
        self._closed = False

    def __repr__(self) -> str:
        return f"<SimulatedListener {self.address}>"

    @property
    def full(self) -> bool:
        """Whether as many connections wait to be accepted as a real system would keep."""
        return len(self._queue) >= limits.LISTEN_BACKLOG

    def offer(self, stream: SimulatedStream) -> None:
        """A connection has come in."""
        self._queue.append(stream)
        self._acceptors.unpark()

    async def accept(self) -> SimulatedStream:
        """See ``Listener.accept``."""
        if self._queue or self._closed:
            await trio.lowlevel.checkpoint()
        while not self._queue and not self._closed:
            await self._acceptors.park()
        if self._closed:
            raise NetworkError(f"{self.address}: closed")
        return self._queue.popleft()

    def close(self) -> None:
        """See ``Listener.close``. Who was not accepted yet is reset."""
        if not self._closed:
            self._closed = True
            while self._queue:
                self._queue.popleft().reset()
            self._acceptors.unpark_all()
            self._tell_closed(self.address)
