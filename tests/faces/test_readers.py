"""Files that are read while they come: aiofiles' handles in asyncio, plain binary files without a loop."""

import asyncio
import concurrent.futures
import contextlib
import csv
import functools
import io
import os
import random
import threading
import time
import zipfile

import pytest
import trio

import torrentlite
from tests.faces.conftest import LOCAL, holdings
from torrentlite import aio, blocking
from torrentlite.filesystem import TorrentFileSystem

PIECE = 1 << 16
LINES = b"".join(b"%d,%s\n" % (number, b"x" * (number % 700)) for number in range(8000))


@pytest.fixture
def table(tmp_path):
    """A file of lines, in a folder with a zip archive: (metainfo, folder)."""
    folder = tmp_path / "shared" / "stuff"
    folder.mkdir(parents=True)
    (folder / "table.csv").write_bytes(LINES)
    with zipfile.ZipFile(folder / "many.zip", "w") as archive:
        for number in range(20):
            archive.writestr(f"{number}.txt", random.Random(number).randbytes(100_000))
    return trio.run(lambda: torrentlite.create(folder, piece_length=PIECE)), folder.parent


@contextlib.contextmanager
def seeding(metainfo, folder):
    """A session that shares it; yields where."""
    with blocking.open_session(LOCAL) as session:
        session.add(metainfo, folder).wait_complete(timeout=10)
        yield ("127.0.0.1", session.port)


def test_an_aiofiles_handle(run, table, tmp_path):
    metainfo, folder = table
    rng = random.Random(4)

    async def main(peer):
        async with aio.open_session(LOCAL) as session:
            torrent = session.add(metainfo.magnet, tmp_path / "out", select=[], peers=[peer])
            async with asyncio.timeout(30), torrent.open("table.csv") as file:
                assert isinstance(file, aio.Reader)
                assert (file.size, await file.tell(), file.mode, file.readable()) == (len(LINES), 0, "rb", True)
                assert [line async for line in file] == LINES.splitlines(keepends=True)
                for _ in range(60):
                    at = await file.seek(rng.randrange(len(LINES)))
                    size = rng.choice([0, 1, 1000, 70_000, 300_000])
                    match rng.randrange(6):
                        case 0:
                            assert await file.read(size) == LINES[at : at + size]
                        case 1:
                            buffer = bytearray(size)
                            assert await file.readinto(buffer) == len(LINES[at : at + size])
                            assert buffer[: len(LINES) - at] == LINES[at : at + size]
                        case 2:
                            assert await file.readline() == LINES[at : LINES.index(b"\n", at) + 1]
                            at = LINES.index(b"\n", at) + 1
                            size = 0
                        case 3:
                            line = await file.readline(size)
                            assert line == LINES[at : min(at + size, LINES.index(b"\n", at) + 1)]
                            size = len(line)
                        case 4:
                            some = await file.read1(size)
                            assert LINES[at:].startswith(some)
                            assert bool(some) is bool(size)
                            size = len(some)
                        case 5:
                            some = await file.peek()
                            assert some
                            assert LINES[at:].startswith(some)
                            size = 0
                    assert await file.tell() == min(at + size, len(LINES))
                await file.seek(-5, os.SEEK_END)
                assert await file.readlines() == [LINES[-5:]]
                assert await file.read() == await file.readline() == await file.peek() == b""
                await file.seek(0)
                assert await file.readlines(20) == io.BytesIO(LINES).readlines(20)
                await file.seek(0)
                assert await file.read() == LINES
                with pytest.raises(ValueError):
                    await file.seek(-1)
            for call in (file.read, file.readline, file.peek, file.tell):
                with pytest.raises(ValueError, match="closed file"):
                    await call()
            late = await torrent.open("many.zip")
            assert await late.read(4) == b"PK\3\4"
            with pytest.raises(aio.NoSuchFileError):
                await torrent.open("nothing")
            with pytest.raises(aio.NoSuchFileError):
                torrent.select_files(["nothing"])
            torrent.select_files(["table.csv"])
            await torrent.wait_complete()
            assert [file.path for file in torrent.files() if file.wanted] == ["stuff/table.csv"]
            assert session.stats().internal_errors == 0
        with pytest.raises(aio.TorrentRemovedError):
            await late.read()
        await late.close()

    with seeding(metainfo, folder) as peer:
        run(main, peer)


