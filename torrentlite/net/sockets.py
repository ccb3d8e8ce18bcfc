"""Binding: one port, both address families, TCP and UDP."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys

import trio

from .. import limits
from ..errors import ListenError
from .interface import is_tied, tie
from .stream import reason

_HINTS = {
    errno.EADDRINUSE: "another program has it; choose another port, or 0 for any free one",
    errno.EACCES: "ports below 1024 are for the system; choose a higher one",
    errno.EADDRNOTAVAIL: "this machine has no such address",
}
# What a system says that was built or booted without IPv6, or without IPv4.
_NO_SUCH_FAMILY = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT}


def open_sockets(kind: socket.SocketKind, host: str, port: int, interface: str = "") -> list[socket.socket]:
    """Bind non-blocking sockets of one kind to one common port; SOCK_STREAM ones listen.

    Args:
        kind: SOCK_STREAM, then the port is free for UDP as well, or SOCK_DGRAM.
        host: an IP address, for one socket; empty for all addresses, one socket per family that the system has.
        port: 0 for any free one.
        interface: the name of the network interface to use alone; empty for all.

    Raises:
        ListenError: the port or the address cannot be had; its hint says what to do.
    """
    # What is free in the first family may be taken in the second: then another one is tried.
    for tries_left in range(limits.LISTEN_TRIES if port == 0 else 1, 0, -1):
        try:
            return _open_on(kind, host, port, interface)
        except OSError as error:
            if tries_left == 1 or error.errno != errno.EADDRINUSE:
                where = f"{host or 'any address'}, port {port}" if port else host or "any address"
                hint = _HINTS.get(error.errno or 0, "")
                raise ListenError(f"cannot listen on {where}: {reason(error)}", hint=hint) from error
    raise AssertionError("the last try returns or raises")


def _open_on(kind: socket.SocketKind, host: str, port: int, interface: str) -> list[socket.socket]:
    families = [(socket.AF_INET6 if ":" in host else socket.AF_INET, host)]
    if not host:
        families = [(socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")]
    opened: list[socket.socket] = []
    with contextlib.ExitStack() as undo:
        for family, address in families:
            try:
                sock = _bind(kind, family, address, port, interface)
            except OSError as error:
                if host or error.errno not in _NO_SUCH_FAMILY:
                    raise
                continue
            undo.callback(sock.close)
            opened.append(sock)
            port = sock.getsockname()[1]
            if kind == socket.SOCK_STREAM:
                # The DHT and UDP trackers will want the same port: see now whether they can have it.
                _bind(socket.SOCK_DGRAM, family, address, port, interface).close()
        if not opened:
            raise OSError(errno.EAFNOSUPPORT, "the system has neither IPv6 nor IPv4")
        undo.pop_all()
    return opened


def open_again(sock: socket.socket | trio.socket.SocketType, interface: str) -> socket.socket | None:
    """One in the place of this, where its interface has gone and another one of that name is there; else None.

    The old one may stay open meanwhile: it is tied to the number of an interface that is no more.
    """
    if is_tied(sock, interface):
        return None
    with contextlib.suppress(OSError):  # not there yet, or not its address; or the old one was closed
        host, port = sock.getsockname()[:2]
        return _bind(sock.type, sock.family, host, port, interface)
    return None


def _bind(kind: socket.SocketKind, family: socket.AddressFamily, host: str, port: int, interface: str) -> socket.socket:
    sock = socket.socket(family, kind)
    try:
        sock.setblocking(False)
        if interface:
            tie(sock, interface)
        if kind == socket.SOCK_STREAM and sys.platform != "win32":
            # Else the port of a session that just ended is refused for a minute. On Windows it would mean sharing.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # IPv4 has a socket of its own
        sock.bind((host, port))
        if kind == socket.SOCK_STREAM:
            sock.listen(limits.LISTEN_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock
