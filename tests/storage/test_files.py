"""Files and folders: what is refused, and how few are open."""

from __future__ import annotations

import errno
import os
import pathlib
import subprocess
import sys
import threading

import pytest

from tests.storage.worlds import Home, Shape, content_of, letters, write_piece, wrong_claims
from torrentlite.errors import DiskTroubleError, FileInTheWayError, StorageError
from torrentlite.storage import platform
from torrentlite.storage.files import FileStorage
from torrentlite.storage.pool import FilePool, Key
from torrentlite.storage.storage import InTheWay

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def shape() -> Shape:
    return Shape({"a": letters(150, 1), "b/c": letters(90, 2)})


@pytest.fixture
def home(tmp_path: pathlib.Path, shape: Shape) -> Home:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    return Home(tmp_path, shape)


async def try_to_write(home: Home) -> None:
    disk = home.disk()
    try:
        have = await home.open(disk)
        for piece in range(len(home.shape.pieces)):
            await write_piece(disk, piece, home.shape.pieces[piece])
            have |= 1 << piece
        await disk.commit(have)
    finally:
        await disk.close(0)


FILES = ["top/a", "top/a PART", "top/b/c PART"]
PLANTED = [(name, kind) for name in ["top", "top/b", *FILES] for kind in ["link", "dangling link", "fifo"]]


@pytest.mark.parametrize(("name", "kind"), [*PLANTED, *((name, "hard link") for name in FILES)])
async def test_planted_things_are_refused(home: Home, tmp_path: pathlib.Path, name: str, kind: str) -> None:
    planted = home.folder / name.replace(" PART", f".{home.shape.info.hashes.hex[:8]}.part")
    is_folder = name in ("top", "top/b")
    planted.parent.mkdir(parents=True, exist_ok=True)
    match kind:
        case "link":
            planted.symlink_to(tmp_path / "outside" / ("" if is_folder else "secret"))
        case "dangling link":
            planted.symlink_to(tmp_path / "outside" / "new")
        case "fifo":
            os.mkfifo(planted)
        case _:
            os.link(tmp_path / "outside" / "secret", planted)
    with pytest.raises(StorageError):
        await try_to_write(home)
    assert sorted(os.listdir(tmp_path / "outside")) == ["secret"]
    assert (tmp_path / "outside" / "secret").read_bytes() == b"secret"


async def test_link_planted_while_running(home: Home, tmp_path: pathlib.Path, shape: Shape) -> None:
    storage = home.storage()
    disk = home.disk(storage)
    await home.open(disk)
    await write_piece(disk, 0, shape.pieces[0])
    home.part(0).rename(tmp_path / "moved")
    home.part(0).symlink_to(tmp_path / "outside" / "secret")
    storage._pool.trim()
    with pytest.raises(StorageError, match="link"):
        await write_piece(disk, 1, shape.pieces[1])
    with pytest.raises(StorageError):
        await disk.read_back(0, 0, bytearray(64))
    (home.folder / "top" / "b").symlink_to(tmp_path / "outside")
    with pytest.raises(StorageError):
        await write_piece(disk, 3, shape.pieces[3])
    assert (tmp_path / "outside" / "secret").read_bytes() == b"secret"
    assert sorted(os.listdir(tmp_path / "outside")) == ["secret"]
    with pytest.raises(StorageError):
        await disk.close(0)


async def test_save_folder_may_be_a_link(home: Home, tmp_path: pathlib.Path, shape: Shape) -> None:
    (tmp_path / "real").mkdir()
    home.folder.symlink_to("real")
    await try_to_write(home)
    assert (tmp_path / "real" / "top" / "a").read_bytes() == shape.content(0)


