"""What we ask a peer for, and what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ProtocolError
from ..limits import MAX_ALLOWED_FAST, MAX_REJECTS, MAX_UNWANTED_BLOCKS
from ..metainfo.layout import Block
from ..wire import messages as wm

if TYPE_CHECKING:
    from .peer import Peer


def request(peer: Peer, now: float, *, share: float | None = None) -> None:
    """Ask for as many blocks as its queue has room for, in one send.

    Args:
        peer: whom to ask.
        now: the time.
        share: ask for this part of each piece that a reader waits for, and for nothing else; see ``hurry.py``. They may
            fill all the queue that the peer has.
    """
    swarm, pipeline = peer.swarm, peer.pipeline
    pieces = swarm.pieces
    if pieces is None or not peer.am_interested or not swarm.downloading:
        return
    room = pipeline.room(now) if share is None else pipeline.reqq - pipeline.outstanding
    if room <= 0:
        return
    room = swarm.allowance(room, now)
    if room <= 0:
        return
    only = peer.allowed_fast if peer.peer_choking else None
    blocks = pieces.pick(peer, room, now, only=only, share=share)
    if share is None:
        peer.idle = not blocks
    if len(blocks) < room:
        swarm.unused_allowance(room - len(blocks))
    if blocks:
        pipeline.sent(blocks, now)
        peer.sender.send(wm.encode_requests(blocks))


def expire(peer: Peer, now: float) -> None:
    """Let others have what this peer has owed us for too long."""
    overdue = peer.pipeline.overdue(now)
    if overdue:
        _release(peer, overdue)


def _release(peer: Peer, blocks: list[Block]) -> None:
    if blocks and peer.swarm.pieces is not None:
        peer.swarm.pieces.released(peer, blocks)


def got_choke(peer: Peer, message: wm.Choke) -> None:
    """Nothing more comes. With the fast extension each request is rejected on its own (BEP 6)."""
    peer.peer_choking = True
    if not peer.fast:
        _release(peer, peer.pipeline.drop())


def got_unchoke(peer: Peer, message: wm.Unchoke) -> None:
    """We may ask."""
    peer.peer_choking = False


def got_pieces(peer: Peer, blocks: list[wm.Piece], now: float) -> None:
    """Blocks. They are copied into their pieces here, the only copy on their way to the disk."""
    swarm, pipeline = peer.swarm, peer.pipeline
    unknown = pipeline.got([(piece, begin, len(data)) for piece, begin, data in blocks], now)
    useless = swarm.pieces.got_blocks(peer, blocks, now) if swarm.pieces is not None else blocks
    if len(useless) < len(blocks):
        peer.useful = True
    for piece, begin, data in useless:
        block = Block(piece, begin, len(data))
        swarm.wasted += block.length
        if block in unknown and not pipeline.crossed(*block):
            peer.unwanted += 1
            if peer.unwanted > MAX_UNWANTED_BLOCKS:
                raise ProtocolError("blocks that nobody asked for")


def got_reject(peer: Peer, message: wm.RejectRequest) -> None:
    """It will not send this block (BEP 6)."""
    block = Block(message.piece, message.begin, message.length)
    if peer.pipeline.rejected(block, choking=peer.peer_choking):
        if peer.peer_choking:
            peer.allowed_fast &= ~(1 << message.piece)
        _release(peer, [block])
    if peer.pipeline.rejects > MAX_REJECTS:
        raise ProtocolError("rejects everything")


def got_allowed_fast(peer: Peer, message: wm.AllowedFast) -> None:
    """We may ask for this piece even while choked (BEP 6)."""
    # Said again and again, or of ever new pieces, nine bytes would each cost us a pass over all of them.
    if peer.joined and message.piece not in peer.offered and len(peer.offered) < MAX_ALLOWED_FAST:
        peer.offered.add(message.piece)
        peer.allowed_fast |= 1 << message.piece
