"""One address family's half of a node: IPv4 and IPv6 are two DHTs that know of each other (BEP 32). Pure."""

from __future__ import annotations

import random
from collections.abc import Callable

from .itemstore import ItemStore
from .nodeid import make_id
from .peerstore import PeerStore
from .routing import Table
from .voting import Voting


class Side:
    """What a node has of one family.

    Attributes:
        ipv6: which.
        table: the nodes it knows; our own id is there.
        voting: our external address.
        peers: announced to us.
        items: put with us.
        id_since: when our id was last changed.
    """

    def __init__(self, *, ipv6: bool, own_id: bytes, rng: random.Random, now: float) -> None:
        self.ipv6 = ipv6
        self.table = Table(own_id, now)
        self.voting = Voting(ipv6=ipv6)
        self.peers = PeerStore(rng)
        self.items = ItemStore()
        self.id_since = float("-inf")

    def __repr__(self) -> str:
        return f"<Side IPv{6 if self.ipv6 else 4}, {self.table!r}>"

    @property
    def own_id(self) -> bytes:
        """Our id in this DHT."""
        return self.table.own_id

    def change_id(self, secret: Callable[[int], bytes], now: float) -> None:
        """Take an id that fits our external address; who was near the old one is sorted in anew."""
        old = list(self.table)
        self.table = Table(make_id(self.voting.host, secret), now)
        self.id_since = now
        for node in sorted(old, key=lambda node: node.heard):
            if self.table.answered(node.contact, node.heard):
                known = self.table.find(node.contact.address)
                if known is not None:
                    known.fails = node.fails

    def expire(self, now: float) -> None:
        """Forget what is too old."""
        self.peers.expire(now)
        self.items.expire(now)
