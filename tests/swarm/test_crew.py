import pytest
import trio
import trio.testing

from torrentlite.swarm.crew import Crew


async def test_a_bug_ends_one_task_and_is_reported(autojump_clock):
    told = []
    done = []

    async def bug():
        raise ZeroDivisionError

    async def work():
        await trio.sleep(1)
        done.append(True)

    async with trio.open_nursery() as nursery:
        crew = Crew(nursery, lambda name, error: told.append((name, type(error))))
        crew.start(work, name="work")
        crew.start(bug, name="bug")
    assert told == [("bug", ZeroDivisionError)]
    assert done == [True]


async def test_stop_cancels_and_waits(autojump_clock):
    ended = []

    async def work(number):
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(number)
            ended.append(number)

    async with trio.open_nursery() as nursery:
        crew = Crew(nursery, lambda name, error: None)
        for number in (1, 2):
            crew.start(work, number, name="work")
        await trio.testing.wait_all_tasks_blocked()
        await crew.stop()
        assert ended == [1, 2]
        assert crew.start(work, 3, name="late") is None
        assert len(crew) == 0


async def test_one_task_can_be_ended_alone():
    async with trio.open_nursery() as nursery:
        crew = Crew(nursery, lambda name, error: None)
        scope = crew.start(trio.sleep_forever, name="one")
        crew.start(trio.sleep_forever, name="two")
        await trio.testing.wait_all_tasks_blocked()
        scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert len(crew) == 1
        await crew.dismiss()
        assert len(crew) == 0
        assert crew.start(trio.lowlevel.checkpoint, name="still open") is not None


async def test_a_task_dismissed_before_it_ran_does_not_run():
    ran = []

    async def work():
        await trio.lowlevel.checkpoint()
        ran.append(True)

    async with trio.open_nursery() as nursery:
        crew = Crew(nursery, lambda name, error: None)
        crew.start(work, name="work")
        await crew.stop()
    assert ran == []


async def test_a_service_is_begun_again(autojump_clock):
    told = []
    begun = []

    async def service():
        begun.append(trio.current_time())
        if len(begun) < 3:
            raise ZeroDivisionError
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        crew = Crew(nursery, lambda name, error: told.append(name))
        crew.keep(service, name="service")
        await trio.sleep(5)
        assert told == ["service", "service"]
        assert len(begun) == 3
        assert begun[2] - begun[0] >= 1, "a bug that comes back each time must not spin"
        await crew.stop()
    assert len(begun) == 3


async def test_a_bug_in_a_service_that_is_being_cancelled(autojump_clock):
    told = []

    async def service():
        try:
            await trio.sleep_forever()
        finally:
            raise ZeroDivisionError

    async with trio.open_nursery() as nursery:
        crew = Crew(nursery, lambda name, error: told.append(name))
        crew.keep(service, name="service")
        await trio.sleep(1)
        with trio.fail_after(5):
            await crew.stop()
    assert told == ["service"]


async def test_a_bug_where_a_start_is_told_of_keeps_nobody_from_running(autojump_clock):
    told = []
    done = []

    def bug():
        raise ZeroDivisionError

    async def work():
        done.append(True)

    async with trio.open_nursery() as nursery:
        crew = Crew(nursery, lambda name, error: told.append((name, type(error))), bug)
        assert crew.start(work, name="one") is not None
    assert told == [("one", ZeroDivisionError)]
    assert done == [True]


async def test_who_could_not_be_started_is_not_waited_for(autojump_clock):
    async with trio.open_nursery() as nursery:
        pass
    crew = Crew(nursery, lambda name, error: None)  # whose nursery is over
    with pytest.raises(RuntimeError):
        crew.start(trio.sleep_forever, name="one")
    with trio.fail_after(1):
        await crew.stop()
