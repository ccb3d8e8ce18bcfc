"""Files being looked at while other wishes come."""

import dataclasses
import os

import pytest
import trio

import torrentlite as tl
from tests.strangers import session_on, simulated


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