async def test_two_torrents_do_not_share_a_file(tmp_path: pathlib.Path) -> None:
    one, two = Shape({"": letters(200, 1)}, name="same"), Shape({"": letters(200, 2)}, name="same")
    pool = FilePool()
    first, second = Home(tmp_path / "1", one), Home(tmp_path / "2", two)
    second.folder = first.folder
    disk = first.disk(FileStorage(one.info, first.folder, pool=pool))
    other = second.disk(FileStorage(two.info, first.folder, pool=pool))
    await first.open(disk)
    await second.open(other)
    await write_piece(disk, 0, one.pieces[0])
    with pytest.raises(StorageError, match="another torrent"):
        await write_piece(other, 0, two.pieces[0])
    await other.close(0)
    await disk.close(1)
    assert first.part(0).read_bytes()[:64] == one.pieces[0]


async def test_nor_where_one_save_folder_lies_in_the_other(tmp_path: pathlib.Path) -> None:
    pool = FilePool()
    one, two = Shape({"film": letters(200, 1)}, name="top"), Shape({"": letters(200, 2)}, name="film")
    first, second = Home(tmp_path / "1", one), Home(tmp_path / "2", two)
    second.folder = first.folder / "top"
    disk = first.disk(FileStorage(one.info, first.folder, pool=pool))
    other = second.disk(FileStorage(two.info, second.folder, pool=pool))
    await first.open(disk)
    await second.open(other)
    await write_piece(disk, 0, one.pieces[0])
    with pytest.raises(StorageError, match="another torrent"):
        await write_piece(other, 0, two.pieces[0])
    await other.close(0)
    await disk.close(1)


async def test_nor_by_wanting_it_after_all(tmp_path: pathlib.Path) -> None:
    pool = FilePool()
    one = Shape({"a": letters(100, 1), "b": letters(200, 1)}, name="same")
    two = Shape({"b": letters(200, 2)}, name="same")
    first, second = Home(tmp_path / "1", one), Home(tmp_path / "2", two)
    second.folder = first.folder
    disk = first.disk(FileStorage(one.info, first.folder, pool=pool))
    other = second.disk(FileStorage(two.info, first.folder, pool=pool))
    await first.open(disk, frozenset({0}))
    await write_piece(disk, 1, one.pieces[1])  # the end of the first file, and bytes of the second
    await second.open(other)
    await write_piece(other, 0, two.pieces[0])
    with pytest.raises(StorageError, match="another torrent"):
        await disk.select(one.all)
    await other.close(1)
    await disk.select(one.all)
    await disk.close(0b10)


async def test_two_torrents_of_one_name_in_one_folder(tmp_path: pathlib.Path) -> None:
    """Neither in two processes, which know nothing of each other, nor after a kill is one taken for the other."""
    one, two = Shape({"": letters(200, 1)}, name="same"), Shape({"": letters(200, 2)}, name="same")
    first, second = Home(tmp_path / "1", one), Home(tmp_path / "2", two)
    second.folder = first.folder
    disk = first.disk()
    await first.open(disk)
    await write_piece(disk, 0, one.pieces[0])
    await disk.commit(0b1)
    other = second.disk()
    assert await second.open(other) == 0
    for piece, data in enumerate(two.pieces[:-1]):
        await write_piece(other, piece, data)
    disk._storage.close()  # killed
    disk._journal.close()
    await other.close(two.full >> 1)
    disk = first.disk()
    assert await first.open(disk) == 0b1
    assert not wrong_claims(await content_of(disk, one.info.layout, 0b1), one, 0b1)
    for piece, data in enumerate(one.pieces):
        await write_piece(disk, piece, data)
    await disk.close(one.full)
    assert first.final(0).read_bytes() == one.content(0)
    with pytest.raises(FileInTheWayError):
        await second.open(second.disk())
    assert first.final(0).read_bytes() == one.content(0)


async def test_what_is_only_called_like_an_unfinished_file_is_left_alone(tmp_path: pathlib.Path) -> None:
    """A person's own, or the finished one of another torrent."""
    home = Home(tmp_path, Shape({"": letters(200, 1)}, name="song"))
    home.folder.mkdir()
    (home.folder / "song.part").write_bytes(b"notes")
    await try_to_write(home)
    assert (home.folder / "song.part").read_bytes() == b"notes"
    assert home.final(0).read_bytes() == home.shape.content(0)


