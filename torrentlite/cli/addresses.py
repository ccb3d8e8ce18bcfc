"""The addresses of this machine, so that a magnet link can name them (``x.pe``)."""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Iterable
from typing import Any, Final

from ..net.interface import tie
from ..wire.address import Scope, scope_of

_UP: Final = 0x1
_MOST: Final = 8
"""A link has to be short enough to be sent by hand."""
_LEAST_IPV6: Final = 2
"""Of those, for a neighbour that has nothing else."""
_ELSEWHERE: Final = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Nobody (RFC 5737, RFC 3849). The way there is the default route; nothing is sent."""
_INTERNAL: Final = ("docker", "br-", "virbr", "lxcbr", "lxdbr", "podman", "cni")
"""Bridges to containers and virtual machines: every machine that has them gives them the same addresses."""


def reachable_at(bound: Iterable[str], interface: str = "") -> list[str]:
    """The addresses to name for listeners that are bound to these (``0.0.0.0`` and ``::`` are all interfaces, or this).

    Loopback is named only where it was bound to by itself; link-local addresses mean nothing to others.
    """
    found: list[str] = []
    for host in bound:
        if ipaddress.ip_address(host).is_unspecified:
            others = [each for each in machine_addresses(interface) if scope_of(each) in (Scope.PRIVATE, Scope.PUBLIC)]
            found += [each for each in others if (":" in each) == (":" in host)]
        else:
            found.append(host)
    first = default_sources(interface)
    found = sorted(dict.fromkeys(found), key=lambda each: each not in first)
    # IPv4 first, since every program understands it.
    ipv4, ipv6 = [each for each in found if ":" not in each], [each for each in found if ":" in each]
    ipv4 = ipv4[: _MOST - min(len(ipv6), _LEAST_IPV6)]
    return ipv4 + ipv6[: _MOST - len(ipv4)]


def default_sources(interface: str = "") -> list[str]:
    """Our addresses on the way to everywhere else, as far as there is one: most likely what others know us by."""
    found = []
    for family, elsewhere in _ELSEWHERE.items():
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            if interface:
                tie(probe, interface)
            probe.connect((elsewhere, 9))
            found.append(str(probe.getsockname()[0]))
    return found


def machine_addresses(interface: str = "") -> list[str]:
    """The IP addresses of all interfaces that are up, or of this one.

    By getifaddrs(3), which Python's library does not offer.
    """
    if os.name != "posix":
        return _addresses_of_name()
    libc = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
    first = ctypes.POINTER(_Interface)()
    if libc.getifaddrs(ctypes.byref(first)):
        return _addresses_of_name()
    found: dict[str, None] = {}
    try:
        node = first
        while node:
            entry = node.contents
            name = os.fsdecode(entry.name).partition(":")[0]  # an alias of eth0 may be eth0:1
            named = name == interface if interface else not name.startswith(_INTERNAL)
            if entry.address and entry.flags & _UP and named:
                host = _read_address(entry.address)
                if host:
                    found[host] = None
            node = entry.next
    finally:
        libc.freeifaddrs(first)
    return list(found)


class _Interface(ctypes.Structure):
    pass


_Interface._fields_ = [
    ("next", ctypes.POINTER(_Interface)),
    ("name", ctypes.c_char_p),
    ("flags", ctypes.c_uint),
    ("address", ctypes.c_void_p),
]  # and more that we do not read; the list is only ever followed, never copied


def _read_address(pointer: Any) -> str | None:
    head = ctypes.string_at(pointer, 2)
    # BSD and macOS have a length byte in front of a family of one byte.
    family = head[1] if sys.platform == "darwin" or "bsd" in sys.platform else struct.unpack("=H", head)[0]
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, ctypes.string_at(pointer, 8)[4:])
    if family == socket.AF_INET6:
        return socket.inet_ntop(socket.AF_INET6, ctypes.string_at(pointer, 24)[8:])
    return None


def _addresses_of_name() -> list[str]:
    try:
        return [str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None)]
    except OSError:
        return []
