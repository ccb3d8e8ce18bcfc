"""A process that fetches, tells what it does, and may cut its own power."""

from __future__ import annotations

import errno
import itertools
import json
import logging
import os
import pathlib
import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import trio

import torrentlite as tl
import torrentlite.session  # before the forks, or each of them would take its time
from tests.reliability import ext4
from tests.reliability.elsewhere import PAUSE, disturbed
from tests.reliability.torrents import Torrent
from torrentlite.events import PieceVerified
from torrentlite.storage import disk as disk_module, files as files_module, journal as journal_module, platform
from torrentlite.storage.disk import Disk
from torrentlite.storage.journal import Journal
from torrentlite.swarm import pieces as pieces_module

COMMIT = 0.04
"""Seconds between commits, which the tick begins: in the product they are two."""
DEADLINE = 60
"""Seconds that a life may take; only a hang takes so long."""
CALLS = ("pwrite", "ftruncate", "link", "unlink", "replace", "mkdir", "fdatasync", "fsync", "open")
FLAGS = [ext4.FLUSH_NOTHING] * 16 + [ext4.FLUSH_LOG] * 3 + [ext4.FLUSH_ALL]
NO_POWER = (os.strerror(errno.EIO), os.strerror(errno.EROFS))


class Plan(NamedTuple):
    """When the power is cut.

    Attributes:
        pieces: after so many were verified; who fetches is told to leave then, if ``leaving``.
        pause: seconds to wait after that, if it is done from outside.
        call: before or after which call it is done from inside ("any": of all); empty from outside.
        number: the how manieth of those.
        before: whether before the call.
        leaving: whether who fetches leaves.
        flag: of ``ext4.cut``.
    """

    pieces: int
    pause: float
    call: str
    number: int
    before: bool
    leaving: bool
    flag: int

    @classmethod
    def any(cls, rng: random.Random) -> Plan:
        """One of them."""
        call = rng.choice(["", "", "any", rng.choice(CALLS)])
        leaving = rng.random() < 0.25
        return cls(
            pieces=rng.randrange(rng.choice([1, 4, 20])),
            pause=rng.uniform(0, 0.01 if leaving else 0.05),
            call=call,
            number=rng.randrange(1, 25 if call in ("any", "pwrite") and not leaving else 5),
            before=rng.random() < 0.5,
            leaving=leaving,
            flag=rng.choice(FLAGS),
        )


def _claims_too_early() -> None:
    """Files are not flushed before their pieces are called synced."""
    files_module.platform = _Unflushed()  # type: ignore[assignment]


def _journal_stays_in_memory() -> None:
    """What is called synced is noted, and the note is not flushed."""
    journal_module.platform = _Unflushed()  # type: ignore[assignment]


class _Unflushed:
    """``platform``, but for flushing."""

    def __getattr__(self, name: str) -> Any:
        return getattr(platform, name)

    def flush(self, fd: int) -> None:
        """Not done."""

    def flush_folder(self, folder: Any) -> None:
        """Not done."""

    def flush_all(self, fds: Sequence[int], threads: int) -> list[None]:
        """Not done."""
        return [None] * len(fds)


SABOTAGE: dict[str, Callable[[], None]] = {
    "": lambda: None,
    "early": _claims_too_early,
    "memory": _journal_stays_in_memory,
}
"""Defences to be taken away from who fetches: then promises have to be broken."""


