import math
import random

import pytest
from hypothesis import given, strategies as st

from torrentlite import limits
from torrentlite.strategy.peerlist import (
    BY_HAND,
    DHT,
    FRESH,
    LOCAL,
    MAGNET,
    RETRY,
    RETRY_ANEW,
    RETRY_NAMED,
    RETRY_USEFUL,
    TRACKER,
    PeerAddress,
    PeerList,
)
from torrentlite.wire.address import Address, Scope

PUBLIC, PRIVATE, LOOPBACK = Scope.PUBLIC, Scope.PRIVATE, Scope.LOOPBACK


def public(number: int, port: int = 6881) -> Address:
    return Address(f"8.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", port)


def some(count: int, *, limit: int = limits.MAX_KNOWN_PEERS) -> PeerList:
    peers = PeerList(random.Random(1), limit=limit)
    for number in range(count):
        assert peers.add(public(number), "tracker", PUBLIC, 0.0)
    return peers


def dial(peers: PeerList, now: float) -> Address | None:
    peer = peers.candidate(now)
    if peer is None:
        return None
    peers.dialing(peer)
    return peer.address


def dial_all(peers: PeerList, now: float) -> list[Address]:
    dialled = []
    while (address := dial(peers, now)) is not None:
        dialled.append(address)
    return dialled


# -- what gets in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "within", "taken"),
    [
        (Address("8.8.8.8", 1), PUBLIC, True),
        (Address("8.8.8.8", 0), PUBLIC, False),
        (Address("2001:4860::1", 6881), PUBLIC, True),
        (Address("192.168.1.2", 6881), PUBLIC, False),
        (Address("192.168.1.2", 6881), PRIVATE, True),
        (Address("127.0.0.1", 6881), PRIVATE, False),
        (Address("::1", 6881), PRIVATE, False),
        (Address("127.0.0.1", 6881), LOOPBACK, True),
        (Address("127.0.0.1", 0), LOOPBACK, False),
        (Address("169.254.169.254", 80), LOOPBACK, False),
        (Address("0.0.0.0", 6881), LOOPBACK, False),
        (Address("239.1.2.3", 6881), LOOPBACK, False),
        (Address("example.com", 6881), LOOPBACK, False),
    ],
)
def test_takes_what_its_source_may_name(address: Address, within: Scope, taken: bool) -> None:
    peers = PeerList(random.Random())
    assert peers.add(address, "pex", within, 0.0) is taken
    assert len(peers) == taken
    assert dial(peers, 0.0) == (address if taken else None)


def test_remembers_where_it_came_from() -> None:
    peers = PeerList(random.Random())
    assert peers.add(public(1), "dht", PUBLIC, 0.0)
    assert not peers.add(public(1), "pex", PUBLIC, 0.0)
    known = peers.get(public(1))
    assert known is not None
    assert (known.source, known.within) == ("dht", PUBLIC)
    assert len(peers) == 1
    assert list(peers) == [known]


def test_one_public_host_has_few_ports() -> None:
    peers = PeerList(random.Random())
    taken = [peers.add(public(1, port), "pex", PUBLIC, 0.0) for port in range(1, 1001)]
    assert sum(taken) == len(peers) == limits.MAX_PORTS_PER_HOST
    assert all(peers.add(Address("10.0.0.1", port), "pex", PRIVATE, 0.0) for port in range(1, 101))


def test_the_user_may_ask_again_at_any_time() -> None:
    peers = some(3)
    dial_all(peers, 0.0)
    assert not peers.add(public(1), BY_HAND, LOOPBACK, 1.0)  # it is being dialled
    for number in range(3):
        peers.failed(public(number), 1.0)
    assert dial(peers, 2.0) is None
    assert peers.add(public(1), BY_HAND, LOOPBACK, 2.0)
    assert dial(peers, 2.0) == public(1)
    assert len(peers) == 3


# -- who is dialled ----------------------------------------------------------------------------------------------------


def test_by_hand_first_then_useful_then_untried_then_failed() -> None:
    peers = some(2)
    failed, useful = dial_all(peers, 0.0)
    peers.failed(failed, 0.0)
    peers.connected(useful)
    peers.disconnected(useful, 0.0, useful=True)
    peers.add(public(100), "tracker", PUBLIC, 0.0)
    peers.add(public(200), BY_HAND, LOOPBACK, 0.0)
    assert dial_all(peers, 100.0) == [public(200), useful, public(100), failed]


