import hashlib
import itertools
import math

import pytest
from hypothesis import given, strategies as st

from torrentlite import limits
from torrentlite.strategy.lsd import AnnouncePlan, Gate, same_network

HASHES = [hashlib.sha1(b"%d" % i).digest() for i in range(3000)]


def announces(plan: AnnouncePlan, until: float, now: float = 0.0, *, room: int = 25) -> list[tuple[float, list[bytes]]]:
    """Everything announced until then, as (time, info-hashes)."""
    said = []
    while now <= until:
        while taken := plan.take(room, now):
            said.append((now, taken))
        later = plan.next(now)
        assert later > now
        now = later
    return said


def test_at_once_then_a_minute_later_then_every_five():
    plan = AnnouncePlan(0)
    assert plan.next(0) == math.inf
    assert plan.want(HASHES[:2], 0)
    said = announces(plan, 1000)
    assert [when for when, _ in said] == [0, 60, 360, 660, 960]
    assert all(taken == HASHES[:2] for _, taken in said)


def test_one_that_is_added_later_comes_at_once():
    plan = AnnouncePlan(0)
    plan.want(HASHES[:1], 0)
    announces(plan, 500)
    assert plan.want(HASHES[:2], 500)
    assert plan.next(500) == 500
    assert plan.take(25, 500) == [HASHES[1]]
    assert plan.take(25, 500) == []


def test_the_same_again_is_nothing_new():
    plan = AnnouncePlan(0)
    plan.want(HASHES[:5], 0)
    announces(plan, 0)
    assert not plan.want(HASHES[:5], 1)
    assert not plan.want(HASHES[:4], 2)
    assert HASHES[0] in plan
    assert HASHES[4] not in plan
    assert plan.take(25, 2) == []


def test_what_is_not_wanted_any_more_is_silent():
    plan = AnnouncePlan(0)
    plan.want(HASHES[:2], 0)
    plan.want([], 0)
    assert plan.take(25, 0) == []
    assert plan.next(0) == math.inf


def test_coming_and_going_does_not_announce_more():
    plan = AnnouncePlan(0)
    said = 0
    for second in range(3600):
        plan.want(HASHES[:1] if second % 2 else [], second)
        said += len(plan.take(25, second))
    assert said <= limits.LSD_BURST + 60


@pytest.mark.parametrize("count", [1, 30, 300, 3000])
def test_announces_come_one_a_minute_in_the_long_run(count):
    plan = AnnouncePlan(0)
    plan.want(HASHES[:count], 0)
    said = announces(plan, 8 * 3600)
    assert len(said) <= limits.LSD_BURST + 8 * 60
    for first, last in itertools.combinations(range(0, len(said), 7), 2):
        assert last - first <= limits.LSD_BURST + (said[last][0] - said[first][0]) / limits.LSD_MIN_INTERVAL
    heard = [info_hash for _, taken in said for info_hash in taken]
    assert set(heard) == set(HASHES[:count]), "each has its turn"
    times = [heard.count(info_hash) for info_hash in (HASHES[0], HASHES[count - 1])]
    assert abs(times[0] - times[1]) <= 1


def test_a_flood_costs_no_more_than_the_rate():
    gate = Gate(0)
    admitted = sum(gate.admits(f"10.0.{i % 250}.{i % 7}", i / 1000) for i in range(60_000))
    assert admitted <= limits.LSD_IN_BURST + 60 * limits.LSD_IN_RATE + 1
    assert admitted >= 60 * limits.LSD_IN_RATE


def test_who_floods_does_not_silence_the_others():
    gate = Gate(0)
    quiet = 0
    for i in range(60_000):
        gate.admits("10.0.0.66", i / 1000)
        if i % 10_000 == 0:
            quiet += gate.admits("10.0.0.1", i / 1000)
    assert quiet == 6


def test_senders_are_remembered_within_bounds():
    gate = Gate(0)
    for i in range(10 * limits.LSD_MAX_HOSTS):
        gate.admits(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}", 0)
    assert len(gate._hosts) == limits.LSD_MAX_HOSTS


@given(st.lists(st.floats(0, 1000), max_size=50))
def test_clocks_may_stand_still_or_go_back(times):
    gate = Gate(0)
    assert (
        sum(gate.admits("10.0.0.1", now) for now in times)
        <= limits.LSD_HOST_BURST + 1000 / limits.LSD_HOST_INTERVAL + 1
    )


@pytest.mark.parametrize(
    ("host", "own", "near"),
    [
        ("8.8.8.8", "8.8.8.9", True),
        ("8.8.8.8", "8.8.9.8", False),
        ("2a00:1:2:3::5", "2a00:1:2:3:ffff::6", True),
        ("2a00:1:2:3::5", "2a00:1:2:4::5", False),
        ("8.8.8.8", "2a00::1", False),
    ],
)
def test_neighbours_with_public_addresses(host, own, near):
    assert same_network(host, own) == near
