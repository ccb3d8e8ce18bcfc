"""A uTP connection as a ``Stream``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import trio

from .. import limits
from ..errors import NetworkError
from ..net.unread import take_unread
from ..wire.address import Address
from .connection import Connection, State


class UtpStream:
    """One end of a connection (see ``net/network.py`` for what the methods promise). Made by ``Utp``.

    Attributes:
        connection: what it does.
        closed: on our side.
    """

    def __init__(
        self, connection: Connection, local: Callable[[], Address], remote: Address, ended: Callable[[], object]
    ) -> None:
        self.connection = connection
        self.remote = remote
        self._find_local = local
        self._ended = ended
        self._unread = b""
        self.closed = False
        self._waiting = trio.lowlevel.ParkingLot()

    def __repr__(self) -> str:
        return f"<UtpStream {self.remote}>"

    @functools.cached_property
    def local(self) -> Address:
        """See ``Stream.local``. Looked up when somebody asks: most who only call are never asked."""
        return self._find_local()

    async def receive_into(self, buffer: memoryview) -> int:
        """See ``Stream.receive_into``."""
        if self._unread:
            size, self._unread = await take_unread(self._unread, buffer)
            return size
        await trio.lowlevel.checkpoint()
        while not self.connection.readable:
            self._check()
            await self._waiting.park()
        self._check_closed()
        size = self.connection.take_into(buffer)
        if self.connection.owes_window:
            self.connection.flush(trio.current_time())
        return size

    async def send_vectored(self, views: Sequence[bytes | bytearray | memoryview]) -> None:
        """See ``Stream.send_vectored``. They are copied, so they are the caller's own again."""
        await trio.lowlevel.checkpoint()
        self._check()
        self.connection.write(b"".join(views))
        self.connection.flush(trio.current_time())
        while self.connection.waiting > limits.UTP_SEND_BUFFER:
            self._check()
            await self._waiting.park()
        self._check()

    def _check(self) -> None:
        self._check_closed()
        if self.connection.state is State.GONE:
            raise NetworkError(f"{self.remote}: {self.connection.why}")

    def _check_closed(self) -> None:
        if self.closed:
            raise NetworkError(f"{self.remote}: closed")

    async def connected(self) -> None:
        """Wait until somebody answers the call.

        Raises:
            NetworkError: nobody does, or it was refused.
        """
        await trio.lowlevel.checkpoint()
        while self.connection.state is State.CALLING:
            await self._waiting.park()
        if self.connection.state is State.GONE:
            raise NetworkError(f"cannot connect to {self.remote}: {self.connection.why}")

    def wake(self) -> None:
        """Something has happened to the connection: whoever waits looks again."""
        self._waiting.unpark_all()

    def unread(self, data: bytes) -> None:
        """See ``Stream.unread``."""
        self._unread = bytes(data) + self._unread

    async def aclose(self) -> None:
        """See ``Stream.aclose``."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """See ``Stream.close``. What was sent goes on being sent for a while."""
        if self.closed:
            return
        self.closed = True
        self._unread = b""
        now = trio.current_time()
        self.connection.close(now)
        self.connection.flush(now)
        self._ended()
        self.wake()
