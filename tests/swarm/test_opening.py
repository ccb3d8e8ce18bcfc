"""Files being looked at while other wishes come."""

import dataclasses
import os

import pytest
import trio

import torrentlite as tl
from tests.strangers import session_on, simulated, until


@pytest.mark.parametrize("moment", [0.0, 0.01, 0.02, 0.025, 0.03, 0.035, 0.04])
@simulated()
async def test_a_recheck_at_the_end_of_an_opening_is_not_taken_for_done(world, tmp_path, moment):
    """The last call to the disk is not interrupted: then the opening is done, and the recheck has only begun."""
    metainfo, data = world.torrent(100_000, piece_length=32 << 10)
    file = tmp_path / "save" / metainfo.name
    file.parent.mkdir()
    file.write_bytes(data)
    machine = dataclasses.replace(world.host(), storage=None)
    settings = {"state_dir": tmp_path / "state", "dht": False}
    async with session_on(machine, **settings) as session:
        await session.add(metainfo, file.parent).wait_complete()
    before = file.stat()
    file.write_bytes(bytes(len(data)))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    machine.offload.duration = 0.01
    async with session_on(machine, **settings) as session:
        torrent = session.add(metainfo, file.parent)
        await trio.sleep(moment)
        torrent.recheck()
        await trio.sleep(0.001)
        torrent.pause()
        await trio.sleep(1)
        torrent.resume()
        with pytest.raises(tl.FileInTheWayError):
            await torrent.wait_checked()


def numbers(torrent):
    """What is here, by all who tell."""
    stats = torrent.stats()
    here = (stats.done, stats.pieces_done, [file.done for file in torrent.files()], torrent.pieces().have.bit_count())
    assert stats.done + stats.left == stats.total
    return here


@simulated()
async def test_a_recheck_that_fails_claims_nothing(world, tmp_path):
    metainfo, data = world.torrent(100_000, piece_length=32 << 10)
    (tmp_path / metainfo.name).write_bytes(data)
    machine = dataclasses.replace(world.host(), storage=None)
    machine.offload.duration = 0.1
    async with session_on(machine, dht=False) as session:
        torrent = session.add(metainfo, tmp_path)
        await torrent.wait_complete()
        assert numbers(torrent) == (100_000, 4, [100_000], 4)
        (tmp_path / metainfo.name).write_bytes(bytes(len(data)))
        torrent.recheck()
        await until(lambda: not torrent.stats().checked)
        assert torrent.state is tl.State.CHECKING
        assert numbers(torrent) == (0, 0, [0], 0)
        with pytest.raises(tl.FileInTheWayError):
            await torrent.wait_checked()
        assert numbers(torrent) == (0, 0, [0], 0)
        torrent.select_files([])
        torrent.select_files(None)
        assert numbers(torrent) == (0, 0, [0], 0)
        (tmp_path / metainfo.name).write_bytes(data)
        torrent.resume()
        await torrent.wait_complete()
        assert numbers(torrent) == (100_000, 4, [100_000], 4)


@simulated()
async def test_what_was_here_in_the_end_is_told_when_it_is_closed(world):
    metainfo, data = world.torrent(60_000, 40_000, piece_length=32 << 10)
    machine = world.host()
    machine.put(metainfo.info, data)
    async with session_on(machine) as session:
        removed = session.add(metainfo)
        await removed.wait_complete()
        await session.remove(removed)
        assert numbers(removed) == (100_000, 4, [60_000, 40_000], 4)
        left = session.add(metainfo, select=[1])
        await left.wait_complete()
    assert numbers(left)[0] == 40_000
    assert numbers(left)[1:] == (4, [60_000, 40_000], 4)


@simulated()
async def test_an_opening_that_ends_after_an_error_does_not_count(world):
    """The error came from something else meanwhile: who puts that right may change what lies there."""
    metainfo, data = world.torrent(3_000_000)
    machine = world.host()
    machine.put(metainfo.info, data)
    machine.offload.duration = 0.01
    async with session_on(machine) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        torrent.recheck()
        torrent._life.storage_failed(tl.StorageError("the disk said no"))
        await until(lambda: not torrent._life._opening.under_way)
        assert torrent.state is tl.State.ERROR
        machine.disk.storage(metainfo.info).fill(bytes(len(data)))
        torrent.resume()
        await torrent.wait_checked()
        assert torrent.stats().done == 0
