import pytest
from hypothesis import given, strategies as st

from torrentlite import limits
from torrentlite.utp.ledbat import (
    BASE_MINUTES,
    FIRST_TIMEOUT,
    GAIN,
    MAX_TIMEOUT,
    MIN_TIMEOUT,
    TARGET,
    DelayHistory,
    RoundTrip,
    Window,
)

PACKET = limits.UTP_PACKET
WRAP = 1 << 32


# -- delays ------------------------------------------------------------------------------------------------------------


def history(*delays, every=0.1):
    made = DelayHistory()
    for number, delay in enumerate(delays):
        made.add(delay % WRAP, number * every)
    return made


@given(st.integers(0, WRAP - 1), st.lists(st.integers(0, 1 << 30), min_size=1, max_size=30))
def test_what_waits_is_above_the_shortest_whatever_the_clocks_say(offset, delays):
    expected = min(delays[-3:]) - min(delays)
    assert history(*(offset + delay for delay in delays)).waiting == expected


def test_one_packet_may_have_waited_for_anything():
    assert history(5000, 5000, 90_000, 80_000).waiting == 0
    assert history(5000, 70_000, 90_000, 80_000).waiting == 65_000


def test_a_longer_way_is_the_way_after_some_minutes():
    made = DelayHistory()
    made.add(1000, 0.0)
    seen = []
    for second in range(1, 60 * (BASE_MINUTES + 2)):
        made.add(51_000, float(second))
        made.add(51_000, float(second))
        made.add(51_000, float(second))
        seen.append(made.waiting)
    assert set(seen) == {50_000, 0}
    assert 60 * BASE_MINUTES <= seen.index(0) + 1 <= 60 * (BASE_MINUTES + 1)


@pytest.mark.parametrize("pause", [30.0, 59.9, 61.0, 200.0, 10_000.0])
def test_after_a_pause(pause):
    made = history(2000, 1000, 4000, every=pause)
    assert made.waiting == 0
    made.add(9000, 3 * pause)
    assert 0 <= made.waiting < WRAP // 2


# -- round trips -------------------------------------------------------------------------------------------------------


def test_the_first_time_out_is_a_second():
    assert RoundTrip().timeout == FIRST_TIMEOUT == 1.0


def test_time_outs_by_the_formula_of_the_bep():
    trip = RoundTrip()
    trip.add(0.4)
    trip.add(0.8)
    # rtt_var += (abs(delta) - rtt_var) / 4; rtt += (packet_rtt - rtt) / 8
    variance = 0.2 + (0.4 - 0.2) / 4
    assert trip.variance == pytest.approx(variance)
    assert trip.smoothed == pytest.approx(0.45)
    assert trip.timeout == pytest.approx(0.45 + 4 * variance)


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.1])
def test_no_time_out_is_shorter_than_half_a_second(seconds):
    trip = RoundTrip()
    for _ in range(50):
        trip.add(seconds)
    assert trip.timeout == MIN_TIMEOUT == 0.5


def test_each_time_out_is_twice_the_one_before():
    trip = RoundTrip()
    seen = []
    for _ in range(8):
        trip.back_off()
        seen.append(trip.timeout)
    assert seen[:3] == [2.0, 4.0, MAX_TIMEOUT]
    assert seen[-1] == MAX_TIMEOUT
    for _ in range(50):
        trip.add(0.1)
    assert trip.timeout == MIN_TIMEOUT
    trip.add(1000.0)
    assert trip.timeout == MAX_TIMEOUT


# -- the window --------------------------------------------------------------------------------------------------------


def used(size=None, *, slow_start=False, largest=limits.UTP_WINDOW):
    """A window that is full at time 0."""
    window = Window(PACKET, largest)
    if not slow_start:
        window.lost()
    if size is not None:
        window.size = float(size)
    window.was_full(0.0)
    return window


def round_trip(window, waiting, now=0.0):
    """Everything that is under way arrives, packet by packet."""
    left = window.size
    while left > 0:
        window.acked(min(PACKET, left), waiting, now)
        left -= PACKET


def test_it_doubles_each_round_trip_to_begin_with():
    window = used(slow_start=True)
    assert window.size == 4 * PACKET
    for factor in (8, 16, 32):
        round_trip(window, 0)
        assert window.size == factor * PACKET


@pytest.mark.parametrize("size", [20_000, 200_000, 700_000])
def test_it_grows_by_the_gain_in_a_round_trip_where_nothing_waits(size):
    window = used(size)
    round_trip(window, 0)
    assert size + 0.85 * GAIN < window.size <= size + GAIN


@pytest.mark.parametrize(("waiting", "share"), [(TARGET // 2, 0.5), (TARGET, 0.0), (TARGET * 3 // 2, -0.5), (TARGET * 2, -1.0), (TARGET * 50, -1.0)])  # fmt: skip
def test_it_follows_how_far_the_line_is_from_the_target(waiting, share):
    window = used(300_000)
    round_trip(window, waiting)
    assert window.size - 300_000 == pytest.approx(share * GAIN, rel=0.05, abs=1)


def test_the_target_is_that_of_the_bep():
    assert TARGET == 100_000


def test_what_waits_ends_the_doubling_and_takes_the_last_one_back():
    window = used(100_000, slow_start=True)
    window.acked(PACKET, int(0.85 * TARGET), 0.0)
    assert window.size == 100_000 + PACKET
    window.acked(PACKET, int(0.95 * TARGET), 0.0)
    before = window.size
    assert before == (100_000 + PACKET) / 2
    round_trip(window, 0)
    assert window.size <= before + GAIN


def test_a_loss_halves_it():
    window = used(100_000, slow_start=True)
    window.lost()
    assert window.size == 50_000
    window.was_full(0.0)
    round_trip(window, 0)
    assert window.size <= 50_000 + GAIN


def test_a_time_out_leaves_one_packet_and_half_of_the_way_back_is_quick():
    window = used(64 * PACKET)
    window.timed_out()
    assert window.size == PACKET
    sizes = []
    for _ in range(8):
        round_trip(window, 0)
        sizes.append(window.size / PACKET)
    assert 32 <= sizes[4] < 40
    assert sizes[7] - sizes[6] < 1.01 * GAIN / PACKET


def test_what_is_not_used_does_not_grow():
    window = used(50_000)
    window.acked(PACKET, 0, 1.1)
    assert window.size == 50_000
    window.acked(PACKET, 0, 0.9)
    assert window.size > 50_000


@given(st.lists(st.sampled_from(["acked", "lost", "late", "timed_out"]), max_size=200), st.integers(0, 1 << 32))
def test_it_has_bounds(events, waiting):
    window = used(slow_start=True)
    for event in events:
        if event == "acked":
            window.acked(400_000, 0, 0.0)
        elif event == "late":
            window.acked(400_000, waiting, 0.0)
        else:
            getattr(window, event)()
        assert PACKET <= window.size <= limits.UTP_WINDOW


def test_it_is_never_larger_than_the_limit():
    window = used(slow_start=True)
    for _ in range(30):
        round_trip(window, 0)
    assert window.size == limits.UTP_WINDOW
