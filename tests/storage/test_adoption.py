"""What lies elsewhere is copied and checked: never trusted, never changed, and what of it is right is not fetched."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import trio
from hypothesis import given, strategies as st

from tests.storage.worlds import Home, Shape, content_of, letters, write_piece, wrong_claims
from torrentlite import limits
from torrentlite.errors import DiskFullError, StorageError
from torrentlite.metainfo.info import Info
from torrentlite.storage import adoption, disk as disk_module, donors, platform
from torrentlite.storage.adoption import Adoption
from torrentlite.storage.beneath import Beneath
from torrentlite.storage.disk import Disk
from torrentlite.storage.donors import Donor
from torrentlite.storage.files import FileStorage
from torrentlite.storage.hashing import create_metainfo
from torrentlite.storage.offload import ThreadOffload
from torrentlite.storage.pool import FilePool
from torrentlite.wire import bitfield

A, B, C, D = letters(150, 1), letters(10, 2), letters(700, 3), letters(333, 4)
FILES: Mapping[str, bytes | int] = {"a": A, "b/c": B, "b/empty": b"", "c": C, "d": D}


@pytest.fixture
def shape() -> Shape:
    return Shape(FILES)


@pytest.fixture
def other(tmp_path: pathlib.Path) -> pathlib.Path:
    """The folder that is reused."""
    (tmp_path / "other").mkdir()
    return tmp_path / "other"


@pytest.fixture
def home(tmp_path: pathlib.Path, shape: Shape, other: pathlib.Path) -> Home:
    return Home(tmp_path, shape, reuse=[other])


def lay(folder: pathlib.Path, files: Mapping[str, bytes | int]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else bytes(content))


def snapshot(folder: pathlib.Path) -> dict[str, tuple[int, int, int]]:
    return {
        str(path): (path.lstat().st_size, path.lstat().st_mtime_ns, path.lstat().st_nlink) for path in folder.rglob("*")
    }


async def open_and_complete(home: Home, wanted: frozenset[int] | None = None) -> int:
    """What was there at once; it is looked at, and the rest is written."""
    shape = home.shape
    before = [snapshot(place) for place in home.reuse]
    disk = home.disk()
    have = await home.open(disk, wanted)
    assert not wrong_claims(await content_of(disk, shape.layout, have), shape, have)
    assert not home.lying() or not [name for name in home.lying() if name.endswith(".temp")]
    for piece in bitfield.members(shape.pieces_of(sorted(shape.all if wanted is None else wanted)) & ~have):
        await write_piece(disk, piece, shape.pieces[piece])
    await disk.commit(shape.full)
    for file in shape.all if wanted is None else wanted:
        assert home.final(file).read_bytes() == shape.content(file)
        assert home.final(file).stat().st_nlink == 1
    await disk.close(shape.full)
    assert [snapshot(place) for place in home.reuse] == before
    return have


def pieces(shape: Shape, *parts: tuple[int, int, int]) -> int:
    """The pieces all of whose bytes lie in these parts of files: (file, from, to)."""
    good = bytearray(len(shape.data))
    for file, start, stop in parts:
        offset = shape.layout.file_offsets[file]
        good[offset + start : offset + stop] = b"\1" * (stop - start)
    size = shape.layout.piece_length
    return bitfield.of(piece for piece in range(len(shape.pieces)) if all(good[piece * size : (piece + 1) * size]))


WHOLE = [(0, 0, 150), (1, 0, 10), (3, 0, 700), (4, 0, 333)]


@pytest.mark.parametrize("where", [".", "top", "old/deep/deeper"])
async def test_all_of_it_is_there(home: Home, shape: Shape, other: pathlib.Path, where: str) -> None:
    """Under the folder that the torrent was saved to, in its own folder, or anywhere below."""
    lay(other / where / ("top" if where != "top" else ""), FILES)
    if where == "top":
        home.reuse = [other / "top"]
    assert await open_and_complete(home) == shape.full


async def test_how_much_it_was(home: Home, shape: Shape, other: pathlib.Path) -> None:
    lay(other / "top", {"a": A, "c": C[:500] + bytes(200)})
    disk = home.disk()
    have = await home.open(disk)
    assert have == pieces(shape, (0, 0, 150), (3, 0, 500))
    right = sum(len(shape.pieces[piece]) for piece in bitfield.members(have))
    assert disk.reused == right
    await disk.close(have)
    again = home.disk()  # now it is there, and nothing is copied or hashed
    assert await home.open(again) == have
    assert (home.hashed, again.reused) == (0, 0)
    await again.close(have)


@pytest.mark.parametrize(
    ("name", "content", "kept"),
    [
        ("top/c", C[:400], (0, 400)),  # to which something was appended
        ("top/c", C + b"more", (0, 700)),
        ("top/c", b"X" + C[1:], (1, 700)),  # the piece that tells is another one, and the others are right
        ("top/c", C[:350] + b"X" + C[351:], (0, 700)),
        ("top/c", C[:30], (0, 30)),  # less than a piece
        ("top/c", b"", (0, 0)),
        ("elsewhere/other name", C, (0, 700)),
        ("elsewhere/other name", b"X" * 700, (0, 0)),  # of its size, and not even copied
        ("elsewhere/c", C[:400], (0, 400)),  # renamed folder, and appended to
        ("elsewhere/c", b"X" * 400, (0, 0)),
        ("elsewhere/c", C[:90], (0, 0)),  # too short to be told
        ("elsewhere/other name", C[:400], (0, 0)),
    ],
    ids=range(12),
)
async def test_a_file_that_is_like_it(
    home: Home, shape: Shape, other: pathlib.Path, name: str, content: bytes, kept: tuple[int, int]
) -> None:
    lay(other, {name: content})
    expected = pieces(shape, (3, *kept))
    if content[350:351] == b"X" and content[:1] != b"X":
        expected &= ~(1 << (shape.layout.file_offsets[3] + 350) // 64)
    assert expected != pieces(shape, (3, 0, 700)) or kept[1] == 700
    assert await open_and_complete(home) == expected


async def test_the_first_whose_piece_is_right_is_taken(home: Home, shape: Shape, other: pathlib.Path) -> None:
    lay(other, {"c": bytes(700), "1/c": b"X" * 700, "2/c": b"Y" * 700, "3/z": C, "top/c": b"Z" * 700})
    assert await open_and_complete(home) == pieces(shape, (3, 0, 700))


async def test_the_same_path_and_size_with_other_bytes_is_better_than_nothing(
    home: Home, shape: Shape, other: pathlib.Path
) -> None:
    lay(other, {"top/c": b"X" * 350 + C[350:], "3/z": b"Z" * 700})
    assert await open_and_complete(home) == pieces(shape, (3, 350, 700))


async def test_the_same_path_goes_before_a_like_name_where_no_piece_can_tell(
    home: Home, shape: Shape, other: pathlib.Path
) -> None:
    """Also when all names have been looked at already, for a file before it."""
    lay(other, {"top/b/c": B, "top/c": C, "top/d": D, "before/a": A, "before/b/c": b"X" * len(B)})
    assert await open_and_complete(home) == shape.full


async def test_several_folders_and_files(home: Home, shape: Shape, tmp_path: pathlib.Path) -> None:
    lay(tmp_path, {"one/a": A, "two/top/d": D, "three": C, "four": b"?"})
    home.reuse = [tmp_path / name for name in ("one", "two", "three", "four")]
    assert await open_and_complete(home) == pieces(shape, (0, 0, 150), (3, 0, 700), (4, 0, 333))


@pytest.mark.parametrize("content", [C, C[:400], C + b"more"])
async def test_a_torrent_of_one_file_takes_any_file_that_is_named(tmp_path: pathlib.Path, content: bytes) -> None:
    lay(tmp_path, {"version 1.iso": content, "link": b""})
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("version 1.iso")  # who types it means what it leads to
    for name in ("version 1.iso", "link"):
        shape = Shape({"": C}, name="version 2.iso")
        home = Home(tmp_path / f"of {name}", shape, reuse=[tmp_path / name])
        have = await open_and_complete(home)
        assert have == (shape.full if len(content) >= 700 else bitfield.span(range(400 // 64)))


async def test_only_what_is_wanted_and_not_here(home: Home, shape: Shape, other: pathlib.Path) -> None:
    lay(other / "top", FILES)
    home.put(0, A)
    home.part(4).parent.mkdir(parents=True, exist_ok=True)
    home.part(4).write_bytes(b"X" * 333)  # something lies there: it is not for us to say that it is worth nothing
    disk = home.disk()
    have = await home.open(disk, frozenset({0, 3, 4}))
    assert have == pieces(shape, (0, 0, 150), (3, 0, 700))
    assert disk.reused == sum(len(shape.pieces[piece]) for piece in bitfield.members(pieces(shape, (3, 0, 700))))
    assert "top/b/c" not in home.lying()
    assert not home.part(1).exists()


async def test_what_is_wanted_later_is_taken_at_the_next_start(home: Home, shape: Shape, other: pathlib.Path) -> None:
    """Also where bytes of it lie beside the others, because they border on a piece that was wanted before."""
    disk = home.disk()
    await home.open(disk, frozenset({4}))
    for piece in shape.layout.pieces_of_file(4):
        await write_piece(disk, piece, shape.pieces[piece])
    await disk.close(shape.pieces_of([4]))
    assert home.aside().exists()
    lay(other / "top", {"a": A, "c": C})
    assert await open_and_complete(home) == pieces(shape, (0, 0, 150), (3, 0, 700), (4, 0, 333))


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("like", [b"X" * 700, C[:30], C[:-1] + b"X"], ids=range(3))
async def test_what_is_kept_beside_the_others_is_not_lost(
    home: Home, shape: Shape, other: pathlib.Path, like: bytes, killed: bool
) -> None:
    """What is copied may be wrong, and a piece that was right stays right."""
    disk = home.disk()
    await home.open(disk, frozenset({4}))
    for piece in shape.layout.pieces_of_file(4):
        await write_piece(disk, piece, shape.pieces[piece])
    if killed:
        disk._storage.close()
        assert disk._journal is not None
        disk._journal.close()
    else:
        await disk.close(shape.pieces_of([4]))
    lay(other / "top", {"c": like})
    have = await open_and_complete(home)
    assert have & shape.pieces_of([4]) == shape.pieces_of([4])
    assert bool(have & ~shape.pieces_of([4])) == (like[:-1] == C[:-1])


# -- what is no donor --------------------------------------------------------------------------------------------------


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that are opened in a folder."""
    names: list[str] = []
    real = platform.open_in

    def open_in(folder: platform.Handle, name: str, flags: int, mode: int = 0o666) -> int:
        names.append(name)
        return real(folder, name, flags, mode)

    monkeypatch.setattr(platform, "open_in", open_in)
    return names


