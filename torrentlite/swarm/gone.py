"""Pieces that were here and are not any more (BEP 54): a bounded storage lets go of them, ours or a peer's.

Who understands lt_donthave is told of our pieces, and when they go. Who does not is told of none: it would go on asking
for what is gone, and without the fast extension it would wait for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ProtocolError
from ..limits import MAX_RENOUNCED
from ..wire import bitfield, messages as wm
from . import serving

if TYPE_CHECKING:
    from .peer import Peer
    from .swarm import Swarm


def follow(peer: Peer) -> None:
    """A peer has said which extensions it speaks: if it can be told what goes, it is told what we have."""
    pieces = peer.swarm.pieces
    if pieces is None or pieces.cache is None or peer.follows or not peer.wire.hears_dont_have:
        return
    peer.follows = True
    have = pieces.picker.have
    if have:
        peer.sender.send(wm.encode_haves(list(bitfield.members(have))))


def tell(swarm: Swarm, gone: list[int]) -> None:
    """We have let go of these: whoever was told of them is told so, and what was asked for of them is refused."""
    bits = bitfield.of(gone)
    for peer in swarm.peers:
        if peer.follows:
            peer.sender.send(b"".join(peer.wire.encode_dont_have(piece) or b"" for piece in gone))
        if peer.uploads:
            serving.reject(peer, peer.uploads.drop(bits))


def heard(peer: Peer, piece: int) -> None:
    """A peer has let go of a piece.

    Raises:
        ProtocolError: there is no such piece, or it makes a game of having everything.
    """
    pieces = peer.swarm.pieces
    if not peer.joined or pieces is None:
        return
    if piece >= pieces.layout.piece_count:
        raise ProtocolError(f"dont_have of piece {piece} of {pieces.layout.piece_count}")
    peer.renounced += peer.is_seed
    if peer.renounced > MAX_RENOUNCED:
        raise ProtocolError("has everything and has not, again and again")
    if not pieces.picker.peer_lost(peer, piece):
        return
    peer.brought -= pieces.layout.piece_size(piece)
    if not peer.fast:  # BEP 54: "silently cancelled, just like when receiving a Choke message"
        lost = [block for block in pieces.picker.requests_of(peer) if block.piece == piece]
        for block in lost:
            peer.pipeline.forget(block)
        pieces.released(peer, lost)
    peer.reconsider_interest()