@pytest.mark.parametrize("useful", [False, True])
def test_whom_we_left_ourselves_is_dialled_at_once(useful: bool) -> None:
    peers = some(3)
    ours, broke_off, _ = dial_all(peers, 0.0)
    for address in (broke_off, ours):
        peers.connected(address)
        peers.disconnected(address, 10.0, useful=useful, dismissed=address == ours)
    assert dial_all(peers, 10.0) == [ours]


def test_nobody_twice_at_a_time() -> None:
    peers = some(1)
    assert dial(peers, 0.0) == public(0)
    assert dial(peers, 0.0) is None
    peers.connected(public(0))
    assert dial(peers, 1e9) is None


def test_who_called_us_is_not_dialled() -> None:
    peers = some(1)
    peers.connected(public(0))
    assert dial(peers, 0.0) is None
    peers.disconnected(public(0), 50.0, useful=False)
    assert dial(peers, 50.0 + RETRY[0]) == public(0)


def test_waits_longer_after_each_failure() -> None:
    peers = some(1)
    now = 0.0
    for delay in (*RETRY, RETRY[-1], RETRY[-1]):
        assert dial(peers, now) == public(0)
        peers.failed(public(0), now)
        assert dial(peers, now + delay - 0.1) is None
        now += delay


def test_use_wipes_failures_away() -> None:
    peers = some(1)
    dial(peers, 0.0)
    peers.failed(public(0), 0.0)
    assert peers.failing == 1
    assert dial(peers, 10.0) == public(0)
    assert peers.failing == 0
    peers.connected(public(0))
    peers.disconnected(public(0), 20.0, useful=True)
    assert dial(peers, 20.0 + RETRY_USEFUL - 0.1) is None
    assert dial(peers, 20.0 + RETRY_USEFUL) == public(0)
    peers.failed(public(0), 30.0)
    assert dial(peers, 30.0 + RETRY[0]) == public(0)


def test_a_stay_without_use_is_a_failure() -> None:
    peers = some(1)
    now = 0.0
    for delay in RETRY[:3]:
        assert dial(peers, now) == public(0)
        peers.connected(public(0))
        now += 600.0
        peers.disconnected(public(0), now, useful=False)
        assert dial(peers, now + delay - 0.1) is None
        now += delay


def test_who_answers_and_is_no_peer_of_this_is_counted() -> None:
    peers = some(3)
    first, second = dial(peers, 0), dial(peers, 0)
    assert first is not None and second is not None
    peers.failed(first, 0, strange=True)
    peers.failed(second, 0)
    assert peers.strange == 1
    peers.failed(first, 20)
    assert peers.strange == 0, "nobody answers there any more"
    peers.failed(first, 40, strange=True)
    peers.connected(first)
    assert peers.strange == 0


def test_by_hand_is_asked_every_minute() -> None:
    peers = PeerList(random.Random())
    peers.add(public(0), BY_HAND, LOOPBACK, 0.0)
    now, dialled = 0.0, 0
    while now < 3600:
        if dial(peers, now) is not None:
            peers.failed(public(0), now)
            dialled += 1
        now += 1.0
    assert dialled >= 59


@pytest.mark.parametrize(
    ("source", "delays"),
    [
        (BY_HAND, (*RETRY_NAMED, RETRY_NAMED[-1], RETRY_NAMED[-1])),
        (MAGNET, (*RETRY_NAMED, RETRY[-1], RETRY[-1])),
    ],
)
def test_who_was_named_is_soon_tried_again(source: str, delays: tuple[float, ...]) -> None:
    peers, now = PeerList(random.Random()), 0.0
    peers.add(public(0), source, PUBLIC, now)
    for delay in delays:
        assert dial(peers, now) == public(0)
        peers.failed(public(0), now)
        assert peers.failing == 1
        assert dial(peers, now + delay - 0.1) is None
        now += delay
    assert RETRY_NAMED[0] <= 1


# -- who may be there again --------------------------------------------------------------------------------------------


def failing(peers: PeerList, now: float, times: int = len(RETRY)) -> float:
    """All are dialled and fail so often; when they did last."""
    for step in range(times):
        for address in dial_all(peers, now):
            peers.failed(address, now)
        if step < times - 1:
            now += RETRY[step]
    return now


