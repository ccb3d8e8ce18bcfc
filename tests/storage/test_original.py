"""Files under the names that they had where their torrent was made: found beneath one folder, hashed, only read."""

from __future__ import annotations

import hashlib
import os
import pathlib

import pytest

from torrentlite.errors import FileInTheWayError, StorageError
from torrentlite.metainfo.build import build_info
from torrentlite.metainfo.info import Info
from torrentlite.storage.disk import Disk
from torrentlite.storage.offload import ThreadOffload
from torrentlite.storage.original import OriginalStorage, find_originals

PIECE = 16384
FILES = {
    b"aux.c": 20_000,
    b"aux_.c": 30_000,
    b"Case": 5,
    b"case": 7,
    b"back\\slash/dot.": 11,
    b"\xff\n": 40_000,
    b"z": 1,
}


def torrent(files: dict[bytes, int] = FILES, name: bytes = b"top") -> tuple[Info, dict[bytes, bytes]]:
    data = {path: hashlib.shake_128(path).digest(size) for path, size in files.items()}
    everything = b"".join(data.values())
    pieces = b"".join(
        hashlib.sha1(everything[start : start + PIECE]).digest() for start in range(0, len(everything), PIECE)
    )
    entries = [(path.split(b"/"), size) for path, size in files.items()]
    return build_info(name, entries, piece_length=PIECE, pieces=pieces), data


def lay(folder: pathlib.Path, data: dict[bytes, bytes], top: bytes = b"top") -> None:
    for path, content in data.items():
        place = os.path.join(os.fsencode(folder), top, path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb") as file:
            file.write(content)


def snapshot(folder: pathlib.Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.rglob("*")}


async def test_all_of_them_are_hashed_and_nothing_is_written(tmp_path: pathlib.Path) -> None:
    info, data = torrent()
    lay(tmp_path, data)
    before = snapshot(tmp_path)
    paths = find_originals(info, tmp_path)
    assert paths is not None
    assert [os.fsencode("/".join(path[1:])) for path in paths] == list(FILES)
    hashed: list[int] = []
    disk = Disk(info, OriginalStorage(info, tmp_path, paths), ThreadOffload())
    have = await disk.open(wanted=info.wanted_files, progress=lambda done, total: hashed.append(done))
    assert have == (1 << info.layout.piece_count) - 1
    assert hashed[-1] == info.layout.total  # the word of nobody is taken for it
    assert disk.top() == tmp_path / "top"
    assert [os.fsencode(path) for path in disk.paths()] == [
        os.path.join(bytes(tmp_path), b"top", name) for name in FILES
    ]
    with pytest.raises(StorageError, match="only shared"):
        await disk.write_pieces([(0, b"".join(data.values())[:PIECE])])
    await disk.close(have)
    assert snapshot(tmp_path) == before


async def test_one_wrong_byte_and_nothing_is_shared(tmp_path: pathlib.Path) -> None:
    info, data = torrent()
    lay(tmp_path, data | {b"case": b"\0" * 7})
    paths = find_originals(info, tmp_path)
    assert paths is not None
    with pytest.raises(FileInTheWayError):
        await Disk(info, OriginalStorage(info, tmp_path, paths), ThreadOffload()).open(wanted=info.wanted_files)


def test_what_was_fetched_is_not_taken_for_it(tmp_path: pathlib.Path) -> None:
    info, data = torrent()
    for entry, content in zip(info.files, data.values(), strict=True):
        path = tmp_path.joinpath(*entry.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    assert find_originals(info, tmp_path) is None
    ordinary, data = torrent({b"a": 100})
    lay(tmp_path, data)
    assert find_originals(ordinary, tmp_path) is None


@pytest.mark.parametrize("name", [b"aux.c", b"z"])
def test_all_or_none(name: bytes, tmp_path: pathlib.Path) -> None:
    info, data = torrent()
    lay(tmp_path, data | {name: b"of another size"})
    assert find_originals(info, tmp_path) is None
    os.unlink(os.path.join(bytes(tmp_path), b"top", name))
    assert find_originals(info, tmp_path) is None


@pytest.mark.parametrize("name", [b"../out", b"sub/../../../out", b"./aux.c", b"", b"nul\0"])
def test_nothing_leads_out_of_the_folder(name: bytes, tmp_path: pathlib.Path) -> None:
    (tmp_path / "out").write_bytes(b"12345")
    parts = [*name.split(b"/")]
    info, _ = torrent({b"aux.c": 5})
    hostile = build_info(b"top", [([b"aux.c"], 5), (parts, 5)], piece_length=PIECE, pieces=bytes(20))
    lay(tmp_path / "save", {b"aux.c": b"12345"})
    assert find_originals(info, tmp_path / "save") is not None
    assert find_originals(hostile, tmp_path / "save") is None
    slash = build_info(b"top", [([b"aux.c"], 5), ([b"../../out"], 5)], piece_length=PIECE, pieces=bytes(20))
    assert find_originals(slash, tmp_path / "save") is None
    assert (
        find_originals(build_info(b"..", [([b"out"], 5)], piece_length=PIECE, pieces=bytes(20)), tmp_path / "save")
        is None
    )


async def test_links_are_not_followed(tmp_path: pathlib.Path) -> None:
    info, data = torrent()
    lay(tmp_path / "elsewhere", data)
    here = tmp_path / "here"
    here.mkdir()
    (here / "top").symlink_to(tmp_path / "elsewhere/top")
    assert find_originals(info, here) is None
    (here / "top").unlink()
    lay(here, data)
    paths = find_originals(info, here)
    assert paths is not None
    # Put in place after the look: nothing is read through it either.
    os.rename(here / "top", here / "moved")
    (here / "top").symlink_to("moved")
    with pytest.raises(StorageError):
        await Disk(info, OriginalStorage(info, here, paths), ThreadOffload()).open(wanted=info.wanted_files)
