"""A DHT of thousands of nodes on one event heap: no task, no socket, hours in seconds.

    world = SimulatedDht(seed=7)
    nodes = world.grow(500)
    world.run(60)
    done = nodes[3].announce(info_hash, 6881)
    ...

Everybody's latency is drawn by lot, datagrams may be lost, and nodes come and go as the test says. What takes part is a
``Member``: an honest one is a ``torrentlite.dht`` core, hostile ones are whatever a test makes of them.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Callable
from typing import Any, Final, Protocol

from ..dht.contact import read_address
from ..dht.core import Core
from ..dht.krpc import Reply
from ..dht.lookup import Candidate
from ..dht.nodeid import make_id
from ..dht.search import Search
from ..dht.settings import DhtSettings
from ..wire.address import Address, Scope, scope_of
from .dice import Dice

_PORT: Final = 6881
_ROUND_TRIP: Final = (0.02, 0.2)  # seconds between a member and the middle of the network and back
_CONTACTS: Final = 3  # members that a new one is told of
_NEVER: Final = float("inf")


class Member(Protocol):
    """Somebody in the simulated network."""

    address: Address

    def got_datagram(self, data: bytes, sender: Address, now: float) -> None:
        """A datagram has come."""

    def tick(self, now: float) -> None:
        """It is the time that was asked for by ``SimulatedDht.wake``."""


@dataclasses.dataclass(slots=True)
class Errand:
    """A search of a simulated node and what it brought.

    Attributes:
        started: when.
        ended: when; None while it runs.
        queries: sent for the search itself.
        peers: that were found.
        first: when the first of them was.
        stored: nodes that took an announce.
    """

    started: float
    ended: float | None = None
    queries: int = 0
    peers: dict[Address, None] = dataclasses.field(default_factory=dict)
    first: float | None = None
    stored: int = 0


class SimulatedNode:
    """An honest node; see ``SimulatedDht.node``.

    Attributes:
        address: where it is.
        core: the node itself.
    """

    def __init__(self, world: SimulatedDht, address: Address, settings: DhtSettings | None, *, secure: bool) -> None:
        name = str(address)
        secret = world.dice.secret(name)
        self.address = address
        self.world = world
        self.core = Core(
            (address.is_ipv6,),
            settings=settings,
            rng=world.dice.rng(name),
            secret=secret,
            now=world.now,
            ids={address.is_ipv6: make_id(address.host if secure else "", secret)},
            own=[address],
        )
        self._wake = _NEVER

    def __repr__(self) -> str:
        return f"<SimulatedNode {self.address}>"

    def got_datagram(self, data: bytes, sender: Address, now: float) -> None:
        """See ``Member``."""
        self.core.got_datagram(data, sender, now)
        self.flush()

    def tick(self, now: float) -> None:
        """See ``Member``."""
        if now < self._wake:  # an earlier wish
            return
        self._wake = _NEVER
        self.core.tick(now)
        self.flush()

    def flush(self) -> None:
        """Send what the core has to send, and see to it that it is woken."""
        for data, to in self.core.outgoing():
            self.world.post(data, self.address, to)
        wake = max(self.core.next_wake(), self.world.now)
        if wake < self._wake:
            self._wake = wake
            self.world.wake(self, wake)

    def add_node(self, address: Address) -> None:
        """Tell it of a node."""
        self.core.upkeeps[address.is_ipv6].add_address(address, self.world.now)
        self.flush()

    @property
    def joined(self) -> bool:
        """Whether it has found its neighbours."""
        return self.core.upkeeps[self.address.is_ipv6].joined

    def get_peers(self, info_hash: bytes) -> Errand:
        """Look for peers."""
        return self._search(info_hash, None)

    def announce(self, info_hash: bytes, port: int) -> Errand:
        """Announce a peer on this node's IP address."""

        def store(candidate: Candidate) -> tuple[bytes, dict[bytes, object]] | None:
            if candidate.token is None:
                return None
            return b"announce_peer", {b"info_hash": info_hash, b"port": port, b"token": candidate.token}

        return self._search(info_hash, store)

    def _search(
        self, info_hash: bytes, store: Callable[[Candidate], tuple[bytes, dict[bytes, object]] | None] | None
    ) -> Errand:
        errand = Errand(self.world.now)

        def found(reply: Reply, contact: object) -> None:
            values = reply.values.get(b"values")
            for value in values if isinstance(values, list) else []:
                peer = read_address(value) if isinstance(value, bytes) else None
                if peer is not None:
                    errand.peers[peer] = None
                    if errand.first is None:
                        errand.first = self.world.now

        def end(search: Search) -> None:
            errand.ended = self.world.now
            errand.queries = search.lookup.queries
            errand.stored = len(search.stored)

        arguments = {b"info_hash": info_hash}
        ipv6 = self.address.is_ipv6
        self.core.search(
            info_hash, b"get_peers", arguments, self.world.now, ipv6=ipv6, found=found, store=store, end=end
        )
        self.flush()
        return errand