@pytest.mark.parametrize("source", [TRACKER, DHT, LOCAL, "pex"])
def test_fresh_word_brings_one_attempt_forward(source: str) -> None:
    peers = some(1)
    now = failing(peers, 0.0) + RETRY_ANEW
    assert not peers.add(public(0), source, PUBLIC, now), "it is known"
    assert peers.failing == 1
    assert dial(peers, now) == (public(0) if source in FRESH else None)
    if source in FRESH:
        peers.failed(public(0), now)
        assert dial(peers, now + RETRY[-1] - 0.1) is None
        assert dial(peers, now + RETRY[-1]) == public(0)


@pytest.mark.parametrize("every", [60, 300, 900, 1800])
@pytest.mark.parametrize("network", [False, True])
def test_the_same_word_all_day_is_worth_one_attempt_in_two(every: int, network: bool) -> None:
    def dials(word: bool) -> int:
        peers, count = some(1), 0
        for now in range(0, 86400, 10):
            if word and now % every == 0:
                if network:
                    peers.try_again(now, wished=False)
                else:
                    peers.add(public(0), DHT, PUBLIC, now)
            if dial(peers, now):
                count += 1
                peers.failed(public(0), now)
        return count

    assert dials(False) < dials(True) <= 2 * dials(False)


def test_word_of_who_failed_a_moment_ago() -> None:
    """It is tried a minute later, or when its turn would have come; and holds up nobody whose failure is older."""
    peers = some(1)
    before = failing(peers, 0.0)
    peers.add(public(1), TRACKER, PUBLIC, before)
    now = failing(peers, before, 3)
    assert now > before + RETRY_ANEW
    for number in (1, 0, 1):
        peers.add(public(number), DHT, PUBLIC, now + 1)
    assert dial_all(peers, now + 1) == [public(0)]
    assert dial_all(peers, now + RETRY_ANEW) == []
    assert dial_all(peers, now + 1 + RETRY_ANEW) == [public(1)]
    peers = some(1)
    now = failing(peers, 0.0, 1)
    peers.add(public(0), TRACKER, PUBLIC, now)
    assert dial(peers, now + RETRY[0]) == public(0)


def test_who_was_reached_and_of_no_use_is_no_news() -> None:
    peers = some(1)
    now = failing(peers, 0.0, 3) + RETRY[2]
    dial(peers, now)
    peers.connected(public(0))
    peers.disconnected(public(0), now, useful=False)
    peers.add(public(0), TRACKER, PUBLIC, now + RETRY_ANEW)
    assert dial(peers, now + RETRY[3] - 0.1) is None
    peers.try_again(now + RETRY_ANEW, wished=True)
    assert dial(peers, now + RETRY_ANEW) == public(0)


def test_an_address_whose_name_leads_elsewhere_is_one_of_many() -> None:
    peers = PeerList(random.Random(1), limit=1)
    peers.add(public(0), BY_HAND, LOOPBACK, 0.0)
    assert not peers.lost(public(0))
    dial(peers, 0.0)
    peers.failed(public(0), 0.0)
    assert peers.lost(public(0))
    assert not peers.lost(public(9)), "nobody knows it"
    assert not peers.add(public(1), TRACKER, PUBLIC, 0.0)
    peers.retire(public(0))
    peers.retire(public(9))
    assert dial(peers, RETRY_NAMED[0]) == public(0), "it is tried, all the same"
    assert not peers.lost(public(0)), "it may be there after all"
    peers.connected(public(0))
    peers.disconnected(public(0), 1.0, useful=False)
    assert not peers.lost(public(0)), "it is there"
    peers.failed(public(0), 2.0)
    assert peers.add(public(1), TRACKER, PUBLIC, 2.0)


def test_all_begin_anew_with_the_best_first() -> None:
    peers = some(1)
    failing(peers, 0.0)
    for number, times in ((1, 2), (2, 4)):
        peers.add(public(number), TRACKER, PUBLIC, 0.0)
        failing(peers, 0.0, times)
    now = 10_000.0
    for number in range(3):
        peers.failed(public(number), now)  # however it came to that
    assert dial(peers, now + RETRY[2] - 1) is None
    now += RETRY_ANEW
    peers.try_again(now, wished=True)
    assert dial_all(peers, now) == [public(1), public(2), public(0)]
    for delay in RETRY[1:]:
        for number in range(3):
            peers.failed(public(number), now)
        assert dial(peers, now + delay - 0.1) is None
        now += delay
        assert len(dial_all(peers, now)) == 3


