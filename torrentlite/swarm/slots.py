"""Who of a torrent's peers is served."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from ..limits import CHOKE_INTERVAL, QUOTA_PIECES
from ..metainfo.layout import Layout
from ..strategy.choker import Choker
from . import serving

if TYPE_CHECKING:
    from .peer import Peer
    from .swarm import Swarm


class Slots:
    """The upload slots of one torrent, and whose turn it is."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm
        self.choker: Choker[Peer] = Choker()
        self._next_round = trio.current_time()
        self._one_free = False

    def begin(self, layout: Layout) -> None:
        """It is known how much there is to be had."""
        self.choker.total = layout.stored
        self.choker.quota = QUOTA_PIECES * layout.piece_length

    def wants(self, peer: Peer) -> None:
        """A peer became interested, or no longer is: nobody waits for the next round while there are free slots.

        Interest comes and goes with every piece, so who gets no slot anyway costs nothing here; and who has one and
        wants nothing for a moment loses it only at the next tick, but to a seed: from us there is nothing more to come.
        """
        swarm = self._swarm
        slots = swarm.commons.settings.upload_slots
        if peer.peer_interested:
            if peer.am_choking and sum(p.peer_interested and not p.am_choking for p in swarm.peers) < slots:
                self._round(trio.current_time())
        elif not peer.am_choking:
            if swarm.complete:
                self._pass_on(trio.current_time())
            else:
                self._one_free = True

    def left(self, peer: Peer, now: float) -> None:
        """A peer is gone."""
        self.choker.left(peer)
        if not peer.am_choking:
            self._pass_on(now)

    def tick(self, now: float) -> None:
        """Called by the swarm's tick."""
        if self._swarm.peers and (now >= self._next_round or self._one_free):
            self._next_round = now + CHOKE_INTERVAL if now >= self._next_round else self._next_round
            self._one_free = False
            self._round(now)

    def _pass_on(self, now: float) -> None:
        """A slot is free: the next who waits has it at once.

        Until the next tick it took a seed of 50 that each want 64 MiB a quarter of its time.
        """
        swarm = self._swarm
        if swarm.open and any(peer.peer_interested and peer.am_choking for peer in swarm.peers):
            self._round(now)

    def _round(self, now: float) -> None:
        swarm = self._swarm
        commons, pieces = swarm.commons, swarm.pieces
        if pieces is None:
            return
        chosen = self.choker.round(
            list(swarm.peers),
            now,
            commons.world.rng,
            seeding=swarm.complete,
            slots=commons.settings.upload_slots,
            spare_upload=swarm.throttle.spare_upload(commons.up_meter.rate(now), pieces.up_meter.rate(now)),
        )
        unchoked = dict.fromkeys(chosen)
        for peer in swarm.peers:
            if peer in unchoked:
                if peer.am_choking:
                    serving.unchoke(peer)
            elif not peer.am_choking:
                serving.choke(peer)
