import pytest
import trio
import trio.testing

from torrentlite.testing import Timeline


def on_a_timeline(async_fn, tick=0):
    """Run a program that gets a timeline, while the timeline runs."""

    async def main():
        timeline = Timeline(tick=tick)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(timeline.run)
            await trio.testing.wait_all_tasks_blocked()
            await async_fn(timeline)
            nursery.cancel_scope.cancel()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_callbacks_come_in_the_order_of_their_moments():
    async def main(timeline):
        seen = []
        for name, moment in (("d", 3.0), ("a", 1.0), ("c", 2.0), ("b", 1.0)):
            timeline.call_at(moment, lambda name: seen.append((name, timeline.now)), name)
        await trio.sleep(10)
        assert seen == [("a", 1.0), ("b", 1.0), ("c", 2.0), ("d", 3.0)]

    on_a_timeline(main)


def test_what_is_past_is_called_at_once():
    async def main(timeline):
        await trio.sleep(5)
        seen = []
        timeline.call_at(1.0, lambda: seen.append(timeline.now))
        await trio.sleep(0.001)
        assert seen == [5.0]

    on_a_timeline(main)


def test_callbacks_may_add_callbacks():
    async def main(timeline):
        seen = []

        def again(left):
            seen.append(timeline.now)
            if left:
                timeline.call_after(0.25, again, left - 1)

        timeline.call_after(1, again, 3)
        await trio.sleep(10)
        assert seen == [1.0, 1.25, 1.5, 1.75]
        assert timeline.pending == 0

    on_a_timeline(main)


def test_an_earlier_moment_shortens_the_sleep():
    async def main(timeline):
        seen = []
        timeline.call_at(100, seen.append, "late")
        await trio.sleep(1)
        timeline.call_at(2, seen.append, "early")
        await trio.sleep(1.5)
        assert seen == ["early"]

    on_a_timeline(main)


def test_cancelled_timers_are_neither_called_nor_pending():
    async def main(timeline):
        seen = []
        never = timeline.call_after(1, seen.append, "never")
        once = timeline.call_after(1, seen.append, "once")
        never.cancel()
        assert (never.waits, once.waits, timeline.pending) == (False, True, 1)
        await trio.sleep(2)
        once.cancel()
        assert seen == ["once"]
        assert not once.waits

    on_a_timeline(main)


def test_a_tick_gathers_wake_ups_and_keeps_the_moments():
    async def main(timeline):
        seen = []
        for moment in (0.1, 0.3, 0.5, 0.6):
            timeline.call_at(moment, lambda: seen.append((timeline.now, trio.current_time())))
        await trio.sleep(2)
        assert seen == [(0.1, 0.5), (0.3, 0.5), (0.5, 0.5), (0.6, 1.0)]

    on_a_timeline(main, tick=0.5)


async def test_what_a_callback_raises_ends_the_run(autojump_clock):
    timeline = Timeline()
    timeline.call_after(1, lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        await timeline.run()
