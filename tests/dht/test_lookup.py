import random

import pytest

from torrentlite import limits
from torrentlite.dht.contact import Contact
from torrentlite.dht.lookup import Lookup, State
from torrentlite.dht.nodeid import is_secure, make_id
from torrentlite.wire.address import Address

TARGET = bytes(20)


class World:
    """Nodes that know their neighbours, asked without a network."""

    def __init__(self, count: int, *, secure: float = 1.0, seed: int = 1) -> None:
        rng = random.Random(seed)
        self.rng = rng
        self.contacts = []
        for index in range(count):
            address = Address(f"{20 + index // 65536}.{index // 256 % 256}.{index % 256}.1", 1)
            node_id = make_id(address.host if rng.random() < secure else "", rng.randbytes)
            self.contacts.append(Contact(node_id, address))
        self.contacts.sort(key=lambda contact: contact.id)  # TARGET is 0
        self.lies: dict[Contact, list[Contact]] = {}
        self.dead: set[Contact] = set()
        self.asked: list[Contact] = []

    def known_by(self, contact: Contact) -> list[Contact]:
        if contact in self.lies:
            return self.lies[contact]
        nearer = [other for other in self.contacts if other.id < contact.id]
        return self.rng.sample(nearer[: 20 if len(nearer) < 60 else 300], min(8, len(nearer)))

    def run(self, lookup: Lookup, *, now: float = 0.0) -> float:
        """Everybody answers at once, the dead become slow after a second. The time it took."""
        while not lookup.done:
            silent = []
            chosen = lookup.next(now)
            while chosen:
                for candidate in chosen:
                    self.asked.append(candidate.contact)
                    if candidate.contact in self.dead or candidate.contact not in self.contacts + list(self.lies):
                        silent.append(candidate)
                    else:
                        lookup.answered(candidate, self.known_by(candidate.contact), b"token")
                chosen = lookup.next(now)
            now += 1
            for candidate in silent:
                lookup.slow(candidate)
        return now


def nearest(world: World, count: int = 8) -> list[Contact]:
    return [contact for contact in world.contacts if contact not in world.dead][:count]


@pytest.mark.parametrize("count", [1, 5, 8, 20, 500])
def test_it_finds_the_nearest(count):
    world = World(count)
    lookup = Lookup(TARGET, world.contacts[-8:], 0.0)
    world.run(lookup)
    assert [candidate.contact for candidate in lookup.closest()] == nearest(world)
    assert all(candidate.token == b"token" for candidate in lookup.closest())
    assert lookup.queries == len(world.asked) == len(set(world.asked)), "nobody is asked twice"
    assert lookup.queries <= 60


def test_nobody_to_ask():
    lookup = Lookup(TARGET, [], 0.0)
    assert lookup.next(0.0) == []
    assert lookup.done
    assert lookup.closest() == []


def test_the_dead_are_passed_by():
    world = World(500)
    world.dead = set(world.contacts[0:40:2])
    lookup = Lookup(TARGET, world.contacts[-24:], 0.0)
    seconds = world.run(lookup)
    assert [candidate.contact for candidate in lookup.closest()] == nearest(world)
    assert seconds < 10


def test_everybody_dead():
    world = World(24)
    world.dead = set(world.contacts)
    lookup = Lookup(TARGET, world.contacts, 0.0)
    seconds = world.run(lookup)
    assert lookup.closest() == []
    assert seconds <= limits.DHT_PATIENCE + 5


def test_a_slow_node_is_waited_for_where_there_are_few():
    world = World(1)
    lookup = Lookup(TARGET, world.contacts, 0.0)
    (candidate,) = lookup.next(0.0)
    lookup.slow(candidate)
    assert lookup.next(1.0) == [candidate], "the datagram may be lost"
    lookup.slow(candidate)
    assert lookup.next(2.0) == [], "but not for ever"
    assert not lookup.done
    assert lookup.patient
    lookup.answered(candidate, [], b"t")
    lookup.next(2.0)
    assert lookup.done
    assert len(lookup.closest()) == 1


