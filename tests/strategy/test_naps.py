"""Who is visited at each tick, and who sleeps."""

import math
import weakref

from hypothesis import given, strategies as st

from torrentlite.limits import NAP, TICK
from torrentlite.strategy.naps import Naps


def ticked(naps, now, due=None):
    """A tick at which everybody says when it is due."""
    visited = naps.take(now)
    for one in visited:
        naps.visited(one, (due or {}).get(one, math.inf), now)
    return visited


def test_who_has_nothing_to_do_sleeps_and_is_woken_by_itself_or_by_time():
    naps = Naps()
    naps.wake("a")
    naps.wake("b")
    assert sorted(ticked(naps, 0.0, {"a": -math.inf})) == ["a", "b"]
    assert ticked(naps, 0.5, {"a": -math.inf}) == ["a"]
    naps.wake("b")
    assert sorted(ticked(naps, 1.0)) == ["a", "b"]
    assert ticked(naps, 1.5) == []
    assert ticked(naps, 0.5 + NAP) == []
    assert sorted(ticked(naps, 1.0 + NAP)) == ["a", "b"]


def test_what_comes_before_the_nap_would_end_is_waited_for_awake():
    naps = Naps()
    naps.wake("a")
    assert ticked(naps, 0.0, {"a": NAP}) == ["a"]
    assert ticked(naps, 0.5, {"a": NAP + 0.4}) == ["a"]
    assert ticked(naps, 1.0, {"a": 2 * NAP}) == ["a"]
    assert ticked(naps, 1.5) == []


def test_who_is_woken_and_sleeps_again_holds_up_nobody_who_slept_all_along():
    naps = Naps()
    naps.wake("a")
    naps.wake("b")
    assert sorted(ticked(naps, 0.0)) == ["a", "b"]
    naps.wake("a")
    assert ticked(naps, NAP / 2) == ["a"]
    assert ticked(naps, NAP) == ["b"]
    assert ticked(naps, NAP / 2 + NAP) == ["a"]


def test_everybody_has_a_turn_at_being_the_first():
    naps = Naps()
    for one in "abc":
        naps.wake(one)
    busy = dict.fromkeys("abc", -math.inf)
    assert {ticked(naps, now, busy)[0] for now in (0.0, 0.5, 1.0)} == {"a", "b", "c"}


class Torrent:
    """Somebody of whom it can be seen that nobody keeps him."""


def test_who_is_dropped_is_kept_by_nobody():
    for now in (0.0, None):
        naps, torrent = Naps(), Torrent()
        naps.wake(torrent)
        if now is not None:
            ticked(naps, now)
        naps.drop(torrent)
        gone = weakref.ref(torrent)
        del torrent
        assert gone() is None


@given(st.lists(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["wake", "drop"]), st.floats(0, 40)))))
def test_nobody_is_forgotten_or_late(ticks):
    """Against a model: everybody is visited at the first tick at or after its time, and after being woken."""
    naps, due = Naps(), {}
    for number, events in enumerate(ticks):
        now = number * TICK
        woken = set()
        for one, what, after in events:
            if what == "drop":
                naps.drop(one)
                due.pop(one, None)
                woken.discard(one)
            elif what == "wake" or one not in due:
                due[one] = now + after
                naps.wake(one)
                woken.add(one)
        visited = naps.take(now)
        assert len(visited) == len(set(visited)) and set(visited) <= set(due)
        assert woken <= set(visited)
        assert {one for one, at in due.items() if at <= now} <= set(visited)
        for one in visited:
            if due[one] <= now:
                due[one] = now + 25.0  # as of an announce: it was started, and the next one is then
            naps.visited(one, due[one], now)


def test_a_thousand_that_sleep_are_not_visited():
    naps = Naps()
    for one in range(1000):
        naps.wake(one)
    visits = sum(len(ticked(naps, number * TICK)) for number in range(int(10 * NAP / TICK)))
    assert visits == 10 * 1000
