from __future__ import annotations

import errno
import threading

import pytest
import trio
import trio.testing

from tests.storage.worlds import Inline, Shape, letters, write_piece
from torrentlite.errors import DiskTroubleError, StorageError
from torrentlite.metainfo.layout import Block
from torrentlite.storage.disk import Disk, Verdict
from torrentlite.storage.memory import MemoryStorage
from torrentlite.storage.offload import ThreadOffload


async def test_runs_in_a_thread() -> None:
    offload = ThreadOffload()
    assert await offload.run(threading.get_ident) != threading.get_ident()
    assert await offload.run(divmod, 7, 3) == (2, 1)
    with pytest.raises(ZeroDivisionError):
        await offload.run(divmod, 7, 0)
    assert offload.parallel >= 1


async def test_cancellation_waits_for_a_call_that_is_not_abandoned() -> None:
    offload = ThreadOffload()
    go, started = threading.Event(), trio.Event()
    token = trio.lowlevel.current_trio_token()
    results: list[str] = []

    def slow() -> str:
        token.run_sync_soon(started.set)
        go.wait()
        return "done"

    async def call() -> None:
        results.append(await offload.run(slow))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(call)
        await started.wait()
        (running,) = offload.running()
        assert running.name.endswith("slow")
        assert running.seconds >= 0
        nursery.cancel_scope.cancel()
        go.set()
    assert results == ["done"]
    assert offload.running() == ()


async def test_abandoned_call_is_not_waited_for() -> None:
    offload = ThreadOffload(1)
    go, started, ended = threading.Event(), trio.Event(), trio.Event()
    token = trio.lowlevel.current_trio_token()

    def slow() -> None:
        token.run_sync_soon(started.set)
        go.wait()
        token.run_sync_soon(ended.set)

    async def call() -> None:
        await offload.run(slow, abandon=True)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(call)
        await started.wait()
        nursery.cancel_scope.cancel()
    assert offload.running() == ()
    go.set()
    await ended.wait()


async def test_no_thread_can_be_started(no_new_threads: None) -> None:
    offload, go, refused = ThreadOffload(1000), threading.Event(), list[DiskTroubleError]()

    async def hold() -> None:
        try:
            await offload.run(go.wait, abandon=True)
        except DiskTroubleError as error:
            refused.append(error)

    async with trio.open_nursery() as nursery:
        while not refused:  # those that Trio has from others before us
            nursery.start_soon(hold)
            await trio.testing.wait_all_tasks_blocked()
        assert (refused[0].errno, refused[0].hint != "") == (errno.EAGAIN, True)
        held = len(offload.running())
        nursery.start_soon(hold)
        await trio.testing.wait_all_tasks_blocked()
        assert (len(refused), len(offload.running())) == (2, held), "nothing is left of them"
        go.set()

    def bug() -> None:
        raise RuntimeError("another one")

    threading.stack_size(0)
    with pytest.raises(RuntimeError, match="another one"):
        await offload.run(bug)


async def test_torrent_in_memory() -> None:
    shape = Shape({"a": letters(100, 1), "b": letters(100, 2)})
    storage = MemoryStorage(shape.info)
    disk = Disk(shape.info, storage, Inline())
    assert await disk.open(wanted=shape.all) == 0
    for piece, data in enumerate(shape.pieces[:-1]):
        assert await write_piece(disk, piece, data) is Verdict.RIGHT
    with pytest.raises(StorageError):
        await disk.read([Block(3, 0, 8)], [bytearray(8)])
    await disk.spill(3, [(0, shape.pieces[3])])
    assert await disk.check_spilled(3) is Verdict.RIGHT
    assert await disk.commit(shape.full) == [0, 1]
    buffer = bytearray(100)
    assert disk.read_now([Block(1, 36, 28), Block(2, 0, 64)], [memoryview(buffer)[:28], memoryview(buffer)[28:92]])
    assert buffer[:92] == shape.data[100:192]
    await disk.close(shape.full)
    again = Disk(shape.info, storage, Inline())
    assert await again.open(wanted=shape.all) == shape.full
    await again.close(shape.full)
