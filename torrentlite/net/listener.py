"""Accepting TCP connections, whatever the system's mood."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket

import trio

from .. import limits
from ..errors import ListenError, NetworkError
from .interface import is_tied
from .sockets import open_again, open_sockets
from .stream import TcpStream, address_of, reason, take_over

log = logging.getLogger(__name__)

# Out of something that comes back when others close their connections.
_WAIT = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
# The listener itself is of no use. All other errors are those of the one connection that was to be accepted
# (accept(2) hands them on), and that one is forgotten.
_BROKEN = {errno.EBADF, errno.EFAULT, errno.EINVAL, errno.ENOTSOCK, errno.EOPNOTSUPP}


class TcpListener:
    """A listening TCP socket as a ``Listener`` (see ``network.py`` for what the methods promise).

    Where it uses one interface only, it listens again when another one of that name has taken its place.
    """

    def __init__(self, sock: trio.socket.SocketType, interface: str = "") -> None:
        self._sock = sock
        self._interface = interface
        self.address = address_of(sock.getsockname())

    def __repr__(self) -> str:
        return f"<TcpListener {self.address}>"

    async def accept(self) -> TcpStream:
        """See ``Listener.accept``."""
        while True:
            try:
                sock = await self._accept()
            except trio.ClosedResourceError as error:
                raise NetworkError(f"{self.address}: closed") from error
            except OSError as error:
                if error.errno in _BROKEN:
                    raise NetworkError(f"{self.address}: {reason(error)}") from error
                if error.errno in _WAIT:
                    log.warning("cannot accept at %s: %s; trying again", self.address, reason(error))
                    await trio.sleep(limits.ACCEPT_PAUSE)
                continue
            with contextlib.suppress(OSError):  # reset before we looked at it
                return take_over(sock)

    async def _accept(self) -> trio.socket.SocketType:
        while self._interface:
            sock = None
            with trio.move_on_after(limits.INTERFACE_CHECK):
                sock = (await self._sock.accept())[0]
            if is_tied(self._sock, self._interface):
                if sock is not None:
                    return sock
                continue
            if sock is not None:  # the interface has another name now
                sock.close()
            fresh = open_again(self._sock, self._interface)
            if fresh is not None:
                self._sock.close()
                self._sock = trio.socket.from_stdlib_socket(fresh)
                log.info("%s is there again: listening at %s", self._interface, self.address)
        return (await self._sock.accept())[0]

    def close(self) -> None:
        """See ``Listener.close``."""
        self._sock.close()


def open_listeners(host: str, port: int, *, fallback: bool, interface: str = "") -> list[TcpListener]:
    """See ``Network.listen``; the host is an IP address or empty, the interface a name or empty."""
    try:
        socks = open_sockets(socket.SOCK_STREAM, host, port, interface)
    except ListenError as error:
        if not (port and fallback):
            raise
        log.info("%s; taking a free port", error)
        socks = open_sockets(socket.SOCK_STREAM, host, 0, interface)
    return [TcpListener(trio.socket.from_stdlib_socket(sock), interface) for sock in socks]
