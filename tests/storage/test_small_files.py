"""Files that are read whole: none is kept open, and in memory none takes a thread."""

from __future__ import annotations

import os
import pathlib

import pytest

from tests.storage.worlds import Home, Shape, letters
from torrentlite import limits
from torrentlite.errors import StorageError
from torrentlite.storage import platform
from torrentlite.storage.files import FileStorage


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
    monkeypatch.setattr(limits, "READ_CHUNK", 60)
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
    final = home.final(3)
    match what:
        case "replaced":
            final.rename(tmp_path / "moved")
            final.write_bytes(bytes(60))
        case "link":
            final.rename(tmp_path / "moved")
            final.symlink_to(tmp_path / "moved")
        case "cut":
            os.truncate(final, 59)
        case "gone":
            final.unlink()
        case _:
            final.parent.rename(tmp_path / "b")
            final.parent.symlink_to(tmp_path / "b")
    assert read_now(storage, 0, len(shape.data)) is None
    with pytest.raises(StorageError):
        read(storage, 128, 60)
    assert read_now(storage, 0, 70) == shape.content(0)
