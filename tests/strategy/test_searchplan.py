"""Turns at the DHT."""

import weakref

from hypothesis import given, strategies as st

from torrentlite.limits import DHT_SEARCHES
from torrentlite.strategy.searchplan import SearchPlan


def taken(plan, now):
    found = []
    while (one := plan.take(now)) is not None:
        found.append(one)
    return found


def test_who_is_due_the_longest_goes_first_and_nobody_before_the_time():
    plan = SearchPlan()
    for name, at in (("b", 20.0), ("a", 10.0), ("c", 30.0)):
        plan.want(name, at, urgent=False)
    assert taken(plan, 5.0) == []
    assert taken(plan, 25.0) == ["a", "b"]
    assert plan.running == 2
    assert "a" in plan and "c" in plan
    assert plan.wishes("c") == 30.0
    plan.drop("c")
    assert taken(plan, 99.0) == []
    assert "c" not in plan


def test_repeaters_leave_half_of_the_seats_to_those_who_have_nobody():
    plan = SearchPlan()
    for number in range(1000):
        plan.want(number, 0.0, urgent=False)
    assert len(taken(plan, 1.0)) == DHT_SEARCHES // 2
    for name in "abcdefghijklmnopqrstuvwxyz":
        plan.want(name, 2.0, urgent=True)
    assert taken(plan, 3.0) == list("abcdefghijklmnopqrstuvwxyz")[: DHT_SEARCHES - DHT_SEARCHES // 2]
    assert taken(plan, 4.0) == []
    plan.ended("a")
    assert len(taken(plan, 5.0)) == 1


def test_a_new_wish_takes_the_place_of_the_old_one():
    plan = SearchPlan()
    plan.want("a", 5.0, urgent=False)
    plan.want("a", 50.0, urgent=True)
    assert taken(plan, 10.0) == []
    assert taken(plan, 50.0) == ["a"]
    plan.want("a", 51.0, urgent=True)
    assert taken(plan, 60.0) == [], "its search is under way"
    plan.want("b", 52.0, urgent=True)
    assert taken(plan, 60.0) == ["b"], "and holds nobody up"
    plan.ended("a")
    assert taken(plan, 60.0) == ["a"]


class Asker:
    """Somebody of whom it can be seen that nobody keeps him."""


def test_who_asks_no_more_is_not_kept_until_his_turn_would_be():
    plan, asker = SearchPlan(), Asker()
    kept = weakref.ref(asker)
    for at in (900.0, 901.0):
        plan.want(asker, at, urgent=False)
    plan.want(asker, 902.0, urgent=True)
    plan.drop(asker)
    del asker
    assert kept() is None
    assert taken(plan, 1000.0) == []


MOVES = st.lists(
    st.tuples(st.sampled_from(["want", "drop", "take", "end"]), st.integers(0, 30), st.floats(0, 20), st.booleans()),
    max_size=80,
)


@given(MOVES)
def test_nobody_runs_twice_nor_without_a_wish(moves):
    plan, wishes, running, now = SearchPlan(), {}, set(), 0.0
    for move, who, seconds, urgent in moves:
        now += seconds / 4
        if move == "want":
            plan.want(who, now + seconds, urgent=urgent)
            wishes[who] = now + seconds
        elif move == "drop":
            plan.drop(who)
            wishes.pop(who, None)
        elif move == "end" and who in running:
            plan.ended(who)
            running.remove(who)
        elif move == "take":
            for one in taken(plan, now):
                assert one not in running
                assert wishes.pop(one) <= now
                running.add(one)
        assert plan.running == len(running) <= DHT_SEARCHES
        assert all(plan.wishes(one) == at for one, at in wishes.items())