@pytest.mark.parametrize("top", ["top", "elsewhere"])
async def test_links_and_special_files_are_not_touched(
    home: Home, tmp_path: pathlib.Path, other: pathlib.Path, top: str, opened: list[str], caplog: Any
) -> None:
    lay(tmp_path / "secret", FILES)
    (other / top / "b").mkdir(parents=True)
    (other / top / "a").symlink_to(tmp_path / "secret/a")
    (other / top / "d").symlink_to("c")
    os.mkfifo(other / top / "c")
    (other / "folder").symlink_to(tmp_path / "secret")
    (other / top / "b/c").mkdir()
    assert await open_and_complete(home) == 0
    assert {"a", "c", "d", "folder"}.isdisjoint(opened[: opened.index(home.part(0).name)])
    assert not caplog.records  # nor was it tried


def test_what_has_become_special_meanwhile_is_not_opened(other: pathlib.Path, opened: list[str]) -> None:
    os.mkfifo(other / "c")
    with pytest.raises(OSError, match="No such file"):
        Donor(Beneath(str(other)), ("c",), 700).open()
    assert not opened


async def test_what_another_fetch_has_not_finished_is_left_alone(home: Home, shape: Shape, other: pathlib.Path) -> None:
    lay(other, {"c.0123abcd.part": C, ".top.0123abcd.parts": A, ".x.0123abcd.temp": D})
    assert await open_and_complete(home) == 0
    lay(other, {"c.part": C})  # somebody else's, and not ours
    home = Home(home.folder.parent / "two", shape, reuse=[other])
    assert await open_and_complete(home) == pieces(shape, (3, 0, 700))


