"""SIGKILL at any moment, over and over: nothing false is claimed, nothing verified is fetched again, nothing is hashed that
was synced.

``python -m tests.reliability kill --count 1000`` does it a thousand times over two hundred schedules and more. Each
schedule has torrents of its own, a seed (a process) that notes what it is told and asked, and one process after the
other that fetches and is killed. These are forked, which takes milliseconds: whoever calls must have no threads. After
each kill the files are compared, byte by byte, with what the journal and the dead process claimed. Of every other torrent
some, or what is like it, lies elsewhere at the beginning (``elsewhere.py``).
"""

from __future__ import annotations

import collections
import json
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import trio

import torrentlite as tl
import torrentlite.session  # before the forks, or each of them would take its time
from tests.reliability.elsewhere import PAUSE, disturbed
from tests.reliability.torrents import Promises, Seed, Torrent, compare, die_with
from torrentlite.events import PieceVerified
from torrentlite.storage import disk as disk_module
from torrentlite.storage.files import FileStorage
from torrentlite.storage.journal import Journal
from torrentlite.swarm import pieces as pieces_module
from torrentlite.wire import bitfield

COMMIT = 0.04
"""Seconds between commits of who fetches, and between the ticks that begin them: in the product they are two, and there would be none before it is killed."""
COPYING = b"copying\n"


@dataclass
class Counts(Promises):
    """What came of it; the second half has to stay 0."""

    schedules: int = 0
    torrents: int = 0
    torrents_with_donors: int = 0
    kills: int = 0
    kills_while_copying: int = 0
    kills_while_fetching: int = 0
    bytes_reused: int = 0
    donors_changed_meanwhile: int = 0
    pieces_claimed_by_the_dead: int = 0
    pieces_synced_by_the_dead: int = 0
    bytes_hashed_at_restarts: int = 0
    false_claims: int = 0
    forgotten: int = 0
    fetched_again: int = 0
    fetched_though_given: int = 0
    hashed_though_synced: int = 0
    files_that_differ: int = 0
    left_behind: int = 0
    donors_changed: int = 0


def _claims_too_much() -> None:
    """Every fourth piece is not written, and nobody notices."""
    real = FileStorage.pwrite

    def pwrite(self: Any, offset: int, data: Any, *, aside: bool = False) -> None:
        if offset // len(data) % 4:
            real(self, offset, data, aside=aside)

    FileStorage.pwrite = pwrite  # type: ignore[method-assign]


def _remembers_too_little() -> None:
    """What is about to be written is not noted."""
    Journal.written = lambda self, pieces: None  # type: ignore[method-assign]


def _trusts_copies() -> None:
    """What lies there is not hashed."""

    async def check_pieces(info: Any, storage: Any, pieces: int, *rest: Any) -> int:
        return pieces

    disk_module.check_pieces = check_pieces  # type: ignore[assignment]


SABOTAGE: dict[str, Callable[[], None]] = {
    "": lambda: None,
    "claims": _claims_too_much,
    "remembers": _remembers_too_little,
    "trusts": _trusts_copies,
}
"""Defences to be taken away from who fetches: then promises have to be broken."""


def run(count: int, seed: int, say: Callable[[str], None], sabotage: str = "") -> Counts:
    """Kill so many times; raises nothing, look at the counts."""
    counts = Counts()
    began = time.monotonic()
    while counts.kills < count and not counts.false_claims and not (sabotage and counts.bad()):
        Schedule(counts, f"{seed}/{counts.schedules}", SABOTAGE[sabotage]).run()
        counts.schedules += 1
        if counts.schedules % 20 == 0:
            say(f"{counts.kills} kills, {counts.schedules} schedules, {counts.bad()} broken promises")
    for entry in fields(counts):
        say(f"{getattr(counts, entry.name):12,}  {entry.name.replace('_', ' ')}")
    say(f"{time.monotonic() - began:12.0f}  seconds")
    return counts