class Life(logging.Handler):
    """What the process does, and tells, one JSON list a line:

    - ``copying``: from elsewhere;
    - ``hashed``, ``have`` (info-hash, pieces as hexadecimal bits): what was looked at when a torrent was opened, and what
      it has then (and of that, bytes that were copied);
    - ``verified``: a piece is written;
    - ``synced``: the journal says so, and was flushed;
    - ``leaving``: the session is being left;
    - ``now``: the moment of the plan has come;
    - ``cutting`` (call): the power is about to be cut; what is called synced from here on does not count (``ext4.cut``);
    - ``cut``: it is;
    - ``no power``: it has met the fault.
    """

    def __init__(
        self, torrents: list[Torrent], folder: pathlib.Path, pipe: int, plan: Plan | None, first: bool
    ) -> None:
        super().__init__()
        self._first = first
        self._torrents = torrents
        self._folder = folder
        self._pipe = pipe
        self._plan = plan
        self._verified = 0
        self._armed = False
        self._leave = trio.Event()
        self._calls = itertools.count(1)

    def tell(self, *words: Any) -> None:
        """Write a line; so short that it is never torn."""
        os.write(self._pipe, json.dumps(words).encode() + b"\n")

    def emit(self, record: logging.LogRecord) -> None:
        """The log says that the disk refuses."""
        if any(words in record.getMessage() for words in NO_POWER):
            self.tell("no power")

    async def main(self, sabotage: Callable[[], None]) -> None:
        """To the end, where there is one."""
        sabotage()
        self._listen()
        for name in (*CALLS, "copy_file_range"):
            setattr(os, name, self._shim(name))
        torrentlite.session.TICK = pieces_module.COMMIT_INTERVAL = COMMIT  # type: ignore[misc]
        self._reached(0)
        settings = tl.Settings(host="127.0.0.1", state_dir=self._folder / "state", dht=False)
        donors = [torrent.elsewhere for torrent in self._torrents if torrent.elsewhere]
        with disturbed(donors, lambda: self.tell("copying"), PAUSE), trio.fail_after(DEADLINE):
            async with tl.open_session(settings) as session, trio.open_nursery() as nursery:
                nursery.start_soon(self._leaving, nursery)
                async with trio.open_nursery() as all_of_them:
                    for torrent in self._torrents:
                        all_of_them.start_soon(self._fetch, session, torrent, nursery)
                nursery.cancel_scope.cancel()

    async def _fetch(self, session: tl.Session, torrent: Torrent, nursery: trio.Nursery) -> None:
        fetched = session.add(
            torrent.metainfo,
            self._folder / "save",
            select=torrent.first if self._first else None,
            reuse=torrent.reuse,
            peers=[("127.0.0.1", torrent.port)],
        )
        await nursery.start(self._tell_of_pieces, fetched, torrent.metainfo.info.hashes.wire.hex())
        await fetched.wait_complete()

    async def _tell_of_pieces(self, fetched: tl.Torrent, name: str, task_status: Any) -> None:
        async with fetched.events() as events:
            task_status.started()
            async for event in events:
                if isinstance(event, PieceVerified):
                    self.tell("verified", name, f"{1 << event.piece:x}")
                    self._verified += 1
                    self._reached(self._verified)

    async def _leaving(self, nursery: trio.Nursery) -> None:
        await self._leave.wait()
        nursery.cancel_scope.cancel()

    # -- the cut

    def _reached(self, pieces: int) -> None:
        """So many pieces were verified."""
        plan = self._plan
        if plan is None or self._armed or pieces < plan.pieces:
            return
        if plan.leaving:
            self.tell("leaving")
            self._leave.set()
        self._armed = True
        self.tell("now")

    def _shim(self, name: str) -> Callable[..., Any]:
        real, plan = getattr(os, name), self._plan

        def call(*args: Any, **kwargs: Any) -> Any:
            changing = name != "open" or args[1] & os.O_CREAT
            if plan is None or not self._armed or plan.call not in (name, "any") or not changing:
                return real(*args, **kwargs)
            due = next(self._calls) == plan.number
            if due and plan.before:
                self._cut(plan.flag, f"{name}, before it")
            result = real(*args, **kwargs)
            if due and not plan.before:
                self._cut(plan.flag, f"{name}, after it")
            return result

        return call

    def _cut(self, flag: int, name: str) -> None:
        self._armed = False  # opening the folder is a call, too
        self.tell("cutting", name)
        ext4.cut(self._folder, flag)
        self.tell("cut")

    # -- telling

    def _listen(self) -> None:
        """Look over the shoulder of the disk and the journal, and change nothing."""
        logging.getLogger("torrentlite").addHandler(self)
        logging.getLogger("torrentlite").propagate = False
        opened, synced, rewritten = Disk.open, Journal.synced, Journal.rewrite
        check = disk_module.check_pieces

        async def check_pieces(info: Any, storage: Any, pieces: int, *rest: Any) -> int:
            self.tell("hashed", info.hashes.wire.hex(), f"{pieces:x}")
            return await check(info, storage, pieces, *rest)

        async def open(disk: Any, **rest: Any) -> int:
            have = await opened(disk, **rest)
            self.tell("have", disk._info.hashes.wire.hex(), f"{have:x}", disk.reused)
            return have

        def say(journal: Any, pieces: int) -> None:
            self.tell("synced", os.path.basename(journal.path)[:40], f"{pieces:x}")

        def synced_(journal: Any, pieces: int, stamps: Any) -> None:
            synced(journal, pieces, stamps)
            say(journal, pieces)

        def rewrite(journal: Any, pieces: int, stamps: Any, *, clean: bool) -> None:
            rewritten(journal, pieces, stamps, clean=clean)
            say(journal, pieces)

        disk_module.check_pieces = check_pieces  # type: ignore[assignment]
        Disk.open = open  # type: ignore[method-assign]
        Journal.synced = synced_  # type: ignore[method-assign]
        Journal.rewrite = rewrite  # type: ignore[method-assign]
