"""Hostile nodes among honest ones: each kind acts, is borne, and does more harm where the defence against it is off.

A defence is taken away by replacing the small thing in the product that is the defence.
"""

from typing import NamedTuple

import pytest

from torrentlite import limits
from torrentlite.dht import lookup, routing
from torrentlite.dht.contact import Contact, subnet
from torrentlite.dht.core import Core
from torrentlite.dht.krpc import encode_reply
from torrentlite.dht.upkeep import Upkeep
from torrentlite.testing.dht_hostile import Garbage, Poisoning, Reflecting, Silent
from torrentlite.testing.dht_trial import Guard, Result, measure, mixed
from torrentlite.wire.address import Address, Scope

NODES = 500
KINDS = [Silent, Garbage, Reflecting, Poisoning]
WANTED = {0.1: (0.99, 8), 0.2: (0.97, 16), 0.33: (0.90, 64)}
"""What share finds, whatever so many hostile ones do, and so many Sybils around each target besides."""


class Trial(NamedTuple):
    """What came of a trial, and how much was sent to where nothing may be."""

    result: Result
    wrong: int


def trial(kinds, share, *, lookups=30, together=10, nodes=NODES, seed=1, sybils=0, pause=1.0) -> Trial:
    world = mixed(nodes, kinds, share, seed=seed)
    guard = Guard(world)
    result = measure(world, lookups, together=together, sybils=sybils, pause=pause)
    return Trial(result, len(guard.wrong))


@pytest.mark.parametrize("share", WANTED)
def test_all_kinds_together(share):
    wanted, sybils = WANTED[share]
    together = trial(KINDS, share, lookups=100)
    assert together.result.found >= wanted
    assert together.result.deeds > 100
    assert together.result.hostile <= share + 0.05, "no larger part of the tables than of the nodes"
    assert together.wrong == 0
    besieged = trial(KINDS, share, lookups=20, sybils=sybils)
    assert besieged.result.found >= wanted
    assert besieged.result.deeds > 1000
    assert besieged.wrong == 0


# Each kind alone, a third of all, with its defence and without. The figure is one of which less is better.


def test_silent(monkeypatch):
    """Others are asked after a second, not when all hope is gone."""
    borne = trial([Silent], 0.33)
    assert borne.result.found >= 0.9
    assert borne.result.deeds > 100
    monkeypatch.setattr(limits, "DHT_SHORT_TIMEOUT", limits.DHT_TIMEOUT)
    assert trial([Silent], 0.33, lookups=10).result.seconds > 3 * borne.result.seconds


def test_garbage(monkeypatch):
    """Whatever they name, nothing is sent to martians, to port 0, or to private addresses."""
    borne = trial([Garbage], 0.33)
    assert borne.result.found >= 0.9
    assert borne.result.deeds > 100
    assert borne.wrong == 0
    monkeypatch.setattr(Core, "may_send", lambda core, to: True)
    monkeypatch.setattr(Address, "scope", property(lambda address: Scope.PUBLIC), raising=True)
    open_door = mixed(NODES, [Garbage], 0.33, seed=1)
    sent = []
    open_door.watch = lambda data, sender, to: sent.append(to)
    measure(open_door, 30, together=10)
    monkeypatch.undo()
    assert any(to.scope is not Scope.PUBLIC for to in sent)


def test_reflecting(monkeypatch):
    """What comes back to us is not answered."""
    borne = trial([Reflecting], 0.33)
    assert borne.result.found >= 0.9
    assert borne.result.deeds > 100
    monkeypatch.setattr(Core, "_mirrored", staticmethod(lambda node_id, side: False))
    assert trial([Reflecting], 0.33).result.sent > 1.2 * borne.result.sent


def test_poisoned_answers(monkeypatch):
    """Who names nodes that do not exist is soon doubted."""
    borne = trial([Poisoning], 0.33, pause=0.1)
    assert borne.result.found >= 0.9
    assert borne.result.deeds > 100
    assert borne.wrong == 0
    monkeypatch.setattr(limits, "DHT_DOUBT", 10**6)
    trusting = trial([Poisoning], 0.33, pause=0.1)
    assert trusting.result.queries > 1.2 * borne.result.queries
    assert trusting.result.seconds > 1.2 * borne.result.seconds


def test_poisoned_tables(monkeypatch):
    """Who asks is not in the table before it has answered: a sender's address is easily forged."""
    borne = trial([Poisoning], 0.1, lookups=10, together=1, pause=20)
    assert borne.result.hostile <= 0.11
    assert borne.result.deeds > 1000

    def believe(upkeep: Upkeep, contact: Contact, now: float) -> None:
        upkeep._side.table.answered(contact, now)

    monkeypatch.setattr(Upkeep, "heard_of", believe)
    trusting = trial([Poisoning], 0.1, lookups=10, together=1, pause=20)
    assert trusting.result.hostile > borne.result.hostile + 0.05
    assert trusting.result.queries > borne.result.queries


@pytest.mark.parametrize("sybils", [8, 16, 64])
def test_sybils(sybils, monkeypatch):
    """Ids next to the target that do not fit their addresses (BEP 42) hide nothing."""
    borne = trial([Silent], 0, sybils=sybils, lookups=10 if sybils > 16 else 30)
    assert borne.result.found >= 0.99
    assert borne.result.deeds > 100
    assert borne.result.stored > limits.DHT_K, "the honest hold it as well"
    if sybils == 16:
        for module in (lookup, routing):
            monkeypatch.setattr(module, "is_secure", lambda node_id, host: True)
        assert trial([Silent], 0, sybils=sybils, lookups=10).result.found < 0.5


def test_sybils_of_few_networks(monkeypatch):
    """Of one /24 one node counts, and the others are not even asked."""
    borne = trial([Silent], 0, sybils=64, lookups=10)

    def everyone(address: Address) -> Address:
        return address

    for module in (lookup, routing):
        monkeypatch.setattr(module, "subnet", everyone)
    open_door = trial([Silent], 0, sybils=64, lookups=10)
    assert open_door.result.queries > 1.2 * borne.result.queries
    assert subnet(Address("8.8.8.8", 1)) == subnet(Address("8.8.8.9", 2))


def test_forged_replies(monkeypatch):
    """Who does not see our queries cannot answer them; where transactions are not looked at, anybody can."""

    def attack() -> tuple[int, int]:
        world = mixed(60, [Silent], 0, seed=2)
        victim = world.nodes[0]
        search = victim.get_peers(b"t" * 20)
        rng = world.dice.rng("forger")
        for node in world.nodes[1:]:  # it knows whom the victim asks, and forges their address
            values = {b"values": [b"\x06\x06\x06\x06\x00\x01"], b"nodes": b""}
            world.post(
                encode_reply(rng.randbytes(4), node.own_id, values, victim.address), node.address, victim.address
            )
        world.run(30)
        return sum(peer.host == "6.6.6.6" for peer in search.peers), victim.core.counters.unasked

    assert attack() == (0, 59)
    monkeypatch.setattr("torrentlite.dht.rpc._key", lambda transaction, address: address)
    assert attack()[0] == 1
