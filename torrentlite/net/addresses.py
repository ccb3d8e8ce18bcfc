"""The addresses of this machine, so that a magnet link can name them (``x.pe``)."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterable
from typing import Final

from ..wire.address import Scope, scope_of
from .interface import system_source
from .machine import machine_addresses

_MOST: Final = 8
"""A link has to be short enough to be sent by hand."""
_LEAST_IPV6: Final = 2
"""Of those, for a neighbour that has nothing else."""


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
    for ipv6 in (False, True):
        with contextlib.suppress(OSError):
            found.append(system_source(ipv6=ipv6, interface=interface))
    return found
