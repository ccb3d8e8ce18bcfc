from __future__ import annotations

import hashlib
import os
import pathlib
import time
import types
from typing import Any

import pytest
import trio

from tests.storage.worlds import Inline, content_of, letters, write_piece
from torrentlite import limits
from torrentlite.errors import MetainfoError, StorageError
from torrentlite.metainfo.digest import SHA1, Hashing
from torrentlite.metainfo.layout import Layout
from torrentlite.metainfo.metainfo import Metainfo
from torrentlite.storage import check
from torrentlite.storage.disk import Disk
from torrentlite.storage.hashing import create_metainfo
from torrentlite.storage.offload import ThreadOffload
from torrentlite.storage.origin import OriginStorage, open_storage
from torrentlite.storage.walk import walk
from torrentlite.wire import bitfield

OLD = time.time() - 1000


def put(path: pathlib.Path, content: bytes) -> pathlib.Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (OLD, OLD))
    return path


@pytest.fixture
def photos(tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder with a bit of everything."""
    folder = tmp_path / "photos"
    put(folder / "b" / "two", letters(40_000, 2))
    put(folder / "a", letters(70_001, 1))
    put(folder / ".hidden", letters(5, 3))
    put(folder / "b" / "empty", b"")
    put(folder / "b.txt", letters(20_000, 4))
    return folder


def piece_hashes(data: bytes, length: int) -> bytes:
    return b"".join(hashlib.sha1(data[start : start + length]).digest() for start in range(0, len(data), length))


class Hashed:
    """What hashing was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pieces: list[int] = []
        real = check.digests

        def digests(storage: Any, layout: Layout, hashing: Hashing, pieces: range, **kwargs: Any) -> bytes:
            self.pieces += pieces
            return real(storage, layout, hashing, pieces, **kwargs)

        monkeypatch.setattr(check, "digests", digests)


async def test_folder(photos: pathlib.Path) -> None:
    seen: list[tuple[int, int]] = []
    metainfo = await create_metainfo(
        photos,
        piece_length=16384,
        trackers=["http://one.example/announce"],
        comment="hello",
        created_by="tests",
        progress=lambda done, total: seen.append((done, total)),
    )
    # By the bytes of the names: "." is before letters, and "b" before "b.txt".
    data = letters(5, 3) + letters(70_001, 1) + letters(40_000, 2) + letters(20_000, 4)
    assert [entry.raw_path for entry in metainfo.files] == [
        (b"photos", b".hidden"),
        (b"photos", b"a"),
        (b"photos", b"b", b"empty"),
        (b"photos", b"b", b"two"),
        (b"photos", b"b.txt"),
    ]
    assert metainfo.info.pieces == piece_hashes(data, 16384)
    assert metainfo.trackers == (("http://one.example/announce",),)
    assert (metainfo.comment, metainfo.created_by, metainfo.warnings) == ("hello", "tests", ())
    assert metainfo.origin is not None
    assert metainfo.origin.root == str(photos)
    assert seen[0] == (0, len(data))
    assert seen[-1] == (len(data), len(data))
    assert Metainfo.from_bytes(metainfo.encode()) == metainfo


async def test_single_file(tmp_path: pathlib.Path) -> None:
    data = letters(100_000)
    metainfo = await create_metainfo(put(tmp_path / "disk.iso", data), private=True)
    assert not metainfo.info.multi
    assert metainfo.name == "disk.iso"
    assert metainfo.private
    assert metainfo.info.pieces == piece_hashes(data, metainfo.piece_length)


async def test_other_name_and_order_of_creation_do_not_matter(tmp_path: pathlib.Path) -> None:
    hashes = []
    for number, names in enumerate([("x", "y", "z"), ("z", "x", "y")]):
        for name in names:
            put(tmp_path / str(number) / name, name.encode() * 100)
        hashes.append((await create_metainfo(tmp_path / str(number), name="same", offload=Inline())).info_hash)
    assert hashes[0] == hashes[1]


async def test_hashing_in_threads_gives_every_piece(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HASH_BATCH", 40_000)
    monkeypatch.setattr(limits, "READ_CHUNK", 10_000)
    data = letters(1_000_000)
    metainfo = await create_metainfo(put(tmp_path / "f", data), piece_length=16384, offload=ThreadOffload(3))
    assert metainfo.info.pieces == piece_hashes(data, 16384)


@pytest.mark.parametrize("chunk", [1, 7, 16384, 20_000, 1 << 20])
def test_chunks_and_pieces(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(limits, "READ_CHUNK", chunk)
    data = letters(500)
    listing = walk(put(tmp_path / "f", data))
    for length in (10, 100, 499, 500, 1000):
        layout = Layout(length, [500])
        storage = OriginStorage(layout, listing.origin)
        storage.prepare(frozenset())
        assert check.digests(storage, layout, SHA1, range(layout.piece_count)) == piece_hashes(data, length)
        last = range(layout.piece_count - 1, layout.piece_count)
        assert check.digests(storage, layout, SHA1, last) == piece_hashes(data, length)[-20:]
        storage.close()


# -- what is shared --------------------------------------------------------------------------------------------------


async def test_links(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    outside = put(tmp_path / "outside", b"secret")
    (photos / "to-a").symlink_to("a")
    (photos / "b" / "to-hidden").symlink_to(photos / ".hidden")
    (photos / "out").symlink_to(outside)
    (photos / "nowhere").symlink_to("missing")
    (photos / "b" / "loop").symlink_to("..")
    (photos / "round").symlink_to("round")
    metainfo = await create_metainfo(photos)
    names = {b"/".join(entry.raw_path[1:]): entry.length for entry in metainfo.files}
    assert names[b"to-a"] == 70_001
    assert names[b"b/to-hidden"] == 5
    assert set(names) == {b".hidden", b"a", b"b/two", b"b/empty", b"b.txt", b"to-a", b"b/to-hidden"}
    assert sorted(metainfo.warnings) == [
        "left out 'b/loop': a link that does not lead to a file",
        "left out 'nowhere': a link that leads nowhere",
        "left out 'out': a link that leads out of the folder",
        "left out 'round': a link that leads nowhere",
    ]


async def test_what_is_no_file(photos: pathlib.Path) -> None:
    os.mkfifo(photos / "fifo")
    os.mkfifo(photos / "b" / "fifo")
    metainfo = await create_metainfo(photos)
    assert len(metainfo.files) == 5
    assert sorted(metainfo.warnings) == [
        "left out 'b/fifo': it is not a regular file",
        "left out 'fifo': it is not a regular file",
    ]


async def test_warnings_are_bounded(photos: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_CREATE_WARNINGS", 3)
    for number in range(10):
        (photos / f"bad{number}").symlink_to("missing")
    warnings = (await create_metainfo(photos)).warnings
    assert len(warnings) == 4
    assert warnings[-1] == "and 7 more were left out"


async def test_path_that_is_a_link(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "latest").symlink_to("photos")
    metainfo = await create_metainfo(tmp_path / "latest")
    assert metainfo.name == "latest"
    assert len(metainfo.files) == 5


@pytest.mark.parametrize("path", ["missing", "fifo"])
async def test_path_that_cannot_be_shared(tmp_path: pathlib.Path, path: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(StorageError, match=path):
        await create_metainfo(tmp_path / path)


async def test_nothing_to_share(tmp_path: pathlib.Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(MetainfoError, match="holds no bytes"):
        await create_metainfo(tmp_path / "empty")
    put(tmp_path / "empty" / "file", b"")
    with pytest.raises(MetainfoError, match="holds no bytes"):
        await create_metainfo(tmp_path / "empty")


async def test_too_much(photos: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MetainfoError, match="piece length"):
        await create_metainfo(photos, piece_length=1000)
    monkeypatch.setattr(limits, "MAX_PIECES", 3)
    with pytest.raises(MetainfoError, match="pieces"):
        await create_metainfo(photos, piece_length=16384)
    monkeypatch.setattr(limits, "MAX_FILES", 4)
    with pytest.raises(MetainfoError, match="more than 4 files"):
        await create_metainfo(photos)


async def test_unreadable_file_is_named(photos: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def refuse(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "two":
            raise PermissionError(13, "Permission denied")
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StorageError, match="two") as caught:
        await create_metainfo(photos)
    assert caught.value.path == photos / "b" / "two"


@pytest.mark.parametrize("change", ["appended", "truncated", "touched", "replaced", "removed"])
async def test_file_that_changes_meanwhile(photos: pathlib.Path, change: str) -> None:
    path = photos / "b" / "two"
    data = path.read_bytes()

    def progress(done: int, total: int) -> None:
        if done:
            return
        match change:
            case "appended":
                path.write_bytes(data + b"!")
            case "truncated":
                os.truncate(path, 100)
            case "touched":
                os.utime(path, (OLD + 1, OLD + 1))
            case "replaced":
                other = put(photos / "other", data)
                other.replace(path)
            case _:
                path.unlink()

    with pytest.raises(StorageError, match="two"):
        await create_metainfo(photos, progress=progress)


async def test_cancelled_while_hashing(photos: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HASH_BATCH", 16384)
    hashed = Hashed(monkeypatch)
    with trio.CancelScope() as scope:
        await create_metainfo(
            photos, piece_length=16384, offload=Inline(), progress=lambda done, total: scope.cancel() if done else None
        )
    assert scope.cancelled_caught
    assert len(hashed.pieces) < 9


# -- the cache -------------------------------------------------------------------------------------------------------


async def test_same_files_are_not_hashed_again(
    photos: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    first = await create_metainfo(photos, state_dir=state)
    hashed = Hashed(monkeypatch)
    seen: list[tuple[int, int]] = []
    again = await create_metainfo(photos, state_dir=state, progress=lambda done, total: seen.append((done, total)))
    assert again.info == first.info
    assert not hashed.pieces
    assert seen == [(first.total, first.total)]
    await create_metainfo(photos, state_dir=state, piece_length=32768)
    assert hashed.pieces


@pytest.mark.parametrize("change", ["touched", "renamed", "added", "replaced"])
async def test_changed_files_are_hashed_again(
    photos: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    await create_metainfo(photos, state_dir=tmp_path / "state")
    match change:
        case "touched":
            os.utime(photos / "a", (OLD + 1, OLD + 1))
        case "renamed":
            (photos / "a").rename(photos / "aa")
        case "added":
            put(photos / "c", b"x")
        case _:
            put(photos / "new", (photos / "a").read_bytes()).replace(photos / "a")
    hashed = Hashed(monkeypatch)
    await create_metainfo(photos, state_dir=tmp_path / "state")
    assert hashed.pieces


async def test_fresh_files_are_not_remembered(
    photos: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They could change again within what the file system counts as the same moment."""
    os.utime(photos / "a")
    await create_metainfo(photos, state_dir=tmp_path / "state")
    hashed = Hashed(monkeypatch)
    await create_metainfo(photos, state_dir=tmp_path / "state")
    assert hashed.pieces


@pytest.mark.parametrize("less", [0, 1])
async def test_in_doubt_files_are_not_remembered(
    photos: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, less: int
) -> None:
    now = (photos / "a").stat().st_mtime_ns + int(limits.HASH_CACHE_DOUBT * 1e9) - less
    monkeypatch.setattr("torrentlite.storage.hashcache.time", types.SimpleNamespace(time_ns=lambda: now))
    await create_metainfo(photos, state_dir=tmp_path / "state")
    hashed = Hashed(monkeypatch)
    await create_metainfo(photos, state_dir=tmp_path / "state")
    assert bool(hashed.pieces) is bool(less)


async def test_damaged_cache_is_worth_nothing(
    photos: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    right = await create_metainfo(photos, state_dir=state, offload=Inline())
    (path,) = (state / "hashes").iterdir()
    data = path.read_bytes()
    for position in range(0, len(data), 11):
        path.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
        assert (await create_metainfo(photos, state_dir=state, offload=Inline())).info == right.info
    for size in range(0, len(data), 13):
        path.write_bytes(data[:size])
        assert (await create_metainfo(photos, state_dir=state, offload=Inline())).info == right.info


async def test_cache_that_cannot_be_written(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    put(tmp_path / "state", b"a file")
    assert (await create_metainfo(photos, state_dir=tmp_path / "state")).total == 130_006


async def test_cache_is_bounded(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_HASH_CACHE", 3)
    for number in range(5):
        await create_metainfo(put(tmp_path / f"f{number}", b"x%d" % number), state_dir=tmp_path / "s", offload=Inline())
    assert len(list((tmp_path / "s" / "hashes").iterdir())) == 3


# -- sharing from there ------------------------------------------------------------------------------------------------


async def share(metainfo: Metainfo, folder: pathlib.Path) -> tuple[Disk, int]:
    disk = Disk(metainfo.info, open_storage(metainfo.info, folder, origin=metainfo.origin), Inline())
    return disk, await disk.open(wanted=metainfo.info.wanted_files)


async def test_what_was_hashed_is_not_hashed_again(photos: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (photos / "odd: name. ").write_bytes(b"a name that is not safe everywhere")
    (photos / "link").symlink_to("a")
    metainfo = await create_metainfo(photos)
    hashed = Hashed(monkeypatch)
    disk, have = await share(metainfo, photos.parent)
    assert have == bitfield.full(metainfo.info.layout.piece_count)
    assert not hashed.pieces
    blocks = await content_of(disk, metainfo.info.layout, have)
    assert piece_hashes(b"".join(blocks), metainfo.piece_length) == metainfo.info.pieces
    assert disk.top() == photos
    with pytest.raises(StorageError, match="not written"):
        await write_piece(disk, 0, blocks[0])
    await disk.commit(have)
    await disk.close(have)


async def test_touched_origin_is_hashed(photos: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metainfo = await create_metainfo(photos, piece_length=16384)
    os.utime(photos / "b.txt", (OLD + 5, OLD + 5))
    hashed = Hashed(monkeypatch)
    disk, have = await share(metainfo, photos.parent)
    assert have == bitfield.full(metainfo.info.layout.piece_count)
    assert sorted(hashed.pieces) == list(metainfo.info.layout.pieces_of_file(4))
    await disk.close(have)


@pytest.mark.parametrize("change", ["other", "shorter", "removed"])
async def test_changed_origin_is_an_error(photos: pathlib.Path, change: str) -> None:
    metainfo = await create_metainfo(photos, piece_length=16384)
    path = photos / "b" / "two"
    match change:
        case "other":
            path.write_bytes(bytes(40_000))
        case "shorter":
            os.truncate(path, 39_000)
        case _:
            path.unlink()
    with pytest.raises(StorageError, match="changed since"):
        await share(metainfo, photos.parent)


async def test_origin_that_changes_while_shared(photos: pathlib.Path) -> None:
    metainfo = await create_metainfo(photos, piece_length=16384)
    disk, have = await share(metainfo, photos.parent)
    put(photos / "new", bytes(70_001)).replace(photos / "a")
    with pytest.raises(StorageError, match="changed"):
        await disk.read_back(1, 0, bytearray(16))
    await disk.close(have)


async def test_other_save_folder_is_a_download(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    metainfo = await create_metainfo(photos)
    disk, have = await share(metainfo, tmp_path / "elsewhere")
    assert have == 0
    await disk.close(0)
