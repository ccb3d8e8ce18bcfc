"""Hostile members of a simulated DHT, each of which counts what it did.

They begin as honest nodes, so that they are in everybody's table, and turn when ``turn`` is called. ``Sybil`` comes
later, with an id next to its target.
"""

from __future__ import annotations

import bisect
import functools
import random
from collections.abc import Iterable
from typing import Final

from ..bencode import encode
from ..dht.contact import Contact, write_contacts
from ..dht.krpc import Query, encode_query, encode_reply, parse
from ..dht.nodeid import make_id, number
from ..errors import ProtocolError
from ..wire.address import Address, Scope
from .dht import SimulatedDht, SimulatedNode

_NAMED: Final = 8
_MADE_UP: Final = 20_000
_FORGED: Final = 24  # made-up nodes that one victim is told of at a time
_NEIGHBOURS: Final = 16  # honest nodes that Sybils make themselves known to


class HostileNode(SimulatedNode):
    """Honest until it turns.

    Attributes:
        turned: whether it is hostile by now.
        deeds: how often it has done its harm.
    """

    def __init__(self, world: SimulatedDht, address: Address, own_id: bytes | None = None) -> None:
        super().__init__(world, address, None, own_id=own_id)
        self.turned = False
        self.deeds = 0
        self.dice: random.Random = world.dice.rng(f"{address} hostile")

    def turn(self) -> None:
        """Be hostile from now on."""
        self.turned = True

    def got_datagram(self, data: bytes, sender: Address, now: float) -> None:
        """See ``Member``."""
        if not self.turned:
            super().got_datagram(data, sender, now)
            return
        try:
            message = parse(data)
        except ProtocolError:
            return
        if isinstance(message, Query):
            self.got_query(message, data, sender)
        else:
            self.core.got_datagram(data, sender, now)  # it keeps its own table
            self.flush()

    def got_query(self, query: Query, data: bytes, sender: Address) -> None:
        """What it does instead of answering."""

    def reply(self, query: Query, sender: Address, **values: object) -> None:
        """Answer in due form."""
        encoded = {name.encode(): value for name, value in values.items()}
        self.world.post(encode_reply(query.transaction, self.own_id, encoded, sender), self.address, sender)


class Silent(HostileNode):
    """Answers nobody any more."""

    def got_query(self, query: Query, data: bytes, sender: Address) -> None:
        """See ``HostileNode``."""
        self.deeds += 1


class Garbage(HostileNode):
    """Answers with what is no answer, or hardly one."""

    def got_query(self, query: Query, data: bytes, sender: Address) -> None:
        """See ``HostileNode``."""
        self.deeds += 1
        junk = self.dice.randbytes
        target = query.arguments.get(b"info_hash", junk(20))
        named = write_contacts(
            Contact(near(target if isinstance(target, bytes) else junk(20), self.dice), random_address(self.dice))
            for _ in range(_NAMED)
        )
        answer = encode_reply(query.transaction, self.own_id, {b"nodes": named, b"token": junk(8)}, sender)
        kinds = [
            junk(self.dice.randrange(1, 200)),
            answer[: self.dice.randrange(len(answer))],
            encode({b"t": query.transaction, b"y": b"r", b"r": [junk(20)]}),
            encode({b"t": query.transaction, b"y": b"r", b"r": {b"id": junk(19)}}),
            encode({b"t": query.transaction, b"y": b"e", b"e": [b"what", 201]}),
            encode_reply(query.transaction, self.own_id, {b"nodes": junk(self.dice.randrange(300))}, sender),
            encode_reply(query.transaction, self.own_id, {b"nodes": 7, b"values": [1, b"x", []], b"token": 3}, sender),
            encode_reply(query.transaction, junk(20), {b"nodes": junk(26 * 8)}, sender),
            answer,
        ]
        self.world.post(self.dice.choice(kinds), self.address, sender)


class Reflecting(HostileNode):
    """Sends back what it gets, several times."""

    copies: Final = 3

    def got_datagram(self, data: bytes, sender: Address, now: float) -> None:
        """See ``Member``."""
        if not self.turned:
            super().got_datagram(data, sender, now)
            return
        if isinstance(self.world.members.get(sender), Reflecting):  # two of them would never end
            return
        self.deeds += 1
        for _ in range(self.copies):
            self.world.post(data, self.address, sender)