def test_a_cancelled_read_has_read_nothing_and_holds_no_thread(run, table, tmp_path):
    metainfo, folder = table

    async def main(peer):
        asyncio.get_running_loop().set_default_executor(concurrent.futures.ThreadPoolExecutor(1))
        async with aio.open_session(LOCAL) as session:
            torrent = session.add(metainfo, tmp_path / "out", select=[])
            async with torrent.open("table.csv") as file:
                for call in (file.read, file.readline, file.peek, file.read1, file.readlines):
                    with pytest.raises(TimeoutError):
                        async with asyncio.timeout(0.01):
                            await call(150_000)
                    assert await file.tell() == 0, "the only thread is free"
                torrent.add_peer(*peer)
                got, turns, cancelled = b"", 0, 0
                while len(got) < len(LINES):
                    turns = (turns + 1) % 40
                    reading = asyncio.create_task((file.read, file.readline, file.read1)[turns % 3](20_000))
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    reading.cancel()
                    try:
                        got += await reading
                    except asyncio.CancelledError:
                        cancelled += 1
                    else:
                        if turns % 5 == 0:
                            got += await file.read(30_000)
                    assert await file.tell() == len(got)
                assert got == LINES
                assert cancelled > 10
            opening = asyncio.create_task(session.add("ab" * 20, tmp_path / "never").open().__aenter__())
            await asyncio.sleep(0.01)
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening

    with seeding(metainfo, folder) as peer:
        run(main, peer)


def test_closing_wakes_who_waits_and_tasks_take_turns(run, table, tmp_path):
    metainfo, folder = table

    async def main():
        async with aio.open_session(LOCAL) as session:
            nobody = session.add(metainfo, tmp_path / "out")  # there are no peers
            file = await nobody.open("table.csv")
            readers = [asyncio.create_task(file.read(10)) for _ in range(3)]
            await asyncio.sleep(0.05)
            await file.close()
            for reader in readers:
                with pytest.raises(ValueError, match="closed file"):
                    await reader
            await nobody.wait_checked()
            nobody.pause()
            async with nobody.open("table.csv") as file:
                with pytest.raises(aio.TorrentPausedError):
                    await file.read(1)
            mine = session.torrents[0]
            await session.remove(mine)
            torrent = session.add(metainfo, folder)
            await torrent.wait_complete()
            async with torrent.open("table.csv") as file:
                parts = await asyncio.gather(*(file.read(1000) for _ in range(20)))
                assert b"".join(parts) == LINES[:20_000]

    run(main)


def test_a_plain_file(table, tmp_path):
    metainfo, folder = table
    with seeding(metainfo, folder) as peer, blocking.open_session(LOCAL) as session:
        torrent = session.add(metainfo.magnet, tmp_path / "out", select=[], peers=[peer])
        with torrent.open("many.zip", timeout=20) as file:
            assert isinstance(file, io.RawIOBase)
            assert (file.readable(), file.seekable(), file.writable(), file.mode) == (True, True, False, "rb")
            with zipfile.ZipFile(file) as archive:
                assert archive.testzip() is None
                assert archive.read("7.txt") == random.Random(7).randbytes(100_000)
            assert file.seek(-10, os.SEEK_END) == file.size - 10 == file.tell()
            assert len(file.read(100)) == 10
            assert file.read(1) == b""
            file.seek(0)
            assert len(file.readall()) == file.size
        with torrent.open("table.csv", read_ahead=100_000) as file, io.TextIOWrapper(io.BufferedReader(file)) as text:
            rows = list(csv.reader(text))
            assert [row[0] for row in rows] == [str(number) for number in range(8000)]
        assert file.closed
        for call in (file.read, file.tell, lambda: file.seek(0), file.readall):
            with pytest.raises(ValueError, match="closed file"):
                call()
        with pytest.raises(blocking.NoSuchFileError):
            torrent.open("nothing")
        with pytest.raises(blocking.NoSuchFileError):
            torrent.select_files(["nothing"])
        torrent.select_files(["table.csv"])
        torrent.wait_complete(timeout=20)
        assert [file.path for file in torrent.files() if file.wanted] == ["stuff/table.csv"]
        late = torrent.open("table.csv")
        with pytest.raises(io.UnsupportedOperation):
            late.write(b"x")

        async def by_mistake():
            late.read(1)

        with pytest.raises(RuntimeError, match="torrentlite.aio"):
            asyncio.run(by_mistake())
    with pytest.raises(blocking.TorrentRemovedError):
        late.read(1)
    late.close()