def test_name_that_leads_out_is_refused(tmp_path: pathlib.Path, shape: Shape) -> None:
    storage = FileStorage(shape.info, tmp_path / "save")
    for path in [("..", "x"), ("a/b", "x"), ("", "x"), (".", "x"), ("a\0", "x")]:
        with pytest.raises(OSError, match="not a name"):
            storage._beneath.create((*path,))


def test_finished_file_is_compared(tmp_path: pathlib.Path, shape: Shape) -> None:
    home = Home(tmp_path, shape)
    home.put(0, shape.content(0))
    storage = home.storage()
    storage.prepare(shape.all)
    storage.pwrite(0, shape.pieces[0])
    with pytest.raises(InTheWay) as caught:
        storage.pwrite(0, bytes(64))
    assert caught.value.file == 0
    assert home.final(0).read_bytes() == shape.content(0)
    storage.close()


def test_padding_that_is_not_zeros_cannot_be_stored(tmp_path: pathlib.Path) -> None:
    shape = Shape({"a": letters(60), ".pad/4": 4})
    storage = Home(tmp_path, shape).storage()
    storage.prepare(shape.all)
    with pytest.raises(StorageError, match="padding"):
        storage.pwrite(0, shape.pieces[0][:60] + b"1234")
    storage.close()


def test_offsets_outside_are_refused(tmp_path: pathlib.Path, shape: Shape) -> None:
    storage = Home(tmp_path, shape).storage()
    storage.prepare(shape.all)
    for offset, size in [(-1, 5), (240, 1), (230, 11)]:
        with pytest.raises(ValueError, match="outside"):
            storage.pwrite(offset, bytes(size))
        with pytest.raises(ValueError, match="outside"):
            storage.pread_into(offset, [bytearray(size)])


def test_closed_storage_opens_nothing(tmp_path: pathlib.Path, shape: Shape) -> None:
    home = Home(tmp_path, shape)
    home.put(0, shape.content(0))
    storage = home.storage()
    storage.prepare(shape.all)
    buffer = bytearray(10)
    storage.pread_into(5, [buffer])
    assert buffer == shape.data[5:15]
    storage.close()
    with pytest.raises(StorageError, match="closed"):
        storage.pread_into(5, [buffer])
    assert len(storage._pool) == 0


def test_nothing_stays_lent(tmp_path: pathlib.Path, shape: Shape) -> None:
    """What is read, written and flushed is idle afterwards, and goes when descriptors are scarce."""
    storage = Home(tmp_path, shape).storage()
    storage.prepare(shape.all)
    buffer = bytearray(64)
    for piece, data in enumerate(shape.pieces):
        storage.pwrite(64 * piece, data)
        storage.pread_into(64 * piece, [memoryview(buffer)[: len(data)]])
        storage.read_cached(64 * piece, [memoryview(buffer)[: len(data)]])
    storage.sync(set(shape.all))
    assert len(storage._pool) > 0
    storage._pool.trim()
    assert len(storage._pool) == 0
    storage.close()


def test_lent_descriptor(tmp_path: pathlib.Path, shape: Shape) -> None:
    home = Home(tmp_path, shape)
    home.put(1, shape.content(1))
    storage = home.storage()
    storage.prepare(shape.all)
    with storage._borrow(Key(storage, 1, write=False)) as fd:
        storage.close()
        assert os.pread(fd, 90, 0) == shape.content(1)
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fd)


