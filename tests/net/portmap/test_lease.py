import itertools
import math

import pytest
from hypothesis import given, strategies as st

from torrentlite import limits
from torrentlite.net.portmap.lease import Epoch, Grant, Lease, Transport, bounded_lifetime


def lease(lifetime: float, now: float = 1000.0) -> Lease:
    return Lease(Transport.TCP, Grant("11.9.9.9", 6881, lifetime), now)


def test_renewed_at_half_its_life():
    one = lease(3600)
    assert (one.renew_at, one.expires) == (1000 + 1800, 1000 + 3600)
    one.granted(Grant("11.9.9.9", 6881, 7200), 2800)
    assert (one.renew_at, one.expires) == (2800 + 3600, 2800 + 7200)


def test_failures_come_closer_until_it_is_lost():
    one, now, tries = lease(3600), 1000.0, []
    while not one.lost(now):
        now = one.renew_at
        tries.append(now - 1000)
        one.failed(now)
    assert tries[:4] == [1800, 2700, 3150, 3375]
    assert all(later - earlier >= limits.MAP_RETRY for earlier, later in itertools.pairwise(tries))
    assert tries[-1] < 3600 + limits.MAP_RETRY


def test_what_lasts_for_ever_is_looked_after():
    one = lease(math.inf)
    assert one.renew_at == 1000 + limits.MAP_LIFETIME / 2
    one.failed(5000)
    assert 5000 < one.renew_at < 10_000
    assert not one.lost(1e9)


@given(st.integers(-(2**31), 2**32))
def test_a_gateways_word_is_bounded(lifetime):
    assert limits.MAP_MIN_LIFETIME <= bounded_lifetime(lifetime) <= limits.MAP_MAX_LIFETIME


def test_what_was_forgotten_is_asked_for_soon_but_not_again_and_again():
    one = lease(3600)
    one.forgotten(1000)
    assert one.renew_at == 1000 + limits.MAP_RETRY
    one.forgotten(2000)
    assert one.renew_at == 1000 + limits.MAP_RETRY
    one.granted(Grant("", 1, 3600), 2000)
    one.forgotten(2500)
    assert one.renew_at == 2500


@pytest.mark.parametrize(
    ("theirs", "restarted"),
    [
        ([0, 10, 20], [False, False, False]),
        ([5000, 5010, 5020], [False, False, False]),
        ([100, 109, 121], [False, False, False]),  # rounded
        ([100, 0, 10], [False, True, False]),
        ([100, 100, 110], [False, True, False]),  # it stood still: more than clocks differ
        ([100, 500, 510], [False, True, False]),
    ],
)
def test_epochs(theirs, restarted):
    epoch = Epoch()
    assert [epoch.restarted(value, 1000.0 + 10 * i) for i, value in enumerate(theirs)] == restarted


@given(st.integers(0, 2**31), st.floats(0, 1e6), st.floats(0.95, 1.05))
def test_a_clock_that_runs_a_little_wrong_is_no_restart(start, passed, speed):
    epoch = Epoch()
    assert not epoch.restarted(start, 0)
    assert not epoch.restarted(start + round(passed * speed), passed)
