"""Blocks of pieces that have no memory any more: written in order, kept while the disk refuses, forgotten when not needed."""

import contextlib
import errno

import pytest
import trio

from tests.strangers import simulated
from torrentlite.errors import DiskFullError, DiskTroubleError, StorageError
from torrentlite.limits import DISK_RETRY
from torrentlite.metainfo.layout import BLOCK_SIZE
from torrentlite.storage.disk import Disk, Verdict
from torrentlite.strategy.memory import PieceMemory
from torrentlite.strategy.picker import Picker
from torrentlite.swarm.crew import Crew
from torrentlite.swarm.spills import Spills
from torrentlite.swarm.trouble import Trouble

PIECE = 4 * BLOCK_SIZE


class Owner:
    def __init__(self):
        self.told = []

    def disk_trouble(self, error):
        self.told.append("works" if error is None else "trouble")

    def want_requests(self):
        self.told.append("room")

    def storage_failed(self, error):
        self.told.append(error)


@contextlib.asynccontextmanager
async def half_a_piece(world):
    """Two blocks of the first piece are here, and memory for one piece is all there is."""
    metainfo, data = world.torrent(3 * PIECE, piece_length=PIECE)
    machine, owner = world.host(), Owner()
    disk = Disk(metainfo.info, machine.disk.storage(metainfo.info), machine.offload)
    await disk.open(wanted=[0])
    memory = PieceMemory(PIECE)
    picker = Picker(metainfo.info.layout, memory, world.dice.rng("picker"), sequential=True)
    picker.add_peer("a", 0b111)
    for piece, begin, length in picker.pick("a", 2, trio.current_time()):
        assert piece == 0
        picker.received("a", 0, begin, data[begin : begin + length])
    bugs = []
    async with trio.open_nursery() as nursery:
        crew = Crew(nursery, lambda name, error: bugs.append(error))
        spills = Spills(picker.partials, disk, crew, Trouble(owner), owner)
        yield machine, disk, memory, picker, spills, owner, data
        await crew.stop()
    assert not bugs
    assert not memory.used


async def stalled(spills):
    await trio.sleep(60)
    spills.start()
    await trio.sleep(0.1)


@simulated()
async def test_a_stalled_piece_leaves_memory_and_what_comes_then_follows_it(world):
    async with half_a_piece(world) as (_, disk, memory, picker, spills, owner, data):
        await stalled(spills)
        assert not spills
        assert not memory.used, "others may begin"
        assert owner.told == ["room"]
        for piece, begin, length in picker.pick("a", 2, trio.current_time()):
            arrival = picker.received("a", piece, begin, data[begin : begin + length])
            assert arrival.spilled
            spills.add(piece, begin, data[begin : begin + length])
        assert arrival.finished is not None
        await spills.write(0)
        assert await disk.check_spilled(0) is Verdict.RIGHT


@simulated()
async def test_what_a_full_disk_refuses_waits_with_its_memory(world):
    async with half_a_piece(world) as (machine, disk, memory, picker, spills, owner, data):
        machine.disk.error = errno.ENOSPC
        await stalled(spills)
        assert spills
        assert memory.used == PIECE, "it is not on the disk, so it is still here"
        with pytest.raises(DiskFullError):
            await spills.write(0)
        machine.disk.error = 0
        await trio.sleep(DISK_RETRY)
        assert not spills
        assert not memory.used
        assert owner.told == ["trouble", "room", "works", "room"]
        back = memoryview(bytearray(2 * BLOCK_SIZE))
        await disk.read_back(0, 0, back)
        assert back == data[: 2 * BLOCK_SIZE]


@simulated()
async def test_a_disk_that_refuses_for_good_is_told_of_and_ends_it(world):
    async with half_a_piece(world) as (machine, _, memory, picker, spills, owner, _):
        machine.disk.error = errno.EACCES
        await stalled(spills)
        (error,) = owner.told
        assert isinstance(error, StorageError) and not isinstance(error, DiskTroubleError)
        assert memory.used == PIECE
        picker.set_wanted(0)
        spills.forget()
        assert not spills


@simulated()
async def test_a_new_download_of_a_piece_waits_for_the_write_of_an_old_one(world):
    async with half_a_piece(world) as (machine, _, memory, picker, spills, _, _):
        machine.disk.seek = 1.0
        await stalled(spills)
        began = trio.current_time()
        picker.set_wanted(0)
        spills.forget()  # given up while it is being written: that goes on
        await spills.settled([1, 2])
        assert trio.current_time() == began
        assert memory.used == PIECE
        await spills.settled([0])
        assert trio.current_time() > began
        assert not memory.used


@simulated()
async def test_a_whole_piece_that_waits_for_the_disk_is_not_given_up_with_its_file(world):
    """It would be found wrong, and who sent it would be to blame."""
    async with half_a_piece(world) as (machine, disk, _, picker, spills, _, data):
        await stalled(spills)
        machine.disk.error = errno.ENOSPC
        for piece, begin, length in picker.pick("a", 2, trio.current_time()):
            arrival = picker.received("a", piece, begin, data[begin : begin + length])
            spills.add(piece, begin, data[begin : begin + length])
        assert arrival.finished is not None
        with pytest.raises(DiskFullError):
            await spills.write(0)
        picker.set_wanted(0)
        spills.forget()
        assert spills
        machine.disk.error = 0
        await spills.write(0)
        assert await disk.check_spilled(0) is Verdict.RIGHT


@simulated()
async def test_blocks_of_a_piece_that_was_given_up_while_they_were_written_do_not_come_back(world):
    """They would be written over the new copy."""
    async with half_a_piece(world) as (_, disk, memory, picker, spills, owner, _):

        async def fail_slowly(piece, blocks):
            await trio.sleep(1)
            raise DiskFullError("no room", errno=errno.ENOSPC)

        disk.spill = fail_slowly
        await stalled(spills)
        picker.set_wanted(0)
        spills.forget()
        picker.set_wanted(0b1)
        picker.pick("a", 1, trio.current_time())
        await trio.sleep(2)
        assert owner.told == ["trouble"], "the write failed"
        assert not spills
        picker.set_wanted(0)
        assert not memory.used
