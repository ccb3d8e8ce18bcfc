"""Which connections a torrent takes: one to a peer of a host, nobody banned; and who makes room in a full swarm."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import trio

from ..limits import CALLS_AGAIN, SEATED, SIMULTANEOUS
from ..net.network import Stream
from ..strategy.peerlist import BY_HAND
from ..strategy.priority import priority
from ..wire.address import Address, Scope
from ..wire.handshake import Handshake

if TYPE_CHECKING:
    from .peer import Peer
    from .swarm import Swarm

_priority = functools.lru_cache(maxsize=4096)(priority)


class Admission:
    """Says why a connection is not wanted; closes another one where that has to make room for it."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm

    def refusal(self, stream: Stream, theirs: Handshake, *, incoming: bool) -> str:
        """Why this connection is not wanted, or an empty string."""
        swarm, address = self._swarm, stream.remote
        commons, settings = swarm.commons, swarm.commons.settings
        if not swarm.open:
            return "not sharing now"
        if theirs.peer_id == commons.peer_id:
            if not incoming:
                commons.met_ourselves(address)
                swarm.peerlist.ourselves(address)
            return "that is ourselves"
        if swarm.peerlist.banned(swarm.blame_key(address)) is not None:
            return "banned"
        replaced = False
        for peer in swarm.peers:
            if peer.peer_id != theirs.peer_id:
                continue
            peer.sender.keep_alive(trio.current_time(), CALLS_AGAIN)  # is it there? If not, this ends it
            stays = self._stays(peer, stream, incoming=incoming)
            if stays is peer:
                if not incoming:
                    peer.listen_port = address.port
                return "connected already"
            if stays is stream:
                peer.close("the same peer, by another connection")
                replaced = True
        if replaced:
            return ""
        per_ip = settings.connections_per_ip
        if per_ip and address.scope is Scope.PUBLIC and commons.connections_from(address.host) >= per_ip:
            return "enough connections from that address"
        full = len(swarm.peers) >= settings.connections_per_torrent or commons.connected >= settings.connections
        if full and not self._make_room(stream):
            return "enough connections"
        return ""

    def _stays(self, peer: Peer, stream: Stream, *, incoming: bool) -> Peer | Stream | None:
        """Two connections with one peer id: which of them stays, or None for both. Never do two sides drop both.

        A peer id is no secret: each handshake tells it. So one host has no say about the connection of another: who
        comes by IPv4 and by IPv6 is two peers, and so is who pretends to be a seed.

        Where both sides have dialled at once, the connection stays that was made by the side with the larger peer id.
        Later on both stay: the sides might not agree how late it is. Where one side has dialled twice, the other
        decides: the older one is left alone, unless it is silent. Who calls again has lost the one that we still have.
        """
        now = trio.current_time()
        if stream.remote.host != peer.stream.remote.host:
            return None
        if peer.incoming != incoming:
            if now - peer.connected_at > SIMULTANEOUS:
                return None
            return stream if incoming == (peer.peer_id > self._swarm.commons.peer_id) else peer
        if not incoming:
            return None
        return stream if now - peer.last_received >= CALLS_AGAIN else peer

    def _make_room(self, stream: Stream) -> bool:
        """Let a peer that moves nothing go, if its priority (BEP 40) is lower than that of the newcomer.

        Both ends of each connection know the same priority, and nobody can choose his own. So newcomers get into a full
        swarm, and who opens many connections to keep others out does not keep them. Who is of use stays.
        """
        now = trio.current_time()
        idle = [
            peer
            for peer in self._swarm.peers
            if peer.source != BY_HAND
            and now - peer.connected_at > SEATED
            and not peer.down_meter.rate(now)
            and not peer.up_meter.rate(now)
        ]
        lowest = min(idle, key=lambda peer: self._priority_of(peer.stream), default=None)
        if lowest is None or self._priority_of(lowest.stream) >= self._priority_of(stream):
            return False
        lowest.close("others have a higher priority")
        return True

    def _priority_of(self, stream: Stream) -> int:
        return _priority(self._ours(stream.local), stream.remote)

    def _ours(self, local: Address) -> Address:
        """Our address as that side sees it: what DHT nodes agree on where there is a NAT, else our end."""
        dht = self._swarm.commons.dht
        if dht is not None and local.scope is not Scope.PUBLIC:
            for host in dht.external_hosts:
                if (":" in host) == local.is_ipv6:
                    return Address(host, self._swarm.commons.public_port)
        return local
