"""Who of the known peers is dialled, and how many at once."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import trio

from ..errors import NetworkError, ProtocolError
from ..limits import CONNECT_TIMEOUT, KNOCK_INTERVAL, KNOCK_TIMEOUT, KNOCKS_AT_ONCE, PUNCHES_AT_ONCE
from ..net.network import Stream
from ..strategy.peerlist import PeerAddress, PeerList
from ..wire.address import Address, Scope
from ..wire.handshake import Handshake
from .greeting import UnansweredError, greet, greet_encrypted
from .reach import SilentError, is_utp, reach

if TYPE_CHECKING:
    from .peer import Peer
    from .swarm import Swarm

log = logging.getLogger("torrentlite")


class Dialler:
    """Connects to known peers of one torrent, as many as the limits allow; ``Swarm.host`` has them from there on.

    Attributes:
        peerlist: whom we know.
        half_open: connection attempts under way.
        knock_at: when those are called again who may be behind a router; inf where there are none.
    """

    def __init__(self, swarm: Swarm, peerlist: PeerList) -> None:
        self._swarm = swarm
        self.peerlist = peerlist
        self.half_open = 0
        self.knock_at = math.inf
        self._waited = 0  # how often there was no seat
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
        now = trio.current_time()
        news = self.peerlist.add(address, source, within, now)
        if self.peerlist.is_silent(address):
            self.knock_at = min(self.knock_at, now)
        return news

    def called_from(self, address: Address, peer: Peer) -> None:
        """One that called us has told where it can be called; mostly so as it has called."""
        self.add(address, "incoming", peer.address.scope)
        known = self.peerlist.get(address)
        if known is not None:
            known.utp = is_utp(peer.stream)

    def alone(self, now: float) -> None:
        """The last peer has left."""
        self.knock_at = min(self.knock_at, now)

    def dial_more(self, now: float) -> None:
        """Start as many connection attempts as the limits allow."""
        swarm = self._swarm
        connected = dict.fromkeys(peer.callable_at for peer in swarm.peers)
        while self._has_room():
            known = self.peerlist.candidate(now) if swarm.wants_peers else self.peerlist.neighbour()
            if known is None:
                return
            if known.address in connected:
                self.peerlist.connected(known.address)
                continue
            if not self._start(known):
                return

    def _has_room(self) -> bool:
        swarm = self._swarm
        commons, settings = swarm.commons, swarm.commons.settings
        return (
            swarm.open
            and commons.half_open < settings.half_open
            and commons.connected + commons.half_open < settings.connections
            and len(swarm.peers) + self.half_open < settings.connections_per_torrent
        )

    def _start(self, known: PeerAddress) -> bool:
        """Begin an attempt; False: nothing is begun any more."""
        self.peerlist.dialing(known)
        if known.failures:
            self._again[known] = None
        self._swarm.commons.half_open += 1
        self.half_open += 1
        if self._swarm.crew.start(self._dial, known, name=f"dial {known.address}") is None:
            self._dialled(known)
            return False
        return True

    def _dialled(self, known: PeerAddress) -> None:
        self._swarm.commons.half_open -= 1
        self.half_open -= 1
        self._again.pop(known, None)

    def punch(self, address: Address, source: str, within: Scope) -> None:
        """A peer of ours says that this one calls us at this moment, and that we are to call it (BEP 55).

        By UDP alone, and beside all else: whatever comes of a stranger's word, when it is dialled stays as it was.
        """
        commons = self._swarm.commons
        self.add(address, source, within)
        known = self.peerlist.get(address)
        # Whom we are just calling, or have, needs nothing else; and a relay may not name whom its kind could not.
        if known is None or known.queue is None or address.scope < within or commons.punching >= PUNCHES_AT_ONCE:
            return
        if trio.current_time() - known.knocked_at < KNOCK_TIMEOUT:
            return
        if commons.transport.takes(address) and self._begin_knock(known, punch=True):
            commons.punching += 1

    def tick(self, now: float) -> None:
        """Called by the torrent's tick."""
        self.dial_more(now)
        if now >= self.knock_at:
            self.knock_at = math.inf
            self._knock_at_doors(now)

    def _knock_at_doors(self, now: float) -> None:
        """Call those again by UDP alone who may be behind a router, while there is nobody else.

        Each call opens our own router for theirs a while (30 s, the quickest): so whoever of the two hears of the other
        last gets through with the first call.
        """
        swarm, commons = self._swarm, self._swarm.commons
        if swarm.peers or not swarm.open:
            return
        if commons.knocking >= KNOCKS_AT_ONCE:
            # Where a thousand wait for a seat, most of them sleep meanwhile.
            self.knock_at = now + KNOCK_TIMEOUT * commons.world.rng.uniform(1, 2**self._waited)
            self._waited = min(self._waited + 1, 6)
            return
        self._waited = 0
        for known in self.peerlist.silent(now):
            if not commons.transport.takes(known.address):
                continue  # nor do others take calls over uTP alone from there
            due = known.knocked_at + KNOCK_INTERVAL
            if due <= now and commons.knocking >= KNOCKS_AT_ONCE:
                due = now + KNOCK_TIMEOUT  # then there is room
            elif due <= now and self._begin_knock(known, punch=False):
                commons.knocking += 1
                due = now + KNOCK_INTERVAL
            self.knock_at = min(self.knock_at, due)

    def _begin_knock(self, known: PeerAddress, *, punch: bool) -> bool:
        known.knocked_at = trio.current_time()
        return self._swarm.crew.start(self._knock, known, punch, name=f"knock at {known.address}") is not None

    async def _knock(self, known: PeerAddress, punch: bool) -> None:
        commons = self._swarm.commons
        met: tuple[Stream, Handshake] | None = None
        try:
            met = await self._call(known, punch=True, patience=KNOCK_TIMEOUT)
        except (NetworkError, ProtocolError) as error:
            log.debug("%s: %s: %s", self._swarm.owner.info_hash, known.address, error)
            known.silent = known.silent and isinstance(error, SilentError)
            self._learn(known, error)
        finally:
            if punch:
                commons.punching -= 1
            else:
                commons.knocking -= 1
        if met is not None:
            await self._swarm.host(*met, incoming=False, source=known.source)

    def _learn(self, known: PeerAddress, error: Exception) -> None:
        if isinstance(error, UnansweredError):
            policy = self._swarm.commons.encryption
            known.encrypted, known.met = policy.unanswered(known.encrypted, met=known.met), False

    async def _dial(self, known: PeerAddress) -> None:
        address, silent, strange = known.address, False, False
        met: tuple[Stream, Handshake] | None = None
        try:
            met = await self._call(known)
        except (NetworkError, ProtocolError) as error:
            log.debug("%s: %s: %s", self._swarm.owner.info_hash, address, error)
            silent, strange = isinstance(error, SilentError), isinstance(error, ProtocolError)
            self._learn(known, error)
        finally:
            self._dialled(known)
        if met is None:
            now = trio.current_time()
            self.peerlist.failed(address, now, silent=silent, strange=strange)
            if silent:
                self.knock_at = min(self.knock_at, now + KNOCK_INTERVAL)
                self._swarm.extensions.holepunch.ask(address, now)
            self.dial_more(now)
            return
        await self._swarm.host(*met, incoming=False, source=known.source)

    async def _call(
        self, known: PeerAddress, *, punch: bool = False, patience: float = CONNECT_TIMEOUT
    ) -> tuple[Stream, Handshake]:
        """Connect and say hello, plainly or encrypted as it is liked.

        Raises:
            SilentError: nobody answers, within ``patience``.
            UnansweredError: it does not like either.
            NetworkError, ProtocolError: it is not there, refuses, or is no peer.
        """
        commons = self._swarm.commons
        unliked: UnansweredError | None = None
        async with commons.door.turn(known.address):
            for encrypted in commons.encryption.attempts(known.encrypted):
                if not self._wanted(known):
                    break
                try:
                    met = await self._meet(known, encrypted=encrypted, punch=punch, patience=patience)
                except UnansweredError as error:
                    unliked = error
                    log.debug("%s: %s: %s", self._swarm.owner.info_hash, known.address, error)
                except (NetworkError, ProtocolError):
                    if unliked is None:
                        raise
                    break
                else:
                    known.encrypted, known.met = encrypted, True
                    return met
        raise unliked or NetworkError(f"{known.address} is not wanted any more")

    def _wanted(self, known: PeerAddress) -> bool:
        """Whether it is to be called still, after a wait."""
        swarm = self._swarm
        there = self.peerlist.get(known.address) is known
        return swarm.open and there and self.peerlist.banned(swarm.blame_key(known.address)) is None

    async def _meet(
        self, known: PeerAddress, *, encrypted: bool, punch: bool, patience: float
    ) -> tuple[Stream, Handshake]:
        commons, hello = self._swarm.commons, self._swarm.hello
        stream = await reach(commons, known, punch=punch, patience=patience)
        met: tuple[Stream, Handshake] | None = None
        try:
            if encrypted:
                met = await greet_encrypted(stream, hello, commons.encryption.offered, commons.world.secret)
            else:
                met = stream, await greet(stream, hello)
            return met
        finally:
            if met is None:
                stream.close()
