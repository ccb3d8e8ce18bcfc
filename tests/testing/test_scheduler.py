import random

import pytest
import trio
import trio.testing

from torrentlite.testing import seeded_scheduler


def order_of_tasks(seed):
    """In which order twenty tasks take their turns, five times."""
    seen = []

    async def turn(number):
        for _ in range(5):
            seen.append(number)
            await trio.lowlevel.checkpoint()

    async def main():
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(turn, number)

    with seeded_scheduler(seed):
        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    return seen


def test_the_same_seed_gives_the_same_order():
    assert order_of_tasks(1) == order_of_tasks(1)


def test_the_order_does_not_follow_from_the_order_of_waking(monkeypatch):
    """Trio's own habit is to turn a batch around or not; what order it has comes from sets of tasks in places."""
    monkeypatch.setattr(trio._core._run, "_ALLOW_DETERMINISTIC_SCHEDULING", False)  # pytest-trio may have set it
    rounds = [order_of_tasks(1)[start : start + 20] for start in range(0, 100, 20)]
    assert all(each not in (sorted(each), sorted(each, reverse=True)) for each in rounds)


def test_another_seed_gives_another_order():
    assert order_of_tasks(1) != order_of_tasks(2)


def test_trio_still_has_these_private_names():
    """When this fails, Trio has changed: look in its ``_run.py`` for how a batch of tasks is shuffled now."""
    run = trio._core._run
    assert isinstance(run._r, random.Random)
    assert run._ALLOW_DETERMINISTIC_SCHEDULING in (True, False)


def test_everything_is_put_back():
    run = trio._core._run
    before = run._ALLOW_DETERMINISTIC_SCHEDULING, run._r.getstate()

    def fail():
        with seeded_scheduler(1):
            assert run._ALLOW_DETERMINISTIC_SCHEDULING
            raise ZeroDivisionError(run._r.random())

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (run._ALLOW_DETERMINISTIC_SCHEDULING, run._r.getstate()) == before


@pytest.mark.parametrize("name", ["_r", "_ALLOW_DETERMINISTIC_SCHEDULING"])
def test_another_trio_is_refused_rather_than_not_seeded(monkeypatch, name):
    monkeypatch.delattr(trio._core._run, name)
    with pytest.raises(RuntimeError, match="could not be replayed"), seeded_scheduler(1):
        raise AssertionError("not reached")