class Schedule:
    """Torrents, a seed, and who fetches until it is killed."""

    def __init__(self, counts: Counts, seed: str, sabotage: Callable[[], None]) -> None:
        self.counts = counts
        self.sabotage = sabotage
        self.first = True  # whether only those files are wanted that are wanted at first
        self.rng = random.Random(seed)
        self.torrents = [Torrent.made_up(self.rng, number) for number in range(self.rng.choice([1, 1, 2, 3]))]
        self.folder = pathlib.Path(
            tempfile.mkdtemp(prefix="tl-kill-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        )
        which = random.Random(f"{seed}, elsewhere")  # so that those without are what they are without it
        for torrent in self.torrents:
            if which.random() < 0.5:
                torrent.lay_elsewhere(self.folder, which)

    def run(self) -> None:
        self.counts.torrents += len(self.torrents)
        elsewhere = [torrent.elsewhere for torrent in self.torrents if torrent.elsewhere]
        self.counts.torrents_with_donors += len(elsewhere)
        try:
            with Seed(self.torrents) as seed:
                for life in range(self.rng.randint(3, 7)):
                    self.first = life < 2
                    killed = self._fetch(self.rng.randrange(self.rng.choice([2, 30])))
                    self._look(seed.notes(), killed=killed)
                    if not (killed or self.first) or self.counts.false_claims:
                        break  # who meets wrong bytes under a final name refuses to go on, and is right
                else:
                    self.first = False
                    self._fetch(None)
                    self._look(seed.notes(), killed=False)
            differ, left = compare(self.torrents, self.folder)
            self.counts.files_that_differ += differ
            self.counts.left_behind += left
            self.counts.donors_changed_meanwhile += sum(donors.changed_meanwhile() for donors in elsewhere)
            self.counts.donors_changed += sum(donors.changed() for donors in elsewhere)
        finally:
            shutil.rmtree(self.folder)

    # -- who fetches

    def _fetch(self, kill_after: int | None) -> bool:
        """Whether it was killed, soon after it had told so many things, before it was done."""
        synced = [torrent.synced(self.folder) for torrent in self.torrents]
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(reader)
            die_with(lambda: self._child(writer))
        os.close(writer)
        with open(reader, "rb") as pipe:
            told = b""
            if kill_after is not None:
                while told.count(b"\n") < kill_after and (line := pipe.readline()):
                    told += line
                time.sleep(self.rng.uniform(0, 0.05))
                os.kill(child, signal.SIGKILL)
            told += pipe.read()
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            raise RuntimeError("who fetched failed")
        for line in told.splitlines(keepends=True):
            if line.startswith(b"[") and line.endswith(b"\n"):
                number, hashed, reused = json.loads(line)
                torrent = self.torrents[number]
                layout = torrent.metainfo.info.layout
                border = bitfield.of(torrent.elsewhere.border if torrent.elsewhere else ())
                self.counts.bytes_hashed_at_restarts += layout.bytes_of_pieces(hashed)
                self.counts.bytes_reused += reused
                self.counts.hashed_though_synced += (hashed & synced[number] & ~border).bit_count()
        killed = os.WIFSIGNALED(status)
        self.counts.kills += killed
        copying = told.endswith(COPYING)
        self.counts.kills_while_copying += killed and copying
        self.counts.kills_while_fetching += killed and bool(told) and not copying
        return killed

    def _child(self, pipe: int) -> None:
        self.sabotage()
        donors = [torrent.elsewhere for torrent in self.torrents if torrent.elsewhere]
        with disturbed(donors, lambda: os.write(pipe, COPYING), PAUSE):
            trio.run(self._life, pipe)

    async def _life(self, pipe: int) -> None:
        torrentlite.session.TICK = pieces_module.COMMIT_INTERVAL = COMMIT  # type: ignore[misc]
        settings = tl.Settings(host="127.0.0.1", state_dir=self.folder / "state", dht=False)
        hashed = collections.defaultdict[bytes, int](int)  # what a check counts has what is copied in it
        check = disk_module.check_pieces

        async def check_pieces(info: Any, storage: Any, pieces: int, *rest: Any) -> int:
            hashed[info.hashes.wire] |= pieces
            return await check(info, storage, pieces, *rest)

        disk_module.check_pieces = check_pieces  # type: ignore[assignment]
        async with tl.open_session(settings) as session, trio.open_nursery() as nursery:

            async def one(number: int, torrent: Torrent) -> None:
                fetched = session.add(
                    torrent.metainfo,
                    self.folder / "save",
                    select=torrent.first if self.first else None,
                    reuse=torrent.reuse,
                    peers=[("127.0.0.1", torrent.port)],
                )
                await fetched.wait_checked()
                told = [number, hashed[torrent.metainfo.info.hashes.wire], fetched.stats().reused]
                os.write(pipe, b"%b\n" % json.dumps(told).encode())
                nursery.start_soon(tell_of_pieces, fetched)
                await fetched.wait_complete()

            async def tell_of_pieces(fetched: tl.Torrent) -> None:
                async with fetched.events() as events:
                    async for event in events:
                        if isinstance(event, PieceVerified):
                            os.write(pipe, b"\n")

            async with trio.open_nursery() as all_of_them:
                for number, torrent in enumerate(self.torrents):
                    all_of_them.start_soon(one, number, torrent)
            nursery.cancel_scope.cancel()

    # -- looking

    def _look(self, notes: list[list[tuple[set[int], list[int]]]], *, killed: bool) -> None:
        """Compare what was claimed with what is there."""
        for torrent, connections in zip(self.torrents, notes, strict=True):
            told_now: set[int] = set()
            for told, asked in connections:
                self.counts.fetched_again += len(torrent.verified & set(asked))
                self.counts.fetched_though_given += len(torrent.given & set(asked))
                if told or asked:  # it had the time to say what it has
                    self.counts.forgotten += len(torrent.verified - told)
                told_now |= told
            if killed:
                self.counts.pieces_claimed_by_the_dead += len(told_now)
            torrent.verified |= told_now
            synced = set(bitfield.members(torrent.synced(self.folder)))
            self.counts.pieces_synced_by_the_dead += len(synced) if killed else 0
            self.counts.false_claims += sum(
                not torrent.right(self.folder, piece) for piece in synced | torrent.verified
            )


if __name__ == "__main__":
    # For the tests, whose own process has threads.
    result = run(int(sys.argv[1]), int(sys.argv[2]), lambda line: None, *sys.argv[3:])
    print(json.dumps({entry.name: getattr(result, entry.name) for entry in fields(result)}))