def test_only_who_failed_begins_anew() -> None:
    peers = some(2)
    dial(peers, 0.0)
    (useful,) = (peer.address for peer in peers if peer.queue is None)
    peers.connected(useful)
    peers.disconnected(useful, 100.0, useful=True)
    peers.add(public(9), BY_HAND, LOOPBACK, 100.0)
    peers.try_again(100.0, wished=True)
    peers.add(useful, TRACKER, PUBLIC, 100.0)
    assert useful not in dial_all(peers, 100.0 + RETRY_USEFUL - 0.1)
    assert dial_all(peers, 100.0 + RETRY_USEFUL) == [useful]


@pytest.mark.parametrize("wish", [True, False])
def test_the_dead_are_not_hammered_whatever_is_said(wish: bool) -> None:
    peers, now, dialled = some(5), 0.0, 0
    while now < 3600:
        for address in dial_all(peers, now):
            peers.failed(address, now)
            dialled += 1
        for number in range(5):
            peers.add(public(number), TRACKER, PUBLIC, now)
        if wish:
            peers.try_again(now, wished=True)
        now += 1.0
    assert dialled <= 5 * (3600 / RETRY_ANEW + 2)


def test_who_is_tried_again_still_makes_room() -> None:
    peers = some(3, limit=3)
    now = failing(peers, 0.0) + RETRY_ANEW
    peers.try_again(now, wished=True)
    assert peers.add(public(9), "pex", PUBLIC, now)
    assert len(peers) == 3


def test_each_source_has_its_turn() -> None:
    peers = PeerList(random.Random(1))
    for number in range(1000):
        peers.add(public(number), "pex", PUBLIC, 0.0)
    for number in range(2000, 2003):
        peers.add(public(number), "tracker", PUBLIC, 0.0)
    known = [peers.get(address) for address in dial_all(peers, 0.0)[:6]]
    assert sorted(peer.source for peer in known if peer) == ["pex"] * 3 + ["tracker"] * 3


def test_untried_ones_in_any_order() -> None:
    firsts = set()
    for seed in range(200):
        peers = PeerList(random.Random(seed))
        for number in range(5):
            peers.add(public(number), "tracker", PUBLIC, 0.0)
        order = dial_all(peers, 0.0)
        assert sorted(order) == [public(number) for number in range(5)]
        firsts.add(order[0])
    assert len(firsts) == 5


# -- who never is ------------------------------------------------------------------------------------------------------


def test_never_ourselves() -> None:
    peers = some(2)
    dial(peers, 0.0)
    peers.ourselves(public(0))
    peers.ourselves(public(1))
    assert len(peers) == 0
    peers.failed(public(0), 1.0)  # the attempt that found it out ends
    assert not peers.add(public(0), BY_HAND, LOOPBACK, 2.0)
    assert dial(peers, 1e9) is None


def test_never_the_banned() -> None:
    peers = some(3)
    for port in (1, 2):
        peers.add(Address("127.0.0.1", port), BY_HAND, LOOPBACK, 0.0)
    peers.ban(public(1).host, "bad data")
    peers.ban("127.0.0.1:1", "bad data")
    assert peers.banned(public(1).host) == "bad data"
    assert peers.banned(public(2).host) is None
    assert set(dial_all(peers, 0.0)) == {public(0), public(2), Address("127.0.0.1", 2)}
    assert not peers.add(public(1, 7000), "tracker", PUBLIC, 0.0)
    assert not peers.add(Address("127.0.0.1", 1), BY_HAND, LOOPBACK, 0.0)
    assert len(peers) == 3


def test_what_strangers_can_make_grow_is_bounded() -> None:
    peers = PeerList(random.Random())
    for number in range(limits.MAX_BANS + 10):
        peers.ban(public(number).host, "")
    assert peers.banned(public(0).host) is None
    assert peers.banned(public(limits.MAX_BANS + 9).host) == ""
    for number in range(limits.MAX_OWN_ADDRESSES + 1):
        peers.ourselves(public(20_000 + number))
    assert not peers.add(public(20_001), "pex", PUBLIC, 0.0)
    assert peers.add(public(20_000), "pex", PUBLIC, 0.0)


