"""A TCP connection on the hot path: one system call to receive, one to send many buffers."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import trio

from .. import limits
from ..errors import NetworkError
from ..wire.address import Address, parse_host

Buffer = bytes | bytearray | memoryview


def _iov_max() -> int:
    try:
        return max(16, os.sysconf("SC_IOV_MAX"))
    except (AttributeError, ValueError, OSError):
        return 16  # what POSIX guarantees


IOV_MAX = _iov_max()
"""Buffers that one ``sendmsg`` takes; more is EMSGSIZE."""

# ``recv_into`` of a Trio socket lets all other tasks have their turn after each success, with a look at all sockets.
_READV: Callable[[int, list[memoryview]], int] | None = getattr(os, "readv", None)


class TcpStream:
    """A connected TCP socket as a ``Stream`` (see ``network.py`` for what the methods promise)."""

    __slots__ = ("_in_a_row", "_lowat", "_send", "_sent", "_since", "_sock", "_unread", "local", "remote")

    def __init__(self, sock: trio.socket.SocketType) -> None:
        """Take over a connected socket. Raises OSError where it is connected no more; it stays the caller's then."""
        self.local = address_of(sock.getsockname())
        self.remote = address_of(sock.getpeername())
        with contextlib.suppress(OSError):  # macOS: EINVAL for a connection that was reset meanwhile
            # A request of 17 bytes must not wait for the acknowledgement of the one before it.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_NOTSENT_LOWAT"):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, limits.NOTSENT_LOWAT)
        self._lowat = limits.NOTSENT_LOWAT
        self._sent, self._since = 0, 0.0
        self._sock = sock
        self._send: Callable[[list[Buffer]], Awaitable[int]] = getattr(sock, "sendmsg", None) or self._send_joined
        self._unread = b""
        self._in_a_row = 0  # receives that found something, without a turn for other tasks

    def __repr__(self) -> str:
        return f"<TcpStream {self.local} - {self.remote}>"

    async def receive_into(self, buffer: memoryview) -> int:
        """See ``Stream.receive_into``."""
        if self._unread:
            await trio.lowlevel.checkpoint()
            size = min(len(buffer), len(self._unread))
            buffer[:size] = self._unread[:size]
            self._unread = self._unread[size:]
            return size
        try:
            if _READV is None:
                return await self._sock.recv_into(buffer)
            while True:
                if self._in_a_row < limits.RECEIVES_IN_A_ROW:
                    self._in_a_row += 1
                    await trio.lowlevel.checkpoint_if_cancelled()
                else:
                    self._in_a_row = 0
                    await trio.lowlevel.checkpoint()
                try:
                    return _READV(self._sock.fileno(), [buffer])
                except BlockingIOError:
                    self._in_a_row = 0
                    await trio.lowlevel.wait_readable(self._sock)
        except (OSError, trio.ClosedResourceError) as error:
            raise NetworkError(f"{self.remote}: {reason(error)}") from error

    async def send_vectored(self, views: Sequence[Buffer]) -> None:
        """See ``Stream.send_vectored``. Views count in bytes."""
        pending: list[Buffer] = list(views)
        start = 0
        self._adapt(sum(map(len, pending)))
        try:
            while start < len(pending):
                sent = await self._send(
                    pending[start : start + IOV_MAX] if start or len(pending) > IOV_MAX else pending
                )
                while start < len(pending) and sent >= len(pending[start]):
                    sent -= len(pending[start])
                    start += 1
                if sent:
                    pending[start] = memoryview(pending[start])[sent:]
        except (OSError, trio.ClosedResourceError) as error:
            raise NetworkError(f"{self.remote}: {reason(error)}") from error

    def _adapt(self, size: int) -> None:
        """Let as much wait in the system as this connection sends in NOTSENT_SECONDS, within the limits."""
        now = trio.current_time()
        passed = now - self._since
        if passed >= limits.NOTSENT_WINDOW:
            usual = int(self._sent / passed * limits.NOTSENT_SECONDS)
            lowat = max(limits.NOTSENT_LOWAT, min(usual, limits.MAX_NOTSENT_LOWAT))
            self._sent, self._since = 0, now
            if not self._lowat <= 2 * lowat <= 4 * self._lowat and hasattr(socket, "TCP_NOTSENT_LOWAT"):
                with contextlib.suppress(OSError):  # the send itself will tell
                    self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, lowat)
                self._lowat = lowat
        self._sent += size

    async def _send_joined(self, parts: list[Buffer]) -> int:
        return await self._sock.send(b"".join(parts))  # where there is no sendmsg (Windows)

    def unread(self, data: bytes) -> None:
        """See ``Stream.unread``."""
        self._unread = bytes(data) + self._unread

    async def aclose(self) -> None:
        """See ``Stream.aclose``."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """See ``Stream.close``."""
        self._unread = b""
        self._sock.close()


def address_of(sockaddr: Any) -> Address:
    """The ``Address`` in what the socket module calls an address of AF_INET or AF_INET6."""
    if len(sockaddr) == 2:  # IPv4, in its shortest form already: a DHT node gets thousands a second
        return Address(*sockaddr)
    return Address(parse_host(sockaddr[0]) or "", sockaddr[1])


def reason(error: BaseException) -> str:
    """What went wrong, in the system's own words, without numbers and class names."""
    if isinstance(error, trio.ClosedResourceError):
        return "closed"
    if isinstance(error, OSError) and error.strerror:
        # Trio's words for a failed connect name the address once more.
        again = error.errno is not None and error.strerror.startswith("Error connecting to")
        return os.strerror(error.errno or 0) if again else error.strerror
    return str(error) or type(error).__name__
