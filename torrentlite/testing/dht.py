"""A DHT of thousands of nodes on one event heap: no task, no socket, hours in seconds.

    world = SimulatedDht(seed=7)
    nodes = world.grow(500)
    world.run(60)
    announced = nodes[3].announce(info_hash, 6881)
    world.run(60, until=lambda: announced.ended is not None)

Everybody's latency is drawn by lot, datagrams may be lost, lines may be slow, nodes may be behind address translation,
and they come and go as the test says. What takes part is a ``Member``: an honest one is a ``torrentlite.dht`` core,
hostile ones are whatever a test makes of them.
"""

from __future__ import annotations

import bisect
import heapq
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from ..dht.contact import Contact
from ..dht.core import Core
from ..dht.errand import PeersErrand
from ..dht.nodeid import make_id
from ..dht.settings import DhtSettings
from ..wire.address import Address, Scope, scope_of
from .dice import Dice
from .link import PacketLine
from .nat import Nat, NatKind

_PORT: Final = 6881
_ROUND_TRIP: Final = (0.02, 0.2)  # seconds between a member and the middle of the network and back
_CONTACTS: Final = 3  # members that a new one is told of
_NEAR: Final = 12  # neighbours on either side, by id, that a planted node has heard of
_KNOWN: Final = 250  # others that it has
_NEVER: Final = float("inf")


class Member(Protocol):
    """Somebody in the simulated network."""

    address: Address

    def got_datagram(self, data: bytes, sender: Address, now: float) -> None:
        """A datagram has come."""

    def tick(self, now: float) -> None:
        """It is the time that was asked for by ``SimulatedDht.wake``."""


class SimulatedSearch:
    """A search for peers and what it brought.

    Attributes:
        errand: the search itself.
        started: when.
        first: when the first peer was found; None while there is none.
        ended: when it was over; None while it runs.
    """

    def __init__(self, errand: PeersErrand, world: SimulatedDht) -> None:
        self.errand = errand
        self.started = world.now
        self.first: float | None = None
        self.ended: float | None = None
        self._world = world
        errand.news = self._got_news

    def __repr__(self) -> str:
        return f"<SimulatedSearch {self.errand!r}>"

    @property
    def peers(self) -> tuple[Address, ...]:
        """Those found so far."""
        return tuple(self.errand.peers)

    @property
    def seconds(self) -> float:
        """How long it took, or takes."""
        return (self._world.now if self.ended is None else self.ended) - self.started

    def _got_news(self) -> None:
        if self.errand.peers and self.first is None:
            self.first = self._world.now
        if self.errand.over:
            self.ended = self._world.now