# -- a full list -------------------------------------------------------------------------------------------------------


def test_the_worst_make_room() -> None:
    peers = some(10, limit=10)
    twice, once, *_ = (dial(peers, 0.0) for _ in range(10))
    assert twice
    assert once
    peers.failed(twice, 0.0)
    peers.failed(twice, 0.0)
    peers.failed(once, 0.0)
    assert peers.add(public(100), "tracker", PUBLIC, 1.0)
    assert peers.get(twice) is None
    assert peers.add(public(101), "tracker", PUBLIC, 1.0)
    assert peers.get(once) is None
    # What is left is dialled or connected, or as good as what comes.
    assert not peers.add(public(102), "tracker", PUBLIC, 1.0)
    assert len(peers) == 10


def test_a_flood_from_one_source_crowds_nobody_out() -> None:
    peers = PeerList(random.Random(1), limit=100)
    peers.add(public(9999), "tracker", PUBLIC, 0.0)
    taken = sum(peers.add(public(number), "pex", PUBLIC, 0.0) for number in range(500))
    assert taken == 99
    assert all(peers.add(public(number), "dht", PUBLIC, 0.0) for number in range(1000, 1040))
    sources = [peer.source for peer in peers]
    assert (sources.count("pex"), sources.count("dht"), sources.count("tracker")) == (59, 40, 1)


def test_what_was_given_by_hand_stays() -> None:
    peers = PeerList(random.Random(1), limit=5)
    for number in range(8):
        assert peers.add(public(number), BY_HAND, LOOPBACK, 0.0)
        dial(peers, 0.0)
        peers.failed(public(number), 0.0)
    assert not peers.add(public(100), "tracker", PUBLIC, 0.0)
    assert len(peers) == 8


@given(st.data())
def test_each_is_in_one_place(data: st.DataObject) -> None:
    peers, now = PeerList(random.Random(1), limit=6), 0.0
    busy: dict[Address, PeerAddress] = {}
    for _ in range(data.draw(st.integers(0, 40))):
        now += data.draw(st.sampled_from([0.0, 5.0, 60.0, 4000.0]))
        address = public(data.draw(st.integers(0, 9)))
        wishes = ["add", "hand", "again", "dial", "in", "fail", "useful", "idle", "ban", "self"]
        match data.draw(st.sampled_from(wishes)):
            case "add":
                peers.add(address, data.draw(st.sampled_from(["pex", "dht"])), PUBLIC, now)
            case "again":
                peers.try_again(now, wished=True)
            case "hand":
                peers.add(address, BY_HAND, LOOPBACK, now)
            case "dial":
                peer = peers.candidate(now)
                if peer is not None:
                    assert peer.address not in busy
                    assert peer.retry_at <= now
                    assert peers.banned(peer.address.host) is None
                    peers.dialing(peer)
                    busy[peer.address] = peer
            case "in":
                peers.connected(address)
                if known := peers.get(address):
                    busy[address] = known
            case "fail":
                peers.failed(address, now)
                busy.pop(address, None)
            case "useful":
                peers.disconnected(address, now, useful=True)
                busy.pop(address, None)
            case "idle":
                peers.disconnected(address, now, useful=False)
                busy.pop(address, None)
            case "ban":
                peers.ban(address.host, "bad")
            case "self":
                peers.ourselves(address)
                busy.pop(address, None)
        at = peers.next_due()
        if at > now:
            assert peers.candidate(min(math.nextafter(at, -math.inf), now + 1e6)) is None
        # One that is banned is only forgotten when its turn comes.
        assert at == math.inf or peers.candidate(max(at, now)) is not None or peers.next_due() > at
        waiting = [peer for peer in peers if peer.queue is not None]
        assert {peer.address for peer in peers if peer.queue is None} == set(busy)
        assert sum(len(queue) for queue in peers._queues()) == len(waiting)
        assert sum(peers._per_host.values()) == len(peers)
    left = dial_all(peers, now + 1e6)
    assert len(set(left)) == len(left)
    assert all(peers.banned(address.host) is None for address in left)
