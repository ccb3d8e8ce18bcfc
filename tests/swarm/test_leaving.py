"""Leaving a session: soon, completely, and with the right exception."""

import hashlib
import os
import random
import threading
import time

import psutil
import pytest
import trio

import torrentlite as tl
from tests.scripted import ScriptedSeed
from torrentlite.net.network import RealNetwork
from torrentlite.storage.offload import ThreadOffload
from torrentlite.swarm.world import World

LOOPBACK = tl.Settings(host="127.0.0.1")


class SlowNames(RealNetwork):
    """Looking up a name hangs in a thread, as a resolver without an answer does."""

    hung = 0

    async def resolve(self, host, port, *, within):
        if host.endswith(".example"):
            SlowNames.hung += 1
            await trio.to_thread.run_sync(time.sleep, 7, abandon_on_cancel=True)
        return await super().resolve(host, port, within=within)


def alive() -> dict[str, object]:
    """What could have been left behind."""
    process = psutil.Process()
    return {
        "files": sorted(file.path for file in process.open_files()),
        "descriptors": process.num_fds(),
        "tasks": trio.lowlevel.current_statistics().tasks_living,
        "timers": trio.lowlevel.current_statistics().seconds_to_next_deadline,
    }


async def make_share(folder, size=8 << 20):
    path = folder / "data.bin"
    path.write_bytes(random.Random(5).randbytes(size))
    return await tl.create(path, piece_length=64 << 10), path.read_bytes()


async def test_leaving_in_the_middle_takes_under_five_seconds_and_leaves_nothing(tmp_path):
    metainfo, data = await make_share(tmp_path)
    dead = trio.socket.socket()
    await dead.bind(("127.0.0.1", 0))
    dead.listen(1)  # accepts connections and never answers
    trackers = [
        f"http://127.0.0.1:{dead.getsockname()[1]}/announce",
        "http://slow.example/announce",
        "udp://slow.example:1/x",
    ]
    seed = ScriptedSeed(metainfo.info, data, rate=2_000_000)
    async with seed.serving():
        await trio.to_thread.run_sync(lambda: None)
        await trio.sleep(0.1)
        before = alive()
        threads = set(threading.enumerate())
        world = World(network=SlowNames("127.0.0.1"), offload=ThreadOffload(), rng=random.Random(1))
        async with tl.open_session(tl.Settings(host="127.0.0.1", state_dir=tmp_path / "state"), world=world) as session:
            torrent = session.add(tl.Metainfo.from_bytes(metainfo.encode()), tmp_path / "out", trackers=trackers,
                                  peers=[("127.0.0.1", seed.port), ("slow.example", 1)])  # fmt: skip
            while torrent.stats().pieces_done < 10:
                await trio.sleep(0.02)
            assert any(tracker.state == "announcing" for tracker in torrent.trackers())
            assert torrent.stats().left > 0, "in the middle"
            left_at = trio.current_time()
        seconds = trio.current_time() - left_at
        with trio.move_on_after(1):
            while alive() != before:
                await trio.sleep(0.05)
        assert alive() == before
        assert SlowNames.hung >= 2, "the slow look-ups were under way"
        assert seconds < 5
        assert session.stats().internal_errors == 0
    dead.close()
    assert {thread for thread in threading.enumerate() if "torrentlite" in thread.name} <= threads
    with pytest.raises(tl.TorrentRemovedError):
        await torrent.wait_complete()
    (part,) = tmp_path.glob("out/data.bin.*.part")
    size = part.stat().st_size
    await trio.sleep(0.2)
    assert part.stat().st_size == size


async def test_an_exception_of_the_block_comes_out_as_itself(tmp_path):
    class Mine(Exception):
        pass

    mine = Mine("x")
    with pytest.raises(Mine) as caught:
        async with tl.open_session(LOOPBACK):
            raise mine
    assert caught.value is mine
    assert caught.value.__context__ is None


async def test_cancelling_the_block_is_just_that(tmp_path):
    with trio.move_on_after(0.1) as scope:
        async with tl.open_session(LOOPBACK):
            await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_the_port_in_use_is_a_listen_error():
    async with tl.open_session(LOOPBACK) as first:
        with pytest.raises(tl.ListenError):
            async with tl.open_session(tl.Settings(host="127.0.0.1", port=first.port)):
                pass
        settings = tl.Settings(host="127.0.0.1", port=first.port, port_fallback=True)
        async with tl.open_session(settings) as second:
            assert second.port != first.port


async def test_removing_a_torrent_ends_its_waits(tmp_path):
    metainfo, _ = await make_share(tmp_path, 1 << 20)
    async with tl.open_session(LOOPBACK) as session, trio.open_nursery() as nursery:
        torrent = session.add(tl.Metainfo.from_bytes(metainfo.encode()), tmp_path / "out")
        with pytest.raises(tl.DuplicateTorrentError):
            session.add(metainfo, tmp_path)
        await torrent.wait_checked()

        async def wait():
            with pytest.raises(tl.TorrentRemovedError):
                await torrent.wait_complete()

        nursery.start_soon(wait)
        await session.remove(torrent)
        assert session.torrents == ()
        again = session.add(metainfo, tmp_path)
        await again.wait_complete()
        assert hashlib.sha1((tmp_path / "data.bin").read_bytes()).digest()
        assert os.path.exists(tmp_path / "data.bin")
