"""Fetching what a reader waits for before everything else, from all who have it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..limits import URGENT_LATE
from ..metainfo.layout import Block
from ..wire import messages as wm
from . import asking

if TYPE_CHECKING:
    from .peer import Peer
    from .swarm import Swarm


def hurry(swarm: Swarm, now: float) -> None:
    """Ask each peer for its share of what somebody waits for, by its rate, in front of what it owes us.

    What they owe us of other pieces is taken back first, or a reader would wait behind up to 8 MiB of it.
    """
    if swarm.pieces is None:
        return
    picker = swarm.pieces.picker
    urgent, blocks = picker.urgent, picker.urgent_blocks
    helpers = [peer for peer in swarm.peers if peer.am_interested and not peer.peer_choking and peer.has & urgent]
    # Who has fallen silent would hold up its share of every piece, second by second.
    helpers = [peer for peer in helpers if peer.pipeline.silence(now) < URGENT_LATE] or helpers
    helpers.sort(key=lambda peer: peer.pipeline.rate, reverse=True)
    unknown = helpers[0].pipeline.rate / 2 if helpers else 0.0  # of new ones: neither the best nor the worst
    rates = [peer.pipeline.rate or unknown or 1.0 for peer in helpers]
    shares = [rate / sum(rates) for rate in rates]
    for peer, share in zip(helpers, shares, strict=True):
        _share_out(peer, urgent, math.ceil(share * blocks))
    more = picker.unasked
    for peer in helpers:
        _make_way(peer, urgent, now, more=more)
    for peer, share in zip(helpers, shares, strict=True):
        asking.request(peer, now, share=share)
    for peer in helpers:
        asking.request(peer, now)
    if picker.unasked:
        swarm.web.make_way(urgent, now)


def _share_out(peer: Peer, urgent: int, most: int) -> None:
    """Of what it is asked for of these pieces it keeps so many blocks; others send the rest."""
    _take_back(peer, peer.pipeline.surplus(urgent, most), free=True)


def _make_way(peer: Peer, urgent: int, now: float, *, more: bool) -> None:
    """Take back what it is asked for besides these pieces, and has hardly begun to send.

    Args:
        more: it will be asked for more of them now. Else only what stands before them is in the way.
    """
    pipeline = peer.pipeline
    late = max(0, pipeline.outstanding - pipeline.on_the_way)
    blocks = pipeline.revoke(late, now, spare=urgent, to_the_end=more, hold=peer.fast)
    _take_back(peer, blocks, free=not peer.fast)


def _take_back(peer: Peer, blocks: list[Block], *, free: bool) -> None:
    if blocks and peer.swarm.pieces is not None:
        peer.sender.send(wm.encode_cancels(blocks))
        peer.swarm.unused_allowance(len(blocks))
        if free:
            peer.swarm.pieces.picker.released(peer, blocks)
