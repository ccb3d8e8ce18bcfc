"""Whether the clock is right, by a time server (SNTP, RFC 5905, section 14)."""

from __future__ import annotations

import pathlib
import struct
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

import trio

from ...errors import NetworkError
from ...net.network import Datagrams, Network
from ...wire.address import Address, Scope
from .. import units
from . import Finding, Verdict

SERVER: Final = ("pool.ntp.org", 123)
_PATIENCE: Final = 5.0
_UNIX: Final = 2_208_988_800
"""Seconds from 1900, where NTP begins, to 1970."""
_ERA: Final = 1 << 32
"""Seconds after which NTP's clock begins again: in February 2036 for the first time."""
_FINE, _BEARABLE = 30.0, 300.0
"""Seconds: above the first people wonder, above the second certificates (https) are taken for invalid."""


async def look(
    network: Network,
    server: tuple[str, int],
    *,
    secret: Callable[[int], bytes],
    wall: Callable[[], float] = time.time,
) -> Finding:
    """Ask a time server."""
    try:
        with trio.fail_after(_PATIENCE):
            offset = await _ask(network, server, secret, wall)
    except (NetworkError, trio.TooSlowError) as error:
        if wall() < _newest():
            return Finding("clock", Verdict.BAD, "it is before the day on which this tl was installed", _cure())
        why = str(error) if isinstance(error, NetworkError) else f"{server[0]} does not answer"
        return Finding("clock", Verdict.UNKNOWN, f"no time server to compare with: {why}")
    distance = units.duration(abs(offset))
    message = f"{distance} {'slow' if offset > 0 else 'fast'} by {server[0]}"
    if abs(offset) <= _FINE:
        return Finding("clock", Verdict.OK, message)
    return Finding("clock", Verdict.NOTE if abs(offset) <= _BEARABLE else Verdict.BAD, message, _cure())


async def _ask(
    network: Network, server: tuple[str, int], secret: Callable[[int], bytes], wall: Callable[[], float]
) -> float:
    """By how many seconds our clock is slow."""
    addresses = await network.resolve(*server, within=Scope.LOOPBACK)
    sockets = await network.open_datagrams("", 0)
    try:
        cookie = secret(8)
        for address in addresses[:2]:
            for socket in sockets:
                if socket.address.is_ipv6 == address.is_ipv6:
                    # Version 4, client. What stands for our time is a cookie: servers repeat it, and learn nothing.
                    socket.send(struct.pack("!B39x8s", 0x23, cookie), address)
        sent_wall, sent = wall(), trio.current_time()
        offset = await _first(sockets, addresses, cookie)
        return offset - (sent_wall + (trio.current_time() - sent) / 2)
    finally:
        for socket in sockets:
            socket.close()


async def _first(sockets: Sequence[Datagrams], addresses: list[Address], cookie: bytes) -> float:
    """The time, in Unix seconds, that the first proper answer tells."""
    told: list[float] = []

    async def listen(socket: Datagrams) -> None:
        while True:
            for data, sender in await socket.receive():
                if sender in addresses and (moment := read_answer(data, cookie)) is not None:
                    told.append(moment)
                    nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for socket in sockets:
            nursery.start_soon(listen, socket)
    return told[0]


def read_answer(data: bytes, cookie: bytes) -> float | None:
    """The time that a server tells, in Unix seconds; None where it is no answer to us, or it does not know the time."""
    if len(data) < 48:
        return None
    flags, stratum, originate, seconds, fraction = struct.unpack("!BB22x8sII", data[:40])
    if flags & 7 != 4 or flags >> 6 == 3 or not 0 < stratum < 16 or originate != cookie or not seconds:
        return None
    # The server's time of receiving; of two eras the one that is after 1970.
    since_1970: float = seconds - _UNIX if seconds >= _UNIX else seconds + _ERA - _UNIX
    return since_1970 + float(fraction) / (1 << 32)


def _newest() -> float:
    """When this package was written to the disk, less a day for time zones and builds."""
    try:
        return pathlib.Path(__file__).stat().st_mtime - 86_400
    except OSError:
        return 0.0


def _cure() -> str:
    how = {"linux": "sudo timedatectl set-ntp true", "darwin": "sudo sntp -sS time.apple.com"}.get(sys.platform)
    return f"set the clock{f': {how}' if how else ''}"
