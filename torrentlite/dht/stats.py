"""What a node did, and how it is. Pure."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from ..wire.address import Address


@dataclasses.dataclass(slots=True)
class Counters:
    """Counts since the node began; datagrams unless it says otherwise."""

    queries_sent: int = 0
    replies_received: int = 0
    refusals_received: int = 0
    timeouts: int = 0
    queries_received: int = 0
    queries_answered: int = 0
    strangers: int = 0
    """Queries from addresses that we had sent nothing to: they passed every NAT and firewall on their way."""
    unanswered: int = 0
    """Queries for whose answers the budget did not suffice."""
    malformed: int = 0
    unasked: int = 0
    """Replies to nothing that we asked: late, forged, or from another address."""
    reflected: int = 0
    """Our own queries, or answers in our own name."""
    dropped: int = 0
    """From addresses that cannot be."""
    id_changes: int = 0
    bytes_sent: int = 0


class SideStats(NamedTuple):
    """A node in one of the two DHTs."""

    ipv6: bool
    id: bytes
    nodes: int
    """In the routing table."""
    good: int
    """Of those, heard of within 15 minutes."""
    secure: int
    """Of those in the table, with an id that fits their address (BEP 42)."""
    buckets: int
    joined: bool
    external: str
    """Our IP address as others see it; empty while too few have said."""
    torrents: int
    """Info-hashes stored with us."""
    peers: int
    """Peers stored with us."""
    items: int
    """Items stored with us (BEP 44)."""


class NodeStats(NamedTuple):
    """A node at one moment."""

    addresses: tuple[Address, ...]
    sides: tuple[SideStats, ...]
    searches: int
    pending: int
    """Queries without answer."""
    read_only: bool
    counters: Counters
    """A copy."""
    internal_errors: int
    """Bugs of ours that were contained; tests assert that it is 0."""

    @property
    def nodes(self) -> int:
        """Nodes in the routing tables."""
        return sum(side.nodes for side in self.sides)