class Poisoning(HostileNode):
    """Names nodes that do not exist, at the target, and false peers; and forges queries that seem to come from them.

    The ids that it makes up fit the addresses that go with them (BEP 42), which is cheap: there are many addresses.
    """

    def turn(self) -> None:
        """See ``HostileNode``."""
        super().turn()
        self.world.call_at(self.world.now + self.dice.random() * 10, self._spread)

    def _spread(self) -> None:
        """Queries in the names of nodes that do not exist, near to somebody's own id, to get them into its table."""
        victim = self.dice.choice(self.world.nodes)
        for contact in _nearest(made_up(self.world.dice.seed), victim.own_id, _FORGED):
            query = encode_query(self.dice.randbytes(4), contact.id, b"ping", {})
            self.world.post(query, contact.address, victim.address)
            self.deeds += 1
        self.world.call_at(self.world.now + 10, self._spread)

    def got_query(self, query: Query, data: bytes, sender: Address) -> None:
        """See ``HostileNode``."""
        self.deeds += 1
        target = query.arguments.get(b"info_hash", query.arguments.get(b"target"))
        if not isinstance(target, bytes):
            self.reply(query, sender)
            return
        named = self.dice.sample(_nearest(made_up(self.world.dice.seed), target, 25 * _NAMED), _NAMED - 2)
        named += [Contact(near(target, self.dice), random_address(self.dice)) for _ in range(2)]
        values = [self.dice.randbytes(6) for _ in range(_NAMED)]
        self.reply(query, sender, nodes=write_contacts(named), values=values, token=self.dice.randbytes(8))


class Sybil(HostileNode):
    """One of many whose ids lie next to a target; they name each other only, and keep nothing that is announced."""

    def __init__(self, world: SimulatedDht, address: Address, target: bytes) -> None:
        super().__init__(world, address, near(target, world.rng))
        self.target = target
        self.ring: list[Contact] = []
        self.turn()

    def introduce(self, to: Iterable[Address]) -> None:
        """Become known to these."""
        for address in to:
            query = encode_query(self.dice.randbytes(4), self.own_id, b"find_node", {b"target": self.target})
            self.world.post(query, self.address, address)

    def got_query(self, query: Query, data: bytes, sender: Address) -> None:
        """See ``HostileNode``."""
        self.deeds += query.method in (b"get_peers", b"announce_peer")
        others = self.dice.sample(self.ring, min(_NAMED, len(self.ring)))
        self.reply(query, sender, nodes=write_contacts(others), token=self.dice.randbytes(8))


def ring(world: SimulatedDht, target: bytes, count: int, *, networks: int = 8) -> list[Sybil]:
    """So many Sybils around a target, in so many /24s, known to everybody who is near it."""
    prefixes = [world.unused_address().host.rpartition(".")[0] for _ in range(networks)]
    sybils = []
    for turn in range(count):
        sybil = Sybil(world, Address(f"{prefixes[turn % networks]}.{1 + turn // networks}", 6881), target)
        world.add(sybil)
        sybils.append(sybil)
    contacts = [Contact(sybil.own_id, sybil.address) for sybil in sybils]
    neighbours = sorted(world.nodes, key=lambda node: number(node.own_id) ^ number(target))[:_NEIGHBOURS]
    for sybil in sybils:
        sybil.ring = contacts
        sybil.introduce(node.address for node in neighbours)
    return sybils


@functools.lru_cache(maxsize=1)
def made_up(seed: int | str) -> list[Contact]:
    """Thousands of nodes that do not exist, by id; their ids fit their addresses."""
    dice = random.Random(f"{seed}/made up")
    addresses = (random_address(dice) for _ in range(_MADE_UP))
    contacts = [Contact(make_id(address.host, dice.randbytes), address) for address in addresses]
    return sorted(contact for contact in contacts if contact.address.scope is Scope.PUBLIC)


def _nearest(contacts: list[Contact], target: bytes, count: int) -> list[Contact]:
    place = bisect.bisect(contacts, (target,))
    around = contacts[max(0, place - count) : place + count]
    return sorted(around, key=lambda contact: number(contact.id) ^ number(target))[:count]


def near(target: bytes, dice: random.Random, *, bits: int = 60) -> bytes:
    """An id that shares so many leading bits with the target."""
    return (number(target) ^ dice.getrandbits(160 - bits)).to_bytes(20, "big")


def random_address(dice: random.Random) -> Address:
    """Any address at all, martians included."""
    return Address(".".join(str(dice.randrange(256)) for _ in range(4)), dice.randrange(65536))
