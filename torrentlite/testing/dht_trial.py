"""How well a simulated DHT finds what was announced in it, also among hostile members."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence

from ..wire.address import Address, Scope
from .dht import SimulatedDht, SimulatedNode, SimulatedSearch
from .dht_hostile import HostileNode, ring

_PORT = 7777
_DEADLINE = 120.0  # virtual seconds for one search


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """Of a number of lookups.

    Attributes:
        lookups: how many there were.
        found: share that found the announced peer.
        queries: median of those sent for one.
        mean: mean of them.
        most: the largest number of them.
        seconds: median time until a lookup was over.
        first: median time until its first peer.
        stored: mean of the nodes that took an announce.
        hostile: share of hostile members in the tables of the others.
        deeds: what the hostile ones did.
        sent: bytes per lookup, everybody's, in the time of the trial.
    """

    lookups: int
    found: float
    queries: float
    mean: float
    most: int
    seconds: float
    first: float
    stored: float
    hostile: float
    deeds: int
    sent: float


def mixed(
    count: int, kinds: Sequence[type[HostileNode]], share: float, *, seed: int | str = 0, loss: float = 0
) -> SimulatedDht:
    """A DHT that has been there for long, and a share of which turns hostile now, of these kinds in equal parts."""
    world = SimulatedDht(seed=seed, loss=loss)
    members = [world.node() for _ in range(count - round(count * share))]
    for turn in range(count - len(members)):
        hostile = kinds[turn % len(kinds)](world, world.unused_address())
        world.add(hostile)
    world.plant(member for member in world.members.values() if isinstance(member, SimulatedNode))
    for member in world.members.values():
        if isinstance(member, HostileNode):
            member.turn()
    return world


def measure(world: SimulatedDht, lookups: int, *, together: int = 1, pause: float = 1.0, sybils: int = 0) -> Result:
    """Announce and find so many times, each time another torrent, by honest nodes drawn by lot.

    Args:
        world: is run meanwhile.
        lookups: how many.
        together: so many of them at once; hours of a large network pass while they wait for each other.
        pause: seconds between two, or between those that were together.
        sybils: so many of them around each torrent before it is announced.
    """
    rng = world.dice.rng("trial")
    found = 0
    gets: list[SimulatedSearch] = []
    stored: list[int] = []
    rings = 0
    size = world.size
    while len(gets) < lookups:
        info_hashes = [rng.randbytes(20) for _ in range(min(together, lookups - len(gets)))]
        attackers = [sybil for info_hash in info_hashes for sybil in ring(world, info_hash, sybils)] if sybils else []
        if attackers:
            world.run(20)
        pairs = [rng.sample(world.nodes, 2) for _ in info_hashes]
        for node in {id(node): node for pair in pairs for node in pair}.values():
            node.stays = True
        announced = [
            announcer.announce(info_hash, _PORT) for info_hash, (announcer, _) in zip(info_hashes, pairs, strict=True)
        ]
        _finish(world, announced)
        stored += [len(search.errand.stored) for search in announced]
        searches = [seeker.get_peers(info_hash) for info_hash, (_, seeker) in zip(info_hashes, pairs, strict=True)]
        _finish(world, searches)
        gets += searches
        for search, (announcer, seeker) in zip(searches, pairs, strict=True):
            announcer.stays = seeker.stays = False
            found += Address(announcer.host, _PORT) in search.peers
        for sybil in attackers:
            rings += sybil.deeds
            world.remove(sybil)
        world.run(pause)
    return Result(
        lookups=lookups,
        found=found / lookups,
        queries=statistics.median(search.errand.queries for search in gets),
        mean=statistics.mean(search.errand.queries for search in gets),
        most=max(search.errand.queries for search in gets),
        seconds=statistics.median(search.seconds for search in gets),
        first=statistics.median(
            [search.first - search.started for search in gets if search.first is not None] or [0.0]
        ),
        stored=statistics.mean(stored),
        hostile=hostile_share(world),
        deeds=rings + sum(member.deeds for member in world.members.values() if isinstance(member, HostileNode)),
        sent=(world.size - size) / lookups,
    )


def hostile_share(world: SimulatedDht) -> float:
    """What part of the entries in honest nodes' tables are hostile members, or nobody at all."""
    honest = {node.address: node.own_id for node in world.nodes}
    entries = [node.contact for member in world.nodes for node in member.core.sides[member.address.is_ipv6].table]
    return sum(honest.get(contact.address) != contact.id for contact in entries) / max(1, len(entries))


class Guard:
    """Looks at every datagram that honest nodes send: none to a martian, to port 0, or to its own sender.

    Args:
        world: is watched from now on.

    Attributes:
        wrong: datagrams that should not have been sent: sender and destination.
        seen: datagrams looked at.
    """

    def __init__(self, world: SimulatedDht) -> None:
        self.wrong: list[tuple[Address, Address]] = []
        self.seen = 0
        self._members = world.members
        world.watch = self._look

    def _look(self, data: bytes, sender: Address, to: Address) -> None:
        member = self._members.get(sender)
        if isinstance(member, HostileNode) and member.turned:
            return
        self.seen += 1
        if to.scope is not Scope.PUBLIC or to == sender:
            self.wrong.append((sender, to))


def _finish(world: SimulatedDht, searches: Sequence[SimulatedSearch]) -> None:
    world.run(_DEADLINE, until=lambda: all(search.ended is not None for search in searches))
