"""Somebody changes the files under a torrent while it runs: it says so or completes, hangs never, and follows no link."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import pathlib
import shutil
from collections.abc import Callable

import pytest
import trio

import torrentlite as tl
from tests.strangers import Stranger, background, session_on, simulated, until, where

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs links and FIFOs")

SIZES = (200_000, 150_000, 100_000)
PRECIOUS = b"not yours" * 30_000


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="torrentlite")


class Place:
    """A save folder, and beside it what no torrent may touch."""

    def __init__(self, folder: pathlib.Path, metainfo: tl.Metainfo) -> None:
        self.save = folder / "save"
        self.outside = folder / "outside"
        self.outside.mkdir()
        (self.outside / "precious").write_bytes(PRECIOUS)
        self.mark = f".{metainfo.info_hash[:8]}.part"
        for name in ("0.bin", f"0.bin{self.mark}", "1.bin", f"1.bin{self.mark}"):
            (self.outside / name).write_bytes(PRECIOUS)

    def untouched(self) -> bool:
        return len(list(self.outside.iterdir())) == 5 and all(
            path.read_bytes() == PRECIOUS for path in self.outside.iterdir()
        )


def _replace(path: pathlib.Path, make: Callable[[pathlib.Path], object]) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    make(path)


def _exchange(path: pathlib.Path, content: bytes) -> None:
    """Put another file there. Both exist for a moment: a removed one's inode may be given to the next, as ext4 does,
    and that is then the same as writing into it, which only a check finds."""
    other = path.with_name("other")
    other.write_bytes(content)
    os.replace(other, path)


MEDDLING: dict[str, Callable[[pathlib.Path, Place], object]] = {
    "deleted": lambda path, place: path.unlink(),
    "truncated": lambda path, place: os.truncate(path, 70_000),
    "emptied": lambda path, place: os.truncate(path, 0),
    "longer": lambda path, place: os.truncate(path, 400_000),
    "replaced by a copy of zeros": lambda path, place: _exchange(path, bytes(200_000)),
    "replaced by a link": lambda path, place: _replace(path, lambda p: p.symlink_to(place.outside / "precious")),
    "replaced by a hard link": lambda path, place: _replace(path, lambda p: os.link(place.outside / "precious", p)),
    "replaced by a dangling link": lambda path, place: _replace(path, lambda p: p.symlink_to(place.outside / "new")),
    "replaced by a FIFO": lambda path, place: _replace(path, os.mkfifo),
    "replaced by a folder": lambda path, place: _replace(path, os.mkdir),
    "replaced by a device": lambda path, place: _replace(path, lambda p: p.symlink_to("/dev/zero")),
    "the folder is deleted": lambda path, place: shutil.rmtree(path.parent),
    "the folder is replaced by a link": lambda path, place: _replace(
        path.parent, lambda p: p.symlink_to(place.outside)
    ),
    "the save folder is deleted": lambda path, place: shutil.rmtree(place.save),
}


@pytest.mark.parametrize("closed", [False, True], ids=["held open", "closed"])
@pytest.mark.parametrize("how", MEDDLING)
@simulated()
async def test_while_downloading(world, tmp_path, how, closed):
    metainfo, data = world.torrent(*SIZES, piece_length=32768)
    place = Place(tmp_path, metainfo)
    machine = dataclasses.replace(world.host(), storage=None)
    async with background() as nursery:
        honest = await Stranger(world.host(up=40_000), metainfo.info, data).serve(nursery)
        async with session_on(machine, state_dir=tmp_path / "state", dht=False) as session:
            torrent = session.add(metainfo, place.save, peers=[honest.place])
            part = place.save / "made-up" / f"0.bin{place.mark}"
            await until(lambda: part.exists() and torrent.stats().done > 60_000)
            if closed:
                session._disks._files.trim()
            MEDDLING[how](part, place)
            with contextlib.suppress(tl.StorageError):
                with trio.fail_after(120):
                    await torrent.wait_complete()
            assert place.untouched()
            if torrent.state is tl.State.ERROR:
                assert torrent.error is not None
                assert torrent.why().reason is tl.Reason.ERROR
                assert str(place.save) in str(torrent.error), "it names the file"
                # Cured by hand, it goes on.
                top = place.save / "made-up"
                if top.is_symlink():
                    top.unlink()
                for path in top.rglob("*") if top.exists() else ():
                    if path.is_symlink() or not path.is_file() or path.stat().st_nlink > 1:
                        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
                torrent.resume()
                with trio.fail_after(120):
                    await torrent.wait_complete()
            else:
                assert torrent.state is tl.State.SEEDING
    assert place.untouched()
    at = 0
    for number, size in enumerate(SIZES):
        path = place.save / "made-up" / f"{number}.bin"
        assert not path.is_symlink()
        assert path.read_bytes() == data[at : at + size], number
        at += size


@pytest.mark.parametrize("how", [how for how in MEDDLING if how not in ("longer",)])
@simulated()
async def test_while_seeding(world, tmp_path, how):
    """What is sent is right or not sent at all, and whoever seeds learns why not."""
    metainfo, data = world.torrent(*SIZES, piece_length=32768)
    place = Place(tmp_path, metainfo)
    machine, other = dataclasses.replace(world.host(up=100_000), storage=None), world.host()
    top = place.save / "made-up"
    top.mkdir(parents=True)
    at = 0
    for number, size in enumerate(SIZES):
        (top / f"{number}.bin").write_bytes(data[at : at + size])
        at += size
    async with (
        session_on(machine, state_dir=tmp_path / "state", dht=False) as session,
        session_on(other, dht=False) as theirs,
    ):
        shared = session.add(metainfo, place.save)
        await shared.wait_complete()
        MEDDLING[how](top / "0.bin", place)
        torrent = theirs.add(metainfo, peers=[where(machine, session)])
        await trio.sleep(60)
        assert place.untouched()
        assert torrent.stats().left == 0 or shared.state is tl.State.ERROR or torrent.stats().hash_failures <= 5
        if torrent.stats().left == 0:
            assert other.disk.storage(metainfo.info).content() == data
        elif shared.state is tl.State.ERROR:
            assert shared.error is not None
