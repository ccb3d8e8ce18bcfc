from __future__ import annotations

import hashlib
import os
import pathlib
import random
from typing import Any

import pytest
import trio

from torrentlite.errors import DiskTroubleError, StorageError
from torrentlite.metainfo.build import build_info, build_metainfo
from torrentlite.metainfo.magnet import Magnet
from torrentlite.metainfo.metainfo import Metainfo
from torrentlite.storage.beneath import Beneath
from torrentlite.storage.offload import ThreadOffload
from torrentlite.verifying import Problem, verify

PIECE = 16384
NAMES = {"a.bin": 40_000, "b/c.bin": 10_000, "b/empty": 0, "d.bin": 100_000, "e.bin": 3}


def make(folder: pathlib.Path, sizes: dict[str, int] = NAMES) -> Metainfo:
    """Files under ``folder``, and the torrent of them."""
    dice = random.Random(1)
    everything = b""
    for name, size in sizes.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = dice.randbytes(size)
        path.write_bytes(data)
        everything += data
    pieces = b"".join(
        hashlib.sha1(everything[start : start + PIECE]).digest() for start in range(0, len(everything), PIECE)
    )
    files = [([part.encode() for part in name.split("/")], size) for name, size in sizes.items()]
    return build_metainfo(build_info(folder.name, files, piece_length=PIECE, pieces=pieces))


