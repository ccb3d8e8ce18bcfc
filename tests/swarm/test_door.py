import pytest
import trio
import trio.testing

from torrentlite.limits import TURN_TIMEOUT
from torrentlite.swarm.door import Door
from torrentlite.wire.address import Address

ONE, OTHER = Address("192.0.2.1", 6881), Address("192.0.2.1", 6882)


async def knock(door, address, seconds, log, name):
    async with door.turn(address):
        log.append((trio.current_time(), name))
        await trio.sleep(seconds)


async def test_one_after_the_other_at_one_address(autojump_clock):
    door, log = Door(), []
    async with trio.open_nursery() as nursery:
        for name in "abc":
            nursery.start_soon(knock, door, ONE, 0.5, log, name)
    # Who comes first is Trio's choice.
    assert [at for at, _ in log] == [0, 0.5, 1]
    assert not door._locks


async def test_others_do_not_wait(autojump_clock):
    door, log = Door(), []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(knock, door, ONE, 5, log, "one")
        nursery.start_soon(knock, door, OTHER, 5, log, "other")
    assert [at for at, _ in log] == [0, 0]


async def test_nobody_waits_for_ever(autojump_clock):
    door, log = Door(), []
    async with trio.open_nursery() as nursery:
        for name in "abc":
            nursery.start_soon(knock, door, ONE, 15, log, name)
    assert [at for at, _ in log] == [0, TURN_TIMEOUT, TURN_TIMEOUT]
    assert not door._locks


async def test_who_would_not_wait_takes_nobody_elses_turn_away(autojump_clock):
    door, log = Door(), []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(knock, door, ONE, TURN_TIMEOUT + 1, log, "first")
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(knock, door, ONE, 3, log, "impatient")
        await trio.sleep(TURN_TIMEOUT + 2)  # the first has gone, the impatient one is still there
        nursery.start_soon(knock, door, ONE, 5, log, "second")
        await trio.sleep(2)  # the impatient one has gone
        nursery.start_soon(knock, door, ONE, 0, log, "third")
    second, third = TURN_TIMEOUT + 2, TURN_TIMEOUT + 7
    assert log == [(0, "first"), (TURN_TIMEOUT, "impatient"), (second, "second"), (third, "third")]
    assert not door._locks


async def test_who_is_called_back_before_the_first_step_leaves_nothing(autojump_clock):
    door, log = Door(), []
    with trio.CancelScope() as scope:
        scope.cancel()
        await knock(door, ONE, 5, log, "called back")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(knock, door, OTHER, 5, log, "waited for")
        nursery.start_soon(knock, door, OTHER, 5, log, "waits")
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert len(log) == 1
    assert not door._locks


async def test_failing_and_giving_up_pass_the_turn_on(autojump_clock):
    door = Door()
    with pytest.raises(ZeroDivisionError):
        async with door.turn(ONE):
            raise ZeroDivisionError
    log = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(knock, door, ONE, 5, log, "first")
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(1):
            await knock(door, ONE, 0, log, "gave up")
    assert log == [(0, "first")]
    assert not door._locks
    await knock(door, ONE, 0, log, "next")
    assert log == [(0, "first"), (5, "next")]
