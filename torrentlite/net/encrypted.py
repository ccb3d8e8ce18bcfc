"""A connection whose bytes are encrypted both ways (``wire/mse.py``), as a ``Stream`` over another."""

from __future__ import annotations

from collections.abc import Sequence

from ..wire.address import Address
from ..wire.rc4 import Rc4
from .network import Stream
from .unread import take_unread


class EncryptedStream:
    """A ``Stream`` (see ``network.py`` for what the methods promise) by two key streams.

    Attributes:
        stream: the other one.
    """

    def __init__(self, stream: Stream, incoming: Rc4, outgoing: Rc4) -> None:
        self.stream = stream
        self._incoming = incoming
        self._outgoing = outgoing
        self._unread = b""

    def __repr__(self) -> str:
        return f"<EncryptedStream over {self.stream!r}>"

    @property
    def local(self) -> Address:
        """See ``Stream.local``."""
        return self.stream.local

    @property
    def remote(self) -> Address:
        """See ``Stream.remote``."""
        return self.stream.remote

    async def receive_into(self, buffer: memoryview) -> int:
        """See ``Stream.receive_into``."""
        if self._unread:
            size, self._unread = await take_unread(self._unread, buffer)
            return size
        count = await self.stream.receive_into(buffer)
        part = buffer[:count]
        self._incoming.update_into(part, part)
        return count

    async def send_vectored(self, views: Sequence[bytes | bytearray | memoryview]) -> None:
        """See ``Stream.send_vectored``."""
        # Into a buffer of its own: what was read for one peer may be on its way to another.
        data = bytearray().join(views)
        self._outgoing.update_into(data, data)
        await self.stream.send_vectored([data])

    def unread(self, data: bytes) -> None:
        """See ``Stream.unread``; what is given back is decrypted already."""
        self._unread = bytes(data) + self._unread

    async def aclose(self) -> None:
        """See ``Stream.aclose``."""
        self._unread = b""
        await self.stream.aclose()

    def close(self) -> None:
        """See ``Stream.close``."""
        self._unread = b""
        self.stream.close()
