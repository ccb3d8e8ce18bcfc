"""A file system that really is full, and then is not: ``unshare -m python -m tests.reliability.full CASE``.

A tmpfs of 8 MiB is filled by somebody else's file: under the save folder or the state folder, while a session fetches, or
before it begins. It goes on by itself when that file is gone, or is left meanwhile and begun again. What was seen goes to
stdout as JSON; whether that is right is for the test to say. Needs root; the mount ends with the namespace.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pathlib
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any, NamedTuple

import trio

import torrentlite as tl
from tests.reliability.torrents import Torrent
from tests.scripted import ScriptedSeed
from torrentlite import session
from torrentlite.swarm import opening, pieces
from torrentlite.testing.torrent import made_up_torrent

SIZES = (1_500_000, 0, 900_000)
PIECE = 4096
"""So small that the journal outgrows its first page, and needs another one that is not there."""
ROOM = 8 << 20
DEADLINE = 60
"""Seconds; only a hang takes so long."""


class Case(NamedTuple):
    """What is full, and what is done about it.

    Attributes:
        folder: "save" or "state".
        early: it is full from the beginning.
        leave: the session is left while it is full.
    """

    folder: str
    early: bool = False
    leave: bool = False


CASES = {
    "save": Case("save"),
    "save, left": Case("save", leave=True),
    "state": Case("state"),
    "state, left": Case("state", leave=True),
    "state, early": Case("state", early=True),
}


def fill(folder: pathlib.Path) -> pathlib.Path:
    """Take all the room that is left."""
    filler = folder / "somebody else's"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)) == 4096:
            pass
    return filler


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await trio.sleep(0.01)


async def story(case: Case, folder: pathlib.Path) -> dict[str, Any]:
    """What was seen."""
    small = folder / "small"
    (folder / case.folder).symlink_to(small)  # links on the way to a folder are the user's
    save = folder / "save"
    torrent = Torrent(*made_up_torrent(random.Random(case.folder), SIZES, piece_length=PIECE))
    metainfo, data = torrent.metainfo, torrent.data
    seed = ScriptedSeed(metainfo.info, data, rate=3_000_000)
    settings = tl.Settings(host="127.0.0.1", state_dir=folder / "state", dht=False, lsd=False)
    seen: dict[str, Any] = {}
    async with seed.serving():
        peers = [("127.0.0.1", seed.port)]
        filler = fill(small) if case.early else small / "nothing yet"
        async with tl.open_session(settings) as ours:
            fetched = ours.add(metainfo, save, peers=peers)
            if not case.early:
                await until(lambda: fetched.stats().pieces_done >= 100)
                filler = fill(small)
            await until(lambda: fetched.error is not None)
            downloaded = -1
            while fetched.stats().downloaded > downloaded:  # what is left of the page takes some small notes still
                downloaded = fetched.stats().downloaded
                await trio.sleep(0.5)
            why, stats = fetched.why(), fetched.stats()
            seen |= {"reason": why.reason.name, "message": why.message, "error": type(fetched.error).__name__}
            seen |= {"left_when_full": stats.left}
            if not case.leave:
                filler.unlink()
                await fetched.wait_complete()
                stats = fetched.stats()
                seen |= {"error_afterwards": fetched.error, "fetched_again": stats.downloaded - len(data)}
            seen |= {"hash_failures": fetched.stats().hash_failures, "bugs": ours.stats().internal_errors}
        if case.leave:
            filler.unlink()
        synced = metainfo.info.layout.bytes_of_pieces(torrent.synced(folder))
        async with tl.open_session(settings) as ours:
            fetched = ours.add(metainfo, save, peers=peers)
            await fetched.wait_checked()
            stats = fetched.stats()
            seen |= {"synced": synced, "hashed_at_the_next_start": stats.check_total, "left_then": stats.left}
            await fetched.wait_complete()
            seen["fetched_then"] = fetched.stats().downloaded
    files = {path.relative_to(save) for path in save.rglob("*") if path.is_file()}
    seen["names"] = files == {pathlib.Path(*entry.path) for entry in metainfo.files}
    seen["false_names"] = torrent.false_names(folder)
    return seen


async def whole(folder: pathlib.Path) -> dict[str, Any]:
    """The same of data that is all there, with a state folder that is full from the beginning to the end."""
    torrent = Torrent(*made_up_torrent(random.Random("whole"), SIZES, piece_length=PIECE))
    metainfo, save = torrent.metainfo, folder / "save"
    for index, entry in enumerate(metainfo.files):
        path = save.joinpath(*entry.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        begin = metainfo.info.layout.file_offsets[index]
        path.write_bytes(torrent.data[begin : begin + entry.length])
    (folder / "small" / "state").mkdir()
    fill(folder / "small")
    settings = tl.Settings(host="127.0.0.1", state_dir=folder / "small" / "state", dht=False, lsd=False)
    async with tl.open_session(settings) as ours:
        shared = ours.add(metainfo, save)
        await shared.wait_complete()
        seen = {"state": shared.state.value, "error": shared.error, "hashed": shared.stats().check_total}
    journals = list((folder / "small" / "state").rglob("*.journal"))
    return seen | {"journal": sum(path.stat().st_size for path in journals)}


async def _main(name: str, folder: pathlib.Path) -> dict[str, Any]:
    with trio.fail_after(DEADLINE):
        return await (whole(folder) if name == "whole" else story(CASES[name], folder))


def main(case: str) -> None:
    """In a mount namespace of its own."""
    logging.getLogger("torrentlite").setLevel(logging.CRITICAL)
    opening.DISK_RETRY = pieces.DISK_RETRY = 0.1  # type: ignore[misc]
    session.TICK = pieces.COMMIT_INTERVAL = 0.04  # type: ignore[misc]
    with tempfile.TemporaryDirectory(prefix="tl-full-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as name:
        folder = pathlib.Path(name)
        (folder / "small").mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder / "small")]
        subprocess.run(mount, check=True)
        try:
            print(json.dumps(trio.run(_main, case, folder)))
        finally:
            subprocess.run(["umount", str(folder / "small")], check=True)


if __name__ == "__main__":
    main(sys.argv[1])
