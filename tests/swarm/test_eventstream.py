import pathlib

import trio
import trio.testing

from torrentlite import events as ev
from torrentlite.limits import MAX_EVENTS
from torrentlite.stats import Reason, State, Why
from torrentlite.swarm.eventstream import EventStream


def progress(done):
    return ev.Progress(done, 100, 0.0, 0.0, 0, Why(Reason.FINE, ""))


async def test_in_order_until_closed():
    stream = EventStream()
    stream.put(ev.PieceVerified(1))
    stream.put(ev.StateChanged(State.CHECKING, State.SEEDING))
    stream.close()
    assert [type(event).__name__ async for event in stream] == ["PieceVerified", "StateChanged"]


async def test_newer_progress_replaces_older():
    stream = EventStream()
    for done in range(5):
        stream.put(progress(done))
    stream.close()
    assert [event.done async for event in stream] == [4]


async def test_a_reader_that_sleeps_loses_pieces_not_changes():
    stream = EventStream()
    stream.put(ev.StateChanged(State.CHECKING, State.DOWNLOADING))
    for piece in range(3 * MAX_EVENTS):
        stream.put(ev.PieceVerified(piece))
    stream.put(ev.Completed((pathlib.Path("x"),)))
    stream.close()
    got = [event async for event in stream]
    assert len(got) == MAX_EVENTS
    assert isinstance(got[0], ev.StateChanged)
    assert isinstance(got[-1], ev.Completed)
    assert stream.dropped == 2 * MAX_EVENTS + 2


async def test_a_waiting_reader_is_woken():
    stream = EventStream()
    got = []

    async def read():
        got.extend([event async for event in stream])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        stream.put(ev.PieceVerified(7))
        await trio.testing.wait_all_tasks_blocked()
        assert got == []
        stream.close()
    assert got == [ev.PieceVerified(7)]