class SimulatedNode:
    """An honest node; see ``SimulatedDht.node``.

    Attributes:
        address: where it is; a private one behind a router.
        nat: what that router does.
        core: the node itself.
        stays: ``SimulatedDht.churn`` leaves it alone.
    """

    def __init__(
        self,
        world: SimulatedDht,
        address: Address,
        settings: DhtSettings | None = None,
        *,
        secure: bool = True,
        own_id: bytes | None = None,
        nat: Nat | None = None,
    ) -> None:
        name = str(address)
        secret = world.dice.secret(name)
        self.address = address
        self.nat = nat
        self.world = world
        self.core = Core(
            (address.is_ipv6,),
            settings=settings,
            rng=world.dice.rng(name),
            secret=secret,
            now=world.now,
            ids={address.is_ipv6: own_id or make_id(address.host if secure else "", secret)},
            own=[address],
        )
        if not secure:  # a program that knows nothing of it
            self.core.sides[address.is_ipv6].id_since = _NEVER
        self.stays = False
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
    def host(self) -> str:
        """Its IP address, as others see it."""
        return self.nat.host if self.nat is not None else self.address.host

    @property
    def own_id(self) -> bytes:
        """Its id."""
        return self.core.sides[self.address.is_ipv6].own_id

    @property
    def joined(self) -> bool:
        """Whether it has found its neighbours."""
        return self.core.upkeeps[self.address.is_ipv6].joined

    def get_peers(self, info_hash: bytes) -> SimulatedSearch:
        """Look for peers."""
        return self._search(PeersErrand(info_hash))

    def announce(self, info_hash: bytes, port: int) -> SimulatedSearch:
        """Announce a peer on this node's IP address."""
        return self._search(PeersErrand(info_hash, port=port))

    def _search(self, errand: PeersErrand) -> SimulatedSearch:
        search = SimulatedSearch(errand, self.world)
        errand.start(self.core, self.world.now)
        self.flush()
        return search


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
        self._latency: dict[str, float] = {}  # by IP address
        self._lines: dict[Address, tuple[PacketLine, PacketLine]] = {}  # up and down
        self._nats: dict[str, Nat] = {}  # by public IP address
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
        line = self._lines.get(sender)
        leaves = self.now if line is None else line[0].pass_at(self.now, len(data))
        if leaves is None:
            return
        member = self.members.get(sender)
        if isinstance(member, SimulatedNode) and member.nat is not None:
            sender = member.nat.outgoing(sender, to, self.now)
        delay = self._latency.get(sender.host, 0.05) + self._latency.get(to.host, 0.05)
        self.call_at(leaves + delay, self._deliver, data, sender, to)

    def wake(self, member: Member, moment: float) -> None:
        """Call its ``tick`` then."""
        self.call_at(moment, self._tick, member)

    def _deliver(self, data: bytes, sender: Address, to: Address) -> None:
        member = self.members.get(to)
        if member is None and to.host in self._nats:
            inner = self._nats[to.host].incoming(sender, to.port, self.now)
            member = self.members.get(inner) if inner is not None else None
        if member is None:
            return
        line = self._lines.get(member.address)
        if line is None:
            member.got_datagram(data, sender, self.now)
            return
        arrives = line[1].pass_at(self.now, len(data))
        if arrives is not None:
            self.call_at(arrives, self._hand_over, member, data, sender)

    def _hand_over(self, member: Member, data: bytes, sender: Address) -> None:
        if self.members.get(member.address) is member:
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
        host = member.host if isinstance(member, SimulatedNode) else member.address.host
        self._latency[host] = self.rng.uniform(*_ROUND_TRIP) / 2

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
        nat: NatKind | None = None,
        up: float = 0,
        down: float = 0,
    ) -> SimulatedNode:
        """Add an honest node.

        Args:
            address: where; None: in a public /24 of its own.
            contacts: members that it is told of to begin with, by lot.
            settings: its owner's choices.
            secure: whether its id fits its address (BEP 42); else it never will.
            nat: it is behind a router of this kind, which has the address; it learns of that from others.
            up: bytes per second that it can send, 0 for unlimited; what would wait for more than 0.1 s is dropped.
            down: bytes per second that it can receive, likewise.
        """
        address = address or self.unused_address()
        router = Nat(address.host, nat) if nat is not None else None
        if router is not None:
            number_of = len(self._nats)
            self._nats[address.host] = router
            inner = f"10.{number_of >> 16}.{number_of >> 8 & 0xFF}.{number_of & 0xFF}"
            address = Address(inner, address.port)
        node = SimulatedNode(self, address, settings, secure=secure, nat=router)
        if up or down:
            self._lines[address] = PacketLine(up), PacketLine(down)
        callable_ones = [other for other in self.nodes if other.nat is None] if self._nats else self.nodes
        known = self.rng.sample(callable_ones, min(contacts, len(callable_ones)))
        self.add(node)
        self.nodes.append(node)
        for other in known:
            node.add_node(other.address)
        node.flush()
        return node

    @property
    def addresses(self) -> list[Address]:
        """Of all who take part, in the order they came."""
        return list(self.members)

    def plant(self, nodes: Iterable[SimulatedNode]) -> None:
        """Give nodes the tables that they would have after a long time, without the time: who they know is drawn by
        lot among all who take part as nodes, and their neighbours are among them."""
        members = (member for member in self.members.values() if isinstance(member, SimulatedNode))
        everybody = [member for member in members if member.nat is None]
        by_id = sorted(everybody, key=lambda member: member.own_id)
        ids = [member.own_id for member in by_id]
        for node in nodes:
            index = bisect.bisect_left(ids, node.own_id)
            near = by_id[max(0, index - _NEAR) : index + _NEAR]
            known = [*near, *self.rng.sample(everybody, min(_KNOWN, len(everybody)))]
            upkeep = node.core.upkeeps[node.address.is_ipv6]
            for other in known:
                if other is not node:
                    node.core.sides[node.address.is_ipv6].table.answered(Contact(other.own_id, other.address), self.now)
            upkeep.planted(self.now)
            node.flush()

    def churn(self, share: float) -> None:
        """From now on, replace this share of the nodes that there are in each hour, one after the other, by lot."""
        pause = 3600 / (share * len(self.nodes))

        def replace() -> None:
            leaving = [node for node in self.nodes if not node.stays]
            if leaving:
                self.remove(self.rng.choice(leaving))
                self.node()
            self.call_at(self.now + self.rng.expovariate(1 / pause), replace)

        self.call_at(self.now + pause, replace)

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
