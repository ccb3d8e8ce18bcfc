"""Connecting to a peer: by TCP, or by uTP where no TCP gets through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from ..errors import NetworkError
from ..limits import UTP_HEAD_START, UTP_PATIENCE
from ..net.dial import first_of
from ..net.encrypted import EncryptedStream
from ..net.network import Stream
from ..strategy.peerlist import PeerAddress
from ..utp.stream import UtpStream

if TYPE_CHECKING:
    from .commons import Commons


class SilentError(NetworkError):
    """Nobody has answered in time: nobody is there, or a router lets no call through."""


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
    refused = False

    async def by_tcp() -> Stream:
        nonlocal refused
        try:
            return await network.connect(known.address, within=known.within)
        except NetworkError:
            refused = True
            raise

    async def by_utp() -> Stream:
        # A router that lets nobody in says nothing. Who says no is there, and takes no calls.
        if utp is None or refused:
            raise NetworkError(f"cannot connect to {known.address}: refused by TCP")
        return await utp.connect(known.address, within=known.within)

    order = (True,) if punch else commons.transport.order(met=known.utp) if utp is not None else (False,)
    ways = [by_utp if over_utp else by_tcp for over_utp in order]
    with trio.move_on_after(patience):
        # Who speaks no uTP does not say so; who does answers within a round trip.
        stream = await first_of(ways, stagger=UTP_HEAD_START if order[0] else UTP_PATIENCE)
        known.utp = is_utp(stream)
        return stream
    raise SilentError(f"cannot connect to {known.address}: nobody answers")


def is_utp(stream: Stream) -> bool:
    """Whether a connection, encrypted or not, is one over UDP."""
    return isinstance(stream.stream if isinstance(stream, EncryptedStream) else stream, UtpStream)
