"""A TCP connection on the hot path: one system call to receive, one to send many buffers."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

import trio

from .. import limits
from ..errors import NetworkError
from ..wire.address import Address, parse_host
from .unread import take_unread

Buffer = bytes | bytearray | memoryview


def _iov_max() -> int:
    try:
        return max(16, os.sysconf("SC_IOV_MAX"))
    except (AttributeError, ValueError, OSError):
        return 16  # what POSIX guarantees


IOV_MAX = _iov_max()
"""Buffers that one ``sendmsg`` takes; more is EMSGSIZE."""

# In a program that has SIGPIPE back at its default a peer that has left would else end it.
_NOSIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)


class TcpStream:
    """A connected TCP socket as a ``Stream`` (see ``network.py`` for what the methods promise).

    The socket is the system's and not Trio's, which let all other tasks have their turn after each call, with a look
    at all sockets: here some calls follow one another.
    """

    __slots__ = ("_lowat", "_received_in_a_row", "_send", "_sent", "_sent_in_a_row", "_since", "_sock", "_unread",
                 "local", "remote")  # fmt: skip

    def __init__(self, sock: socket.socket) -> None:
        """Take over a connected, non-blocking socket. Raises OSError where it is connected no more; close it then."""
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
        self._send: Callable[[Sequence[Buffer], Sequence[Any], int], int]
        self._send = getattr(sock, "sendmsg", None) or self._send_joined
        self._unread = b""
        self._received_in_a_row = self._sent_in_a_row = 0  # what went at once, without a turn for other tasks

    def __repr__(self) -> str:
        return f"<TcpStream {self.local} - {self.remote}>"

    async def receive_into(self, buffer: memoryview) -> int:
        """See ``Stream.receive_into``."""
        if self._unread:
            size, self._unread = await take_unread(self._unread, buffer)
            return size
        try:
            while True:
                self._received_in_a_row = await _turn(self._received_in_a_row, limits.RECEIVES_IN_A_ROW)
                try:
                    return self._sock.recv_into(buffer)
                except BlockingIOError:
                    self._received_in_a_row = 0
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
                self._sent_in_a_row = await _turn(self._sent_in_a_row, limits.SENDS_IN_A_ROW)
                try:
                    sent = self._send(pending[start : start + IOV_MAX], (), _NOSIGNAL)
                except BlockingIOError:
                    self._sent_in_a_row = 0
                    await trio.lowlevel.wait_writable(self._sock)
                    continue
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

    def _send_joined(self, parts: Sequence[Buffer], _: object, flags: int) -> int:
        return self._sock.send(b"".join(parts), flags)  # where there is no sendmsg (Windows)

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
        if self._sock.fileno() >= 0:
            trio.lowlevel.notify_closing(self._sock)
            self._sock.close()


def take_over(sock: trio.socket.SocketType) -> TcpStream:
    """A stream of a connected socket. Raises OSError where it is connected no more; in any case the socket is gone."""
    plain = socket.socket(sock.family, sock.type, sock.proto, fileno=sock.detach())
    try:
        plain.setblocking(False)
        return TcpStream(plain)
    except BaseException:
        plain.close()
        raise


async def _turn(in_a_row: int, most: int) -> int:
    """Let other tasks have their turn if that many calls went without one; returns how many do with the next."""
    if in_a_row < most:
        await trio.lowlevel.checkpoint_if_cancelled()
        return in_a_row + 1
    await trio.lowlevel.checkpoint()
    return 0


def address_of(sockaddr: Any) -> Address:
    """The ``Address`` in what the socket module calls an address of AF_INET or AF_INET6."""
    if len(sockaddr) == 2:  # IPv4, in its shortest form already: a DHT node gets thousands a second
        return Address(*sockaddr)
    return Address(parse_host(sockaddr[0]) or "", sockaddr[1])


def reason(error: BaseException) -> str:
    """What went wrong, in the system's own words, without numbers and class names."""
    if isinstance(error, trio.ClosedResourceError) or (isinstance(error, OSError) and error.errno == errno.EBADF):
        return "closed"
    if isinstance(error, OSError) and error.strerror:
        # Trio's words for a failed connect name the address once more.
        again = error.errno is not None and error.strerror.startswith("Error connecting to")
        return os.strerror(error.errno or 0) if again else error.strerror
    return str(error) or type(error).__name__
