"""Files that are read whole: none is kept open, and in memory none takes a thread."""

from __future__ import annotations

import errno
import os
import pathlib

import pytest

from tests.storage.worlds import Home, Shape, letters
from torrentlite.errors import StorageError
from torrentlite.storage import platform, reader
from torrentlite.storage.files import FileStorage
from torrentlite.storage.storage import SyncFailure


@pytest.fixture
def shape() -> Shape:
    return Shape({"a": letters(70, 1), "b/c": letters(50, 2), "pad": 8, "b/d": letters(60, 3)})


@pytest.fixture
def home(tmp_path: pathlib.Path, shape: Shape) -> Home:
    home = Home(tmp_path, shape)
    for file in shape.all:
        home.put(file, shape.content(file))
    return home


def opened(home: Home) -> FileStorage:
    storage = home.storage()
    storage.prepare(home.shape.all)
    return storage


def in_memory(monkeypatch: pytest.MonkeyPatch, answer: bool) -> None:
    monkeypatch.setattr(platform, "in_memory", lambda device: answer)


def read_now(storage: FileStorage, offset: int, size: int) -> bytes | None:
    buffers = [bytearray(min(16, size - at)) for at in range(0, size, 16)]
    return b"".join(buffers) if storage.read_cached(offset, buffers) else None


def read(storage: FileStorage, offset: int, size: int) -> bytes:
    buffers = [bytearray(size // 2), bytearray(size - size // 2)]
    storage.pread_into(offset, buffers)
    return b"".join(buffers)


def meddle(path: pathlib.Path, what: str, outside: pathlib.Path) -> None:
    """What another program may do to a file of ours."""
    size = path.stat().st_size
    match what:
        case "replaced":
            path.rename(outside / "moved")
            path.write_bytes(bytes(size))
        case "link":
            path.rename(outside / "moved")
            path.symlink_to(outside / "moved")
        case "cut":
            os.truncate(path, size - 1)
        case "gone":
            path.unlink()
        case "folder":
            path.parent.rename(outside / "b")
            path.parent.symlink_to(outside / "b")
        case "hard link":
            os.link(path, outside / "second")
        case _:
            raise ValueError(what)


@pytest.mark.parametrize("memory", [True, False])
def test_where_they_are_read(home: Home, shape: Shape, monkeypatch: pytest.MonkeyPatch, memory: bool) -> None:
    in_memory(monkeypatch, memory)
    storage = opened(home)
    size = len(shape.data)
    assert read_now(storage, 0, size) is None, "nobody knows yet"
    assert read(storage, 0, size) == shape.data
    assert len(storage._pool) == 0
    for start, stop in [(0, size), (5, size - 5), (70, 120), (119, 130)]:
        assert read_now(storage, start, stop - start) == (shape.data[start:stop] if memory else None)
    assert len(storage._pool) == 0


def test_a_large_one_is_opened_by_a_thread(home: Home, shape: Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    in_memory(monkeypatch, True)
    storage = opened(home)
    assert read(storage, 0, len(shape.data)) == shape.data
    monkeypatch.setattr(reader, "_SMALL", 60)
    assert read_now(storage, 128, 60) == shape.content(3)
    assert read_now(storage, 0, 70) is None
    assert read(storage, 0, 20) == shape.data[:20]
    assert len(storage._pool) == 1


def test_another_device(home: Home, shape: Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is mounted inside the save folder may be a disk."""
    in_memory(monkeypatch, True)
    storage = opened(home)
    assert read(storage, 0, len(shape.data)) == shape.data
    real = os.fstat

    def elsewhere(fd: int) -> os.stat_result:
        status = real(fd)
        return os.stat_result((*status[:2], status.st_dev + 1, *status[3:10])) if status.st_size == 50 else status

    monkeypatch.setattr(os, "fstat", elsewhere)
    assert read_now(storage, 70, 50) is None
    assert read_now(storage, 0, 70) is None, "until a thread has looked again"


@pytest.mark.parametrize("what", ["replaced", "link", "cut", "gone", "folder"])
def test_meddled_with(
    home: Home, shape: Shape, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    in_memory(monkeypatch, True)
    storage = opened(home)
    assert read(storage, 0, len(shape.data)) == shape.data
    meddle(home.final(3), what, tmp_path)
    assert read_now(storage, 0, len(shape.data)) is None
    with pytest.raises(StorageError):
        read(storage, 128, 60)
    assert read_now(storage, 0, 70) == shape.content(0)


@pytest.fixture
def many(tmp_path: pathlib.Path) -> Home:
    """Twenty files, each in one piece, and one in two."""
    return Home(tmp_path, Shape({f"{n % 3}/{n}": letters(64 if n < 20 else 100, n) for n in range(21)}))


def flushes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the files that are flushed from here on."""
    seen: list[int] = []
    monkeypatch.setattr(platform, "flush", lambda fd: seen.append(os.fstat(fd).st_size))
    return seen


def written(home: Home) -> FileStorage:
    storage = opened(home)
    for piece, data in enumerate(home.shape.pieces):
        storage.pwrite(piece * 64, data)
    return storage


@pytest.mark.parametrize("memory", [True, False])
def test_what_is_flushed(many: Home, monkeypatch: pytest.MonkeyPatch, memory: bool) -> None:
    in_memory(monkeypatch, memory)
    seen = flushes(monkeypatch)
    storage = written(many)
    stamps = storage.sync(many.shape.all)
    assert sorted(seen) == ([100] if memory else [64] * 20 + [100])
    assert storage.finish(many.shape.all) == sorted(many.shape.all)
    assert stamps == {file: platform.stamp(os.stat(many.final(file))) for file in many.shape.all}


def test_a_few_are_flushed_as_anywhere(home: Home, shape: Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    in_memory(monkeypatch, True)
    seen = flushes(monkeypatch)
    for file in shape.all:
        home.final(file).unlink()
    storage = opened(home)
    storage.pwrite(0, shape.data)
    storage.sync(shape.all)
    assert sorted(seen) == [50, 60, 70]


async def test_nothing_is_hashed_again(many: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    in_memory(monkeypatch, True)
    disk = many.disk()
    await many.open(disk)
    await disk.write_pieces(list(enumerate(many.shape.pieces)))
    await disk.commit(many.shape.full)
    await disk.close(many.shape.full)
    assert await many.open(disk) == many.shape.full
    assert many.hashed == 0
    await disk.close(many.shape.full)
    many.final(7).write_bytes(many.shape.content(7))
    assert await many.open(disk) == many.shape.full
    assert many.hashed == 64, "it looks different from what was written"
    await disk.close(many.shape.full)


def test_a_flush_that_fails_leaves_no_stamp(many: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written before a failure is flushed, and looked at, by the next one."""
    in_memory(monkeypatch, True)
    storage = written(many)
    real = platform.flush

    def failing(fd: int) -> None:
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(platform, "flush", failing)
    with pytest.raises(SyncFailure):
        storage.sync(many.shape.all)
    monkeypatch.setattr(platform, "flush", real)
    seen = flushes(monkeypatch)
    storage.sync(many.shape.all)
    assert sorted(seen) == [64] * 20 + [100]


@pytest.mark.parametrize("what", ["replaced", "link", "cut", "gone", "hard link"])
def test_meddled_with_before_it_is_named(
    many: Home, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    in_memory(monkeypatch, True)
    storage = written(many)
    storage.sync(many.shape.all)
    meddle(many.part(4), what, tmp_path)
    with pytest.raises(StorageError):
        storage.finish(many.shape.all)
    assert not many.final(4).exists()
