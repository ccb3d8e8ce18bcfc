"""Torrents of v2 and hybrids in the making, held against libtorrent's."""

from __future__ import annotations

import os
import pathlib
import random
from typing import Any

import pytest
import trio

import torrentlite
from torrentlite import bencode, limits
from torrentlite.errors import MetainfoError
from torrentlite.metainfo.build import Version
from torrentlite.metainfo.info import Info
from torrentlite.metainfo.metainfo import Metainfo
from torrentlite.storage.hashing import create_metainfo
from torrentlite.storage.offload import ThreadOffload

lt = pytest.importorskip("libtorrent")

BLOCK = 16_384
SIZES = {
    "a": 5 * BLOCK - 1,
    "b/one": 1,
    "b/two blocks": 2 * BLOCK,
    "c": 100 * BLOCK,
    "d/e/empty": 0,
    "d/three": 3 * BLOCK + 17,
    "z": 20_000,
}
ONE = {"x": SIZES["a"]}


def fill(root: pathlib.Path, sizes: dict[str, int]) -> pathlib.Path:
    for name, size in sizes.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.Random(name).randbytes(size))
    return root


def theirs(path: pathlib.Path, piece_length: int, version: Version) -> dict[bytes, Any]:
    flags = lt.create_torrent.v2_only if version == "v2" else 0
    maker = lt.create_torrent(lt.list_files(os.fspath(path), lambda _: True, flags), piece_length, flags)
    lt.set_piece_hashes(maker, os.fspath(path.parent))
    read = bencode.decode(bytes(lt.bencode(maker.generate())))
    assert isinstance(read, dict)
    return read


async def ours(path: pathlib.Path, piece_length: int, version: Version, **more: Any) -> Metainfo:
    return await create_metainfo(path, piece_length=piece_length, version=version, offload=ThreadOffload(), **more)


@pytest.mark.parametrize("version", ["v2", "hybrid"])
@pytest.mark.parametrize("piece_length", [BLOCK, 2 * BLOCK, 8 * BLOCK, 256 * BLOCK])
@pytest.mark.parametrize("what", ["folder", "file", "block"])
async def test_as_libtorrent_makes_them(tmp_path: pathlib.Path, version: Version, piece_length: int, what: str) -> None:
    root = fill(tmp_path / "top", SIZES)
    path = {"folder": root, "file": root / "a", "block": root / "z"}[what]
    metainfo, read = await ours(path, piece_length, version), theirs(path, piece_length, version)
    made = bencode.decode(metainfo.encode())
    assert isinstance(made, dict)
    found, expected = made[b"info"], read[b"info"]
    assert isinstance(found, dict)
    for info in (found, expected):  # libtorrent names padding by its number, and marks it
        for entry in info.get(b"files", []):
            if entry.get(b"attr") == b"p":
                entry[b"path"] = [b".pad"]
    assert found == expected
    assert made[b"piece layers"] == read.get(b"piece layers", {})
    again = Metainfo.from_bytes(metainfo.encode())
    assert again.info == metainfo.info
    assert again.warnings == ()
    assert again.encode() == metainfo.encode()
    assert (again.hashes.v1 is None, again.hashes.v2 is None) == (version == "v2", False)


@pytest.mark.parametrize("version", ["v1", "v2", "hybrid"])
async def test_shared_from_where_they_were_made(tmp_path: pathlib.Path, version: Version) -> None:
    root = fill(tmp_path / "top", SIZES)
    metainfo = await ours(root, 2 * BLOCK, version)
    assert metainfo.origin is not None
    assert len(metainfo.origin.files) == len(metainfo.files)
    assert [file is None for file in metainfo.origin.files] == [entry.pad for entry in metainfo.files]
    report = await torrentlite.verify(metainfo, root)
    assert report.ok
    (root / "c").write_bytes(bytes(SIZES["c"]))
    report = await torrentlite.verify(metainfo, root)
    bad = {os.path.basename(file.path) for file in report.bad_files}
    assert bad == {"c"} if version != "v1" else "c" in bad  # only of v1 a piece may hold bytes of several files
    if version != "v1":
        assert report.good_bytes == sum(SIZES.values()) - SIZES["c"]


async def test_each_kind_is_remembered_apart(tmp_path: pathlib.Path) -> None:
    root = fill(tmp_path / "top", SIZES)
    for name in SIZES:
        os.utime(root / name, (1, 1))
    made = {}
    for version in ("v1", "v2", "hybrid", "v1", "v2", "hybrid"):
        seen: list[tuple[int, int]] = []
        metainfo = await ours(
            root, BLOCK, version, state_dir=tmp_path / "state", progress=lambda *now, seen=seen: seen.append(now)
        )
        total = sum(SIZES.values())
        assert seen[-1] == (total, total)
        assert (len(seen) == 1) == (version in made)  # the second time nothing is hashed
        assert made.setdefault(version, metainfo.info) == metainfo.info


async def test_a_version_that_there_is_not(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="v1, v2, hybrid"):
        await torrentlite.create(fill(tmp_path, ONE), version="v3")  # type: ignore[arg-type]


async def test_private(tmp_path: pathlib.Path) -> None:
    root = fill(tmp_path / "top", SIZES)
    for version in ("v2", "hybrid"):
        assert (await ours(root, BLOCK, version, private=True)).info.private  # type: ignore[arg-type]


async def test_a_thousand_small_files(tmp_path: pathlib.Path) -> None:
    root = fill(tmp_path / "top", {f"{n % 7}/{n}": n for n in range(1000)})
    with trio.fail_after(60):
        metainfo = await ours(root, 1 << 20, "v2")
        assert metainfo.info.layout.piece_count == 999
        assert metainfo.total == sum(range(1000))
        assert (await torrentlite.verify(metainfo, root)).ok


async def test_a_folder_of_one_file_is_said_to_be_that_file(tmp_path: pathlib.Path) -> None:
    root = fill(tmp_path / "top", ONE)
    v2, hybrid = await ours(root, BLOCK, "v2"), await ours(root, BLOCK, "hybrid")
    assert [file.path for file in v2.files] == [("x",)]
    assert "no folder that holds only one file" in v2.warnings[0]
    # Where a v1 half says that there is a folder, it is the same in the other.
    half = Info.from_bytes(hybrid.info.raw, v2=True)
    assert [file.path for file in hybrid.files if not file.pad] == [file.path for file in half.files] == [("top", "x")]
    assert hybrid.warnings == ()


@pytest.mark.parametrize("version", ["v2", "hybrid"])
async def test_as_deep_as_can_be_read_again(tmp_path: pathlib.Path, version: Version) -> None:
    for depth in (limits.MAX_TREE_DEPTH, limits.MAX_TREE_DEPTH + 1):
        root = fill(tmp_path / str(depth), {"/".join("d" * depth): 5})
        if depth > limits.MAX_TREE_DEPTH:
            with pytest.raises(MetainfoError, match="deeper"):
                await ours(root, BLOCK, version)
        else:
            metainfo = await ours(root, BLOCK, version)
            assert Metainfo.from_bytes(metainfo.encode()).info == metainfo.info


async def test_progress_of_verifying_ends_at_its_end(tmp_path: pathlib.Path) -> None:
    root = fill(tmp_path / "top", {str(n): 1000 + n for n in range(30)})
    seen: list[tuple[int, int]] = []
    await torrentlite.verify(await ours(root, 1 << 20, "v2"), root, progress=lambda *now: seen.append(now))
    assert seen[-1] == (sum(range(1000, 1030)),) * 2
