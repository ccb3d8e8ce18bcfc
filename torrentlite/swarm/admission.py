"""Which connections a torrent takes: one to a peer, nobody who is banned; and who makes room in a full swarm."""

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
                commons.own_addresses[address] = None
                swarm.peerlist.ourselves(address)
            return "that is ourselves"
        if swarm.peerlist.banned(swarm.blame_key(address)) is not None:
            return "banned"
        for peer in swarm.peers:
            if peer.peer_id == theirs.peer_id:
                if self._replaces(peer, stream, incoming=incoming):
                    peer.close("the same peer, by another connection")
                    return ""
                if not incoming:
                    peer.listen_port = address.port
                peer.sender.keep_alive(trio.current_time(), CALLS_AGAIN)  # is it there? If not, this ends it
                return "connected already"
        per_ip = settings.connections_per_ip
        if per_ip and address.scope is Scope.PUBLIC and commons.connections_from(address.host) >= per_ip:
            return "enough connections from that address"
        full = len(swarm.peers) >= settings.connections_per_torrent or commons.connected >= settings.connections
        if full and not self._make_room(stream):
            return "enough connections"
        return ""

    def _replaces(self, peer: Peer, stream: Stream, *, incoming: bool) -> bool:
        """Two connections to one peer: whether the new one stays. Both sides must drop the same.

        Where both sides have dialled, the one stays that was made by the side with the larger peer id. Where one has
        dialled two addresses at once (IPv4 and IPv6), their handshakes may end in another order at the other end: the
        one to the larger address stays, IPv6 before IPv4. Later on the older one is left alone, unless it is silent:
        who calls again from the same host has lost the one that we still have.
        """
        now = trio.current_time()
        called_again = incoming and peer.incoming and stream.remote.host == peer.stream.remote.host
        if called_again and now - peer.last_received >= CALLS_AGAIN:
            return True
        if peer.incoming != incoming:
            return incoming == (peer.peer_id > self._swarm.commons.peer_id)
        if now - peer.connected_at > SIMULTANEOUS:
            return False
        old, new = (one.local if incoming else one.remote for one in (peer.stream, stream))
        return (new.is_ipv6, new.host) > (old.is_ipv6, old.host)

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
