"""SIGKILL at any moment, over and over: nothing false is claimed, nothing verified is fetched again, nothing is hashed that
was synced.

``python -m tests.reliability kill --count 1000`` does it a thousand times over two hundred schedules and more. Each
schedule has torrents of its own, a seed (a process) that notes what it is told and asked, and one process after the
other that fetches and is killed. These are forked, which takes milliseconds: whoever calls must have no threads. After
each kill the files are compared, byte by byte, with what the journal and the dead process claimed.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import pickle
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import trio

import torrentlite as tl
import torrentlite.session  # before the forks, or each of them would take its time
from tests.scripted import ScriptedSeed
from torrentlite.events import PieceVerified
from torrentlite.storage.files import FileStorage
from torrentlite.storage.journal import Journal
from torrentlite.swarm import pieces as pieces_module
from torrentlite.testing.torrent import made_up_torrent
from torrentlite.wire import bitfield

COMMIT = 0.04
"""Seconds between commits of who fetches: in the product they are two, and there would be none before it is killed."""
RATE = 4_000_000


@dataclass
class Counts:
    """What came of it; the second half has to stay 0."""

    schedules: int = 0
    torrents: int = 0
    kills: int = 0
    kills_while_fetching: int = 0
    pieces_claimed_by_the_dead: int = 0
    pieces_synced_by_the_dead: int = 0
    bytes_hashed_at_restarts: int = 0
    false_claims: int = 0
    forgotten: int = 0
    fetched_again: int = 0
    hashed_though_synced: int = 0
    files_that_differ: int = 0
    left_behind: int = 0

    def bad(self) -> int:
        """How many broken promises."""
        names = [entry.name for entry in fields(self)]
        return sum(getattr(self, name) for name in names[names.index("false_claims") :])


@dataclass
class Torrent:
    """A torrent of a schedule, and what is known to have been verified of it."""

    metainfo: tl.Metainfo
    data: bytes
    port: int = 0
    verified: set[int] = field(default_factory=set)


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


SABOTAGE: dict[str, Callable[[], None]] = {
    "": lambda: None,
    "claims": _claims_too_much,
    "remembers": _remembers_too_little,
}
"""Defences to be taken away from who fetches: then promises have to be broken."""


def run(count: int, seed: int, say: Callable[[str], None], sabotage: str = "") -> Counts:
    """Kill so many times; raises nothing, look at the counts."""
    counts = Counts()
    began = time.monotonic()
    while counts.kills < count and not (sabotage and counts.bad()):
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
        self.rng = random.Random(seed)
        self.torrents = [self._torrent(number) for number in range(self.rng.choice([1, 1, 2, 3]))]
        self.folder = pathlib.Path(
            tempfile.mkdtemp(prefix="tl-kill-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        )

    def _torrent(self, number: int) -> Torrent:
        rng = self.rng
        sizes = [rng.choice([0, 1, 40_000, 300_000, 700_000]) for _ in range(rng.randint(2, 6))] + [200_000]
        if rng.random() < 0.4:
            sizes = [rng.randrange(500_000, 1_500_000)]
        piece = rng.choice([16384, 32768, 65536, 131072])
        return Torrent(*made_up_torrent(rng, sizes, name=f"made-up {number}", piece_length=piece))

    def run(self) -> None:
        self.counts.torrents += len(self.torrents)
        try:
            with _Seed(self.torrents) as seed:
                for _ in range(self.rng.randint(3, 7)):
                    killed = self._fetch(self.rng.randrange(self.rng.choice([2, 30])))
                    self._look(seed.notes(), killed=killed)
                    if not killed:
                        break
                else:
                    if not self.counts.false_claims:  # with wrong bytes under final names it would wait for ever
                        self._fetch(None)
                        self._look(seed.notes(), killed=False)
            self._compare()
        finally:
            shutil.rmtree(self.folder)

    # -- who fetches

    def _fetch(self, kill_after: int | None) -> bool:
        """Whether it was killed, soon after it had told so many things, before it was done."""
        synced = [self._synced(torrent) for torrent in self.torrents]
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(reader)
            _die_with(lambda: trio.run(self._child, writer))
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
                number, hashed = json.loads(line)
                torrent = self.torrents[number]
                self.counts.bytes_hashed_at_restarts += hashed
                layout = torrent.metainfo.info.layout
                if hashed > layout.total - layout.bytes_of_pieces(synced[number]):
                    self.counts.hashed_though_synced += 1
        killed = os.WIFSIGNALED(status)
        self.counts.kills += killed
        self.counts.kills_while_fetching += killed and bool(told)
        return killed

    async def _child(self, pipe: int) -> None:
        self.sabotage()
        pieces_module.COMMIT_INTERVAL = COMMIT  # type: ignore[misc]
        settings = tl.Settings(host="127.0.0.1", state_dir=self.folder / "state", dht=False)
        async with tl.open_session(settings) as session, trio.open_nursery() as nursery:

            async def one(number: int, torrent: Torrent) -> None:
                fetched = session.add(torrent.metainfo, self.folder / "save", peers=[("127.0.0.1", torrent.port)])
                await fetched.wait_checked()
                os.write(pipe, b"%b\n" % json.dumps([number, fetched.stats().check_total]).encode())
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
                if told or asked:  # it had the time to say what it has
                    self.counts.forgotten += len(torrent.verified - told)
                told_now |= told
            if killed:
                self.counts.pieces_claimed_by_the_dead += len(told_now)
            torrent.verified |= told_now
            synced = set(bitfield.members(self._synced(torrent)))
            self.counts.pieces_synced_by_the_dead += len(synced) if killed else 0
            self.counts.false_claims += sum(not self._right(torrent, piece) for piece in synced | torrent.verified)

    def _synced(self, torrent: Torrent) -> int:
        info = torrent.metainfo.info
        journal = Journal(self.folder / "state", info.hashes.v1, self.folder / "save", info.layout.piece_count)
        try:
            return journal.load().synced
        finally:
            journal.close()

    def _right(self, torrent: Torrent, piece: int) -> bool:
        """Whether the bytes of a piece lie in the files, by our own reading of them."""
        layout, files = torrent.metainfo.info.layout, torrent.metainfo.files
        at = layout.offset(piece)
        for span in layout.spans(at, layout.piece_size(piece)):
            final = self.folder.joinpath("save", *files[span.file].path)
            path = final if final.exists() else final.with_name(f"{final.name}.part")
            try:
                with open(path, "rb") as file:
                    file.seek(span.offset)
                    if file.read(span.length) != torrent.data[at : at + span.length]:
                        return False
            except FileNotFoundError:
                return False
            at += span.length
        return True

    def _compare(self) -> None:
        lying = {path for path in (self.folder / "save").rglob("*") if path.is_file()}
        for torrent in self.torrents:
            for entry in torrent.metainfo.files:
                path = self.folder.joinpath("save", *entry.path)
                lying.discard(path)
                right = torrent.data[entry.offset : entry.offset + entry.length]
                self.counts.files_that_differ += not path.exists() or path.read_bytes() != right
        self.counts.left_behind += len(lying)


class _Seed:
    """A process that serves the torrents and notes what comes."""

    def __init__(self, torrents: list[Torrent]) -> None:
        self._torrents = torrents

    def __enter__(self) -> _Seed:
        self._ask, theirs_in = _pipe(buffering=0)
        theirs_out, self._answers = _pipe()
        self._child = os.fork()
        if not self._child:
            self._ask.close()
            self._answers.close()
            _die_with(lambda: trio.run(_serve, self._torrents, theirs_in, theirs_out))
        theirs_in.close()
        theirs_out.close()
        for torrent, port in zip(self._torrents, pickle.load(self._answers), strict=True):
            torrent.port = port
        return self

    def __exit__(self, *_: object) -> None:
        self._ask.close()
        self._answers.close()
        os.waitpid(self._child, 0)

    def notes(self) -> list[list[tuple[set[int], list[int]]]]:
        """What was told and asked on each connection since the last time, for each torrent."""
        self._ask.write(b"?")
        self._ask.flush()
        notes: list[list[tuple[set[int], list[int]]]] = pickle.load(self._answers)
        return notes


async def _serve(torrents: list[Torrent], orders: Any, out: Any) -> None:
    seeds = [ScriptedSeed(torrent.metainfo.info, torrent.data, rate=RATE) for torrent in torrents]
    async with contextlib.AsyncExitStack() as stack:
        for seed in seeds:
            await stack.enter_async_context(seed.serving())
        pickle.dump([seed.port for seed in seeds], out)
        out.flush()
        while True:
            await trio.lowlevel.wait_readable(orders)
            if not os.read(orders.fileno(), 1):
                return
            await trio.sleep(0.02)  # what the dead one said may still be on its way
            pickle.dump([list(zip(seed.told, seed.asked, strict=True)) for seed in seeds], out)
            out.flush()
            for seed in seeds:
                seed.told.clear()
                seed.asked.clear()


def _pipe(*, buffering: int = -1) -> tuple[Any, Any]:
    """The end to write to, and the one to read from."""
    reader, writer = os.pipe()
    return os.fdopen(writer, "wb"), os.fdopen(reader, "rb", buffering=buffering)


def _die_with(main: Callable[[], object]) -> None:
    """Run the rest of a forked process's life."""
    code = 1
    try:
        main()
        code = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


if __name__ == "__main__":
    # For the tests, whose own process has threads.
    result = run(int(sys.argv[1]), int(sys.argv[2]), lambda line: None, *sys.argv[3:])
    print(json.dumps({entry.name: getattr(result, entry.name) for entry in fields(result)}))