def test_a_plain_file_waits_no_longer_than_it_may(table, tmp_path):
    metainfo, _ = table
    with blocking.open_session(LOCAL) as session:
        with pytest.raises(TimeoutError):
            session.add("ab" * 20, tmp_path).open(timeout=0.02)
        torrent = session.add(metainfo, tmp_path / "out")
        with torrent.open("table.csv", timeout=0.02) as file:
            with pytest.raises(TimeoutError):
                file.read(1)
            assert file.tell() == 0
        ends = []

        def read():
            with pytest.raises(ValueError):
                file.read(1)
            ends.append(file.closed)

        file = torrent.open("table.csv")
        thread = threading.Thread(target=read)
        thread.start()
        time.sleep(0.05)
        file.close()
        thread.join(5)
        assert ends == [True]


BIG = 12 << 20


def by_trio(metainfo, peer, out, storage):
    async def main():
        with trio.fail_after(30):
            async with torrentlite.open_session(LOCAL) as session:
                torrent = session.add(metainfo, out, select=[], peers=[peer], storage=storage)
                async with torrent.open() as file:
                    return await file.read(), await file.read(1)

    return trio.run(main)


def by_asyncio(metainfo, peer, out, storage):
    async def main():
        async with asyncio.timeout(30), aio.open_session(LOCAL) as session:
            torrent = session.add(metainfo, out, select=[], peers=[peer], storage=storage)
            async with torrent.open() as file:
                return await file.read(), await file.read(1)

    return asyncio.run(main())


def without_loop(metainfo, peer, out, storage):
    with blocking.open_session(LOCAL) as session:
        torrent = session.add(metainfo, out, select=[], peers=[peer], storage=storage)
        with torrent.open(timeout=30) as file:
            return file.read(), file.read(1)


def by_fsspec(metainfo, peer, out, storage):
    place = {"save_to": out} if storage is None else {"cache": 1}  # eight pieces, the least there is
    fs = TorrentFileSystem(
        metainfo.encode(), peers=[peer], settings=LOCAL, timeout=30, skip_instance_cache=True, **place
    )
    try:
        with fs.open("big.bin") as file:
            return file.read(), file.read(1)
    finally:
        fs.close()


@pytest.mark.parametrize("storage", [None, functools.partial(torrentlite.CacheStorage, limit=4 * PIECE)])
@pytest.mark.parametrize("read", [by_trio, by_asyncio, without_loop, by_fsspec])
def test_all_of_a_file_that_is_not_selected_in_one_read(read, storage, tmp_path):
    """More than is fetched at once for a reader, and more than a cache holds."""
    data = random.Random(7).randbytes(BIG)
    (tmp_path / "big.bin").write_bytes(data)
    metainfo = blocking.create(tmp_path / "big.bin", piece_length=PIECE)
    with seeding(metainfo, tmp_path) as peer:
        got, after = read(metainfo, peer, tmp_path / "out", storage)
    assert got == data
    assert after == b""


def test_files_leave_nothing(run, table, tmp_path, short_lived_threads):
    metainfo, folder = table

    async def main():
        async with aio.open_session(LOCAL) as session:
            torrent = session.add(metainfo, folder)
            await torrent.wait_complete()
            async with torrent.open("table.csv") as file:
                await file.read()
            await asyncio.sleep(0.1)
            before = holdings()
            for _ in range(100):
                async with torrent.open("table.csv") as file:
                    await file.read(5)
            await asyncio.sleep(0.1)
            assert holdings()[:2] == before[:2]
            assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main)