FIVE_THOUSAND = """
import hashlib, os, resource, sys, threading, trio
from tests.storage.worlds import Home, Shape, write_piece
from torrentlite.storage import platform
from torrentlite.storage.offload import ThreadOffload
import pathlib
platform.flush = platform.flush_folder = lambda fd: None
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
shape = Shape({f"{n % 7}/{n}": b"%d " % n * (n % 5) for n in range(5000)}, piece_length=1024)

async def main():
    home = Home(pathlib.Path(sys.argv[1]), shape)
    home.offload = ThreadOffload()
    disk = home.disk()
    async def write(pieces):
        for piece in pieces:
            await write_piece(disk, piece, shape.pieces[piece])
            await disk.read_back(piece, 0, bytearray(10))
    assert await home.open(disk) == 0
    async with trio.open_nursery() as nursery:
        for part in range(6):
            nursery.start_soon(write, range(part, len(shape.pieces), 6))
    await disk.commit(shape.full)
    assert len(home.lying()) == 5000, len(home.lying())
    assert await home.open(disk, recheck=True) == shape.full
    await disk.close(shape.full)
    assert len(os.listdir("/proc/self/fd")) < 20 if os.path.exists("/proc/self/fd") else True
    print("well")

trio.run(main)
"""


def test_five_thousand_files_with_64_descriptors(tmp_path: pathlib.Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", FIVE_THOUSAND, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert run.stdout == "well\n", run.stderr


def test_threads_read_and_write_through_a_small_pool(tmp_path: pathlib.Path) -> None:
    """No thread ever reads or writes somebody else's file, although descriptors are closed all the time."""
    shape = Shape({f"{n}": letters(64, n) for n in range(20)})
    home = Home(tmp_path, shape)
    storage = FileStorage(shape.info, home.folder, pool=FilePool(limit=2))
    storage.prepare(shape.all)
    wrong: list[int] = []

    def work(first: int) -> None:
        for turn in range(60):
            piece = (first + turn * 7) % 20
            storage.pwrite(piece * 64, shape.pieces[piece])
            buffer = bytearray(64)
            storage.pread_into(piece * 64, [buffer])
            if buffer != shape.pieces[piece]:
                wrong.append(piece)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(storage._pool) <= 2
    storage.close()
    assert all(home.part(file).read_bytes() == shape.content(file) for file in shape.all)


def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the disk were mounted so."""
    real = os.statvfs

    def statvfs(path: str) -> os.statvfs_result:
        values = list(real(path))
        values[8] |= os.ST_RDONLY
        return os.statvfs_result(values)

    monkeypatch.setattr(os, "statvfs", statvfs)


def test_a_read_only_disk_is_refused_before_anything_is_written(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = Shape({"a": letters(300, 1), "b": letters(40, 2)})
    home = Home(tmp_path, shape)
    written = FileStorage(shape.info, home.folder)
    written.prepare(shape.all)
    written.pwrite(0, shape.pieces[0])
    read_only(monkeypatch)
    written.prepare(shape.all)  # it was not when this began: the system does that after an error, and it may pass
    fresh = FileStorage(shape.info, home.folder)
    with pytest.raises(StorageError, match=rf"^cannot save into '{home.folder}': it is on a read-only disk$") as caught:
        fresh.prepare(shape.all)
    assert caught.value.errno == errno.EROFS
    assert not isinstance(caught.value, DiskTroubleError), "nobody waits for that"
    fresh.prepare(frozenset())
    written.close()


def test_what_is_whole_on_a_read_only_disk_is_shared(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = Shape({"a": letters(300, 1)})
    home = Home(tmp_path, shape)
    home.final(0).parent.mkdir(parents=True, exist_ok=True)
    home.final(0).write_bytes(shape.content(0))
    read_only(monkeypatch)

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(platform, "remove_in", refused)  # as Linux refuses it, whether something is there or not
    storage = FileStorage(shape.info, home.folder)
    assert storage.prepare(shape.all).finished == shape.all
    storage.select(shape.all, shape.full)
    storage.close()


def test_free_space(tmp_path: pathlib.Path) -> None:
    there = platform.free_space(str(tmp_path))
    assert there
    assert platform.free_space(str(tmp_path / "not" / "yet" / "there"))
