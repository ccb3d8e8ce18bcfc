"""Which router is ours: the default gateway of the system's IPv4 routing table."""

from __future__ import annotations

import ipaddress
import sys
from typing import NamedTuple

from ... import limits

_UP_AND_GATEWAY = 0x1 | 0x2  # RTF_UP, RTF_GATEWAY


class Gateway(NamedTuple):
    """Where to ask for ports."""

    host: str
    nat_port: int = 5351
    """UDP port of NAT-PMP and PCP."""
    ssdp_port: int = 1900
    """UDP port of UPnP's discovery."""


def default_gateway(interface: str = "") -> Gateway | None:
    """The default gateway (by this interface, where one is named), where the system tells (Linux); else None."""
    try:
        with open("/proc/net/route", encoding="ascii", errors="replace") as table:
            host = parse_routes(table.read(limits.MAX_ROUTES), interface=interface)
    except OSError:
        return None
    return Gateway(host) if host else None


def parse_routes(table: str, byteorder: str = sys.byteorder, *, interface: str = "") -> str | None:
    """The gateway of the cheapest default route in ``/proc/net/route``; None where there is none.

    Args:
        table: the file's text. Addresses in it are numbers of the machine's byte order, in hexadecimal.
        byteorder: of the machine.
        interface: the only one whose routes count; empty for all.
    """
    best: tuple[int, str] | None = None
    for line in table.splitlines()[1:]:
        words = line.split()
        if len(words) < 8 or (interface and words[0] != interface):
            continue
        try:
            destination, gateway, flags, mask = (int(words[i], 16) for i in (1, 2, 3, 7))
            metric = int(words[6])
            packed = gateway.to_bytes(4, "little" if byteorder == "little" else "big")
        except (ValueError, OverflowError):
            continue
        if destination or mask or not gateway or flags & _UP_AND_GATEWAY != _UP_AND_GATEWAY:
            continue
        if best is None or metric < best[0]:
            best = metric, str(ipaddress.IPv4Address(packed))
    return best[1] if best else None
