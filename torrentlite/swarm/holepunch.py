"""Meeting who is behind a router that lets nobody call, as we are (BEP 55): a peer of both tells them to call at once.

A router lets in what answers something that was sent. So both send a uTP call to the other: the first is dropped at the
other's router, and opens the way for what comes back.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..limits import HOLEPUNCH_INTERVAL, HOLEPUNCH_MOST, HOLEPUNCH_RELAYS, MAX_INTRODUCED
from ..wire.address import Address
from ..wire.messages import Holepunch as Message, HolepunchError, HolepunchKind
from .reach import is_utp

if TYPE_CHECKING:
    from .peer import Peer
    from .swarm import Swarm

log = logging.getLogger("torrentlite")


class _Acquaintance:
    """What passes between one peer and us: whom it knows, and how often we speak of that."""

    __slots__ = ("began", "heard", "knows", "said")

    def __init__(self, now: float) -> None:
        self.knows: dict[Address, None] = {}
        self.began = now
        self.heard = self.said = 0

    def count(self, now: float) -> None:
        if now - self.began >= HOLEPUNCH_INTERVAL:
            self.began, self.heard, self.said = now, 0, 0


class Holepunch:
    """All three parts, in one torrent: who asks for it, who is asked for, and who is connected to both."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm
        self._peers: dict[Peer, _Acquaintance] = {}

    @property
    def speaks(self) -> bool:
        """Whether it is done here: where peers are told about each other, and not before the metadata is here: it may
        say that only the tracker names peers (BEP 27).
        """
        swarm = self._swarm
        return swarm.commons.utp is not None and swarm.extensions.speaks_pex and swarm.owner.info is not None

    def joined(self, peer: Peer, now: float) -> None:
        """A peer is connected."""
        self._peers[peer] = _Acquaintance(now)

    def left(self, peer: Peer) -> None:
        """A peer is gone."""
        del self._peers[peer]

    def introduced(self, peer: Peer, added: Iterable[Address], dropped: Iterable[Address]) -> None:
        """A peer says to whom it is connected, and to whom no longer."""
        knows = self._peers[peer].knows
        for address in dropped:
            knows.pop(address, None)
        for address in added:
            if len(knows) >= MAX_INTRODUCED:
                return
            knows[address] = None

    def ask(self, address: Address, now: float) -> bool:
        """Nobody has answered at an address: ask those who are connected to it. False: there is nobody to ask."""
        if not self.speaks:
            return False
        asked = 0
        for peer, acquaintance in self._peers.items():
            if address in acquaintance.knows and self._say(peer, HolepunchKind.RENDEZVOUS, address, now):
                asked += 1
                if asked == HOLEPUNCH_RELAYS:
                    break
        return asked > 0

    def got(self, peer: Peer, message: Message, now: float) -> None:
        """A peer speaks of it."""
        acquaintance = self._peers[peer]
        acquaintance.count(now)
        acquaintance.heard += 1
        # "If the initiating peer does not indicate support ..., the relaying peer MUST ignore".
        if not self.speaks or not peer.wire.speaks_holepunch or acquaintance.heard > HOLEPUNCH_MOST:
            return
        address = message.address
        if message.kind == HolepunchKind.RENDEZVOUS:
            self._bring_together(peer, address, now)
        elif message.kind == HolepunchKind.CONNECT:
            if not any(address in (other.address, other.callable_at) for other in self._swarm.peers):
                self._swarm.dialler.punch(address, "pex", peer.address.scope)
        else:
            log.debug("%s: %s: no way to %s: %s", self._swarm.owner.info_hash, peer.address, address, message.error)

    def _bring_together(self, peer: Peer, address: Address, now: float) -> None:
        target = next((other for other in self._swarm.peers if address in (other.address, other.callable_at)), None)
        ours, theirs = self._seen_at(peer), self._seen_at(target) if target is not None else None
        error = 0
        if self._swarm.commons.is_ours(address) or target is peer:
            error = HolepunchError.NO_SELF
        elif target is None or theirs is None or ours is None:
            error = HolepunchError.NOT_CONNECTED
        elif ours.scope < target.address.scope or theirs.scope < peer.address.scope:
            error = HolepunchError.NOT_CONNECTED  # who is on the Internet learns nothing about our network
        elif not target.wire.speaks_holepunch:
            error = HolepunchError.NO_SUPPORT
        elif self._say(target, HolepunchKind.CONNECT, ours, now):
            self._say(peer, HolepunchKind.CONNECT, theirs, now)
        else:
            error = HolepunchError.NOT_CONNECTED  # others have had it call enough
        if error:
            self._say(peer, HolepunchKind.ERROR, address, now, error)

    def _seen_at(self, peer: Peer) -> Address | None:
        """Where a peer gets UDP: where it comes from, if by UDP; else the port that it has told, for both."""
        return peer.address if is_utp(peer.stream) else peer.callable_at

    def _say(self, peer: Peer, kind: HolepunchKind, address: Address, now: float, error: int = 0) -> bool:
        """Whether it was said: to no one too often, and to none that does not speak it."""
        acquaintance = self._peers[peer]
        acquaintance.count(now)
        data = peer.wire.encode_holepunch(Message(kind, address, error))
        if not data or acquaintance.said >= HOLEPUNCH_MOST:
            return False
        acquaintance.said += 1
        peer.sender.send(data)
        return True
