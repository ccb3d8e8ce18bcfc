"""No room in the state folder: what is whole is shared and named without a journal, what is not waits for one."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import NoReturn

import pytest

from tests.storage.worlds import Home, Shape, letters, write_piece
from torrentlite.errors import DiskFullError, DiskTroubleError, StorageError
from torrentlite.storage.disk import Disk, Verdict
from torrentlite.storage.journal import Journal
from torrentlite.wire import bitfield

ALL = ["top/a", "top/b/c", "top/b/empty", "top/d"]


@pytest.fixture
def shape() -> Shape:
    return Shape({"a": letters(150, 1), "b/c": letters(10, 2), "b/empty": b"", "d": letters(300, 3)})


@pytest.fixture
def home(tmp_path: pathlib.Path, shape: Shape) -> Home:
    return Home(tmp_path, shape)


@contextlib.contextmanager
def no_room(folder: pathlib.Path, number: int = errno.ENOSPC) -> Iterator[list[str]]:
    """Nothing can be made or written below this folder; gives the calls that failed."""
    failed: list[str] = []
    place = str(folder)

    def refuse(name: str) -> NoReturn:
        failed.append(name)
        raise OSError(number, os.strerror(number))

    def mkdir(path, *more, **named):  # type: ignore[no-untyped-def]
        return refuse("mkdir") if str(path).startswith(place) else real.mkdir(path, *more, **named)

    def open_(path, flags, *more, **named):  # type: ignore[no-untyped-def]
        if str(path).startswith(place) and flags & os.O_CREAT and not os.path.exists(path):
            refuse("open")
        return real.open(path, flags, *more, **named)

    def pwrite(fd: int, data: memoryview, offset: int) -> int:
        if os.readlink(f"/proc/self/fd/{fd}").startswith(place):
            refuse("pwrite")
        return int(real.pwrite(fd, data, offset))

    real = SimpleNamespace(mkdir=os.mkdir, open=os.open, pwrite=os.pwrite)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "mkdir", mkdir)
        patch.setattr(os, "open", open_)
        patch.setattr(os, "pwrite", pwrite)
        yield failed


def lay(home: Home, files: frozenset[int]) -> None:
    for file in files:
        home.put(file, home.shape.content(file))


async def write(home: Home, disk: Disk, pieces: int) -> None:
    for piece in bitfield.members(pieces):
        assert await write_piece(disk, piece, home.shape.pieces[piece]) is Verdict.RIGHT


def kill(disk: Disk) -> None:
    """What the system does for a process that is killed: close its files."""
    disk._storage.close()
    if disk._journal is not None:
        disk._journal.close()


@pytest.mark.parametrize("known", [False, True])
async def test_what_is_whole_needs_no_journal(
    home: Home, shape: Shape, known: bool, caplog: pytest.LogCaptureFixture
) -> None:
    if known:  # of nothing yet
        disk = home.disk()
        await home.open(disk)
        await disk.close(0)
    lay(home, shape.all)
    with no_room(home.state) as failed:
        disk = home.disk()
        assert await home.open(disk) == shape.full
        assert await disk.commit(shape.full) == []
        await disk.close(shape.full)
    assert failed
    assert "nothing is remembered for the next start" in caplog.text
    assert home.lying() == ALL
    again = home.disk()
    assert await home.open(again) == shape.full
    assert home.hashed == len(shape.data)
    await again.close(shape.full)
    last = home.disk()
    assert await home.open(last) == shape.full
    assert home.hashed == 0


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS])
@pytest.mark.parametrize("known", [False, True])
async def test_a_state_folder_that_fails_is_not_a_full_one(home: Home, shape: Shape, known: bool, number: int) -> None:
    """What is there may be gone with it, as when the power fails: nothing is said to last, or hashed, for want of it."""
    if known:
        disk = home.disk()
        await home.open(disk)
        await disk.close(0)
    lay(home, shape.all)
    disk = home.disk()
    with no_room(home.state, number) as failed, pytest.raises(DiskTroubleError) as caught:
        await home.open(disk)
    assert failed
    assert caught.value.errno == number
    assert not isinstance(caught.value, DiskFullError)
    assert await home.open(disk) == shape.full
    await disk.close(shape.full)


@pytest.mark.parametrize("end", [Disk.close, kill])
async def test_what_has_become_whole_gets_its_names(home: Home, shape: Shape, end) -> None:  # type: ignore[no-untyped-def]
    disk = home.disk()
    await home.open(disk)
    await write(home, disk, shape.full)
    with no_room(home.state) as failed:
        assert await disk.commit(shape.full) == [0, 1, 3]
        assert disk.dirty == 0
        if end is kill:
            kill(disk)
        else:
            await disk.close(shape.full)
    assert failed
    assert home.lying() == ALL
    again = home.disk()
    assert await home.open(again) == shape.full
    assert home.hashed == len(shape.data)  # the journal says that they were being written, and claims no more


async def test_what_is_not_whole_waits(home: Home, shape: Shape) -> None:
    lay(home, shape.all - {3})
    with no_room(home.state), pytest.raises(DiskFullError, match="No space"):
        await home.open(home.disk())
    disk = home.disk()
    have = await home.open(disk)
    more = shape.full & ~have & ~(1 << 7)
    await write(home, disk, more)
    with no_room(home.state):
        with pytest.raises(DiskFullError, match="No space"):
            await disk.commit(have | more)
        with pytest.raises(DiskFullError, match="No space"):
            await write(home, disk, 1 << 7)
    await disk.commit(have | more)
    kill(disk)
    again = home.disk()
    assert await home.open(again) == have | more
    assert home.hashed == 0


async def test_what_is_wrong_waits_too(tmp_path: pathlib.Path, shape: Shape) -> None:
    home = Home(tmp_path, shape, overwrite=True)
    lay(home, shape.all)
    home.put(3, bytes(300))
    disk = home.disk()
    with no_room(home.state):
        for _ in range(2):
            with pytest.raises(DiskFullError, match="No space"):
                await home.open(disk)
    have = await home.open(disk)
    await write(home, disk, shape.full & ~have)
    await disk.commit(shape.full)
    assert home.lying() == ALL
    assert home.final(3).read_bytes() == shape.content(3)


async def test_nothing_wanted_is_not_all(home: Home) -> None:
    with no_room(home.state), pytest.raises(DiskFullError):
        await home.open(home.disk(), frozenset())


async def test_more_is_wanted_afterwards(tmp_path: pathlib.Path) -> None:
    shape = Shape({"a": letters(128, 1), "b": letters(300, 2)})
    home = Home(tmp_path, shape)
    lay(home, frozenset({0}))
    disk = home.disk()
    with no_room(home.state):
        have = await home.open(disk, frozenset({0}))
        await disk.select(shape.all)
        rest = shape.full & ~have
        with pytest.raises(DiskFullError, match="No space"):
            await write(home, disk, rest)
    await write(home, disk, rest)
    other = Journal(home.state, shape.info.hashes.wire, home.folder, shape.info.layout.piece_count)
    with pytest.raises(StorageError, match="another session or process"):
        other.load()  # it is locked from now on
    kill(disk)
    again = home.disk()
    assert await home.open(again) == shape.full
    assert home.hashed == shape.info.layout.bytes_of_pieces(rest)  # what was written, and not what was there
    await again.close(shape.full)


async def test_the_journal_is_somebody_else_s(
    home: Home, shape: Shape, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Root's, after a sudo: it is left as it is, nothing is claimed, and what is there is hashed."""
    real = os.open

    def open_(path, *more, **named):  # type: ignore[no-untyped-def]
        if str(path).endswith(".journal"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path, *more, **named)

    half = bitfield.span(range(4))
    disk = home.disk()
    await home.open(disk)
    await write(home, disk, half)
    await disk.close(half)
    (file,) = (home.state / "resume").iterdir()
    before = file.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", open_)
        disk = home.disk()
        assert await home.open(disk) == half
        assert home.hashed >= 4 * shape.info.piece_length
        await write(home, disk, shape.full & ~half)
        await disk.commit(shape.full)
        assert await home.open(disk, recheck=True) == shape.full
        await disk.close(shape.full)
    assert caplog.text.count("nothing is remembered for the next start: cannot use") == 1
    assert home.lying() == ALL
    assert file.read_bytes() == before
    again = home.disk()
    assert await home.open(again) == shape.full
    await again.close(shape.full)
