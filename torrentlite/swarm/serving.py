"""What a peer asks us for, and what it is told; the blocks themselves are sent by its ``Sender``."""

from __future__ import annotations

import itertools
import operator
from typing import TYPE_CHECKING

from ..errors import ProtocolError
from ..metainfo.layout import Block
from ..wire import messages as wm

if TYPE_CHECKING:
    from .peer import Peer


def got_interested(peer: Peer, message: wm.Interested) -> None:
    """It wants something of ours."""
    peer.peer_interested = True
    peer.swarm.slots.wants(peer)


def got_not_interested(peer: Peer, message: wm.NotInterested) -> None:
    """It wants nothing (any more): its slot is free for another."""
    peer.peer_interested = False
    peer.swarm.slots.wants(peer)


def got_requests(peer: Peer, messages: list[wm.Request]) -> None:
    """Queue requests, or refuse them."""
    pieces = peer.swarm.pieces
    for piece, run in itertools.groupby(messages, operator.itemgetter(0)):
        blocks: list[Block] = list(run)
        # Nothing is negative on the wire, and PeerWire has refused what is empty.
        end = max(begin + length for _, begin, length in blocks)
        if pieces is None or not pieces.layout.holds(piece, 0, end):
            raise ProtocolError(f"request up to byte {end} of piece {piece}")
        if peer.am_choking or not pieces.picker.have >> piece & 1:
            reject(peer, blocks)
        else:
            reject(peer, peer.uploads.add(blocks))
            peer.sender.wake()


def got_cancel(peer: Peer, message: wm.Cancel) -> None:
    """It no longer needs the block. BEP 6: a cancelled request is answered too, by a reject."""
    block = Block(message.piece, message.begin, message.length)
    if peer.uploads.cancel(block):
        reject(peer, [block])


def reject(peer: Peer, blocks: list[Block]) -> None:
    """Say that these are not coming; without the fast extension there are no words for it."""
    if peer.fast:
        for block in blocks:
            peer.sender.send(wm.encode(wm.RejectRequest(*block)))


def choke(peer: Peer) -> None:
    """Stop serving it; what it had asked for is refused."""
    peer.am_choking = True
    peer.sender.send(wm.encode(wm.Choke()))
    reject(peer, peer.uploads.clear())


def unchoke(peer: Peer) -> None:
    """Serve it."""
    peer.am_choking = False
    peer.sender.send(wm.encode(wm.Unchoke()))