async def test_the_save_folder_itself(home: Home, shape: Shape) -> None:
    """What lies there under another torrent's names."""
    lay(home.folder, {"old/x": C, "old/y": A})
    home.reuse = [home.folder]
    disk = home.disk()
    assert await home.open(disk) == pieces(shape, (0, 0, 150), (3, 0, 700))
    assert (home.folder / "old/x").read_bytes() == C


async def test_what_cannot_be_read_is_done_without(
    home: Home, shape: Shape, other: pathlib.Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lay(other / "top", {"a": A, "c": C, "d": D})
    real = platform.open_in

    def open_in(folder: platform.Handle, name: str, flags: int, mode: int = 0o666) -> int:
        if name == "c":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(folder, name, flags, mode)

    monkeypatch.setattr(platform, "open_in", open_in)
    disk = home.disk()
    assert await home.open(disk) == pieces(shape, (0, 0, 150), (4, 0, 333))
    assert "files or folders to reuse cannot be read: '" in caplog.text
    assert "top/c': Permission denied" in caplog.text


@pytest.mark.parametrize("fault", ["EIO", "shorter"])
async def test_one_that_breaks_off_is_as_good_as_far_as_it_goes(
    home: Home, shape: Shape, other: pathlib.Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    lay(other / "top", {"c": C})
    real = platform.pread_full

    def pread_full(fd: int, buffers: Any, offset: int) -> int:
        if os.fstat(fd).st_nlink and os.readlink(f"/proc/self/fd/{fd}") == str(other / "top/c"):
            if fault == "shorter":
                os.truncate(other / "top/c", 320)
            elif offset >= 320:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(fd, [memoryview(buffers[0])[:64]], offset)
        return real(fd, buffers, offset)

    def copy_file_range(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(limits, "READ_CHUNK", 64)
    monkeypatch.setattr(os, "copy_file_range", copy_file_range)
    monkeypatch.setattr(adoption.platform, "pread_full", pread_full)
    disk = home.disk()
    assert await home.open(disk) == pieces(shape, (3, 0, 320))


@pytest.mark.parametrize("more", [0, 1])
async def test_so_many_names_are_looked_at(
    home: Home, shape: Shape, other: pathlib.Path, monkeypatch: pytest.MonkeyPatch, more: int, caplog: Any
) -> None:
    lay(other, {f"{number:02}": b"" for number in range(20 + more)} | {"z/c": C})
    monkeypatch.setattr(limits, "MAX_DONOR_NAMES", 22)  # with the folder, and what is in it
    disk = home.disk()
    assert await home.open(disk) == (0 if more else pieces(shape, (3, 0, 700)))
    assert ("more than 22 files to reuse" in caplog.text) == bool(more)


async def test_a_system_that_does_not_tell_what_a_name_is(
    home: Home, shape: Shape, other: pathlib.Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Python then asks for its status, which may be denied."""
    lay(other, {"x/a": A, "x/z": C})
    real = os.scandir

    class Entry:
        def __init__(self, entry: os.DirEntry[str]) -> None:
            self.entry = entry

        def __getattr__(self, name: str) -> Any:
            if name.startswith("is_") and self.entry.name == "a":
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return getattr(self.entry, name)

    @contextlib.contextmanager
    def scandir(path: str) -> Iterator[list[Entry]]:
        with real(path) as entries:
            yield [Entry(entry) for entry in entries]

    monkeypatch.setattr(os, "scandir", scandir)
    assert await home.open(home.disk()) == pieces(shape, (3, 0, 700))
    assert "x/a': Permission denied" in caplog.text


@pytest.mark.parametrize("more", [0, 1])
async def test_so_deep_is_looked(home: Home, shape: Shape, other: pathlib.Path, more: int) -> None:
    lay(other / "/".join("x" * (limits.MAX_FILE_DEPTH + more)), {"c": C})
    assert await home.open(home.disk()) == (0 if more else pieces(shape, (3, 0, 700)))


@pytest.mark.parametrize("more", [0, 1])
async def test_so_many_of_one_size_are_compared(home: Home, shape: Shape, other: pathlib.Path, more: int) -> None:
    lay(other, {f"{number:03}": letters(700, 100 + number) for number in range(limits.DONOR_TRIES - 1 + more)})
    lay(other, {"zzz": C})
    assert await home.open(home.disk()) == (0 if more else pieces(shape, (3, 0, 700)))


async def test_many_of_one_size_under_new_names(tmp_path: pathlib.Path, other: pathlib.Path) -> None:
    """Each is found among the few that are compared, since those that were of use come last."""
    shards = {f"{number:03}": letters(700, number) for number in range(3 * limits.DONOR_TRIES)}
    lay(other, {f"shard {name}": content for name, content in shards.items()})
    shape = Shape(shards)
    assert await open_and_complete(Home(tmp_path, shape, reuse=[other])) == shape.full


async def test_those_of_use_come_last_also_when_the_others_are_found_later(
    tmp_path: pathlib.Path, other: pathlib.Path
) -> None:
    """Some are where they were: nothing else is looked at before one is not."""
    shards = {f"{number:03}": letters(700, number) for number in range(2 * limits.DONOR_TRIES + 10)}
    lay(other / "top", {name: content for name, content in shards.items() if int(name) < 2 * limits.DONOR_TRIES})
    lay(other / "x", {f"moved {name}": shards[name] for name in shards if int(name) >= 2 * limits.DONOR_TRIES})
    shape = Shape(shards)
    assert await open_and_complete(Home(tmp_path, shape, reuse=[other])) == shape.full


def test_of_many_that_are_alike_no_more_are_remembered_than_can_be_of_use(shape: Shape, other: pathlib.Path) -> None:
    """A million names of one size took 1.7 GB."""
    lay(other, {f"{number:03}": letters(700, 100 + number) for number in range(10 * limits.DONOR_TRIES)})
    looked = donors.Donors(shape.info, [str(other)], [3])
    assert len(list(looked.find(3))) > 1
    assert sum(map(len, looked._found.values())) == limits.DONOR_TRIES + 1


async def test_each_is_read_once_however_often_it_is_asked(
    tmp_path: pathlib.Path, other: pathlib.Path, opened: list[str]
) -> None:
    """Where files begin at pieces."""
    shape = Shape({f"new {number}": letters(640, number) for number in range(10)})
    lay(other, {f"old {number}": letters(640, 50 + number) for number in range(10)})
    assert await open_and_complete(Home(tmp_path, shape, reuse=[other])) == 0
    assert sorted(name for name in opened if name.startswith("old")) == sorted(f"old {number}" for number in range(10))


# -- what may happen meanwhile -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("theirs", "executable", "ours"), [(0o600, "", 0o600), (0o604, "x", 0o715), (0o444, "x", 0o755)]
)
async def test_nobody_reads_the_copy_who_may_not_read_the_file(
    tmp_path: pathlib.Path, other: pathlib.Path, theirs: int, executable: str, ours: int
) -> None:
    lay(other, {"c": C[:-1]})
    (other / "c").chmod(theirs)
    home = Home(tmp_path, Shape({"c": C}, attr={"c": executable} if executable else {}), reuse=[other])
    before = os.umask(0o022)
    try:
        await home.open(home.disk())
    finally:
        os.umask(before)
    assert stat.S_IMODE(home.part(0).stat().st_mode) == ours


def clone(source: int, target: int, count: int, start: int, to: int) -> int:
    """As on XFS: holes stay holes."""
    data = os.pread(source, count, start)
    for position in range(0, len(data), 4096):
        if any(part := data[position : position + 4096]):
            os.pwrite(target, part, to + position)
    return len(data)


async def test_holes_are_zeros_like_others(tmp_path: pathlib.Path, other: pathlib.Path) -> None:
    data = letters(4096, 1) + bytes(1 << 20) + letters(4096, 2)
    shape = Shape({"": data}, piece_length=16384, name="disk.img")
    (other / "disk.img").write_bytes(data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "copy_file_range", clone)
        home = Home(tmp_path, shape, reuse=[other])
        disk = home.disk()
        assert await home.open(disk) == shape.full
    assert home.final(0).read_bytes() == data
    assert home.final(0).stat().st_blocks * 512 < 1 << 20


@pytest.mark.parametrize("again", ["after a kill", "recheck", "restart"])
async def test_holes_are_still_there_at_the_next_start(tmp_path: pathlib.Path, other: pathlib.Path, again: str) -> None:
    """Of a file that is not whole yet: the second one is missing, and ends in a piece with it."""
    data = letters(4096, 1) + bytes(1 << 20) + letters(100, 2)
    shape = Shape({"disk.img": data, "more": letters(20_000, 3)}, piece_length=16384)
    (other / "disk.img").write_bytes(data)
    home = Home(tmp_path, shape, reuse=[other])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "copy_file_range", clone)
        disk = home.disk()
        if again == "after a kill":
            patch.setattr(disk_module, "check_pieces", None)
            with pytest.raises(TypeError):
                await home.open(disk)
            disk._storage.close()
            assert disk._journal is not None
            disk._journal.close()
            have = 0
        else:
            have = await home.open(disk)
            assert have == pieces(shape, (0, 0, len(data)))
            assert home.part(0).stat().st_blocks * 512 < 1 << 20
    if again != "recheck":
        await disk.close(have)
        disk = home.disk()
    assert await home.open(disk, recheck=again == "recheck") == pieces(shape, (0, 0, len(data)))
    await disk.close(0)


async def test_what_comes_after_what_was_copied_is_found_by_a_recheck(
    home: Home, shape: Shape, other: pathlib.Path
) -> None:
    lay(other / "top", {"c": C[:100]})
    disk = home.disk()
    have = await home.open(disk)
    await write_piece(disk, 8, shape.pieces[8])
    assert await home.open(disk, recheck=True) == have | 1 << 8
    await disk.close(0)


async def test_the_end_that_is_still_to_come_is_not_hashed(tmp_path: pathlib.Path, other: pathlib.Path) -> None:
    content = letters(200_000, 1)
    lay(other, {"log": content[:20_000]})
    home = Home(tmp_path, Shape({"": content}, piece_length=16384, name="log"), reuse=[other])
    assert await home.open(home.disk()) == 1
    assert home.hashed == 2 * 16384


def full_from(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From this copy on there is no room; it gives some bytes before it says so."""
    count = 0
    real = os.copy_file_range

    def copy_file_range(source: int, target: int, size: int, start: int, to: int) -> int:
        nonlocal count
        count += 1
        if count > number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(source, target, 50 if count == number else size, start, to)

    monkeypatch.setattr(os, "copy_file_range", copy_file_range)


async def test_a_disk_that_is_full_meanwhile(home: Home, shape: Shape, other: pathlib.Path) -> None:
    lay(other / "top", FILES)
    disk = home.disk()
    with pytest.MonkeyPatch.context() as patch:
        full_from(3, patch)
        with pytest.raises(DiskFullError, match="No space left .*: cannot write to '.*top/c'"):
            await home.open(disk)
    assert sorted(home.lying()) == sorted(str(home.part(file).relative_to(home.folder)) for file in (0, 1))
    assert await home.open(disk) == shape.full  # it goes on with the others
    assert disk.reused == len(shape.data) - 160


async def test_no_room_for_it_is_said_before(home: Home, other: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(other / "top", FILES)
    monkeypatch.setattr(platform, "free_space", lambda path: 1000)
    with pytest.raises(StorageError, match="not enough space"):
        await home.open(home.disk())
    assert home.lying() == []


async def test_cancelled_at_every_step(
    tmp_path: pathlib.Path, shape: Shape, other: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HASH_BATCH", 100)
    monkeypatch.setattr(donors, "LOOK", 1)
    lay(other / "top", FILES)
    steps, real = 0, adoption._go_on
    seen: set[tuple[str, ...]] = set()

    def go_on(work: Iterator[int]) -> bool:
        nonlocal steps
        steps += 1
        if steps == stop:
            scope.cancel()
        return real(work)

    monkeypatch.setattr(adoption, "_go_on", go_on)
    for stop in range(1, 100):
        home, steps = Home(tmp_path / str(stop), shape, reuse=[other]), 0
        disk = home.disk()
        with trio.CancelScope() as scope:
            await home.open(disk)
        whole = home.lying()
        assert not [name for name in whole if name.endswith(".temp")]
        for file in shape.all:
            if home.part(file).exists():
                assert home.part(file).read_bytes() == shape.content(file)
        await disk.close(0)
        seen.add(tuple(whole))
        home.reuse = [] if stop % 2 else [other]
        await open_and_complete(home)
        if not scope.cancelled_caught:
            break
    assert stop > 10
    assert len(seen) >= 5


@pytest.mark.parametrize("killed", [False, True])
async def test_a_copy_that_has_the_inode_of_what_was_removed(
    home: Home, shape: Shape, other: pathlib.Path, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    """ext4 gives the number away again at once, and the journal vouches for what had it."""
    monkeypatch.setattr(platform, "inode", lambda status: 7)
    home.reuse = []
    disk = home.disk()
    await home.open(disk)
    right = pieces(shape, (3, 0, 600))
    for piece in bitfield.members(right):
        await write_piece(disk, piece, shape.pieces[piece])
    await disk.commit(right)
    assert disk._journal is not None
    disk._storage.close()
    disk._journal.close()  # as SIGKILL does
    home.part(3).unlink()
    lay(other / "top", {"c": b"X" * 700})
    home.reuse = [other]
    if killed:
        disk = home.disk()

        async def die(*_: object) -> int:
            raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(disk_module, "check_pieces", die)
            with pytest.raises(KeyboardInterrupt):
                await home.open(disk)
        assert home.part(3).read_bytes() == b"X" * 700
        disk._storage.close()
        assert disk._journal is not None
        disk._journal.close()
    assert await home.open(home.disk()) == 0


def test_two_torrents_of_one_name(tmp_path: pathlib.Path, other: pathlib.Path) -> None:
    """Whose it is has to be known before it is there."""
    lay(other / "top", {"a": A})
    pool = FilePool()
    for number, shape in enumerate([Shape({"a": A}), Shape({"a": A, "b": B})]):
        storage = FileStorage(shape.info, tmp_path / "save", pool=pool)
        storage.prepare(shape.all)
        adoption = Adoption(shape.info, storage, [str(other)])
        work = adoption._adopt([0], 0, donors.Donors(shape.info, [str(other)], [0]))
        if not number:
            assert list(work)
            continue
        with pytest.raises(StorageError, match="another torrent is being saved there"):
            list(work)
    assert len(list((tmp_path / "save/top").iterdir())) == 1


async def test_what_another_program_makes_meanwhile_is_not_replaced(
    home: Home, other: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(other / "top", {"c": C})
    real = adoption._copy_in_kernel

    def copy(*args: int) -> int:
        home.part(3).parent.mkdir(parents=True)
        home.part(3).write_bytes(b"theirs")
        return real(*args)

    monkeypatch.setattr(adoption, "_copy_in_kernel", copy)
    with pytest.raises(StorageError, match="top/c': another program has made it meanwhile"):
        await home.open(home.disk())
    assert home.part(3).read_bytes() == b"theirs"
    assert len(home.lying()) == 1


async def test_a_place_that_is_gone_meanwhile(home: Home, other: pathlib.Path, caplog: Any) -> None:
    other.rmdir()
    assert await home.open(home.disk()) == 0
    assert "1 files or folders to reuse cannot be read" in caplog.text


# -- of all kinds ------------------------------------------------------------------------------------------------------


CHANGES: Mapping[str, Callable[[bytes], bytes]] = {
    "equal": lambda data: data,
    "appended": lambda data: data[: len(data) * 2 // 3],
    "shortened": lambda data: data + b"more",
    "first byte": lambda data: bytes([255 - data[0]]) + data[1:] if data else data,
    "middle": lambda data: data[: len(data) // 2] + b"\0\0" + data[len(data) // 2 + 2 :] if len(data) > 9 else data,
    "other": lambda data: letters(len(data), 99),
}
names = st.sampled_from(["a", "b", "c", "f/a", "f/b", "f/g/c", "h/a"])


@given(
    files=st.dictionaries(names, st.tuples(st.integers(0, 300), st.booleans()), min_size=1),
    there=st.dictionaries(names, st.tuples(names, st.sampled_from(sorted(CHANGES)))),
    padded=st.booleans(),
    below=st.sampled_from(["", "top", "old/set"]),
    journal=st.booleans(),
)
def test_whatever_lies_there(
    files: dict[str, tuple[int, bool]],
    there: dict[str, tuple[str, str]],
    padded: bool,
    below: str,
    journal: bool,
) -> None:
    contents: dict[str, bytes | int] = {}
    for number, (name, (size, _)) in enumerate(files.items()):
        contents[name] = letters(size, number)
        if padded and size % 64:
            contents[f".pad/{number}"] = 64 - size % 64
    if not any(size for size, _ in files.values()):
        return
    shape = Shape(contents)
    equal = set()
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, (of, change) in there.items():
            content = contents.get(of, b"?" * 100)
            assert isinstance(content, bytes)
            lay(root / "other" / below, {name: CHANGES[change](content)})
            if (name, change) == (of, "equal"):
                equal.add(name)
        (root / "other").mkdir(exist_ok=True)
        home = Home(root, shape, reuse=[root / "other"], journal=journal)
        wanted = frozenset(
            index for index in shape.all if files["/".join(shape.info.files[index].path[1:])][1] or len(files) < 3
        )
        have = trio.run(open_and_complete, home, wanted)
        if below != "old/set" and shape.info.multi:
            ours = {index for index in wanted if "/".join(shape.info.files[index].path[1:]) in equal}
            for piece in range(len(shape.pieces)):
                of_piece = {file for file in shape.layout.files_of_piece(piece) if not shape.info.files[file].pad}
                assert have >> piece & 1 or not of_piece <= ours


@pytest.mark.parametrize("version", ["v1", "v2", "hybrid"])
@pytest.mark.parametrize("renamed", [False, True])
async def test_all_versions(tmp_path: pathlib.Path, version: Any, renamed: bool) -> None:
    files = {
        "a": letters(100_000, 1),
        "b/small": letters(5_000, 2),
        "b/wrong": letters(5_000, 3),
        "c": letters(16_384, 4),
    }
    lay(tmp_path / "new", files)
    metainfo = await create_metainfo(
        tmp_path / "new", piece_length=16_384, version=version, offload=ThreadOffload(), private=True
    )
    info: Info = metainfo.info
    there = {"a": files["a"][:60_000], "b/small": files["b/small"], "b/wrong": letters(5_000, 5), "c": files["c"]}
    if renamed:
        there = {f"old {name[-1]}": content for name, content in there.items()} | {"old a": files["a"]}
    lay(tmp_path / "old", there)
    storage = FileStorage(info, tmp_path / "save")
    adopted = Adoption(info, storage, [str(tmp_path / "old")])
    disk = Disk(info, storage, ThreadOffload(), None, adopted)
    have = await disk.open(wanted=info.wanted_files)
    right = len(files["a"]) if renamed else 3 * 16_384
    if version == "v1":
        assert disk.reused > right - 2 * 16_384  # the ends of files lie in pieces with others
    else:
        assert disk.reused == right + 5_000 + 16_384
        mark = f".{info.hashes.hex[:8]}.part"
        found = {path.name.removesuffix(mark) for path in (tmp_path / "save").rglob("*") if path.is_file()}
        assert found == {"a", "small", "c"} | ({"wrong"} if not renamed else set())
    await disk.close(have)


async def test_progress_goes_to_the_end(home: Home, other: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(other / "top", FILES)
    monkeypatch.setattr(limits, "HASH_BATCH", 100)
    told: list[tuple[int, int]] = []
    disk = home.disk()
    await disk.open(wanted=home.shape.all, progress=lambda done, total: told.append((done, total)))
    size = len(home.shape.data)
    done = [done for done, _ in told]
    assert done == sorted(done)  # who begins anew does not get on, for whoever watches
    assert len([each for each in done if 0 < each < size]) > 3
    assert (size, 2 * size) in told  # from here on it is hashed
    assert {total for _, total in told} == {2 * size}
    assert told[-1] == (2 * size, 2 * size)


async def test_progress_does_not_stand_still_while_names_are_looked_at(
    home: Home, other: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(other, {f"{number:03}": b"?" for number in range(300)} | {"x": C})
    monkeypatch.setattr(limits, "HASH_BATCH", donors.LOOK)
    monkeypatch.setattr(donors, "LOOK_NAMES", 10)
    told: list[tuple[int, int]] = []
    disk = home.disk()
    assert await disk.open(wanted=home.shape.all, progress=lambda *each: told.append(each)) == pieces(
        home.shape, (3, 0, 700)
    )
    done = [done for done, _ in told]
    assert done == sorted(done)
    assert len(set(done)) >= 30
    assert all(later - done[0] < total for later, total in told)
    assert told[-1][0] == told[-1][1]