@pytest.fixture
def top(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "top"


async def test_all_is_right(top: pathlib.Path) -> None:
    metainfo = make(top)
    seen: list[tuple[int, int]] = []
    report = await verify(metainfo, top, progress=lambda done, total: seen.append((done, total)))
    assert report.ok
    assert report.root == top
    assert report.good_bytes == metainfo.total == 150_003
    assert report.pieces == 10
    assert seen[-1] == (150_003, 150_003)


async def test_a_thread_that_cannot_be_had_and_what_progress_raises_come_as_they_are(top: pathlib.Path) -> None:
    class OneThread(ThreadOffload):
        async def run(self, fn: Any, *args: Any, abandon: bool = False) -> Any:
            if fn.__name__ == "hash":
                raise DiskTroubleError("no thread may be started")
            return await super().run(fn, *args, abandon=abandon)

    def progress(done: int, total: int) -> None:
        raise KeyError("theirs")

    metainfo = make(top)
    with pytest.raises(DiskTroubleError, match="no thread"):
        await verify(metainfo, top, offload=OneThread())
    with pytest.raises(KeyError, match="theirs"):
        await verify(metainfo, top, progress=progress)


async def test_the_folder_may_be_named_or_the_one_around_it(top: pathlib.Path) -> None:
    metainfo = make(top)
    for path in (top, top.parent, str(top) + "/"):
        assert (await verify(metainfo, path)).ok
    # A folder that holds another of its own name.
    outer = top.parent / "outer" / "top"
    make(outer / "top")
    assert (await verify(metainfo, outer)).ok


async def test_a_flipped_bit_is_found(top: pathlib.Path) -> None:
    metainfo = make(top)
    data = bytearray((top / "d.bin").read_bytes())
    data[50_000] ^= 1  # at 100,000 of the whole: piece 6
    (top / "d.bin").write_bytes(data)
    report = await verify(metainfo, top)
    assert report.bad_pieces == (6,)
    (bad,) = report.bad_files
    assert (bad.path, bad.problem, bad.pieces) == (top / "d.bin", Problem.BAD, (6,))
    assert metainfo.files[bad.index].path[-1] == "d.bin"
    assert report.good_bytes == metainfo.total - PIECE


async def test_a_missing_file_does_not_make_its_neighbours_guilty(top: pathlib.Path) -> None:
    metainfo = make(top)
    (top / "b/c.bin").unlink()  # bytes 40,000 to 50,000: pieces 2 and 3
    report = await verify(metainfo, top)
    assert report.bad_pieces == (2, 3)
    assert [(bad.path.name, bad.problem, bad.pieces) for bad in report.bad_files] == [
        ("a.bin", Problem.UNPROVEN, (2,)),
        ("c.bin", Problem.MISSING, (2, 3)),
        ("d.bin", Problem.UNPROVEN, (3,)),
    ]


async def test_a_missing_empty_file(top: pathlib.Path) -> None:
    metainfo = make(top)
    (top / "b/empty").unlink()
    report = await verify(metainfo, top)
    assert not report.ok
    assert report.bad_pieces == ()
    assert [bad.problem for bad in report.bad_files] == [Problem.MISSING]


async def test_wrong_sizes(top: pathlib.Path) -> None:
    metainfo = make(top)
    os.truncate(top / "a.bin", 20_000)
    (top / "e.bin").write_bytes((top / "e.bin").read_bytes() + b"tail")
    report = await verify(metainfo, top)
    assert report.bad_pieces == (1, 2)
    found = {bad.path.name: bad for bad in report.bad_files}
    assert found["a.bin"].problem is Problem.SIZE
    assert found["a.bin"].message == "20,000 bytes instead of 40,000"
    # Its bytes are right, but there are more of them.
    assert (found["e.bin"].problem, found["e.bin"].pieces) == (Problem.SIZE, ())


async def test_a_file_that_is_a_folder_and_one_that_may_not_be_read(top: pathlib.Path) -> None:
    metainfo = make(top)
    (top / "e.bin").unlink()
    (top / "e.bin").mkdir()
    (top / "a.bin").unlink()
    (top / "a.bin").symlink_to("a.bin")
    report = await verify(metainfo, top)
    found = {bad.path.name: bad.problem for bad in report.bad_files}
    assert found["e.bin"] in (Problem.SIZE, Problem.UNREADABLE)
    assert found["a.bin"] is Problem.UNREADABLE


async def test_a_fifo_in_a_files_place_is_not_waited_for(top: pathlib.Path) -> None:
    metainfo = make(top)
    (top / "e.bin").unlink()
    os.mkfifo(top / "e.bin")
    with trio.fail_after(10):
        report = await verify(metainfo, top)
    found = {bad.path.name: (bad.problem, bad.message) for bad in report.bad_files}
    assert found["e.bin"] == (Problem.UNREADABLE, "it is not a regular file")


@pytest.mark.skipif(os.open not in os.supports_dir_fd, reason="needs openat")
@pytest.mark.parametrize("around", [False, True])
async def test_a_path_longer_than_the_system_takes(tmp_path: pathlib.Path, around: bool) -> None:
    """A save folder may hold one: it is gone down step by step."""
    names = tuple("n" * 200 for _ in range(30))
    data = random.Random(1).randbytes(40_000)
    pieces = b"".join(hashlib.sha1(data[at : at + PIECE]).digest() for at in range(0, len(data), PIECE))
    files = [([name.encode() for name in (*names, "file")], 30_000), ([b"beside"], 10_000)]
    metainfo = build_metainfo(build_info("top", files, piece_length=PIECE, pieces=pieces))
    beneath = Beneath(str(tmp_path))
    for file, content in zip(metainfo.files, (data[:30_000], data[30_000:]), strict=True):
        fd = beneath.create(file.path)
        os.write(fd, content)
        os.close(fd)
    root = tmp_path if around else tmp_path / "top"
    assert (await verify(metainfo, root)).ok
    beneath.remove(metainfo.files[0].path)
    report = await verify(metainfo, root)
    assert [file.problem for file in report.bad_files] == [Problem.MISSING, Problem.UNPROVEN]


async def test_one_file(tmp_path: pathlib.Path) -> None:
    data = random.Random(2).randbytes(50_000)
    (tmp_path / "x.bin").write_bytes(data)
    pieces = b"".join(hashlib.sha1(data[start : start + PIECE]).digest() for start in range(0, len(data), PIECE))
    metainfo = build_metainfo(build_info("x.bin", [([], len(data))], piece_length=PIECE, pieces=pieces))
    assert (await verify(metainfo, tmp_path / "x.bin")).ok
    assert (await verify(metainfo, tmp_path)).ok
    (tmp_path / "other name").write_bytes(data[:-1] + b"!")
    report = await verify(metainfo, tmp_path / "other name")
    assert report.bad_pieces == (3,)
    assert report.bad_files[0].path == tmp_path / "other name"


UNSAFE = {"aux.c": 20_000, "aux_.c": 30_000, "Case": 5, "case": 7, "back\\slash/dot.": 11, "new\nline": 40_000, "z": 1}


async def test_names_as_they_were_where_it_was_made(tmp_path: pathlib.Path) -> None:
    top = tmp_path / "con"  # which is a device
    metainfo = make(top, UNSAFE)
    assert metainfo.info.name == "con_"
    for path in (top, tmp_path):
        report = await verify(metainfo, path)
        assert (report.ok, report.root) == (True, top)
    (top / "case").write_bytes(b"1234567")
    (top / "Case").unlink()
    report = await verify(metainfo, top)
    assert {(bad.path, bad.problem) for bad in report.bad_files} >= {
        (top / "Case", Problem.MISSING),
        (top / "case", Problem.UNPROVEN),
    }


async def test_names_as_they_were_fetched(tmp_path: pathlib.Path) -> None:
    metainfo = make(tmp_path / "made" / "con", UNSAFE)
    for entry in metainfo.files:
        path = tmp_path.joinpath("fetched", *entry.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        made = tmp_path.joinpath("made", *(name.decode() for name in entry.raw_path))
        path.write_bytes(made.read_bytes())
    for place in (tmp_path / "fetched", tmp_path / "fetched" / "con_"):
        report = await verify(metainfo, place)
        assert (report.ok, report.root) == (True, tmp_path / "fetched" / "con_")


async def test_one_file_under_its_own_name(tmp_path: pathlib.Path) -> None:
    data = random.Random(1).randbytes(PIECE)
    (tmp_path / "aux.c").write_bytes(data)
    info = build_info("aux.c", [((), PIECE)], piece_length=PIECE, pieces=hashlib.sha1(data).digest())
    for path in (tmp_path, tmp_path / "aux.c"):
        report = await verify(build_metainfo(info), path)
        assert (report.ok, report.root) == (True, tmp_path / "aux.c")


async def test_pieces_larger_than_a_read(tmp_path: pathlib.Path) -> None:
    data = bytes(5 << 20)
    (tmp_path / "zeros").write_bytes(data)
    pieces = hashlib.sha1(data[: 4 << 20]).digest() + hashlib.sha1(data[4 << 20 :]).digest()
    metainfo = build_metainfo(build_info("zeros", [([], len(data))], piece_length=4 << 20, pieces=pieces))
    assert (await verify(metainfo, tmp_path / "zeros")).ok


async def test_nothing_there(tmp_path: pathlib.Path) -> None:
    metainfo = make(tmp_path / "top")
    with pytest.raises(StorageError, match="no such file"):
        await verify(metainfo, tmp_path / "nowhere")


async def test_who_gives_no_metainfo_is_told_where_one_comes_from(top: pathlib.Path) -> None:
    metainfo = make(top)
    for path in ("top.torrent", top):
        with pytest.raises(TypeError, match="metainfo: .* a path or URL goes through load"):
            await verify(path, top)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="metainfo: a Magnet has no hashes .* wait_metadata"):
        await verify(Magnet.parse(metainfo.magnet), top)  # type: ignore[arg-type]


async def test_nothing_is_changed(top: pathlib.Path) -> None:
    metainfo = make(top)
    (top / "d.bin").unlink()

    def everything() -> list[tuple[str, int, int]]:
        return sorted((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in top.parent.rglob("*"))

    before = everything()
    await verify(metainfo, top)
    assert everything() == before
