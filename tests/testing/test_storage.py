import errno

import pytest
import trio

from torrentlite.errors import DiskFullError, DiskTroubleError, StorageError
from torrentlite.storage.storage import SyncFailure
from torrentlite.testing import simulated

PIECE = 64 << 10


@pytest.fixture
def a_disk():
    """A machine with an empty torrent of 16 pieces, and the torrent's bytes."""

    def make(world):
        metainfo, data = world.torrent()
        machine = world.host()
        return machine, machine.storage(metainfo.info), data

    return make


def read(storage, offset, size):
    buffer = bytearray(size)
    storage.pread_into(offset, [buffer])
    return bytes(buffer)


@simulated()
async def test_what_is_written_is_read_by_the_next_session_too(world):
    metainfo, data = world.torrent()
    machine, other = world.host(), world.host()
    machine.storage(metainfo.info).pwrite(100, data[100:200])
    assert read(machine.storage(metainfo.info), 100, 100) == data[100:200]
    with pytest.raises(StorageError):
        read(other.storage(metainfo.info), 100, 100)


@simulated()
async def test_a_machine_can_be_given_a_torrent(world):
    metainfo, data = world.torrent(100_000, 1, name="two")
    machine = world.host()
    assert machine.disk.storage(metainfo.info).content() == bytes(100_001)
    machine.put(metainfo.info, data)
    assert machine.disk.storage(metainfo.info).content() == data
    assert machine.disk.calls == 0
    with pytest.raises(ValueError, match="cannot be filled"):
        machine.put(metainfo.info, data[1:])


@simulated()
async def test_a_disk_gets_full_and_is_emptied(world, a_disk):
    machine, storage, data = a_disk(world)
    machine.disk.room = PIECE + 1000
    storage.pwrite(0, data[:PIECE])
    with pytest.raises(DiskFullError, match="No space") as caught:
        storage.pwrite(PIECE, data[PIECE : 2 * PIECE])
    assert caught.value.errno == errno.ENOSPC
    assert read(storage, PIECE, 1000) == data[PIECE : PIECE + 1000], "what found room is there"
    with pytest.raises(DiskFullError):
        storage.pwrite(PIECE, data[PIECE : 2 * PIECE])
    machine.disk.room = None
    storage.pwrite(PIECE, data[PIECE : 2 * PIECE])
    assert read(storage, 0, 2 * PIECE) == data[: 2 * PIECE]
    assert world.trace.counts["disk error"] == 2


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.EIO, DiskTroubleError), (errno.EROFS, DiskTroubleError), (errno.EACCES, StorageError)],
)
@simulated()
async def test_a_broken_disk_fails_every_call_until_it_is_mended(world, a_disk, number, kind):
    machine, storage, data = a_disk(world)
    storage.fill(data)
    calls = [
        lambda: storage.prepare(frozenset({0})),
        lambda: storage.pread_into(0, [bytearray(10)]),
        lambda: storage.pwrite(0, data[:10]),
        lambda: storage.finish([0]),
        lambda: storage.select(frozenset(), 0),
        lambda: storage.displace(0, 0),
    ]
    machine.disk.error = number
    for call in calls:
        with pytest.raises(kind) as caught:
            call()
        assert caught.value.errno == number
    with pytest.raises(SyncFailure) as failed:
        storage.sync()
    assert failed.value.files == {0}
    assert failed.value.__cause__.errno == number
    assert world.trace.counts["disk error"] == machine.disk.calls == len(calls) + 1
    machine.disk.error = 0
    for call in calls:
        call()
    storage.sync()


@simulated()
async def test_the_call_of_a_number_fails(world, a_disk):
    machine, storage, data = a_disk(world)
    machine.disk.fail_at = {3: errno.EIO}
    outcomes = []
    for _ in range(5):
        try:
            storage.pwrite(0, data[:10])
        except DiskTroubleError as error:
            outcomes.append(error.errno)
        else:
            outcomes.append(0)
    assert outcomes == [0, 0, errno.EIO, 0, 0]
    assert world.trace.counts["disk error"] == 1


@simulated()
async def test_reads_from_the_cache_are_no_calls(world, a_disk):
    machine, storage, data = a_disk(world)
    storage.fill(data)
    machine.disk.error = errno.EIO
    buffer = bytearray(10)
    assert storage.read_cached(5, [buffer])
    assert buffer == data[5:15]
    machine.disk.cached = False
    assert not storage.read_cached(5, [buffer])
    assert machine.disk.calls == 0


@simulated()
async def test_a_slow_disk_takes_virtual_time_and_one_call_at_a_time(world, a_disk):
    machine, storage, data = a_disk(world)
    machine.disk.seek, machine.disk.rate = 0.5, PIECE
    async with trio.open_nursery() as nursery:
        for piece in range(4):
            nursery.start_soon(
                machine.offload.run, storage.pwrite, piece * PIECE, data[piece * PIECE : (piece + 1) * PIECE]
            )
    assert trio.current_time() == 4 * 1.5
    await machine.offload.run(read, storage, 0, 2 * PIECE)
    assert trio.current_time() == 6 + 2.5
    await machine.offload.run(int)
    assert trio.current_time() == 8.5, "what touches no disk does not wait for it"
