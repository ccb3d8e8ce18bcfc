"""A storage of somebody else's: what it raises is the torrent's error, and nobody waits for ever."""

import contextlib
import inspect
import sqlite3

import pytest
import trio

import torrentlite as tl
from tests.strangers import session_on, simulated, where
from torrentlite.storage.foreign import ForeignStorage


def raising(method):
    """A storage one method of which fails as a library below it would: with an error of its own."""

    def fail(*_, **__):
        raise sqlite3.OperationalError(f"no such table: {method}")

    return type("Raising", (tl.MemoryStorage,), {method: fail})


@contextlib.asynccontextmanager
async def fetching(world, storage):
    """A session that fetches into it, the torrent there, and the data."""
    metainfo, data = world.torrent(100_000)
    seed = world.host()
    seed.put(metainfo.info, data)
    async with session_on(seed) as sharing, session_on(world.host()) as session:
        await sharing.add(metainfo).wait_complete()
        yield session, session.add(metainfo, storage=storage, peers=[where(seed, sharing)]), data
        assert session.stats().internal_errors == 0


def test_all_that_a_storage_does_is_asked_of_theirs():
    wished = {name for name, value in vars(tl.Storage).items() if inspect.isfunction(value) and name[0] != "_"}
    assert wished == {name for name in vars(ForeignStorage) if name[0] != "_"}


@pytest.mark.parametrize("method", ["__init__", "prepare", "select", "pwrite", "sync", "finish"])
@simulated()
async def test_what_it_raises_ends_the_wait(world, method):
    async with fetching(world, raising(method)) as (_, torrent, _):
        with trio.fail_after(60), pytest.raises(tl.StorageError, match=f"no such table: {method}") as caught:
            await torrent.wait_complete()
        assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
        assert torrent.state is tl.State.ERROR


@simulated()
async def test_what_it_cannot_read_at_once_a_thread_reads(world):
    async with fetching(world, raising("read_cached")) as (_, torrent, data):
        await torrent.wait_complete()
        async with torrent.open(0) as file:
            assert await file.read() == data


@simulated()
async def test_what_it_raises_when_it_is_read(world):
    async with fetching(world, raising("pread_into")) as (_, torrent, _):
        await torrent.wait_complete()
        async with torrent.open(0) as file:
            with trio.fail_after(60), pytest.raises(tl.StorageError, match="no such table"):
                await file.read()


@simulated()
async def test_what_it_raises_when_it_is_closed(world):
    async with fetching(world, raising("close")) as (session, torrent, _):
        await torrent.wait_complete()
        await session.remove(torrent)
        assert torrent.state is tl.State.CLOSED


@pytest.mark.parametrize("step", ["write_pieces", "commit"])
@simulated()
async def test_a_bug_of_ours_where_the_disk_is_used_ends_the_wait(world, monkeypatch, step):
    metainfo, data = world.torrent(1 << 20)
    seed = world.host(up=100_000)
    seed.put(metainfo.info, data)
    async with session_on(seed) as sharing, session_on(world.host(), bugs=1) as session:
        await sharing.add(metainfo).wait_complete()
        torrent = session.add(metainfo, peers=[where(seed, sharing)])
        await torrent.wait_checked()

        async def bug(*_):
            raise ZeroDivisionError("planted")

        with monkeypatch.context() as patch:
            patch.setattr(torrent._life.content.pieces.disk, step, bug)
            with trio.fail_after(60), pytest.raises(tl.TorrentError, match="internal error.*planted"):
                await torrent.wait_complete()
            assert torrent.state is tl.State.ERROR
        torrent.resume()
        await torrent.wait_complete()


@simulated()
async def test_a_bug_of_ours_where_files_are_opened_ends_the_wait(world, monkeypatch):
    metainfo, _ = world.torrent(100_000)
    async with session_on(world.host(), bugs=1) as session:
        torrent = session.add(metainfo, paused=True)

        async def bug(**_):
            raise ZeroDivisionError("planted")

        monkeypatch.setattr(torrent._life.content, "open", bug)
        torrent.resume()
        with trio.fail_after(60), pytest.raises(tl.TorrentError, match="planted"):
            await torrent.wait_complete()
        assert torrent.state is tl.State.ERROR
