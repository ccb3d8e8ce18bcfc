import pytest
import trio

from torrentlite.testing import simulated


@simulated()
async def test_calls_run_inline_and_return_or_raise(world):
    offload = world.host().offload
    assert await offload.run(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await offload.run(divmod, 7, 0)
    with trio.testing.assert_checkpoints():
        await offload.run(int)
    assert offload.calls == 3
    assert trio.current_time() == 0


@simulated()
async def test_calls_take_virtual_time_beside_each_other(world):
    offload = world.host().offload
    offload.duration = 2
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(offload.run, int)
    assert trio.current_time() == 2
    with pytest.raises(ZeroDivisionError):
        await offload.run(divmod, 1, 0)
    assert trio.current_time() == 4


@pytest.mark.parametrize(("abandon", "until"), [(False, 10), (True, 1)])
@simulated()
async def test_a_call_is_not_left_before_its_end_unless_it_may_be_abandoned(world, abandon, until):
    offload = world.host().offload
    offload.duration = 10
    seen = []
    with trio.move_on_after(1) as scope:
        await offload.run(seen.append, "done", abandon=abandon)
        await trio.sleep_forever()
    assert scope.cancelled_caught
    assert trio.current_time() == until
    assert seen == ["done"]


@simulated()
async def test_nothing_is_begun_when_cancelled_before(world):
    offload = world.host().offload
    with trio.CancelScope() as scope:
        scope.cancel()
        await offload.run(int)
    assert offload.calls == 0
