"""Every call that can fail, failing once: the torrent waits, goes on, and ends well."""

from __future__ import annotations

import errno
import os
import pathlib
import tempfile
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
import trio

from tests.storage.worlds import FAILING, Home, Shape, content_of, letters, write_piece, wrong_claims
from torrentlite.errors import DiskFullError, DiskTroubleError, StorageError
from torrentlite.storage import platform
from torrentlite.storage.faults import about
from torrentlite.storage.files import FileStorage
from torrentlite.storage.journal import Journal
from torrentlite.wire import bitfield

T = TypeVar("T")


NAMES = ("link", "rename", "replace", "unlink", "mkdir")
"""The calls that Python does not make again when a signal interrupts them (PEP 475)."""


class Faults:
    """One call fails, the one of number ``at``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, number: int) -> None:
        self.at = at
        self.count = 0
        self.number = number  # 0: a short write
        self.name = ""
        for name in FAILING if number else ("pwrite",):
            monkeypatch.setattr(os, name, self._shim(name, getattr(os, name)))

    def _shim(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            if self.count == self.at:
                self.name = name
                if self.number == errno.EINTR and name in NAMES:
                    real(*args, **kwargs)  # it was done, and nobody was told
                if self.number:
                    raise OSError(self.number, os.strerror(self.number))
                return real(args[0], args[1][: len(args[1]) // 2 or 1], args[2])
            if name in ("fdatasync", "fsync"):
                return None
            return real(*args, **kwargs)

        return call


async def again(call: Callable[[], Awaitable[T]]) -> T:
    try:
        return await call()
    except DiskTroubleError:
        return await call()


async def story(home: Home, faults: Faults) -> None:
    shape = home.shape
    disk = home.disk()
    have = await again(lambda: home.open(disk, frozenset({0, 3})))
    for step, piece in enumerate([5, 1, 0, 4, 2, 7, 6, 3]):
        data = shape.pieces[piece]
        if step == 1:
            await again(lambda p=piece, d=data: disk.spill(p, [(0, d)]))  # type: ignore[misc]
            await again(lambda p=piece: disk.check_spilled(p))  # type: ignore[misc]
        else:
            await again(lambda p=piece, d=data: write_piece(disk, p, d))  # type: ignore[misc]
        have |= 1 << piece
        if step == 3:
            await again(lambda: disk.select(shape.all))
        if step % 2:
            try:
                await disk.commit(have)
            except DiskTroubleError:
                have &= ~disk.unsure()
    for piece in bitfield.members(shape.full & ~have):
        await again(lambda p=piece: write_piece(disk, p, shape.pieces[p]))  # type: ignore[misc]
    try:
        await disk.commit(shape.full)
    except DiskTroubleError:
        for piece in bitfield.members(disk.unsure()):
            await write_piece(disk, piece, shape.pieces[piece])
        await disk.commit(shape.full)
    assert not wrong_claims(await again(lambda: content_of(disk, shape.layout, shape.full)), shape, shape.full)
    done = faults.count >= faults.at
    try:
        await disk.close(shape.full)
    except DiskTroubleError:
        assert not done
    faults.at = -1
    last = home.disk()
    assert await home.open(last) == shape.full
    if done:
        assert home.hashed == 0
    await last.close(shape.full)
    assert home.lying() == sorted(str(home.final(file).relative_to(home.folder)) for file in shape.all)
    assert all(home.final(file).read_bytes() == shape.content(file) for file in shape.all)


@pytest.mark.parametrize("reuse", [False, True], ids=["", "reused"])
@pytest.mark.parametrize("number", [errno.EIO, errno.EINTR, 0], ids=["EIO", "EINTR", "short write"])
def test_any_call_may_fail_once(number: int, reuse: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def not_here(*_: object) -> int:
        raise OSError(errno.ENOSYS, "not here")

    monkeypatch.setattr(os, "copy_file_range", not_here)  # so that copies are reads and writes
    shape = Shape({"a": letters(100, 1), "b": letters(30, 2), "e": b"", "c": letters(300, 3), "d": letters(60, 4)})
    failed: dict[str, int] = {}
    at = 0
    while True:
        at += 1
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            other = pathlib.Path(folder, "other")
            other.mkdir()
            (other / "a").write_bytes(shape.content(0))
            (other / "c").write_bytes(shape.content(3)[:150])
            faults = Faults(patch, at, number)
            trio.run(story, Home(pathlib.Path(folder), shape, reuse=[other] if reuse else []), faults)
            if not faults.name:
                break
            failed[faults.name] = failed.get(faults.name, 0) + 1
    assert set(failed) == set(FAILING if number else ("pwrite",)), "each kind of call failed"
    assert at > (100 if number else 20)


async def test_failed_flush_is_not_asked_again(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = Shape({"a": letters(128, 1), "b": letters(128, 2)})
    home = Home(tmp_path, shape)
    disk = home.disk()
    await home.open(disk)
    await write_piece(disk, 0, shape.pieces[0])
    await disk.commit(1)
    for piece in (1, 2):
        await write_piece(disk, piece, shape.pieces[piece])
    flushes: list[str] = []
    forgotten: list[str] = []

    def flush(fd: int) -> None:
        name = (
            os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))
            if os.path.exists("/proc/self/fd")
            else home.part(0).name
        )
        flushes.append(name)
        if name == home.part(0).name:
            raise OSError(errno.EIO, "I/O error")

    monkeypatch.setattr("torrentlite.storage.platform.flush", flush)
    monkeypatch.setattr("torrentlite.storage.platform.forget_cached", lambda fd: forgotten.append("it"))
    with pytest.raises(DiskTroubleError, match=r"a\.\w{8}\.part"):
        await disk.commit(0b111)
    assert disk.unsure() == 0b010  # b was flushed, and the first piece of a before
    assert forgotten == ["it"], "what is in memory is not what is on the disk"
    del flushes[:]
    monkeypatch.undo()
    await disk.commit(0b101)
    await disk.close(0b111)
    journal = Journal(home.state, shape.info.hashes.wire, home.folder, 4)
    assert journal.load().synced == 0b101, "what may be lost is not claimed"
    journal.close()


async def test_what_was_synced_is_not_lost_with_its_name(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A renaming that fails half way leaves two names of one file: written to again, it would be refused for that."""
    shape = Shape({"a": letters(128, 1)})
    home = Home(tmp_path, shape)
    disk = home.disk()
    await home.open(disk)
    for piece in (0, 1):
        await write_piece(disk, piece, shape.pieces[piece])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "unlink", lambda *args, **kwargs: _fail(0))
        with pytest.raises(DiskTroubleError):
            await disk.commit(0b11)
    assert home.part(0).samefile(home.final(0))
    assert not disk.dirty
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(platform, "flush", _fail)
        with pytest.raises(DiskTroubleError):
            await disk.commit(0b11)
    assert not disk.unsure()
    assert await disk.commit(0b11) == [0]
    assert home.lying() == ["top/a"]
    await disk.close(0b11)


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
async def test_failed_flush_costs_no_hashing_of_what_was_synced(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """What is written down on leaving says how the files look then, also those that could not be flushed in between."""
    shape = Shape({"a": letters(128, 1), "b": letters(128, 2)})
    home = Home(tmp_path, shape)
    disk = home.disk()
    await home.open(disk)
    for piece in (0, 2):
        await write_piece(disk, piece, shape.pieces[piece])
    await disk.commit(0b101)
    for piece in (1, 3):
        await write_piece(disk, piece, shape.pieces[piece])
    with pytest.MonkeyPatch.context() as patch:
        flush, failed = platform.flush, []

        def once(fd: int) -> None:
            if failed:
                flush(fd)
            else:
                failed.append(fd)
                raise OSError(number, os.strerror(number))

        patch.setattr(platform, "flush", once)
        with pytest.raises(StorageError):
            await disk.commit(0b1111)
    assert disk.unsure() in (0b0010, 0b1000), "the other file was flushed"
    left = 0b1111 & ~disk.unsure()
    await disk.close(left)
    last = home.disk()
    assert await home.open(last) == left
    assert home.hashed == 0
    await last.close(left)


async def test_file_without_its_size_is_not_one_that_was_cut_short(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = Shape({"a": letters(128, 1), "b": letters(128, 2)})
    home = Home(tmp_path, shape)
    disk = home.disk()
    await home.open(disk)
    await write_piece(disk, 0, shape.pieces[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "ftruncate", lambda fd, length: _fail(fd))
        with pytest.raises(DiskTroubleError, match=r"b\.\w{8}\.part"):
            await write_piece(disk, 2, shape.pieces[2])
    assert home.part(1).stat().st_size == 0
    await disk.commit(0b1)
    await write_piece(disk, 2, shape.pieces[2])
    await disk.commit(0b101)
    assert not disk.unsure()
    await disk.close(0b101)


async def test_piece_written_while_a_flush_fails(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flush takes its pages too, so it is written once more."""
    shape = Shape({"a": letters(192, 1)})
    home = Home(tmp_path, shape)
    disk = home.disk()
    await home.open(disk)
    await write_piece(disk, 0, shape.pieces[0])
    written: list[int] = []
    inside, outside = trio.Event(), trio.Event()
    run = home.offload.run

    async def slow_writes(fn: Callable[..., Any], *args: Any, abandon: bool = False) -> Any:
        result = await run(fn, *args, abandon=abandon)
        if fn.__name__ == "_write":
            written.append(args[0][0][0])
            inside.set()
            await outside.wait()
        return result

    monkeypatch.setattr(home.offload, "run", slow_writes)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(write_piece, disk, 1, shape.pieces[1])
        await inside.wait()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("torrentlite.storage.platform.flush", _fail)
            with pytest.raises(DiskTroubleError):
                await disk.commit(0b1)
        outside.set()
    assert written == [1, 1]
    assert disk.unsure() == 0b1
    await disk.close(0b10)


def _fail(fd: int) -> None:
    raise OSError(errno.EIO, "I/O error")


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, DiskFullError),
        (errno.EDQUOT, DiskFullError),
        (errno.EIO, DiskTroubleError),
        (errno.EROFS, DiskTroubleError),
        (errno.EINTR, DiskTroubleError),
        (errno.EMFILE, DiskTroubleError),
        (errno.ENFILE, DiskTroubleError),
        (errno.EACCES, StorageError),
        (errno.ENOTDIR, StorageError),
        (errno.ENOENT, StorageError),
        (12345, StorageError),
    ],
)
def test_what_the_system_says(number: int, kind: type[StorageError]) -> None:
    with pytest.raises(kind) as caught, about("/some/\x1b[2Jwhere", "write to"):
        raise OSError(number, os.strerror(number))
    assert type(caught.value) is kind
    assert caught.value.errno == number
    assert caught.value.path == pathlib.Path("/some/\x1b[2Jwhere")
    said, what = str(caught.value), "cannot write to '/some/\ufffd[2Jwhere'"
    words = os.strerror(number)
    # What is waited for is cut at the end of a line: the cause comes first there.
    assert said == (f"{words}: {what}" if issubclass(kind, DiskTroubleError) else f"{what}: {words}")


async def test_vanished_file_is_not_made_anew(tmp_path: pathlib.Path) -> None:
    shape = Shape({"a": letters(256, 1)})
    home = Home(tmp_path, shape)
    storage = FileStorage(shape.info, home.folder)
    disk = home.disk(storage)
    await home.open(disk)
    await write_piece(disk, 0, shape.pieces[0])
    home.part(0).unlink()
    storage._pool.trim()
    with pytest.raises(StorageError, match=r"a\.\w{8}\.part"):
        await write_piece(disk, 1, shape.pieces[1])
    assert not home.part(0).exists()
    with pytest.raises(StorageError):
        await disk.close(1)
