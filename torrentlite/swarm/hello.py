"""What comes right after the handshake: our pieces first (BEP 3), then the extension handshake (BEP 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..wire import bitfield, messages as wm

if TYPE_CHECKING:
    from .peer import Peer


def say_hello(peer: Peer) -> None:
    """Queue it, and let the peer take part where the pieces are known."""
    swarm, send = peer.swarm, peer.sender.send
    pieces = swarm.pieces
    if pieces:
        have, count = pieces.lasting, pieces.layout.piece_count
        if peer.fast and not have:
            send(wm.encode(wm.HaveNone()))
        elif peer.fast and have == bitfield.full(count):
            send(wm.encode(wm.HaveAll()))
        elif have:
            send(wm.encode(wm.Bitfield(bitfield.to_wire(have, count))))
        peer.joined = True
        pieces.picker.add_peer(peer, 0)
    elif peer.fast:
        send(wm.encode(wm.HaveNone()))
    if peer.extended:
        send(swarm.extensions.handshake(peer))
    if peer.speaks_dht and swarm.dht is not None:
        send(wm.encode(wm.Port(swarm.commons.udp_port_for(peer.address))))