class SimulatedDht:
    """The network between them, and its time.

    Args:
        seed: what all chance comes from; the same seed gives the same run.
        loss: share of datagrams that never arrive.

    Attributes:
        now: virtual seconds since the beginning.
        dice: the source of all chance.
        members: who takes part, by address.
        nodes: the honest ones, in the order they came.
        watch: is called with each datagram that is sent, its sender and its destination.
        datagrams: sent so far.
        size: bytes of them.
    """

    def __init__(self, *, seed: int | str = 0, loss: float = 0) -> None:
        self.now = 0.0
        self.dice = Dice(seed)
        self.rng = self.dice.rng("dht")
        self.loss = loss
        self.members: dict[Address, Member] = {}
        self.nodes: list[SimulatedNode] = []
        self.watch: Callable[[bytes, Address, Address], object] | None = None
        self.datagrams = 0
        self.size = 0
        self._latency: dict[Address, float] = {}
        self._heap: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []
        self._events = 0
        self._used: dict[str, None] = {}  # /24s

    def __repr__(self) -> str:
        return f"<SimulatedDht of {len(self.members)} members at {self.now:.1f} s>"

    # -- time

    def call_at(self, moment: float, function: Callable[..., object], *args: Any) -> None:
        """Call it then."""
        self._events += 1
        heapq.heappush(self._heap, (max(moment, self.now), self._events, function, args))

    def run(self, seconds: float, *, until: Callable[[], bool] | None = None) -> None:
        """Let so much time pass, or less when ``until`` holds before (looked at after each event)."""
        end = self.now + seconds
        heap = self._heap
        while heap and heap[0][0] <= end:
            self.now, _, function, args = heapq.heappop(heap)
            function(*args)
            if until is not None and until():
                return
        self.now = end

    # -- datagrams

    def post(self, data: bytes, sender: Address, to: Address) -> None:
        """Send a datagram; nobody checks whose sender it bears."""
        self.datagrams += 1
        self.size += len(data)
        if self.watch is not None:
            self.watch(data, sender, to)
        if self.loss and self.rng.random() < self.loss:
            return
        delay = self._latency.get(sender, 0.05) + self._latency.get(to, 0.05)
        self.call_at(self.now + delay, self._deliver, data, sender, to)

    def wake(self, member: Member, moment: float) -> None:
        """Call its ``tick`` then."""
        self.call_at(moment, self._tick, member)

    def _deliver(self, data: bytes, sender: Address, to: Address) -> None:
        member = self.members.get(to)
        if member is not None:
            member.got_datagram(data, sender, self.now)

    def _tick(self, member: Member) -> None:
        if self.members.get(member.address) is member:
            member.tick(self.now)

    # -- who takes part

    def unused_address(self) -> Address:
        """A public IPv4 address in a /24 of its own."""
        while True:
            network = f"{self.rng.randrange(1, 224)}.{self.rng.randrange(256)}.{self.rng.randrange(256)}"
            host = f"{network}.{self.rng.randrange(1, 255)}"
            if network not in self._used and scope_of(host) is Scope.PUBLIC:
                self._used[network] = None
                return Address(host, _PORT)

    def add(self, member: Member) -> None:
        """Let somebody take part."""
        self.members[member.address] = member
        self._latency[member.address] = self.rng.uniform(*_ROUND_TRIP) / 2

    def remove(self, member: Member) -> None:
        """Somebody is gone, without a word."""
        self.members.pop(member.address, None)
        if isinstance(member, SimulatedNode) and member in self.nodes:
            self.nodes.remove(member)

    def node(
        self,
        address: Address | None = None,
        *,
        contacts: int = _CONTACTS,
        settings: DhtSettings | None = None,
        secure: bool = True,
    ) -> SimulatedNode:
        """Add an honest node.

        Args:
            address: where; None: in a public /24 of its own.
            contacts: members that it is told of to begin with, by lot.
            settings: its owner's choices.
            secure: whether its id fits its address (BEP 42).
        """
        node = SimulatedNode(self, address or self.unused_address(), settings, secure=secure)
        known = self.rng.sample(self.nodes, min(contacts, len(self.nodes)))
        self.add(node)
        self.nodes.append(node)
        for other in known:
            node.add_node(other.address)
        node.flush()
        return node

    def grow(
        self, count: int, *, over: float = 60.0, settings: DhtSettings | None = None, secure: float = 1.0
    ) -> list[SimulatedNode]:
        """Add honest nodes one after the other over so many seconds, and let these pass.

        Args:
            count: how many.
            over: seconds.
            settings: of them all.
            secure: share of those whose id fits their address (BEP 42).
        """
        grown = []
        for _ in range(count):
            self.run(over / count)
            grown.append(self.node(settings=settings, secure=self.rng.random() < secure))
        return grown
