"""A storage of somebody else's: what it raises is the torrent's error, and nobody waits for ever."""

import sqlite3

import pytest
import trio

import torrentlite as tl
from tests.strangers import session_on, simulated, where


def raising(method):
    """A storage one method of which fails as a library below it would: with an error of its own."""

    def fail(*_, **__):
        raise sqlite3.OperationalError(f"no such table: {method}")

    return type("Raising", (tl.MemoryStorage,), {method: fail})


@pytest.mark.parametrize("method", ["__init__", "prepare", "select", "pwrite", "sync", "finish"])
@simulated()
async def test_what_it_raises_ends_the_wait(world, method):
    metainfo, data = world.torrent(100_000)
    seed = world.host()
    seed.put(metainfo.info, data)
    async with session_on(seed) as sharing, session_on(world.host()) as session:
        await sharing.add(metainfo).wait_complete()
        torrent = session.add(metainfo, storage=raising(method), peers=[where(seed, sharing)])
        with trio.fail_after(60), pytest.raises(tl.StorageError, match=f"no such table: {method}") as caught:
            await torrent.wait_complete()
        assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
        assert torrent.state is tl.State.ERROR
        assert session.stats().internal_errors == 0


@pytest.mark.parametrize("method", ["read_cached", "pread_into"])
@simulated()
async def test_what_it_raises_when_it_is_read(world, method):
    metainfo, data = world.torrent(100_000)
    seed = world.host()
    seed.put(metainfo.info, data)
    async with session_on(seed) as sharing, session_on(world.host()) as session:
        await sharing.add(metainfo).wait_complete()
        torrent = session.add(metainfo, storage=raising(method), peers=[where(seed, sharing)])
        await torrent.wait_complete()
        async with torrent.open(0) as file:
            if method == "read_cached":  # the thread can
                assert await file.read() == data
            else:
                with trio.fail_after(60), pytest.raises(tl.StorageError, match="no such table"):
                    await file.read()
        assert session.stats().internal_errors == 0


@simulated()
async def test_what_it_raises_when_it_is_closed(world):
    metainfo, data = world.torrent(100_000)
    seed = world.host()
    seed.put(metainfo.info, data)
    async with session_on(seed) as sharing, session_on(world.host()) as session:
        await sharing.add(metainfo).wait_complete()
        torrent = session.add(metainfo, storage=raising("close"), peers=[where(seed, sharing)])
        await torrent.wait_complete()
        await session.remove(torrent)
        await session.add(metainfo, storage=raising("close"), peers=[where(seed, sharing)]).wait_complete()


@simulated()
async def test_a_bug_of_ours_where_files_are_opened_ends_the_wait(world, monkeypatch):
    metainfo, _ = world.torrent(100_000)
    async with session_on(world.host(), bugs=1) as session:
        torrent = session.add(metainfo, paused=True)

        async def bug(**_):
            raise ZeroDivisionError("planted")

        monkeypatch.setattr(torrent.content, "open", bug)
        torrent.resume()
        with trio.fail_after(60), pytest.raises(tl.TorrentError, match="planted"):
            await torrent.wait_complete()
        assert torrent.state is tl.State.ERROR
