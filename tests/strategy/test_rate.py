from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from torrentlite.metainfo.layout import BLOCK_SIZE
from torrentlite.strategy.rate import RateMeter, TokenBucket


def test_nothing_moved_is_no_rate() -> None:
    meter = RateMeter()
    assert meter.rate(0.0) == 0.0
    assert meter.rate(1e9) == 0.0
    assert meter.total == 0


@pytest.mark.parametrize("seconds", [2, 5, 60])
def test_a_steady_flow_is_measured_from_the_first_seconds_on(seconds: int) -> None:
    meter = RateMeter()
    for tick in range(seconds * 20):
        meter.add(5_000, tick / 20)
    assert meter.rate(float(seconds)) == pytest.approx(100_000, rel=0.05)
    assert meter.total == seconds * 100_000


def test_a_single_early_block_is_no_wild_rate() -> None:
    meter = RateMeter()
    meter.add(BLOCK_SIZE, 7.0)
    assert meter.rate(7.0) <= BLOCK_SIZE * 1.3


def test_the_rate_falls_when_nothing_more_comes() -> None:
    meter = RateMeter(0.0)
    for tick in range(200):
        meter.add(5_000, tick / 20)
    rates = [meter.rate(10.0 + later) for later in range(0, 30, 3)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > 90_000
    assert rates[-1] < 50


def test_a_change_of_pace_is_seen_within_seconds() -> None:
    meter = RateMeter(0.0)
    for tick in range(400):
        meter.add(1_000 if tick < 200 else 50_000, tick / 20)
    assert meter.rate(20.0) > 900_000


def test_a_meter_born_early_counts_the_silence() -> None:
    meter = RateMeter(0.0)
    meter.add(30_000, 3.0)
    assert meter.rate(3.0) == pytest.approx(30_000 / 1.9, rel=0.01)


def test_looking_changes_nothing() -> None:
    looked, left = RateMeter(), RateMeter()
    for tick in range(100):
        looked.add(1_000, tick / 10)
        left.add(1_000, tick / 10)
        looked.rate(tick / 10)
    assert looked.rate(10.0) == pytest.approx(left.rate(10.0), rel=0.05)


def test_an_unlimited_bucket_grants_all_and_never_waits() -> None:
    bucket = TokenBucket(0, 0.0)
    assert bucket.take(1 << 40, 0.0) == 1 << 40
    assert bucket.reserve(1 << 40, 0.0) == 0.0


def test_take_holds_the_rate_on_average() -> None:
    bucket = TokenBucket(100_000, 0.0)
    taken = sum(bucket.take(BLOCK_SIZE * 10, tick / 50) for tick in range(500))
    assert taken == pytest.approx(10 * 100_000 + 50_000, rel=0.01)  # ten seconds and the first burst


def test_a_rate_below_a_block_still_lets_a_block_through() -> None:
    bucket = TokenBucket(1_000, 0.0)
    assert bucket.take(BLOCK_SIZE, 0.0) == BLOCK_SIZE
    assert bucket.take(BLOCK_SIZE, 1.0) == 1_000
    bucket.give(1_000)
    assert bucket.take(BLOCK_SIZE, 1.0 + 16.0) == BLOCK_SIZE


def test_reservations_queue_up_one_behind_the_other() -> None:
    bucket = TokenBucket(100_000, 0.0)
    assert bucket.reserve(50_000, 0.0) == 0.0
    assert bucket.reserve(100_000, 0.0) == pytest.approx(1.0)
    assert bucket.reserve(1_000, 0.0) == pytest.approx(1.01)
    assert bucket.reserve(1_000, 0.5) == pytest.approx(0.52)
    assert bucket.take(10, 0.5) == 0


def test_what_was_booked_in_vain_comes_back() -> None:
    bucket = TokenBucket(100_000, 0.0)
    bucket.reserve(150_000, 0.0)
    bucket.give(150_000)
    assert bucket.reserve(50_000, 0.0) == 0.0


def test_the_rate_can_be_set_while_running() -> None:
    bucket = TokenBucket(1_000, 0.0)
    bucket.reserve(100_000, 0.0)
    bucket.rate = 0
    assert bucket.reserve(1 << 30, 1.0) == 0.0
    bucket.rate = 1_000_000
    assert bucket.reserve(1_000_000, 10.0) == pytest.approx(0.5)


def test_a_clock_that_goes_back_gives_nothing_away() -> None:
    bucket = TokenBucket(100_000, 10.0)
    bucket.take(1 << 20, 10.0)
    assert bucket.take(1 << 20, 5.0) == 0
    assert bucket.take(1 << 20, 10.0) == 0
    assert bucket.take(1 << 20, 10.5) == 50_000


@given(
    rate=st.integers(1_000, 10_000_000),
    asks=st.lists(st.tuples(st.integers(0, 1 << 20), st.floats(0, 2), st.booleans()), max_size=60),
)
def test_never_more_than_rate_and_burst(rate: int, asks: list[tuple[int, float, bool]]) -> None:
    bucket = TokenBucket(rate, 0.0)
    now = 0.0
    moved = 0
    latest = 0.0
    for count, pause, waits in asks:
        now += pause
        if waits:
            latest = max(latest, now + bucket.reserve(count, now))
            moved += count
        else:
            granted = bucket.take(count, now)
            assert 0 <= granted <= count
            moved += granted
            latest = max(latest, now)
        assert moved <= max(BLOCK_SIZE, rate * 0.5) + latest * rate * 1.000001 + 1
