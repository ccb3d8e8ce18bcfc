"""Sockets that use one network interface of this machine and no other, by its name (Linux, ``SO_BINDTODEVICE``).

The kernel keeps the number that the interface has when a socket is tied. A VPN that dials in anew has another number,
and whoever is not root cannot tie a socket a second time: there has to be a new socket then (``is_tied``). The old one
sends and hears nothing.

What a tied socket sends does leave by that interface; but where that has no address of the family, the system takes one
of another interface: others learn of that, and answer there. So each names the address that it sends from
(``own_source``), and the system holds to it.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
import struct
import sys
from typing import Final

import trio

from ..errors import ListenError
from ..wire.address import parse_host
from .machine import machine_addresses
from .stream import address_of, reason

_SIOCGIFFLAGS: Final = 0x8913
_REQUEST: Final = struct.Struct("16sH22x")  # struct ifreq: the name, then here the flags
_UP_AND_RUNNING: Final = 0x1 | 0x40  # IFF_UP, IFF_RUNNING
_ELSEWHERE: Final = {False: "192.0.2.1", True: "2001:db8::1"}
"""Nobody (RFC 5737, RFC 3849), by "is IPv6". The way there is the default route; nothing is sent."""


def check_interface(name: str, host: str = "") -> None:
    """Look whether sockets can be tied to the interface of this name now, and bound to this address of it, if any.

    Raises:
        ListenError: there is none, or this is not its name alone or not its address, or this system does not do it; its
            hint says what there is.
    """
    if sys.platform != "linux":
        raise ListenError(
            "cannot use one network interface only: that is done on Linux alone", hint="bind to its address"
        )
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:  # of no address family that may be missing
            tie(probe, name)
            real = _tied_to(probe)
    except OSError as error:
        there = "there are: " + ", ".join(each for _, each in socket.if_nameindex())
        raise ListenError(reason(error), hint=there if error.errno == errno.ENODEV else "") from error
    if real != name:  # the routes, and the list of addresses, know it by that one only
        raise ListenError(f"{name} is another name of the network interface {real}", hint=f"use {real}")
    if named(host) and (trouble := interface_trouble(name, host)):
        own = ", ".join(each for ipv6 in (False, True) for each in own_addresses(name, ipv6=ipv6))
        raise ListenError(trouble, hint=f"it has: {own}" if own else "")


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
        return _tied_to(sock) == name
    except OSError:
        return False


def _tied_to(sock: socket.socket | trio.socket.SocketType) -> str:
    """Raises OSError: the interface is no more."""
    return os.fsdecode(sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0"))


def named(host: str) -> bool:
    """Whether it is one address of this machine, and not empty or a wildcard, which are all."""
    return bool(host) and not ipaddress.ip_address(host).is_unspecified


def own_addresses(name: str, *, ipv6: bool, host: str = "") -> list[str]:
    """The addresses of this family that the interface has now, as far as others than its neighbours can answer them.

    Args:
        name: of the interface.
        ipv6: or IPv4.
        host: the only one that counts, if it is ``named``.
    """
    found = [each for each in map(ipaddress.ip_address, machine_addresses(name)) if (each.version == 6) == ipv6]
    if named(host):
        return [str(each) for each in found if each == ipaddress.ip_address(host)]
    return [str(each) for each in found if not each.is_link_local]


def own_source(name: str, *, ipv6: bool, host: str = "") -> str:
    """The address that datagrams to anywhere have to bear when they leave by the interface; empty: none may leave.

    The arguments are those of ``own_addresses``.
    """
    own = own_addresses(name, ipv6=ipv6, host=host)
    if len(own) > 1:
        with contextlib.suppress(OSError):  # it leads to its neighbours only
            chosen = system_source(ipv6=ipv6, interface=name)
            return chosen if chosen in own else own[0]
    return own[0] if own else ""


def system_source(to: tuple[str, int] | None = None, *, ipv6: bool, interface: str = "", host: str = "") -> str:
    """The address of ours that the system sends from on the way to there, or to everywhere else. Nothing is sent.

    Args:
        to: an IP address and a port.
        ipv6: or IPv4.
        interface: by that one alone.
        host: from that address alone.

    Raises:
        OSError: there is no way.
    """
    with socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        if interface:
            tie(probe, interface)
        if host:
            probe.bind((host, 0))
        probe.connect(to or (_ELSEWHERE[ipv6], 9))
        return address_of(probe.getsockname()).host


def interface_trouble(name: str, host: str = "") -> str:
    """Why nothing can leave by the interface of this name (and from this address of it, if one is named) now, as far as
    the system tells; or empty."""
    import fcntl  # Linux, as all here

    host = parse_host(host) or ""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            _, flags = _REQUEST.unpack(fcntl.ioctl(probe, _SIOCGIFFLAGS, _REQUEST.pack(os.fsencode(name), 0)))
    except OSError as error:
        return f"there is no network interface {name}" if error.errno == errno.ENODEV else ""
    if flags & _UP_AND_RUNNING != _UP_AND_RUNNING:
        return f"the network interface {name} is down"
    if any(own_addresses(name, ipv6=ipv6, host=host) for ipv6 in (False, True)):
        return ""
    return f"the network interface {name} has no address" + (f" {host}" if named(host) else "")