def test_the_number_under_way_is_bounded():
    world = World(500)
    lookup = Lookup(TARGET, world.contacts[-100:], 0.0)
    chosen = lookup.next(0.0)
    assert len(chosen) == limits.DHT_PATHS * limits.DHT_PARALLEL
    assert lookup.next(0.0) == []
    lookup.slow(chosen[0])
    assert len(lookup.next(1.0)) == 1, "a slow one does not count"
    lookup.failed(chosen[1])
    assert len(lookup.next(1.0)) == 1
    lookup.put_back(chosen[2])
    assert lookup.next(1.0) == [chosen[2]]


def test_who_is_put_back_is_not_waited_for():
    world = World(40)
    lookup = Lookup(TARGET, world.contacts[-8:], 0.0)
    chosen = lookup.next(0.0)
    assert chosen
    for _ in range(3):  # the budget is spent, each time anew
        for candidate in chosen:
            lookup.put_back(candidate)
        assert lookup.queries == 0
        assert sorted(lookup.next(0.0)) == sorted(chosen)
    while chosen:
        for candidate in chosen:
            lookup.failed(candidate)
        chosen = lookup.next(0.0)
    assert lookup.done


def test_so_many_are_noted_and_no_more():
    most = limits.DHT_MAX_QUERIES * limits.DHT_K
    world = World(most + 100)
    lookup = Lookup(TARGET, world.contacts[:8], 0.0)
    for candidate in lookup.next(0.0):
        lookup.answered(candidate, world.contacts, b"t")
    assert len(lookup._candidates) == most


def test_an_answer_after_it_was_slow_counts():
    world = World(500)
    lookup = Lookup(TARGET, world.contacts[:1], 0.0)
    (candidate,) = lookup.next(0.0)
    lookup.slow(candidate)
    lookup.answered(candidate, world.contacts[1:9], b"t")
    assert candidate.state is State.ANSWERED
    lookup.answered(candidate, world.contacts[9:], b"u")
    assert candidate.token == b"t", "once"
    assert {one.contact for one in lookup.next(1.0)} <= set(world.contacts[1:9])


def test_one_of_each_public_network_counts():
    world = World(200)
    crowd = [Contact(number_id(index + 1), Address(f"9.9.9.{index}", 1)) for index in range(100)]
    world.contacts += crowd
    lookup = Lookup(TARGET, [*world.contacts[100:108], *crowd], 0.0)
    world.run(lookup)
    assert sum(candidate.contact in crowd for candidate in lookup.closest()) <= 1
    assert len(set(world.asked) & set(crowd)) <= limits.DHT_PATHS * limits.DHT_PARALLEL


def number_id(value: int) -> bytes:
    return value.to_bytes(20, "big")


def sybils(count: int) -> list[Contact]:
    """Next to the target, each in a /24 of its own, with ids that do not fit."""
    made = [Contact(number_id(index + 1), Address(f"9.{index}.9.9", 1)) for index in range(count)]
    assert not any(is_secure(one.id, one.address.host) for one in made)
    return made


def test_it_goes_on_until_the_nearest_secure_have_answered():
    world = World(300)
    honest = list(world.contacts)
    crowd = sybils(20)
    for one in crowd:
        world.lies[one] = crowd
    seeds = [*honest[100:110], *crowd]
    lookup = Lookup(TARGET, seeds, 0.0)
    world.run(lookup)
    closest = [candidate.contact for candidate in lookup.closest()]
    assert closest[:8] == crowd[:8], "they are announced to as well: other nodes would find them first"
    assert closest[8:] == honest[:8]


def test_where_few_are_secure_it_ends_all_the_same():
    world = World(500, secure=0.02)
    lookup = Lookup(TARGET, world.contacts[-24:], 0.0)
    world.run(lookup)
    assert [candidate.contact for candidate in lookup.closest()][:8] == nearest(world)
    assert lookup.queries <= 100


