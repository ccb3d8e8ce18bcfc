"""Who of the known peers is dialled, and how many at once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from ..errors import NetworkError, ProtocolError
from ..limits import CONNECT_TIMEOUT
from ..net.network import Stream
from ..strategy.peerlist import PeerAddress, PeerList
from ..wire.address import Address, Scope
from ..wire.handshake import Handshake
from .greeting import UnansweredError, greet, greet_encrypted

if TYPE_CHECKING:
    from .swarm import Swarm

log = logging.getLogger("torrentlite")


class Dialler:
    """Connects to known peers of one torrent, as many as the limits allow; ``Swarm.host`` has them from there on.

    Attributes:
        peerlist: whom we know.
        half_open: connection attempts under way.
    """

    def __init__(self, swarm: Swarm, peerlist: PeerList) -> None:
        self._swarm = swarm
        self.peerlist = peerlist
        self.half_open = 0
        self._again: dict[PeerAddress, None] = {}

    @property
    def failing(self) -> int:
        """Known addresses that could not be reached when last dialled, those included that are being tried again."""
        return self.peerlist.failing + len(self._again)

    def add(self, address: Address, source: str, within: Scope) -> bool:
        """Somebody named a peer: whether that is news. ``dial_more`` when all are named."""
        if self._swarm.commons.is_ours(address):
            self.peerlist.ourselves(address)
            return False
        return self.peerlist.add(address, source, within, trio.current_time())

    def dial_more(self, now: float) -> None:
        """Start as many connection attempts as the limits allow."""
        swarm = self._swarm
        commons, settings = swarm.commons, swarm.commons.settings
        connected = dict.fromkeys(peer.callable_at for peer in swarm.peers)
        while (
            swarm.open
            and commons.half_open < settings.half_open
            and commons.connected + commons.half_open < settings.connections
            and len(swarm.peers) + self.half_open < settings.connections_per_torrent
        ):
            known = self.peerlist.candidate(now) if swarm.wants_peers else self.peerlist.neighbour()
            if known is None:
                return
            if known.address in connected:
                self.peerlist.connected(known.address)
                continue
            self.peerlist.dialing(known)
            if known.failures:
                self._again[known] = None
            commons.half_open += 1
            self.half_open += 1
            if swarm.crew.start(self._dial, known, name=f"dial {known.address}") is None:
                self._dialled(known)
                return

    def _dialled(self, known: PeerAddress) -> None:
        self._swarm.commons.half_open -= 1
        self.half_open -= 1
        self._again.pop(known, None)

    async def _dial(self, known: PeerAddress) -> None:
        address, commons = known.address, self._swarm.commons
        policy, unanswered = commons.encryption, False
        met: tuple[Stream, Handshake] | None = None
        try:
            async with commons.door.turn(address):
                for encrypted in policy.attempts(known.encrypted):
                    if not self._wanted(known):
                        break
                    try:
                        met = await self._meet(known, encrypted=encrypted)
                        if met is not None:
                            known.encrypted, known.met = encrypted, True
                        break
                    except UnansweredError as error:
                        unanswered = True
                        log.debug("%s: %s: %s", self._swarm.owner.info_hash, address, error)
        except (NetworkError, ProtocolError) as error:
            log.debug("%s: %s: %s", self._swarm.owner.info_hash, address, error)
        finally:
            self._dialled(known)
        if met is None:
            if unanswered:
                known.encrypted, known.met = policy.unanswered(known.encrypted, met=known.met), False
            self.peerlist.failed(address, trio.current_time())
            self.dial_more(trio.current_time())
            return
        await self._swarm.host(*met, incoming=False, source=known.source)

    def _wanted(self, known: PeerAddress) -> bool:
        """Whether it is to be called still, after a wait."""
        swarm = self._swarm
        there = self.peerlist.get(known.address) is known
        return swarm.open and there and self.peerlist.banned(swarm.blame_key(known.address)) is None

    async def _meet(self, known: PeerAddress, *, encrypted: bool) -> tuple[Stream, Handshake] | None:
        """Connect and say hello; None where nobody answers in time."""
        commons, hello = self._swarm.commons, self._swarm.hello
        stream: Stream | None = None
        met: tuple[Stream, Handshake] | None = None
        try:
            with trio.move_on_after(CONNECT_TIMEOUT):
                stream = await commons.world.network.connect(known.address, within=known.within)
            if stream is None:
                return None
            if encrypted:
                met = await greet_encrypted(stream, hello, commons.encryption.offered, commons.world.secret)
            else:
                met = stream, await greet(stream, hello)
            return met
        finally:
            if stream is not None and met is None:
                stream.close()
