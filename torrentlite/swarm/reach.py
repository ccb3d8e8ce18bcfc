"""Connecting to a peer: by TCP, or by uTP where no TCP gets through."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio

from ..errors import NetworkError
from ..limits import KNOCK_TIMEOUT, UTP_HEAD_START, UTP_PATIENCE
from ..net.dial import first_of
from ..net.encrypted import EncryptedStream
from ..net.network import Stream
from ..strategy.peerlist import BY_HAND, MAGNET, PeerAddress
from ..utp.stream import UtpStream
from ..wire.address import Scope

if TYPE_CHECKING:
    from .commons import Commons


class SilentError(NetworkError):
    """Nobody has answered in time, by UDP at least: nobody is there, or a router lets no call through."""


async def reach(commons: Commons, known: PeerAddress, *, punch: bool, patience: float) -> Stream:
    """Connect to a known peer.

    Args:
        commons: what to connect by.
        known: the peer.
        punch: over UDP alone: it calls us, too, at this moment or some time soon.
        patience: seconds until it counts as silent.

    Raises:
        SilentError: nobody answered within ``patience``.
        NetworkError: it is not there, or refused.
    """
    utp, network = commons.utp, commons.world.network
    refused = silent = False

    async def by_tcp() -> Stream:
        nonlocal refused
        try:
            return await network.connect(known.address, within=known.within)
        except NetworkError:
            refused = True
            raise

    async def by_utp() -> Stream:
        nonlocal silent
        # Some routers refuse in the name of who is behind them. But of whom a person says that he is there, no such
        # router is to be thought: he is just being started.
        if utp is None or (refused and (known.source in (BY_HAND, MAGNET) or known.address.scope < Scope.PUBLIC)):
            raise NetworkError(f"cannot connect to {known.address}: refused by TCP")
        with trio.move_on_after(KNOCK_TIMEOUT if refused else math.inf):
            return await utp.connect(known.address, within=known.within)
        silent = True
        raise NetworkError(f"cannot connect to {known.address}: refused by TCP, silent by UDP")

    order = (True,) if punch else commons.transport.order(met=known.utp)
    ways = [by_utp if over_utp else by_tcp for over_utp in order]
    with trio.move_on_after(patience):
        # Who speaks no uTP does not say so; who does answers within a round trip.
        try:
            stream = await first_of(ways, stagger=UTP_HEAD_START if order[0] else UTP_PATIENCE)
        except NetworkError as error:
            raise SilentError(str(error)) if silent else error from None
        known.utp = is_utp(stream)
        return stream
    raise SilentError(f"cannot connect to {known.address}: nobody answers")


def is_utp(stream: Stream) -> bool:
    """Whether a connection, encrypted or not, is one over UDP."""
    return isinstance(stream.stream if isinstance(stream, EncryptedStream) else stream, UtpStream)
