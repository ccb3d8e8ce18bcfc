"""Simulated UDP sockets: read by a task, or, where there are thousands, by a callback."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import trio

from .. import limits
from ..errors import NetworkError
from ..wire.address import Address, Scope

Handler = Callable[[bytes, Address], object]
"""Is called with a datagram and its sender's address."""

_QUEUE: Final = 208 << 10  # bytes; Linux, net.core.rmem_default
_OVERHEAD: Final = 768  # bytes that Linux counts for a small datagram besides its own
_LARGEST: Final = 65_507  # bytes; what IPv4 leaves


class SimulatedDatagrams:
    """A UDP socket of a simulated host; a ``Datagrams`` (see ``net/network.py`` for what the methods promise).

    Args:
        address: where it receives.
        post: takes a datagram to its destination; False where there is no way.
        closed: called with the address when it is closed.
        handler: gets each datagram as it comes; then nothing is left for ``receive``.
    """

    __slots__ = ("_closed", "_handler", "_post", "_queue", "_queued", "_readers", "_tell_closed", "address")

    def __init__(
        self,
        address: Address,
        *,
        post: Callable[[bytes, Address, Address], bool],
        closed: Callable[[Address], object],
        handler: Handler | None,
    ) -> None:
        self.address = address
        self._post = post
        self._tell_closed = closed
        self._handler = handler
        self._queue: deque[tuple[bytes, Address]] = deque()
        self._queued = 0
        self._readers = trio.lowlevel.ParkingLot() if handler is None else None
        self._closed = False

    def __repr__(self) -> str:
        return f"<SimulatedDatagrams {self.address}>"

    async def receive(self) -> list[tuple[bytes, Address]]:
        """See ``Datagrams.receive``."""
        if self._readers is None:
            raise RuntimeError("its datagrams go to a handler")
        if self._queue or self._closed:
            await trio.lowlevel.checkpoint()
        while not self._queue and not self._closed:
            await self._readers.park()
        if self._closed:
            raise NetworkError(f"{self.address}: closed")
        batch = [self._queue.popleft() for _ in range(min(len(self._queue), limits.DATAGRAM_BATCH))]
        self._queued -= sum(len(data) + _OVERHEAD for data, _ in batch)
        return batch

    def send(self, data: bytes, to: Address) -> bool:
        """See ``Datagrams.send``."""
        if self._closed or len(data) > _LARGEST or to.is_ipv6 != self.address.is_ipv6 or to.scope is Scope.FORBIDDEN:
            return False
        return self._post(bytes(data), self.address, to)

    def send_all(self, datagrams: Sequence[bytes], to: Address) -> int:
        """See ``Datagrams.send_all``."""
        return sum(1 for _ in itertools.takewhile(lambda data: self.send(data, to), datagrams))

    def close(self) -> None:
        """See ``Datagrams.close``."""
        if not self._closed:
            self._closed = True
            self._queue.clear()
            if self._readers is not None:
                self._readers.unpark_all()
            self._tell_closed(self.address)

    def got_datagram(self, data: bytes, sender: Address) -> bool:
        """A datagram has come. False: there was no room for it."""
        if self._handler is not None:
            self._handler(data, sender)
            return True
        if self._queued + len(data) + _OVERHEAD > _QUEUE:
            return False
        self._queued += len(data) + _OVERHEAD
        self._queue.append((data, sender))
        if self._readers:
            self._readers.unpark()
        return True
