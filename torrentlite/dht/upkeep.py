"""Getting into one of the two DHTs, and staying in it: joining, pinging, refreshing (BEP 5). Pure."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Final, Protocol

from .. import limits
from ..wire.address import Address
from .contact import Contact, subnet
from .krpc import Refusal, Reply
from .nodeid import id_in_bucket
from .rpc import Done
from .search import Search
from .side import Side

_EXPIRE: Final = 60.0  # seconds between two looks at what is stored
_PINGS: Final = 8  # unknown nodes asked at once
_FILLED: Final = 8  # nodes below which the search for neighbours is repeated soon
_NEVER: Final = float("inf")


class UpkeepOwner(Protocol):
    """What the upkeep needs of its node; ``core.Core`` is one, and says what the methods do."""

    rng: random.Random
    now: float
    heard: float
    sides: dict[bool, Side]
    upkeeps: dict[bool, Upkeep]

    @property
    def full(self) -> bool:
        """Whether no more searches may begin by themselves."""

    def ask(
        self,
        to: Address,
        method: bytes,
        arguments: Mapping[bytes, object],
        now: float,
        done: Done,
        *,
        expected: bytes | None = None,
    ) -> bool:
        """Send a query."""

    def search(
        self,
        target: bytes,
        method: bytes,
        arguments: Mapping[bytes, object],
        now: float,
        *,
        ipv6: bool = False,
        seeds: Iterable[Contact] = (),
        end: Callable[[Search], object] | None = None,
    ) -> Search:
        """Begin a search."""

    def contacts(self, reply: Reply, sender: Address, *, ipv6: bool) -> list[Contact]:
        """The nodes that a reply names."""


class Upkeep:
    """The upkeep of one address family.

    Args:
        core: the node.
        side: which half of it.
        now: the time.

    Attributes:
        joined: whether a search for our own id has found anybody, and somebody has answered since.
        news: that has changed; the owner takes it back.
    """

    def __init__(self, core: UpkeepOwner, side: Side, now: float) -> None:
        self._core = core
        self._side = side
        self.joined = False
        self.news = False
        self._search: Search | None = None  # for our own id
        self._attempt = 0
        self._addresses: deque[Address] = deque()  # given from outside, without ids; the next to be asked first
        self._contacts: deque[Contact] = deque()  # named by them, or of an earlier run
        self._verifying: dict[Hashable, None] = {}
        self._to_fill: list[int] = []  # depths of buckets
        self._next_join = _NEVER
        self._calls = 0  # for help, on the other family
        self._next_call = now
        self._next_ping = now + limits.DHT_UPKEEP
        self._next_expiry = now + _EXPIRE

    def next_wake(self) -> float:
        """When there is something to do."""
        return min(self._next_ping, self._next_join)

    def tick(self, now: float) -> None:
        """Do what is due."""
        if now >= self._next_join:
            self._join(now)
        if now >= self._next_ping:
            self._next_ping = now + limits.DHT_UPKEEP
            self._look_after(now)
        if now >= self._next_expiry:
            self._next_expiry = now + _EXPIRE
            self._side.expire(now)

    def add_address(self, address: Address, now: float) -> None:
        """A node from outside whose id is not known. Somebody who needs no help to join only pings it."""
        if self.joined and len(self._side.table) >= _FILLED:
            self._verify(address, now)
        elif address not in self._addresses:
            self._addresses.appendleft(address)
            if len(self._addresses) > limits.DHT_MAX_CONTACTS:
                self._addresses.pop()
            self.join_soon(now)

    def add_contacts(self, contacts: Iterable[Contact], now: float) -> None:
        """Nodes of an earlier run, the best first."""
        self._remember(contacts)
        self.join_soon(now)

    def heard_of(self, contact: Contact, now: float) -> None:
        """Somebody has asked us; if it also answers us, it is a node."""
        if len(self._verifying) < _PINGS and self._side.table.wants(contact):
            self._verify(contact.address, now)

    def join_soon(self, now: float) -> None:
        """Look for our neighbours at the next tick."""
        self._attempt = 0
        self._next_join = now

    def planted(self, now: float) -> None:
        """The table was filled by other means: there is no need to join."""
        self.joined = self.news = True
        self._next_join = now + limits.DHT_SELF_LOOKUP * self._core.rng.uniform(0.1, 1.2)

    # -- inside

    def _remember(self, contacts: Iterable[Contact]) -> None:
        self._contacts.extend(contacts)
        while len(self._contacts) > limits.DHT_MAX_CONTACTS:
            self._contacts.pop()

    def _join(self, now: float) -> None:
        """Search for our own id: who is met on the way, and who is near, fills the table."""
        retry = limits.DHT_JOIN_RETRY[min(self._attempt, len(limits.DHT_JOIN_RETRY) - 1)]
        self._attempt += 1
        self._next_join = now + retry * self._core.rng.uniform(1, 1.2)
        if not self.joined or len(self._side.table) < _FILLED:
            self._knock(now)
        self._begin_search(now)

    def _begin_search(self, now: float) -> None:
        contacts = [self._contacts.popleft() for _ in range(min(len(self._contacts), limits.DHT_PATHS * limits.DHT_K))]
        if self._search is not None:
            self._search.lookup.add(contacts)
            self._search.advance(now)
        elif (contacts or len(self._side.table)) and not self._core.full:
            search = self._find(self._side.own_id, now, seeds=contacts, end=self._found_neighbours)
            if not search.over:
                self._search = search

    def _found_neighbours(self, search: Search) -> None:
        now = self._core.now
        self._search = None
        if not search.lookup.answers:
            return
        if not self.joined:
            self.joined = self.news = True
            self._to_fill = list(range(min(len(self._side.table.buckets), len(limits.DHT_FIRST_BUCKETS))))
        if len(self._side.table) >= _FILLED:
            self._attempt = 0
            self._next_join = now + limits.DHT_SELF_LOOKUP * self._core.rng.uniform(0.8, 1.2)

    def _knock(self, now: float) -> None:
        """Ask nodes of which only the address is known, several together: many may be dead."""
        for _ in range(min(len(self._addresses), _PINGS)):
            address = self._addresses[0]
            self._addresses.rotate(-1)
            # Each family helps the other into its DHT (BEP 32, "Bootstrapping").
            self._ask_for_neighbours(address, [b"n4", b"n6"], now)

    def _look_after(self, now: float) -> None:
        table = self._side.table
        if not self.joined and now >= self._next_call:
            self._call_for_help(now)
        node = table.stale(now)
        if node is not None:
            self._core.ask(node.contact.address, b"ping", {}, now, _ignore, expected=node.contact.id)
        if self.joined and self._search is None and (not len(table) or now - self._core.heard >= limits.DHT_ALONE):
            self.joined = False
            self.news = True
            self.join_soon(now)
        if self.joined and self._search is None and not self._core.full:
            depth = self._to_fill.pop(0) if self._to_fill else table.unchanged(now)
            if depth is not None:
                self._find(id_in_bucket(self._side.own_id, min(depth, 159), self._core.rng.randbytes), now)

    def _call_for_help(self, now: float) -> None:
        """Ask somebody in the other DHT for nodes of this one (BEP 32): many live in both."""
        self._next_call = now + limits.DHT_JOIN_RETRY[min(self._calls, len(limits.DHT_JOIN_RETRY) - 1)]
        self._calls += 1
        others = [node for side in self._core.sides.values() if side is not self._side for node in side.table]
        if others:
            address = self._core.rng.choice(others).contact.address
            want = [b"n6" if self._side.ipv6 else b"n4"]
            self._ask_for_neighbours(address, want, now)

    def _ask_for_neighbours(self, address: Address, want: list[bytes], now: float) -> None:
        def done(reply: Reply | Refusal | None, now: float) -> None:
            if isinstance(reply, Reply):
                for ipv6, upkeep in self._core.upkeeps.items():
                    upkeep._remember(self._core.contacts(reply, address, ipv6=ipv6))
                    upkeep._begin_search(now)

        arguments: dict[bytes, object] = {b"target": self._side.own_id}
        if len(self._core.sides) > 1:
            arguments[b"want"] = want
        self._core.ask(address, b"find_node", arguments, now, done)

    def _verify(self, address: Address, now: float) -> None:
        network = subnet(address)
        if len(self._verifying) >= _PINGS or network in self._verifying:
            return

        def done(reply: Reply | Refusal | None, now: float) -> None:
            self._verifying.pop(network, None)
            if isinstance(reply, Reply) and not self.joined:  # somebody found us before we found anybody
                self._next_join = min(self._next_join, now)

        if self._core.ask(address, b"ping", {}, now, done):
            self._verifying[network] = None

    def _find(
        self,
        target: bytes,
        now: float,
        *,
        seeds: Iterable[Contact] = (),
        end: Callable[[Search], object] | None = None,
    ) -> Search:
        return self._core.search(
            target, b"find_node", {b"target": target}, now, ipv6=self._side.ipv6, seeds=seeds, end=end
        )


def _ignore(reply: Reply | Refusal | None, now: float) -> None:
    pass
