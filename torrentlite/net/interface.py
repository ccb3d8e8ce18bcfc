"""Sockets that use one network interface of this machine and no other, by its name (Linux, ``SO_BINDTODEVICE``).

The kernel keeps the number that the interface has when a socket is tied. A VPN that dials in anew has another number,
and whoever is not root cannot tie a socket a second time: there has to be a new socket then (``is_tied``). The old one
sends and hears nothing.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from typing import Final

import trio

from ..errors import ListenError
from .stream import reason

_SIOCGIFFLAGS: Final = 0x8913
_REQUEST: Final = struct.Struct("16sH22x")  # struct ifreq: the name, then here the flags
_UP_AND_RUNNING: Final = 0x1 | 0x40  # IFF_UP, IFF_RUNNING


def check_interface(name: str) -> None:
    """Look whether sockets can be tied to the interface of this name now.

    Raises:
        ListenError: there is none, or this system does not do it; its hint says which there are.
    """
    if sys.platform != "linux":
        raise ListenError(
            "cannot use one network interface only: that is done on Linux alone", hint="bind to its address"
        )
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:  # of no address family that may be missing
            tie(probe, name)
    except OSError as error:
        there = "there are: " + ", ".join(each for _, each in socket.if_nameindex())
        raise ListenError(reason(error), hint=there if error.errno == errno.ENODEV else "") from error


def tie(sock: socket.socket | trio.socket.SocketType, name: str) -> None:
    """Let this new socket send by the interface that has this name now, and receive by it, and by no other.

    Raises OSError; there being no such interface says so in its words.
    """
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, os.fsencode(name))
    except OSError as error:
        words = {
            errno.ENODEV: f"there is no network interface {name}",
            errno.EPERM: f"only root may use the network interface {name} alone before Linux 5.7",
        }
        number = error.errno or 0
        raise OSError(number, words.get(number, error.strerror)) from error


def is_tied(sock: socket.socket | trio.socket.SocketType, name: str) -> bool:
    """Whether the interface that the socket was tied to is there still, under this name."""
    try:
        return sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0") == os.fsencode(name)
    except OSError:
        return False


def interface_trouble(name: str) -> str:
    """Why nothing can leave by the interface of this name now, as far as the system tells; or empty."""
    import fcntl  # Linux, as all here

    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            _, flags = _REQUEST.unpack(fcntl.ioctl(probe, _SIOCGIFFLAGS, _REQUEST.pack(os.fsencode(name), 0)))
    except OSError as error:
        return f"there is no network interface {name}" if error.errno == errno.ENODEV else ""
    return "" if flags & _UP_AND_RUNNING == _UP_AND_RUNNING else f"the network interface {name} is down"
