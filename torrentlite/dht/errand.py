"""What one wants of the DHT, in both families at once: peers, counts, items, nodes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from .. import limits
from ..bencode import Raw
from ..errors import DhtError
from ..wire.address import Address
from .bloom import SIZE as FILTER_SIZE, BloomFilter
from .contact import ID_SIZE, Contact, packed_host, read_address
from .core import Core
from .item import Item, immutable_target, mutable_target, read_item
from .krpc import Refusal, Reply, bytes_of, int_of
from .lookup import Candidate
from .search import Search
from .side import Side


class Scrape(NamedTuple):
    """About how many there are (BEP 33); an estimate, good up to 6,000."""

    seeds: int
    peers: int
    """Others than seeds."""
    nodes: int
    """Nodes that had something to say."""


class Errand:
    """A search in each family that has nodes. It runs by itself from ``start`` on; subclasses say what it is about.

    Args:
        target: 20 bytes.

    Attributes:
        over: whether all is done.
        queries: sent to find the nodes, once it is over.
        stored: nodes that confirmed what was stored with them.
        refusals: errors that came instead.
        news: is called when something was found, and at the end.
    """

    method = b"find_node"
    target_name = b"target"

    def __init__(self, target: bytes) -> None:
        if len(target) != ID_SIZE:
            raise ValueError(f"a target has {ID_SIZE} bytes, not {len(target)}")
        self.target = target
        self.over = False
        self.queries = 0
        self.stored: list[Contact] = []
        self.refusals: list[Refusal] = []
        self.nearest: list[Candidate] = []
        self.news: Callable[[], object] = lambda: None
        self._searches: list[Search] = []

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.target.hex()}{' (over)' if self.over else ''}>"

    def start(self, core: Core, now: float) -> None:
        """Begin; over at once where no nodes are known.

        Raises:
            DhtError: too many lookups are under way.
        """
        for side in core.sides.values():
            self.look_here(side, now)
        families = [ipv6 for ipv6, side in core.sides.items() if len(side.table)]
        self._left = len(families)
        for ipv6 in families:
            try:
                search = core.search(
                    self.target,
                    self.method,
                    {self.target_name: self.target, **self.arguments()},
                    now,
                    ipv6=ipv6,
                    found=self.found,
                    store=self.store if self.stores else None,
                    end=self._ended,
                )
            except DhtError:  # nothing of it goes on
                self.stop()
                raise
            if not search.over:
                self._searches.append(search)
        if not families:
            self._finish()

    def stop(self) -> None:
        """End it early."""
        for search in list(self._searches):
            search.stop()

    # -- for subclasses

    @property
    def stores(self) -> bool:
        """Whether something is to be stored with the nearest nodes."""
        return False

    def arguments(self) -> Mapping[bytes, object]:
        """Of the query, besides the target."""
        return {}

    def found(self, reply: Reply, contact: Contact) -> None:
        """A node has answered."""

    def look_here(self, side: Side, now: float) -> None:
        """What others have stored with us counts too; where there are few nodes it may be all there is."""

    def store(self, candidate: Candidate) -> tuple[bytes, Mapping[bytes, object]] | None:
        """What to store with one of the nearest nodes: method and arguments."""
        return None

    # -- inside

    def _ended(self, search: Search) -> None:
        if search in self._searches:
            self._searches.remove(search)
        self.queries += search.lookup.queries
        self.stored += search.stored
        self.refusals += search.refusals
        self.nearest += search.lookup.closest()
        self._left -= 1
        if not self._left:
            self._finish()

    def _finish(self) -> None:
        self.over = True
        self.news()


class PeersErrand(Errand):
    """Find peers, and announce one if wanted (BEP 5).

    Args:
        info_hash: of the torrent.
        port: to be announced, with our IP address as the others see it; None: nothing is.
        implied: the port to be announced is the one that our datagrams come from.
        seed: we have all of it (BEP 33).
        no_seeds: we want to hear of peers that are none.

    Attributes:
        peers: found so far.
    """

    method = b"get_peers"
    target_name = b"info_hash"

    def __init__(
        self,
        info_hash: bytes,
        *,
        port: int | None = None,
        implied: bool = False,
        seed: bool = False,
        no_seeds: bool = False,
    ) -> None:
        super().__init__(info_hash)
        if port is not None and not 0 < port < 65536:
            raise ValueError("port must be between 1 and 65535")
        self.peers: dict[Address, None] = {}
        self._port = port
        self._implied = implied
        self._seed = seed
        self._no_seeds = no_seeds

    @property
    def stores(self) -> bool:
        """See ``Errand``."""
        return self._port is not None

    def arguments(self) -> Mapping[bytes, object]:
        """See ``Errand``."""
        return {b"noseed": 1} if self._no_seeds else {}

    def found(self, reply: Reply, contact: Contact) -> None:
        """See ``Errand``."""
        self._add(peers_of(reply, contact.address))

    def look_here(self, side: Side, now: float) -> None:
        """See ``Errand``."""
        self._add(side.peers.peers_of(self.target, limits.DHT_MAX_VALUES, now, no_seeds=self._no_seeds))

    def _add(self, peers: list[Address]) -> None:
        before = len(self.peers)
        for peer in peers:
            if len(self.peers) < limits.DHT_MAX_PEERS_FOUND:
                self.peers[peer] = None
        if len(self.peers) > before:
            self.news()

    def store(self, candidate: Candidate) -> tuple[bytes, Mapping[bytes, object]] | None:
        """See ``Errand``."""
        if candidate.token is None or self._port is None:
            return None
        arguments: dict[bytes, object] = {b"info_hash": self.target, b"port": self._port, b"token": candidate.token}
        if self._implied:
            arguments[b"implied_port"] = 1
        if self._seed:
            arguments[b"seed"] = 1
        return b"announce_peer", arguments


class ScrapeErrand(Errand):
    """Count seeds and peers without meeting them (BEP 33)."""

    method = b"get_peers"
    target_name = b"info_hash"

    def __init__(self, info_hash: bytes) -> None:
        super().__init__(info_hash)
        self._seeds = BloomFilter()
        self._peers = BloomFilter()
        self._named: dict[Address, None] = {}  # by nodes that know no filters
        self._nodes = 0

    def arguments(self) -> Mapping[bytes, object]:
        """See ``Errand``."""
        return {b"scrape": 1}

    def found(self, reply: Reply, contact: Contact) -> None:
        """See ``Errand``."""
        seeds, peers = bytes_of(reply.values, b"BFsd", FILTER_SIZE), bytes_of(reply.values, b"BFpe", FILTER_SIZE)
        named = peers_of(reply, contact.address)
        if seeds is not None and peers is not None:
            self._seeds.update(BloomFilter(seeds))
            self._peers.update(BloomFilter(peers))
        else:
            self._named.update(dict.fromkeys(named))
        self._nodes += bool(named) or seeds is not None

    def look_here(self, side: Side, now: float) -> None:
        """See ``Errand``."""
        filters = side.peers.filters(self.target, now)
        if filters is not None:
            self._seeds.update(BloomFilter(filters[0]))
            self._peers.update(BloomFilter(filters[1]))
            self._nodes += 1

    def result(self) -> Scrape:
        """What is known now."""
        peers = BloomFilter(bytes(self._peers))
        for address in self._named:
            host = packed_host(address.host)
            if host not in self._seeds:
                peers.add(host)
        return Scrape(round(self._seeds.estimate()), round(peers.estimate()), self._nodes)


class ItemErrand(Errand):
    """Find an item, and store one in its place if wanted (BEP 44).

    Args:
        key: the owner's public key; empty for an immutable item.
        salt: which of the owner's items.
        target: of an immutable item.
        make: makes the item to be stored from the newest that was found; None: nothing is stored.
        cas: only where the stored one still is what was found there.

    Attributes:
        item: the newest genuine one found.
        made: the one that was stored.
    """

    method = b"get"

    def __init__(
        self,
        *,
        key: bytes = b"",
        salt: bytes = b"",
        target: bytes = b"",
        make: Callable[[Item | None], Item] | None = None,
        cas: bool = False,
    ) -> None:
        super().__init__(mutable_target(key, salt) if key else target)
        self.item: Item | None = None
        self.made: Item | None = None
        self._salt = salt
        self._make = make
        self._cas = cas
        self._sequences: dict[Contact, int] = {}

    @classmethod
    def storing(cls, item: Item) -> ItemErrand:
        """Store this one."""
        if item.mutable:
            return cls(key=item.key, salt=item.salt, make=lambda found: item)
        return cls(target=immutable_target(item.encoded), make=lambda found: item)

    @property
    def stores(self) -> bool:
        """See ``Errand``."""
        return self._make is not None

    def found(self, reply: Reply, contact: Contact) -> None:
        """See ``Errand``."""
        try:
            item = read_item(reply.values, self.target, self._salt)
        except DhtError:  # mutable, and we cannot check signatures
            return
        if item is not None:
            self._sequences[contact] = item.sequence
            self._add(item)

    def look_here(self, side: Side, now: float) -> None:
        """See ``Errand``."""
        item = side.items.get(self.target, now)
        if item is not None:
            self._add(item)

    def _add(self, item: Item) -> None:
        if self.item is None or (item.sequence, item.encoded) > (self.item.sequence, self.item.encoded):
            self.item = item
            self.news()

    def store(self, candidate: Candidate) -> tuple[bytes, Mapping[bytes, object]] | None:
        """See ``Errand``."""
        if candidate.token is None or self._make is None:
            return None
        if self.made is None:
            self.made = self._make(self.item)
        item = self.made
        arguments: dict[bytes, object] = {b"token": candidate.token, b"v": Raw(item.encoded)}
        if item.mutable:
            arguments |= {b"k": item.key, b"seq": item.sequence, b"sig": item.signature}
            if item.salt:
                arguments[b"salt"] = item.salt
            if self._cas and candidate.contact in self._sequences:
                arguments[b"cas"] = self._sequences[candidate.contact]
        return b"put", arguments


class Samples(NamedTuple):
    """Some of the info-hashes that a node stores peers for (BEP 51)."""

    hashes: tuple[bytes, ...]
    total: int
    """As many as it says it has."""
    interval: int
    """Seconds until it has others to tell."""
    nodes: tuple[Contact, ...]
    """Nodes near the target, to go on with."""


def samples_of(reply: Reply, nodes: list[Contact]) -> Samples:
    """The answer to ``sample_infohashes``.

    Raises:
        DhtError: it is none: the node does not know the question.
    """
    data = bytes_of(reply.values, b"samples")
    if data is None or len(data) % ID_SIZE:
        raise DhtError("this node gives no samples")
    hashes = tuple(dict.fromkeys(data[start : start + ID_SIZE] for start in range(0, len(data), ID_SIZE)))
    total = int_of(reply.values, b"num") or 0
    interval = int_of(reply.values, b"interval") or 0
    clamped = min(max(interval, 0), limits.DHT_MAX_SAMPLE_INTERVAL)
    return Samples(hashes, max(total, len(hashes)), clamped, tuple(nodes))


def peers_of(reply: Reply, sender: Address) -> list[Address]:
    """The peers in an answer that may be met: of the sender's scope or wider."""
    values = reply.values.get(b"values")
    if not isinstance(values, list):
        return []
    found = []
    scope = sender.scope
    for value in values[: limits.DHT_MAX_VALUES]:
        peer = read_address(value) if isinstance(value, bytes) else None
        if peer is not None and peer.scope >= scope:
            found.append(peer)
    return found
