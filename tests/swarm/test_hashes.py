"""Piece layers from peers of all sorts (BEP 52)."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Hashable, Iterator

import pytest
from hypothesis import given, strategies as st

from tests.swarm.layers import layers_of
from torrentlite.limits import (
    HASH_REFUSALS,
    HASHES_ASKED,
    HASHES_IN_ALL,
    HASHES_LATE,
    HASHES_LEAST,
    HASHES_OF_ONE,
    METADATA_TIMEOUT,
)
from torrentlite.metainfo import merkle
from torrentlite.metainfo.merkle import DIGEST
from torrentlite.swarm.hashes import HashExchange
from torrentlite.swarm.hashserving import HashServer
from torrentlite.wire.messages import Hashes, HashReject, HashRequest

BASE = 3


def exchange_for(layers: dict[bytes, bytes]) -> HashExchange[Hashable]:
    return HashExchange({root: len(layer) // DIGEST for root, layer in layers.items()}, BASE)


def reject(request: HashRequest) -> HashReject:
    return HashReject(request.root, request.base, request.index, request.length, request.proofs)


def spoilt(answer: Hashes, at: int) -> Hashes:
    wrong = bytearray(answer.hashes)
    wrong[at] ^= 1
    return Hashes(answer.root, answer.base, answer.index, answer.length, answer.proofs, bytes(wrong))


class World:
    """An exchange, and peers who answer after a time of their own.

    Attributes:
        peers: what each says to a request (None: nothing), and after how long.
        now: seconds.
        asked: requests, by peer.
        out: those who were caught lying.
    """

    def __init__(self, layers: dict[bytes, bytes]) -> None:
        self.layers = layers
        self.exchange = exchange_for(layers)
        self.server = HashServer(layers.get, BASE)
        self.peers: dict[str, tuple[Callable[[HashRequest], Hashes | HashReject | None], float]] = {}
        self.now = 0.0
        self.asked: dict[str, list[HashRequest]] = {}
        self.out: set[str] = set()
        self._mail: list[tuple[float, int, str, Hashes | HashReject]] = []
        self._order = itertools.count()

    def joins(self, name: str, says: Callable[[HashRequest], Hashes | HashReject | None], delay: float = 0.05) -> None:
        self.peers[name] = (says, delay)
        self.asked[name] = []
        self.exchange.joined(name)

    def honest(self, request: HashRequest) -> Hashes:
        answer = self.server.answer(request)
        assert answer is not None, request
        return answer

    def liar(self, request: HashRequest) -> Hashes:
        return spoilt(self.honest(request), 5)

    def run(self, most: float = 1000.0) -> float:
        """Until all layers are here, or for so long; how long it took."""
        done = False
        ticks = float(int(self.now))
        while not done and self.now < most:
            for peer, request in self.exchange.requests(self.now):
                assert isinstance(peer, str)
                self.asked[peer].append(request)
                says, delay = self.peers[peer]
                answer = says(request)
                if answer is not None:
                    heapq.heappush(self._mail, (self.now + delay, next(self._order), peer, answer))
            if self._mail and self._mail[0][0] < ticks + 1:
                self.now, _, name, message = heapq.heappop(self._mail)
                done = self._deliver(name, message)
            else:
                ticks += 1
                self.now = ticks
        assert done is self.exchange.complete
        return self.now

    def _deliver(self, name: str, message: Hashes | HashReject) -> bool:
        if name in self.out:
            return False
        if isinstance(message, HashReject):
            self.exchange.rejected(name, message, self.now)
            return False
        try:
            return self.exchange.got_hashes(name, message, self.now)
        except ValueError:
            self.out.add(name)
            return False


# -- one peer ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 3, 4, 5, 511, 512, 513, 514, 600, 1023, 1024, 1025, 1500, 4097])
def test_one_peer_gives_it_all(count: int) -> None:
    layers = layers_of([count], BASE)
    world = World(layers)
    world.joins("a", world.honest)
    world.run(10)
    assert world.exchange.layers == layers
    asked = world.asked["a"]
    assert len(asked) == -(-count // HASHES_ASKED)
    for request in asked:  # what BEP 52 demands
        assert 2 <= request.length <= HASHES_ASKED
        assert not request.length & (request.length - 1)
        assert request.index % request.length == 0
        assert request.index + request.length <= 1 << merkle.height(count)
        assert request.proofs == merkle.height(count) - 1
        assert request.base == BASE


@given(st.lists(st.integers(2, 1600), max_size=8), st.integers(1, 4))
def test_all_layers_once(counts: list[int], peers: int) -> None:
    layers = layers_of(counts, BASE)
    if not layers:
        assert exchange_for({}).complete
        return
    world = World(layers)
    for number in range(peers):
        world.joins(str(number), world.honest, 0.01 * number)
    world.run(60)
    assert world.exchange.layers == layers
    every = [request for asked in world.asked.values() for request in asked]
    assert len(every) == len(set(every)), "nobody was late, so nothing was asked for twice"
    total = sum(map(len, layers.values()))
    assert world.exchange.progress() == (total, total)
    assert world.exchange.requests(world.now + 100) == []


def test_progress() -> None:
    layers = layers_of([2, 600], BASE)
    exchange = exchange_for(layers)
    server = HashServer(layers.get, BASE)
    exchange.joined("a")
    received = 0
    assert exchange.progress() == (0, 602 * DIGEST)
    asked = exchange.requests(0)
    for expected in (2, 512, 88):
        answer = server.answer(asked.pop(0)[1])
        assert answer is not None
        complete = exchange.got_hashes("a", answer, 0)
        received += expected * DIGEST
        assert exchange.progress() == (received, 602 * DIGEST)
        assert complete is exchange.complete is (expected == 88)
        asked += exchange.requests(0)


# -- liars -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 3, 5, 600])
def test_any_wrong_byte_is_a_lie_and_harms_nobody(count: int) -> None:
    layers = layers_of([count], BASE)
    for at in range(0, DIGEST * min(HASHES_ASKED, 1 << merkle.height(count)), 31):
        world = World(layers)
        world.joins("liar", lambda request, at=at, world=world: spoilt(world.honest(request), at))  # type: ignore[misc]
        world.joins("a", world.honest)
        assert world.run(20) < 3
        assert world.out == {"liar"}
        assert world.exchange.layers == layers


@pytest.mark.parametrize("uncle", [0, 1])
def test_a_wrong_uncle_is_a_lie(uncle: int) -> None:
    layers = layers_of([1500], BASE)
    world = World(layers)
    world.joins("liar", lambda request: spoilt(world.honest(request), DIGEST * (request.length + uncle)))
    world.joins("a", world.honest)
    world.run(20)
    assert world.out == {"liar"}
    assert world.exchange.layers == layers


def full_tree(leaves: list[bytes]) -> dict[bytes, bytes]:
    """A layer without an end: what would stand beyond it is made up too."""
    assert not len(leaves) & (len(leaves) - 1)
    return {merkle.root_of(b"".join(leaves), BASE): b"".join(leaves)}


@pytest.mark.parametrize("count", [3, 600])
def test_something_beyond_the_end_of_a_file_is_a_lie(count: int) -> None:
    """Somebody made a root of it: the hashes lead there, but the layer that is kept would not."""
    dice = random.Random(1)
    full = full_tree([dice.randbytes(DIGEST) for _ in range(1 << merkle.height(count))])
    world = World(full)
    (root,) = full
    world.exchange = HashExchange({root: count}, BASE)
    world.joins("liar", world.honest)
    world.run(5)
    assert world.out == {"liar"}
    assert world.exchange.layers == {}


def test_something_beyond_the_end_among_the_uncles_is_a_lie() -> None:
    """The last hashes of 513 are two, and of the uncles all but the first part lie beyond the end."""
    dice = random.Random(2)
    leaves = [dice.randbytes(DIGEST) for _ in range(513)] + [merkle.nothing(BASE)] * 511
    good = World(full_tree(leaves))
    good.exchange = HashExchange({next(iter(good.layers)): 513}, BASE)
    good.joins("a", good.honest)
    good.run(5)
    assert good.exchange.complete
    leaves[-1] = bytes(DIGEST)
    bad = World(full_tree(leaves))
    bad.exchange = HashExchange({next(iter(bad.layers)): 513}, BASE)
    bad.joins("liar", bad.honest)
    bad.run(5)
    assert bad.out == {"liar"}


def test_what_was_not_asked_for_is_ignored() -> None:
    layers = layers_of([600, 2], BASE)
    exchange, server = exchange_for(layers), HashServer(layers.get, BASE)
    exchange.joined("a")
    ((_, request),) = exchange.requests(0)
    answer = server.answer(request)
    assert answer is not None
    others = [
        HashRequest(b"?" * 32, request.base, request.index, request.length, request.proofs),
        HashRequest(request.root, 0, request.index, request.length, request.proofs),
        HashRequest(request.root, request.base, 512, request.length, request.proofs),
        HashRequest(request.root, request.base, request.index, 256, request.proofs),
        HashRequest(request.root, request.base, request.index, request.length, 0),
    ]
    for other in others:
        values = (other.root, other.base, other.index, other.length, other.proofs)
        assert not exchange.got_hashes("a", Hashes(*values, bytes(DIGEST * other.length)), 0)
        exchange.rejected("a", reject(other), 0)
    assert not exchange.got_hashes("stranger", answer, 0)
    exchange.rejected("stranger", reject(request), 0)
    assert exchange.progress()[0] == 0
    exchange.got_hashes("a", answer, 0)
    assert exchange.progress()[0] == 512 * DIGEST
    exchange.got_hashes("a", answer, 0)
    assert exchange.progress()[0] == 512 * DIGEST


@pytest.mark.parametrize("counts", [[2], [600, 3, 5]])
def test_fifty_liars_and_one_who_is_not(counts: list[int]) -> None:
    layers = layers_of(counts, BASE)
    world = World(layers)
    for number in range(50):
        world.joins(f"liar {number}", world.liar)
    world.joins("a", world.honest)
    assert world.run(100) < 4
    assert world.exchange.layers == layers


# -- the silent --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("counts", [[2], [5, 5, 5, 600], [3] * 300])
@pytest.mark.parametrize("silent", [1, 10, 200])
def test_nobody_waits_for_the_silent(counts: list[int], silent: int) -> None:
    layers = layers_of(counts, BASE)
    world = World(layers)
    for number in range(silent):
        world.joins(f"silent {number}", lambda request: None)
    world.joins("a", world.honest)
    # Each second twice as many are asked for what is late: 1, 2, 4 … 256.
    assert world.run(100) <= 3 + silent.bit_length() * HASHES_LATE
    assert world.exchange.layers == layers
    assert all(len(world.asked[f"silent {number}"]) <= 1 for number in range(silent))


def test_who_falls_silent_with_much_under_way_holds_up_nobody() -> None:
    layers = layers_of([2] * 500, BASE)
    world = World(layers)
    answers = iter([True] * 3)
    world.joins("tease", lambda request: world.honest(request) if next(answers, False) else None, 0.0)
    world.joins("a", world.honest)
    assert world.run(100) < 5
    assert world.exchange.layers == layers


def test_the_silent_come_last_from_then_on() -> None:
    layers = layers_of([2, 3], BASE)
    exchange = exchange_for(layers)
    exchange.joined("silent")
    ((peer, first),) = exchange.requests(0)
    assert peer == "silent"
    assert exchange.requests(METADATA_TIMEOUT) == [], "the only one, and its time is not up"
    exchange.joined("b")
    assert [peer for peer, _ in exchange.requests(METADATA_TIMEOUT)] == ["b"]
    exchange.rejected("b", reject(layers_request(exchange, layers, 1)), METADATA_TIMEOUT + 0.5)
    asked = exchange.requests(METADATA_TIMEOUT + 1)
    assert [peer for peer, _ in asked] == ["b", "silent"], "one thing each, and who answers before who does not"
    assert asked[0][1] == first


def layers_request(exchange: HashExchange[Hashable], layers: dict[bytes, bytes], number: int) -> HashRequest:
    """What one asks for that file."""
    root = list(layers)[number]
    height = merkle.height(len(layers[root]) // DIGEST)
    return HashRequest(root, BASE, 0, 1 << height, height - 1)


def test_the_only_one_is_asked_again_however_silent() -> None:
    layers = layers_of([2], BASE)
    world = World(layers)
    world.joins("sleepy", lambda request: world.honest(request) if world.now > 2 * METADATA_TIMEOUT else None)
    assert world.run(1000) < 4 * METADATA_TIMEOUT
    assert world.exchange.layers == layers


def test_silence_begins_with_the_question() -> None:
    layers = layers_of([2, 3], BASE)
    exchange = exchange_for(layers)
    exchange.joined("late")
    ((_, first),) = exchange.requests(1000)
    assert exchange.requests(1000 + METADATA_TIMEOUT) == []
    ((peer, again),) = exchange.requests(1000.5 + METADATA_TIMEOUT)
    assert peer == "late"
    assert again != first, "what was never asked for comes first"


def test_slow_is_not_silent() -> None:
    """One answer each 15 s, and it is asked for nothing twice."""
    layers = layers_of([2] * 40, BASE)
    world = World(layers)
    world.joins("slow", world.honest, 0.9 * METADATA_TIMEOUT)
    world.run(10_000)
    assert len(world.asked["slow"]) == 40


def test_who_leaves_leaves_its_requests_to_others() -> None:
    layers = layers_of([2, 600], BASE)
    world = World(layers)
    world.joins("a", lambda request: None)
    world.joins("b", lambda request: None)
    world.run(0.5)
    for name in ("a", "b", "stranger"):
        world.exchange.left(name)
    world.joins("c", world.honest)
    assert world.run(10) < 2
    assert world.exchange.layers == layers


# -- those who have not all --------------------------------------------------------------------------------------------


def test_a_reject_means_not_now() -> None:
    layers = layers_of([2], BASE)
    world = World(layers)
    world.joins("a", lambda request: world.honest(request) if world.now >= 50 else reject(request))
    took = world.run(1000)
    assert 50 < took <= 50 + METADATA_TIMEOUT + 2
    assert len(world.asked["a"]) <= 2 + 50 / METADATA_TIMEOUT


def test_two_halves() -> None:
    """Each has the layers that the other lacks; both refuse as many as they give."""
    layers = layers_of([2] * 400 + [5000], BASE)
    roots = list(layers)
    world = World(layers)
    for half in (0, 1):
        mine = set(roots[half::2])
        world.joins(
            str(half),
            lambda request, mine=mine: world.honest(request) if request.root in mine else reject(request),  # type: ignore[misc]
        )
    assert world.run(1000) < 10
    assert world.exchange.layers == layers


def test_who_refuses_everything_is_hardly_asked() -> None:
    layers = layers_of([2] * 1000, BASE)
    world = World(layers)
    world.joins("a", reject, 0.001)
    world.run(METADATA_TIMEOUT)
    assert len(world.asked["a"]) == HASH_REFUSALS
    world.run(2 * METADATA_TIMEOUT)
    assert len(world.asked["a"]) <= 2 * HASH_REFUSALS + 1
    world.joins("b", world.honest)
    assert world.run(100) < 2 * METADATA_TIMEOUT + 5


# -- how much ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("count", [2, 5000])
def test_so_much_is_asked_of_one_and_of_all(count: int, together: bool) -> None:
    layers = layers_of([count] * 2000 if count == 2 else [count] * 30, BASE)
    world = World(layers)
    exchange = world.exchange
    length = max(HASHES_LEAST, min(count, HASHES_ASKED))
    under_way: dict[Hashable, list[HashRequest]] = {}
    for name in range(20 if count > 2 else 50):
        exchange.joined(name)
        ((peer, request),) = exchange.requests(0)
        under_way[peer] = [request]
    for name in list(under_way):  # each has shown that it answers, and is asked for more
        exchange.got_hashes(name, world.honest(under_way[name].pop()), 0.1)
        for peer, request in [] if together else exchange.requests(0.1):
            under_way[peer].append(request)
    for peer, request in exchange.requests(0.1):
        under_way[peer].append(request)
    sizes = [len(requests) * length for requests in under_way.values()]
    assert together or max(sizes) == HASHES_OF_ONE
    assert HASHES_IN_ALL <= sum(sizes) <= HASHES_IN_ALL + len(sizes) * length
    assert min(sizes) >= length, "one each, whatever the others have under way"
    assert together or min(sizes) == length
    assert exchange.requests(0.1) == []


def test_who_holds_all_and_says_nothing_more_does_not_count() -> None:
    layers = layers_of([2] * 2000, BASE)
    world = World(layers)
    for name in range(20):
        answers = iter([True])
        world.joins(
            f"tease {name}",
            lambda request, answers=answers: world.honest(request) if next(answers, False) else None,  # type: ignore[misc]
            0.0,
        )
    world.joins("a", world.honest)
    assert world.run(100) < 10
    assert world.exchange.layers == layers


def test_who_has_answered_comes_before_who_has_not() -> None:
    layers = layers_of([2, 3, 5], BASE)
    world = World(layers)
    exchange = world.exchange
    exchange.joined("new")
    exchange.joined("a")
    (_, first), (_, second) = exchange.requests(0)
    exchange.rejected("new", reject(first), 0.1)
    exchange.got_hashes("a", world.honest(second), 0.1)
    assert exchange.requests(0.1)[0][0] == "a"


class Counted(dict[bytes, int]):
    """Counts how many files were looked at."""

    seen = 0

    def items(self) -> Iterator[tuple[bytes, int]]:  # type: ignore[override]
        for item in super().items():
            self.seen += 1
            yield item


def test_a_call_does_not_look_at_all_files() -> None:
    needed = Counted((number.to_bytes(32, "big"), 2) for number in range(100_000))
    exchange: HashExchange[str] = HashExchange(needed, BASE)
    exchange.joined("a")
    for _ in range(10):
        exchange.requests(0)
    assert needed.seen == 1
    assert exchange.progress() == (0, 200_000 * DIGEST)


# -- all at once -------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(2, 1100), min_size=1, max_size=30), st.randoms(use_true_random=False), st.integers(0, 25))
def test_a_crowd(counts: list[int], dice: random.Random, size: int) -> None:
    """Liars, silent ones, those who have a part, those who change, and one who has all: soon all is here."""
    layers = layers_of(counts, BASE)
    world = World(layers)

    def fickle(request: HashRequest) -> Hashes | HashReject | None:
        return dice.choice([world.honest, reject, lambda request: None])(request)

    def poor(request: HashRequest) -> Hashes | HashReject:
        return world.honest(request) if request.root[0] % 2 else reject(request)

    for number in range(size):
        says = dice.choice([world.honest, world.liar, reject, fickle, poor, lambda request: None])
        world.joins(str(number), says, dice.choice([0.0, 0.1, 0.9, 5.0]))
    world.joins("a", world.honest)
    for _ in range(dice.randrange(4)):
        world.run(dice.random() * 3)
        if world.exchange.complete:
            break
        world.exchange.left(dice.choice(list(world.peers)[:-1] or ["nobody"]))
        check(world.exchange)
    if not world.exchange.complete:
        world.run(300)
    assert world.exchange.layers == layers
    assert world.now < 60
    check(world.exchange)
    assert all(caught for caught in world.out if world.peers[caught][0] == world.liar)


def check(exchange: HashExchange[Hashable]) -> None:
    """Its books agree with each other."""
    under_way = {part: set(state.askers) for part, state in exchange._under_way.items()}
    assert all(under_way.values())
    assert not set(under_way) & set(exchange._again)
    assert len(set(exchange._again)) == len(exchange._again)
    for name, source in exchange._sources.items():
        assert source.cost == sum(source.asked.values())
        assert {part for part, askers in under_way.items() if name in askers} <= set(source.asked)
        assert len(source.refused) <= HASH_REFUSALS + HASHES_OF_ONE // HASHES_LEAST