def made_up(index: int) -> list[Contact]:
    """Eight nodes that do not exist, nearer than anybody, with ids that fit their addresses as far as anybody sees."""
    return [Contact(number_id(1000 * index + turn + 1), Address(f"192.168.{index}.{turn}", 1)) for turn in range(8)]


def test_who_names_nodes_that_do_not_exist_is_doubted():
    world = World(300)
    liars = world.contacts[90:100]
    for index, liar in enumerate(liars):
        world.lies[liar] = made_up(index)
    lookup = Lookup(TARGET, [*liars, *world.contacts[100:110]], 0.0)
    world.run(lookup)
    assert [candidate.contact for candidate in lookup.closest()] == nearest(world)
    in_vain = [contact for contact in world.asked if contact.address.host.startswith("192.168.")]
    most = limits.DHT_DOUBT + limits.DHT_PATHS * limits.DHT_PARALLEL
    assert 0 < len(in_vain) <= most * len(liars) // 2


def reached_at_once(world: World, lookup: Lookup) -> tuple[set[Contact], int]:
    """Whom it asks before any time has passed; and how many of these do not exist."""
    asked: list[Contact] = []
    while chosen := lookup.next(0.0):
        for candidate in chosen:
            asked.append(candidate.contact)
            if candidate.contact in world.contacts:
                lookup.answered(candidate, world.known_by(candidate.contact), b"t")
    return set(asked), sum(contact not in world.contacts for contact in asked)


def test_a_liar_on_one_path_does_not_hold_up_the_others(monkeypatch):
    world = World(300)
    liar = world.contacts[199]
    world.lies[liar] = made_up(0)
    seeds = [liar, *world.contacts[200:230]]
    asked, in_vain = reached_at_once(world, Lookup(TARGET, seeds, 0.0))
    assert set(nearest(world)) <= asked
    assert 0 < in_vain <= limits.DHT_PARALLEL
    monkeypatch.setattr(limits, "DHT_PARALLEL", limits.DHT_PARALLEL * limits.DHT_PATHS)
    monkeypatch.setattr(limits, "DHT_PATHS", 1)
    asked, in_vain = reached_at_once(world, Lookup(TARGET, seeds, 0.0))
    assert not set(nearest(world)) <= asked, "on one path all wait for nodes that do not exist"
    assert in_vain > 2


def test_it_ends_whatever_is_named():
    """Everybody answers at once and names new nodes that are nearer, for ever."""
    rng = random.Random(3)
    lookup = Lookup(TARGET, [Contact(rng.randbytes(20), Address("10.0.0.1", 1))], 0.0)
    distance = 1 << 159
    count = 0
    while chosen := lookup.next(0.0):
        for candidate in chosen:
            named = []
            for _ in range(8):
                distance -= rng.getrandbits(100)
                count += 1
                named.append(
                    Contact(number_id(distance), Address(f"10.{count // 65536}.{count // 256 % 256}.{count % 256}", 1))
                )
            lookup.answered(candidate, named, b"t")
    assert lookup.done
    assert lookup.queries <= limits.DHT_MAX_QUERIES


def test_so_many_insecure_nodes_are_asked_and_no_more():
    most = limits.DHT_MAX_INSECURE
    made = [Contact(number_id(index + 1), Address(f"9.{index}.9.9", 1)) for index in range(most + 50)]
    lookup = Lookup(TARGET, made, 0.0)
    while chosen := lookup.next(0.0):
        for candidate in chosen:
            lookup.failed(candidate)
    assert lookup.done
    assert lookup.queries == most


def test_after_so_many_answers_they_need_not_be_secure_ones():
    made = [Contact(number_id(index + 1), Address(f"9.{index}.9.9", 1)) for index in range(2 * limits.DHT_ENOUGH)]
    lookup = Lookup(TARGET, made, 0.0)
    waiting = []
    for _ in range(limits.DHT_ENOUGH):
        assert lookup._find_bound() is None
        waiting += lookup.next(0.0)
        lookup.answered(waiting.pop(), [], b"t")
    assert lookup._find_bound() is not None
